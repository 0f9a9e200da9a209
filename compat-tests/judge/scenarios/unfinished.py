"""What our server does not do yet, and user records that it does not take unchecked."""

from __future__ import annotations

from ..distributions import stored_path
from ..steps import JSON, Form, Scenario, call, delete, index, metadata_form, patch, post, put, read_json, upload, user

MIRROR = "no-mirror-yet"
LATER = "not-yet"
UNVALIDATED = "user-unvalidated"
PUSH = {"name": "pkg-a", "version": "1.0", "targetindex": "alice/tgt"}
FILE = stored_path("/alice/vol", "pkg_a-1.0.tar.gz", b"s1")
MIRROR_CONFIG = {
    "type": "mirror",
    "mirror_url": "http://upstream.example/simple",
    "mirror_cache_expiry": "0",
    "bases": "x",
    "acl_upload": "y",
    "mirror_no_project_list": "no",
    "mirror_use_external_urls": "no",
    "mirror_ignore_serial_header": "True",
    "mirror_web_url_fmt": "http://x/{name}",
    "title": "M",
}

_MIRRORS = [
    put("113", "/alice/m1", 200, {"type": "mirror"}, as_user="alice", difference=MIRROR),
    put("114", "/alice/m2", 400, {"type": "mirror", "mirror_url": "ftp://x"}, as_user="alice", difference=MIRROR),
    put("115", "/alice/m3", 400, {**MIRROR_CONFIG, "acl_toxresult_upload": "z"}, as_user="alice", difference=MIRROR),
    put("116", "/alice/m3", 200, {**MIRROR_CONFIG, "volatile": "no"}, as_user="alice", difference=MIRROR),
    put(
        "117",
        "/alice/m4",
        400,
        {"type": "mirror", "mirror_url": "http://x", "mirror_cache_expiry": "a"},
        as_user="alice",
        difference=MIRROR,
    ),
    read_json("120", "/alice/m1/+api", difference=MIRROR),
    patch("154", "/alice/m3", 200, ["mirror_cache_expiry=10"], as_user="alice", difference=MIRROR),
    post(
        "166",
        "/alice/m3/",
        404,
        Form(((":action", "file_upload"), ("name", "q"), ("version", "1")), (("content", "q-1.tar.gz", b"x"),)),
        as_user="alice",
        difference=MIRROR,
    ),
    patch("volatile again", "/alice/m3", 200, ["volatile=True"], as_user="alice", difference=MIRROR),
    delete("delete a mirror", "/alice/m3", 201, as_user="alice", difference=MIRROR),
    delete("delete the other mirror", "/alice/m1", 201, as_user="alice", difference=MIRROR),
    read_json("no mirror is left", "/alice"),
]

_LATER = [
    call("push", "PUSH", "/alice/vol", 200, body=PUSH, accept=JSON, as_user="alice", difference=LATER),
    post("push by post", "/alice/vol", 200, PUSH, accept=JSON, as_user="alice", difference=LATER),
    call(
        "push elsewhere",
        "PUSH",
        "/alice/vol",
        502,
        body={
            **PUSH,
            "targetindex": None,
            "posturl": "http://127.0.0.1:9/",
            "username": "u",
            "password": "p",
            "register_project": True,
        },
        accept=JSON,
        as_user="alice",
        difference=LATER,
    ),
    post("tox result", FILE, 200, {"testenvs": {}}, accept=JSON, as_user="alice", difference=LATER),
    post(
        "documentation",
        "/alice/docs",
        200,
        Form(
            (*metadata_form("doc_upload", ("name", "pkg-a"), ("version", "1.0")).fields,),
            (("content", "d.zip", b"PK"),),
        ),
        as_user="alice",
        difference=LATER,
    ),
    call("push that is no json", "PUSH", "/alice/vol", 400, body=b"x", accept=JSON, as_user="alice"),
    call("push from an unknown index", "PUSH", "/alice/nope", 404, body=PUSH, accept=JSON, as_user="alice"),
]

_UNVALIDATED = [
    put(
        "080",
        "/ed2",
        201,
        {"password": "x", "indexes": {"x": {"type": "stage"}}, "created": "2000-01-01T00:00:00Z", "modified": "x"},
        difference=UNVALIDATED,
    ),
    read_json("081", "/ed2", difference=UNVALIDATED),
    read_json("082", "/ed2/x", difference=UNVALIDATED),
]

UNFINISHED = Scenario(
    "unfinished",
    "mirrors, push, documentation and test results; unchecked user records",
    [
        user("alice", "pw2"),
        index("/alice/vol"),
        index("/alice/tgt"),
        index("/alice/docs"),
        upload("prepare pkg-a", "/alice/vol", 200, "pkg-a", "1.0", "pkg_a-1.0.tar.gz", b"s1"),
        *_MIRRORS,
        *_LATER,
        *_UNVALIDATED,
    ],
    {"alice": "pw2"},
)
