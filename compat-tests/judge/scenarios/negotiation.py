"""Which form an error takes, and odd paths and methods."""

from __future__ import annotations

from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    SIMPLE_JSON,
    Scenario,
    call,
    delete,
    get,
    index,
    login,
    patch,
    put,
    read_json,
    upload,
    user,
)

NVOL, VOL = "/alice/nvol/", "/alice/vol"
FILE = ("Pkg_A", "1.0", "pkg_a-1.0.tar.gz")

_CAPTURED = [
    upload("495", NVOL, 200, *FILE, b"s1", accept=ANYTHING),
    upload("496", NVOL, 401, *FILE, b"s1", as_user=None, accept=ANYTHING),
    get("497", "/+nope", 404, accept=ANYTHING),
    get("498", "/+nope", 404, accept=SIMPLE_JSON),
    put("499", VOL, 409, {}),
    put("500", "/alice/newix", 403, b"bad"),
    login("516", "dave", "x", 401),
    read_json("517", "//alice/vol"),
    read_json("518", "/alice//vol", 404),
    read_json("519", "/alice/vol//", 404),
    read_json("520", "/alice/vol/pkg-a/1.0/x", 404),
    read_json("521", "/alice/vol/pkg-a//", 404),
    read_json("522", "/alice/vol/+simple//", 404),
    read_json("523", "/alice/vol/+toxresults", 404),
    read_json("524", "/alice/vol/pkg-a/+toxresults", 404),
    read_json("525", "/+refresh", 404),
    read_json("526", "/alice/vol/pkg+a", 404),
    read_json("527", "/al+ice", 404),
    get("528", "/favicon.ico", 404, accept=ANYTHING),
    call("529", "TRACE", "/alice", 404),
    call("530", "PURGE", VOL, 404),
    read_json("531", "/alice?x=1"),
    delete("567", "/alice/vol/pkg-a/9.9", 404, as_user="alice"),
]

# Each form of error with each kind of Accept.
_ACCEPTS = {
    "json and html": f"{JSON}, {HTML}",
    "html of higher rank": f"{JSON};q=0.5, {HTML};q=0.9",
    "json of higher rank": f"{JSON};q=0.9, {HTML};q=0.5",
    "json refused": f"{JSON};q=0, {ANYTHING}",
    "anything of low rank": f"{JSON}, {ANYTHING};q=0.1",
    "any application": "application/*",
    "any text": "text/*",
    "an image": "image/png",
    "uv": f"{JSON};q=0.9, text/plain;q=0.8, {HTML};q=0.7",
    "nothing readable": ";;",
    "the empty string": "",
    "capitals": "Application/JSON",
    "json with a parameter": f"{JSON}; charset=utf-8",
}

_NEGOTIATED = [
    step
    for words, accept in _ACCEPTS.items()
    for step in (
        get(f"framework error, {words}", "/+nope", 404, accept=accept),
        get(f"view error, {words}", "/alice/nope/+simple/", 404, accept=accept),
        upload(f"upload error, {words}", VOL, 400, "other", "1.0", FILE[2], b"s1", accept=accept),
        get(f"redirect, {words}", "/alice/vol/+simple/Pkg_A", 302, accept=accept),
    )
]

_ODD = [
    delete("api result whatever is accepted", "/alice/nvol", 403, as_user="alice", accept=HTML),
    patch("api result as an image", VOL, 400, {"foo": 1}, as_user="alice", accept="image/png"),
    read_json("encoded slash", "/alice%2Fvol"),
    read_json("encoded letters", "/%61lice/%76ol"),
    read_json("a percent sign that is no escape", "/alice/%zz", 404),
    get("an escape that is no utf-8", "/alice/%ff", 500, difference="server-errors"),
    get("an escape that is no utf-8, with json", "/%ff", 500, accept=JSON, difference="server-errors"),
    read_json("three slashes", "///alice/vol"),
    read_json("a dot segment", "/alice/./vol", 404),
    read_json("an upward segment", "/alice/../alice", 404),
    read_json("a null byte", "/ali%00ce", 404),
    read_json("a markup name", "/%3Cb%3E", 404),
    get("a markup name for a browser", "/%3Cb%3E&'%22", 404, accept=HTML),
    get("an unknown path with markup", "/+%3Cb%3E", 404, accept=HTML),
    get("an unknown path with non-ascii letters", "/+%C3%A4", 404, accept=HTML),
    read_json("an unknown path with non-ascii letters, json", "/+%C3%A4", 404),
    get("an unknown path with non-ascii letters, text", "/+%C3%A4", 404),
    get("an unknown user with non-ascii letters", "/n%C3%A4", 404),
    read_json("an unknown user with a quote", "/o'hara", 404),
    read_json("an unknown user with both quotes", "/o'h%22ara", 404),
    get("an unknown index with a quote", "/alice/o'hara", 404, accept=HTML),
    read_json("a long path", "/" + "a/" * 60, 404),
    read_json("a query without value", "/alice/vol?no_projects"),
    read_json("a query with an encoded name", "/alice/vol?no%5Fprojects=1"),
    call("a head of nothing", "HEAD", "/+nope", 404),
    call("an unknown method on nothing", "FOO", "/+nope", 404),
    call("a get with a body", "GET", "/", 200, body={}, accept=JSON),
    call("a get with a body that is no json", "GET", "/alice", 200, body=b"x", accept=JSON),
    call("push to a user", "PUSH", "/alice", 404, accept=JSON, body={}),
    call("put on a version", "PUT", "/alice/vol/pkg-a/1.0", 404, accept=JSON, body={}),
    call("patch on a project", "PATCH", "/alice/vol/pkg-a", 404, body={}),
    call("put on api", "PUT", "/+api", 200, accept=JSON, body={}),
    call("put on a simple page's list", "PUT", "/alice/vol/+simple/", 404, accept=HTML),
]

NEGOTIATION = Scenario(
    "negotiation",
    "error shapes, odd paths and methods",
    [
        user("alice", "pw2"),
        put("prepare dave", "/dave", 201, {"password": None}),
        index("/alice/vol"),
        index("/alice/nvol", volatile=False),
        upload("prepare pkg-a", VOL, 200, *FILE, b"s1"),
        upload("prepare pkg-a, non-volatile", NVOL, 200, *FILE, b"s1"),
        *_CAPTURED,
        *_NEGOTIATED,
        *_ODD,
    ],
    {"alice": "pw2"},
)
