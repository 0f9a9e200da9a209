"""A package index of somebody else, to which the servers push: it keeps what it gets and answers as the path says.

`/up/400` answers 400, `/up/200,400` first 200 and then 400 to all others of the same step, `/up/drop` not at all.
A second segment chooses the body of the answer: `/up/400/utf-8`.
"""

from __future__ import annotations

import http.server
import socket
import threading
from typing import Any

from .exchange import Request

HOST = "127.0.0.1"
STOP_SECONDS = 10.0

BODIES = {
    "text": ("text/plain", "upstream says {}"),
    "utf-8": ("text/plain; charset=utf-8", "upstream says {} \u00e4\u4e2d"),
    "latin-1": ("text/plain; charset=iso-8859-1", "upstream says {} \u00e4"),
    "html": ("text/html", '<p class="a">upstream & says {}</p>\n'),
    "json": ("application/json", '{{"message": "upstream says {}"}}'),
    "long": ("text/plain", "upstream says much " * 2000),
    "empty": ("text/plain", ""),
}


class Endpoint:
    """Listens on the loopback address while the `with` block lasts."""

    def __init__(self) -> None:
        self._received: list[Request] = []
        self._server = http.server.ThreadingHTTPServer((HOST, 0), _Handler)
        self._server.daemon_threads = True
        self._server.receive = self._receive  # type: ignore[attr-defined]
        # Bound and never listening: the port is refused and cannot become somebody else's.
        self._dead = socket.socket()
        self._dead.bind((HOST, 0))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(STOP_SECONDS)
        self._server.server_close()
        self._dead.close()

    def url(self, path: str, *, alive: bool = True) -> str:
        """The URL of a path, where somebody listens or nobody does."""
        port = self._server.server_address[1] if alive else self._dead.getsockname()[1]
        return f"http://{HOST}:{port}{path}"

    def take(self) -> tuple[Request, ...]:
        """What came in since the last call."""
        taken = tuple(self._received)
        self._received.clear()
        return taken

    def _receive(self, request: Request) -> tuple[str, str]:
        """Keep a request; the answer's code and body are chosen by the path and by how many came before."""
        segments = request.target.partition("?")[0].strip("/").split("/")
        codes = segments[1].split(",") if len(segments) > 1 else ["404"]
        code = codes[min(len(self._received), len(codes) - 1)]
        self._received.append(request)
        return code, segments[2] if len(segments) > 2 else "text"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Reads a request whole and answers it."""

    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        body = self._chunked() if self.headers.get("Transfer-Encoding") else self._known_length()
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        code, kind = self.server.receive(Request(self.command, self.path, headers, body))  # type: ignore[attr-defined]
        self.close_connection = True
        if code == "drop":
            return
        content_type, text = BODIES[kind]
        content = b"" if code == "204" else text.format(code).encode("latin-1" if kind == "latin-1" else "utf-8")
        self.send_response(int(code))
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        if code.startswith("3"):
            self.send_header("Location", "/up/200")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815

    def _known_length(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *_: Any) -> None:
        """The judge prints what matters itself."""
