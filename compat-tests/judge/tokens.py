"""Login tokens that no login would give: of another age, with groups, of users without a record.

Format and key derivation are devpi-server's. The key needs Argon2, which is taken from the reference's own Python
environment so that the judge itself needs nothing but the standard library.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import subprocess
import time

from . import servers
from .steps import Token

_DERIVE = """
import sys
from argon2.low_level import Type, hash_secret_raw
secret, memory, parallelism, time_cost = sys.argv[1:]
key = hash_secret_raw(secret.encode(), b"devpi-server-auth", int(time_cost), int(memory), int(parallelism), 16, Type.ID)
print(key.hex())
"""


def forge(token: Token) -> str:
    """Sign a token as both servers would, with the secret they share."""
    payload = json.dumps([token.user, list(token.groups), token.from_user_record])
    seconds = int(time.time()) - token.age_seconds
    stamp = _base64(seconds.to_bytes((seconds.bit_length() + 7) // 8, "big"))
    signed = f"{payload}.{stamp}"
    signature = hmac.new(_signing_key(), signed.encode(), hashlib.sha1).digest()
    return f"{signed}.{_base64(signature)}"


@functools.cache
def _signing_key() -> bytes:
    costs = (servers.ARGON2_MEMORY_KIB, servers.ARGON2_PARALLELISM, servers.ARGON2_TIME)
    python = servers.reference().directory / "python"
    arguments = [str(python), "-c", _DERIVE, servers.SECRET, *map(str, costs)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    return hashlib.sha1(b"itsdangerous" + b"signer" + bytes.fromhex(done.stdout.strip())).digest()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
