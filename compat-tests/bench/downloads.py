"""Downloads of a large file over several connections; every byte is compared with what it must be."""

from __future__ import annotations

import ctypes
import mmap
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import load
from .processes import Failed

PIECE = 256 * 1024
PATIENCE = 60
COMPARED = 4
"""One download in so many is compared byte by byte, beginning with the first; of the others the length is."""
_compare = ctypes.CDLL(None).memcmp
_compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def download(port: int, path: str, content: Path, *, connections: int, each: int) -> int:
    """Each connection downloads the file so many times; gives the bytes of all files together."""
    with content.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as expected:
        address = ctypes.addressof(ctypes.c_char.from_buffer(expected))
        with ThreadPoolExecutor(connections) as pool:
            jobs = [pool.submit(_client, port, path, address, len(expected), each) for _ in range(connections)]
            return sum(job.result() for job in jobs)


def _client(port: int, path: str, expected: int, length: int, each: int) -> int:
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    here = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    connection = None
    for number in range(each):
        connection = connection or socket.create_connection((load.HOST, port), PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {load.HOST}\r\nAccept-Encoding: identity\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(1 if head.endswith(b"\r") else 2048, socket.MSG_PEEK)
            if not piece:
                raise Failed(f"{path}: the connection ended in the head")
            end = (head + piece).find(b"\r\n\r\n")
            taken = len(piece) if end < 0 else end + 4 - len(head)
            head += connection.recv(taken)
        if not head.startswith(b"HTTP/1.1 200") or not re.search(rb"(?i)\r\ncontent-length: *%d\r\n" % length, head):
            raise Failed(f"{path}: {head[:300]!r}, not {length} bytes")
        compared = number % COMPARED == 0
        at = 0
        while at < length:
            received = connection.recv_into(view[: min(PIECE, length - at)])
            if not received:
                raise Failed(f"{path}: the connection ended after {at} of {length} bytes")
            if compared and _compare(here, expected + at, received):
                raise Failed(f"{path}: other bytes than expected after {at}")
            at += received
        if re.search(rb"(?i)\r\nconnection: *close", head):
            connection.close()
            connection = None
    if connection:
        connection.close()
    return each * length
