"""HTTP messages: requests as they are read, answers before they are sent, ranges, validators and negotiation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal

from .model import HTML, SIMPLE_HTML, SIMPLE_JSON, Content
from .recording import Recorded

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


@dataclass
class Response:
    """An answer; what `Content-Length` and the like say follows from it unless a fault says otherwise."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """Names as they are sent."""
    body: Content = b""
    start: int = 0
    stop: int | None = None
    """The part of the body that is sent: up to but not including this, or to the end."""
    chunked: bool = False

    @property
    def end(self) -> int:
        """Where the part that is sent ends."""
        return len(self.body) if self.stop is None else self.stop

    @property
    def length(self) -> int:
        """Bytes that are sent."""
        return self.end - self.start

    @property
    def has_body(self) -> bool:
        """Whether answers of this status may have a body at all."""
        return self.status not in {204, 304}


def accepts_gzip(request: Recorded) -> bool:
    """Whether the client takes the gzip content coding."""
    codings = (request.header("accept-encoding") or "").lower().split(",")
    return any(_quality(coding.split(";")[1:]) > 0 for coding in codings if coding.split(";")[0].strip() == "gzip")


def wanted_format(request: Recorded) -> Literal["html", "json"]:
    """What the client likes best; HTML if it does not care."""
    best: dict[str, float] = {}
    for entry in (request.header("accept") or "*/*").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        best[name] = _quality(parameters)
    anything = best.get("*/*", 0.0)
    as_html = max(best.get(HTML, anything), best.get(SIMPLE_HTML, anything))
    return "json" if best.get(SIMPLE_JSON, anything) > as_html else "html"


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def is_unchanged(request: Recorded, etag: str | None, last_modified: str | None) -> bool:
    """Whether the client has it already: `If-None-Match`, else `If-Modified-Since`."""
    given = request.header("if-none-match")
    if given is not None:
        tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
        return etag is not None and ("*" in tags or etag.removeprefix("W/") in tags)
    since = request.header("if-modified-since")
    if since is None or last_modified is None:
        return False
    return parsedate_to_datetime(last_modified) <= parsedate_to_datetime(since)


def cut_to_range(request: Recorded, response: Response, etag: str | None, last_modified: str | None) -> Response:
    """206 or 416 if the client asks for a part and its `If-Range` still holds, else the whole answer."""
    response.headers["Accept-Ranges"] = "bytes"
    asked = _RANGE.match(request.header("range") or "")
    if asked is None or asked[0] == "bytes=-":
        return response
    condition = request.header("if-range")
    if condition is not None and condition not in (etag, last_modified):
        return response
    size = len(response.body)
    if asked[1]:
        start, stop = int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size
    else:
        start, stop = max(size - int(asked[2]), 0), size
    if start >= size or start >= stop:
        return Response(416, {"Content-Range": f"bytes */{size}"})
    response.status, response.start, response.stop = 206, start, stop
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response
