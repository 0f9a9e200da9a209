"""An upload endpoint like that of a public index, which keeps what it is sent and refuses what it is told to.

The first part of the path says how it answers: `/ok/` takes everything, `/no-docs/`, `/no-files/` and `/no-register/`
refuse one kind of request, as indexes do that know no documentation or no registration.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

REFUSALS = {
    "/no-docs/": ("doc_upload", 410, "We know no documentation here."),
    "/no-files/": ("file_upload", 403, "You may not upload here.\nReally not."),
    "/no-register/": ("submit", 410, "Projects are registered by uploading."),
}


class Elsewhere:
    """The endpoint; a context manager."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.requests = self.requests
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self) -> str:
        """What was received since the last time."""
        taken = "\n".join(self.requests)
        self.requests.clear()
        return taken

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = _fields(self.headers, body)
        self.server.requests.append("\n".join([f"POST {self.path}", _credentials(self.headers), *sorted(fields)]))
        action, status, answer = REFUSALS.get(self.path, ("", 200, ""))
        if f":action={action}" not in fields:
            status, answer = 200, ""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _credentials(headers: Message) -> str:
    kind, _, value = (headers["Authorization"] or "").partition(" ")
    return f"Authorization: {kind} {base64.b64decode(value).decode()}"


def _fields(headers: Message, body: bytes) -> list[str]:
    """The form, one line for each value; of files the name and the hash."""
    if headers.get_content_type() == "application/x-www-form-urlencoded":
        return [f"{name}={value}" for name, value in parse_qsl(body.decode(), keep_blank_values=True)]
    form = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
    lines = []
    for part in form.get_payload():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if file := part.get_filename():
            lines.append(f"{name}: {file} {hashlib.sha256(data).hexdigest()}")
        else:
            lines.append(f"{name}={data.decode()}")
    return lines
