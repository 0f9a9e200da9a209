"""Turns what a server sent to an upload endpoint into facts: `sent:<number>:…`, in the order it was sent."""

from __future__ import annotations

import email.parser
import email.policy
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

from .exchange import Request

Facts = dict[str, Any]

HEADERS = ("authorization", "accept", "expect", "cookie", "x-devpi-auth")
_AGENT = re.compile(r"^devpi-server/6\.20\.3 \(.+\)$")


def facts(requests: Sequence[Request]) -> Facts:
    """How many requests there were, and for each its method, path, headers that matter, and form."""
    found: Facts = {"sent": len(requests)}
    for number, request in enumerate(requests):
        found |= {f"sent:{number}:{key}": value for key, value in _one(request).items()}
    return found


def _one(request: Request) -> Facts:
    headers = dict(request.headers)
    found: Facts = {"method": request.method, "path": request.target}
    found |= {f"header:{name}": headers.get(name) for name in HEADERS}
    agent = headers.get("user-agent", "")
    found["header:user-agent"] = "devpi-server/6.20.3 (...)" if _AGENT.match(agent) else agent
    content_type, _, parameters = headers.get("content-type", "").partition(";")
    found["header:content-type"] = content_type.strip().lower()
    if content_type == "multipart/form-data":
        return found | _multipart(f"{content_type};{parameters}", request.body)
    pairs = urllib.parse.parse_qsl(request.body.decode("utf-8", "backslashreplace"), keep_blank_values=True)
    return found | _fields(pairs)


def _multipart(content_type: str, body: bytes) -> Facts:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    pairs, found, last = [], {}, False
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        filename = part.get_filename()
        last = filename is not None
        if filename is None:
            pairs.append((name, content.decode("utf-8", "backslashreplace")))
            continue
        found |= {
            f"file:{name}:filename": filename,
            f"file:{name}:content-type": part.get_content_type() if part["content-type"] else None,
            f"file:{name}:content": content,
        }
    return found | {"file-is-last": last} | _fields(pairs)


def _fields(pairs: Sequence[tuple[str, str]]) -> Facts:
    """All values of each field, in their order; the order of the fields means nothing."""
    return {f"field:{name}": tuple(value for key, value in pairs if key == name) for name, _ in pairs}
