"""`--max-request-body-size`."""

from __future__ import annotations

from ..steps import JSON, Scenario, get, index, post, put, upload, user

LIMIT = 20000

LIMITS = Scenario(
    "limits",
    "requests that are too large",
    [
        user("alice", "pw2"),
        index("/alice/dev"),
        upload("an upload within the limit", "/alice/dev", 200, "q", "1", "q-1.tar.gz", b"x" * (LIMIT - 2000)),
        upload("an upload beyond the limit", "/alice/dev", 413, "q", "2", "q-2.tar.gz", b"x" * (LIMIT + 2000)),
        upload(
            "the same with json accepted", "/alice/dev", 413, "q", "2", "q-2.tar.gz", b"x" * (LIMIT + 2000), accept=JSON
        ),
        put("a user beyond the limit", "/bob", 413, {"password": "x" * LIMIT}),
        post("a login beyond the limit", "/+login", 413, {"user": "x" * LIMIT, "password": ""}, accept=JSON),
        get("nothing came in", "/alice/dev"),
        get("no user came in", "/"),
    ],
    {"alice": "pw2"},
    ("--max-request-body-size", str(LIMIT)),
)
