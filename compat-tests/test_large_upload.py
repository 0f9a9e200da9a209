"""A file far larger than the memory the server may use goes in and comes out whole.

COMPAT_LARGE_MIB sets the size (600 by default).
"""

import hashlib
import http.client
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from harness import Server, forge_token
from memory import memory_mib

SIZE_MIB = int(os.environ.get("COMPAT_LARGE_MIB", "600"))
MEMORY_LIMIT_MIB = 150
MIB = 1024 * 1024


def content() -> Iterator[bytes]:
    """Blocks that are all different, so that no part can stand for another one."""
    filling = os.urandom(4096) + bytes(MIB - 4096 - 8)
    for number in range(SIZE_MIB):
        yield number.to_bytes(8, "big") + filling


def bytes_read(server: Server) -> int:
    """How many bytes the server has read, from files and connections."""
    counters = Path(f"/proc/{server.process.pid}/io").read_text()
    return int(dict(line.split(": ") for line in counters.splitlines())["rchar"])


def test_large_file(new_server: Callable[..., Server]) -> None:
    """The server's memory does not grow with the files it stores or sends."""
    server = new_server("--max-request-body-size", 3 * 1024 * MIB).start()
    index = server.new_index()
    # A fresh process and a token keep the hashing of passwords, at 64 MiB each, out of the measurement.
    server.restart()
    credentials = f"{index.user}:{forge_token(index.user, time.time())}"
    fields = {":action": "file_upload", "name": "x", "version": "1.0", "filetype": "sdist"}
    head = "".join(
        f'--BOUNDARY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += '--BOUNDARY\r\nContent-Disposition: form-data; name="content"; filename="x-1.0.tar.gz"\r\n\r\n'
    tail = "\r\n--BOUNDARY--\r\n"
    digest = hashlib.sha256()

    def body() -> Iterator[bytes]:
        yield head.encode()
        for block in content():
            digest.update(block)
            yield block
        yield tail.encode()

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request(
        "POST",
        f"/{index.name}/",
        body=body(),
        headers={
            "Authorization": f"Basic {b64encode(credentials.encode()).decode()}",
            "Content-Type": "multipart/form-data; boundary=BOUNDARY",
            "Content-Length": str(len(head) + SIZE_MIB * MIB + len(tail)),
        },
    )
    answer = connection.getresponse()
    assert answer.status == 200, f"{answer.reason} {answer.read()}"
    connection.close()

    file = server.simple(index, "x")["x-1.0.tar.gz"]
    assert file["hashes"]["sha256"] == digest.hexdigest()
    read_before = bytes_read(server)
    with requests.Session() as session:
        assert int(session.head(file["url"]).headers["Content-Length"]) == SIZE_MIB * MIB
        # Whatever was begun for one answer is over when the next one comes.
        assert session.get(f"{server.url}/+api").status_code == 200
    assert bytes_read(server) - read_before < MIB, "a file of which only the head is wanted is not read"
    received = hashlib.sha256()
    with server.request("GET", file["url"], stream=True) as download:
        assert int(download.headers["Content-Length"]) == SIZE_MIB * MIB
        for block in download.iter_content(MIB):
            received.update(block)
    assert received.hexdigest() == digest.hexdigest()
    assert memory_mib(server.process.pid, "VmHWM") < MEMORY_LIMIT_MIB
