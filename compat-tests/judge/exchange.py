"""One HTTP/1.1 exchange over a plain socket.

Written by hand because the judge needs what client libraries hide or forbid: any method, no `Accept` at all, odd paths
sent as they are, repeated headers, the reason phrase as it came.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from upstream import Recorded

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """What goes over the wire; `target` is sent as it is."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self) -> bytes:
        """The request as bytes; header values are UTF-8."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in {"POST", "PUT", "PATCH", "PUSH"}:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Answer:
    """A complete response; header names in lower case, in the order they came."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    sent: tuple[Request, ...] = ()
    """What the server itself sent elsewhere before it answered."""
    asked: tuple[Recorded, ...] | None = None
    """What it asked of its upstream, if it has one."""
    cut: bool = False
    """Whether the connection was lost before the body was complete."""

    def header(self, name: str) -> str | None:
        """All values of a header joined by commas, or nothing."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are kept visible."""
        return self.body.decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send(address: tuple[str, int], request: Request, timeout: float = TIMEOUT_SECONDS) -> Answer:
    """Send one request on its own connection and read the whole answer."""
    with socket.create_connection(address, timeout=timeout) as connection:
        # A server that refuses a body early closes while we still write; its answer is there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request.encode())
        with _response(connection, request.method) as response:
            response.begin()
            body, cut = _read(response)
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            return Answer(response.status, response.reason, headers, body, cut=cut)


def _read(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """The body as far as it came, and whether some of it is missing."""
    parts = []
    try:
        while part := response.read1(1 << 16):
            parts.append(part)
    except (http.client.IncompleteRead, ConnectionResetError):
        return b"".join(parts), True
    return b"".join(parts), bool(response.length)


@contextlib.contextmanager
def _response(connection: socket.socket, method: str) -> Iterator[http.client.HTTPResponse]:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        yield response
    finally:
        response.close()
