"""Clients that do what no library does: send by bytes, stop in the middle, vanish, or come by the thousand."""

from __future__ import annotations

import re
import resource
import socket
import struct
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness import DEADLINE, Index, Server

BOUNDARY = "boundary"


class Connection:
    """A connection to a server, on which anything can be sent."""

    def __init__(self, server: Server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        self.received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_what_it_takes(self, data: bytes) -> bool:
        """Sends; false if the server does not want all of it."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def trickle(self, pieces: Iterable[bytes], pause: float, deadline: float) -> bool:
        """Sends one piece after the other, with pauses, until the server answers; false if it does not in time."""
        end = time.monotonic() + deadline
        self.socket.settimeout(pause)
        try:
            for piece in pieces:
                if time.monotonic() > end:
                    return False
                if piece and not self.send_what_it_takes(piece):
                    return True
                try:
                    self.received += self.socket.recv(65536)
                    return True
                except TimeoutError:
                    continue
                except ConnectionError:
                    return True
            return False
        finally:
            self.socket.settimeout(DEADLINE)

    def to_the_end(self, within: float = DEADLINE) -> bytes:
        """All that comes until the server closes the connection, which it must in time."""
        end = time.monotonic() + within
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return self.received
            if not data:
                return self.received
            self.received += data

    def answer(self, within: float = DEADLINE) -> bytes:
        """All that came up to the end of one answer whose length is known."""
        end = time.monotonic() + within
        while not self._has_answer():
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                break
            if not data:
                break
            self.received += data
        return self.received

    def _has_answer(self) -> bool:
        head, separator, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return bool(separator and length and len(body) >= int(length[1]))

    def outcome(self, within: float) -> tuple[int, str]:
        """The status of the answer, and whether the connection is closed in time."""
        try:
            self.to_the_end(within)
        except TimeoutError:
            return self.status, "open"
        return self.status, "closed"

    @property
    def status(self) -> int:
        """Of the answer that has come; 0 if none has."""
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", self.received)
        return int(found[1]) if found else 0

    def status_of_answer(self) -> int:
        """When it has come."""
        self.answer()
        return self.status

    def close(self) -> None:
        self.socket.close()

    def vanish(self) -> None:
        """Ends the connection as a machine does that knows nothing of it any more."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def authorization(index: Index) -> str:
    return f"Basic {b64encode(':'.join(index.auth).encode()).decode()}"


@dataclass(frozen=True)
class Raw:
    """A request as it goes over the wire."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False

    @property
    def head(self) -> bytes:
        framing = ("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(len(self.body)))
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in (framing, *self.headers)]
        return "\r\n".join([*lines, "", ""]).encode()

    @property
    def whole(self) -> bytes:
        return self.begun(len(self.body)) + (b"0\r\n\r\n" if self.chunked else b"")

    def begun(self, size: int) -> bytes:
        """The head, and so much of the body."""
        part = self.body[:size]
        return self.head + (b"%x\r\n%b\r\n" % (len(part), part) if self.chunked and part else part)


def form(fields: dict[str, str], filename: str, content: bytes) -> bytes:
    """The body of an upload."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\n\r\n')
    return "".join(parts).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(index: Index, filename: str, content: bytes, *, chunked: bool = False, **fields: str) -> Raw:
    """An upload; the project and version are those of an sdist unless told otherwise."""
    project, _, version = filename.removesuffix(".tar.gz").partition("-")
    given = {":action": "file_upload", "name": project, "version": version} | fields
    headers = (
        ("Authorization", authorization(index)),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
    )
    return Raw("POST", f"/{index.name}/", form(given, filename, content), headers, chunked)


def json_request(method: str, path: str, index: Index, body: bytes) -> Raw:
    return Raw(method, path, body, (("Authorization", authorization(index)), ("Content-Type", "application/json")))


@contextmanager
def crowd(server: Server, count: int, send: Callable[[int], bytes]) -> Iterator[list[Connection]]:
    """So many connections at once, on each of which something was sent."""
    allow_files(count + 500)
    connections: list[Connection] = []
    try:
        for number in range(count):
            connection = Connection(server)
            connections.append(connection)
            connection.send(send(number))
        yield connections
    finally:
        for connection in connections:
            connection.close()


def allow_files(count: int) -> None:
    """Lets this process have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
