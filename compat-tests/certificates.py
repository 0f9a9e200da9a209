"""Certificates for servers on this machine, from an authority that nobody else knows."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(directory: Path, authority: Path) -> Path:
    """Writes a certificate authority, and gives a file with key and certificate of a server here."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test Authority", "upstream")]

    def certificate(subject: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(names[subject])
            .issuer_name(names[0])
            .public_key(keys[subject].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=subject == 0, path_length=None), critical=True)
        )

    top = certificate(0).sign(keys[0], hashes.SHA256())
    hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("upstream.example")]
    leaf = certificate(1).add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    signed = leaf.sign(keys[0], hashes.SHA256())
    encoding = serialization.Encoding.PEM
    authority.write_bytes(top.public_bytes(encoding))
    path = directory / "server.pem"
    key = keys[1].private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key + signed.public_bytes(encoding))
    return path
