"""Distributions to upload: the same bytes on every run, hence the same hashes and paths."""

from __future__ import annotations

import hashlib
import io
import zipfile

_WRITTEN = (2020, 2, 2, 0, 0, 0)


def archive(**members: str) -> bytes:
    """A zip archive with the given members."""
    return zip_of(members)


def zip_of(members: dict[str, str]) -> bytes:
    """A zip archive, stored without compression so that no library version shows."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, text in members.items():
            file.writestr(zipfile.ZipInfo(name, _WRITTEN), text)
    return buffer.getvalue()


def wheel(name: str, version: str, *, metadata: bool = True, payload: str = "") -> bytes:
    """A wheel that is valid enough for an index; `payload` makes it another file."""
    folder = f"{name}-{version}.dist-info"
    members = {f"{folder}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if metadata:
        members[f"{folder}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if payload:
        members[f"{name}.py"] = payload
    return zip_of(members)


def stored_path(index: str, filename: str, content: bytes) -> str:
    """Where an uploaded file is served: `/user/index/+f/abc/def…/filename`."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{index}/+f/{digest[:3]}/{digest[3:16]}/{filename}"


def digest_fields(content: bytes) -> tuple[tuple[str, str], ...]:
    """The digest fields that uploaders send."""
    return (
        ("md5_digest", hashlib.md5(content, usedforsecurity=False).hexdigest()),
        ("sha256_digest", hashlib.sha256(content).hexdigest()),
        ("blake2_256_digest", hashlib.blake2b(content, digest_size=32).hexdigest()),
    )
