"""`+authcheck`, which a reverse proxy asks before it serves something itself."""

from __future__ import annotations

from collections.abc import Iterator

from ..distributions import stored_path
from ..steps import ANYTHING, HTML, JSON, PIP, SIMPLE_JSON, Credentials, Scenario, Step, Token, call, get, head
from ..steps import index, post, read_json, upload, user

VOL = "/alice/vol"
FILE = stored_path(VOL, "pkg_a-1.0.tar.gz", b"sdist")
BASE = "http://devpi.example"


def _of(uri: str) -> dict[str, str]:
    return {"X-Original-URI": uri}


def _check(name: str, path: str, status: int = 200) -> Step:
    """The check of an absolute URL."""
    return get(name, "/+authcheck", status, headers=_of(f"{BASE}{path}"))


# A path of every route and of none, and what is answered.
_PATHS = {
    "/": 200,
    "/+api": 200,
    "/alice/+api": 200,
    "/nouser/+api": 200,
    "/alice/nope/+api": 200,
    "/+api/": 403,
    "/+status": 200,
    "/+login": 200,
    "/+login/": 403,
    "/+authcheck": 200,
    "/+changelog/x": 403,
    "/alice": 200,
    "/alice/": 200,
    "/nouser": 200,
    "/alice/vol/": 200,
    "/alice/nope": 200,
    "/alice/vol/pkg-a": 200,
    "/alice/vol/Pkg_A/": 200,
    "/alice/vol/pkg-a/1.0": 200,
    "/alice/vol/pkg-a/1.0/": 200,
    "/alice/vol/pkg-a/1.0+local.1": 200,
    "/alice/vol/pkg+a": 403,
    "/alice/nope/pkg-a/1.0": 200,
    "/alice/vol/+simple": 200,
    "/alice/vol/+simple/pkg-a": 200,
    "/alice/vol/+simple/pkg-a/": 200,
    "/alice/vol/+simple/pkg-a/refresh": 200,
    "/alice/nope/+simple/pkg-a/": 200,
    "/alice/vol/+simple//": 403,
    "/alice/vol/+f": 403,
    "/alice/vol/+f/": 200,
    "/alice/vol/+f/nope": 200,
    "/alice/vol/%2Bf/a/b/c.zip": 200,
    "/alice/vol/+e/a/b.zip": 200,
    "/alice/nope/+e/a/b.zip": 403,
    "/nouser/vol/+f/a/b/c.zip": 403,
    "/alice/vol/+toxresults": 403,
    "/alice/vol/pkg-a/1.0/x": 403,
    "/alice//vol": 403,
    "//alice/vol": 403,
    "/%61lice/%76ol": 200,
    "/alice%2Fvol": 200,
    "/favicon.ico": 200,
}


def _every_route() -> Iterator[Step]:
    for path, status in _PATHS.items():
        yield _check(f"check of {path}", path, status)
        yield get(f"check of the path {path}", "/+authcheck", status, headers=_of(path))


AUTHCHECK = Scenario(
    "authcheck",
    "the question of a reverse proxy whether a request is allowed",
    [
        user("alice", "pw2"),
        index(VOL),
        upload("prepare pkg-a", VOL, 200, "Pkg_A", "1.0", "pkg_a-1.0.tar.gz", b"sdist"),
        _check("479", "/+api"),
        _check("480", "/alice/vol/+api"),
        _check("481", "/+login"),
        _check("482", "/alice/vol/+simple/"),
        _check("483", FILE),
        _check("484", "/"),
        _check("485", "/nope/x/y/z/w", 403),
        _check("486", "/+nope", 403),
        _check("487", VOL),
        _check("488", "/alice/nope/+f/a/b/c", 403),
        get("489", "/+authcheck"),
        read_json("490", "/+authcheck"),
        head("491", "/+authcheck"),
        post("492", "/+authcheck", 200, headers=_of(f"{BASE}{VOL}")),
        get("493", "/+authcheck", headers=_of(VOL)),
        get("494", "/+authcheck", headers=_of(f"{BASE}{VOL}"), credentials=Credentials("alice", "bad")),
        get("545", "/+authcheck", headers=_of("http://x/alice/pr/+api")),
        *_every_route(),
        *(
            step
            for words, accept in {"json": JSON, "html": HTML, "anything": ANYTHING, "simple json": SIMPLE_JSON}.items()
            for step in (
                get(f"allowed, {words}", "/+authcheck", accept=accept, headers=_of(VOL)),
                get(f"forbidden, {words}", "/+authcheck", 403, accept=accept, headers=_of("/+nope")),
                get(f"a route for json, {words}", "/+authcheck", 200 if accept in (JSON, ANYTHING) else 403,
                    accept=accept, headers=_of("/+api")),
            )
        ),
        *(
            step
            for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PUSH", "LOCK")
            for step in (
                call(f"allowed by {method}", method, "/+authcheck", 200, headers=_of(VOL)),
                call(f"forbidden by {method}", method, "/+authcheck", 403, headers=_of("/+nope")),
            )
        ),
        head("forbidden by head", "/+authcheck", 403, headers=_of("/+nope")),
        post("with a body", "/+authcheck", 200, b"x" * 100, headers=_of(VOL)),
        *(
            step
            for who, given in {
                "owner": Credentials("alice", Token("alice")),
                "root": Credentials("root", Token("root")),
                "basic": Credentials("alice", "pw2", "Authorization"),
                "wrong basic": Credentials("alice", "bad", "Authorization"),
                "old token": Credentials("alice", Token("alice", age_seconds=40000)),
            }.items()
            for step in (
                get(f"as {who}", "/+authcheck", headers=_of(FILE), credentials=given),
                get(f"as {who}, unknown index", "/+authcheck", 403, headers=_of("/alice/nope/+f/a/b/c"),
                    credentials=given),
                get(f"as {who}, no route", "/+authcheck", 403, headers=_of("/+nope"), credentials=given),
            )
        ),
        get("as the replica user", "/+authcheck", headers=_of(VOL) | {"X-Devpi-Auth": "K3JlcGxpY2E6eA=="}),
        get("as pip", "/+authcheck", agent=PIP, headers=_of(VOL)),
        get("as devpi-client", "/+authcheck", agent="devpi-client/7", headers=_of(FILE)),
        get("as devpi-client, no route", "/+authcheck", 403, agent="devpi-client/7", headers=_of("/+nope")),
        get("a query in the url", "/+authcheck", headers=_of(f"{BASE}{VOL}?x=/+nope")),
        get("another host in the url", "/+authcheck", headers=_of("https://elsewhere.example:8443/+nope"), status=403),
        get("no path in the url", "/+authcheck", headers=_of("http://devpi.example")),
        get("an empty url", "/+authcheck", headers=_of("")),
        get("a query of the check itself", "/+authcheck?x=1"),
        get("with a slash", "/+authcheck/", 404),
        get("a route for installers only", "/+authcheck", agent=PIP, headers=_of("/alice/vol/nope")),
        get("a route that wants json", "/+authcheck", 403, accept=HTML, headers=_of("/+login")),
        get("a route that wants json, api", "/+authcheck", 403, accept=HTML, headers=_of("/alice/vol/+api")),
        get("an outside url", "/+authcheck", headers=_of("/sub/alice/vol") | {"X-Outside-Url": "http://o.example/sub"}),
        get(
            "an outside url of the check",
            "/sub/+authcheck",
            403,
            headers={"X-Outside-Url": "http://o.example/sub"},
            difference="prefix-strip",
        ),
        get("an escape that is no utf-8", "/+authcheck", 500, headers=_of("/alice/%ff"), difference="server-errors"),
        get("non-ascii letters", "/+authcheck", headers=_of("/alic%C3%A9")),
    ],
    {"alice": "pw2"},
)  # fmt: skip
