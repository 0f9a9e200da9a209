"""How the base URL of answers is found."""

from __future__ import annotations

from ..distributions import stored_path, wheel
from ..steps import Scenario, get, index, json_page, page, pip_page, post, read_json, upload, user

OUT = {"X-Outside-Url": "https://out.example/sub"}
OUT_SLASH = {"X-Outside-URL": "https://out.example:444/sub/"}
HOST, HOST_PORT = {"Host": "foo.example"}, {"Host": "foo.example:99"}
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "fh.example", "X-Forwarded-For": "1.2.3.4"}
ABSOLUTE = {"X-Devpi-Absolute-Urls": "1"}
API, BARE, PAGE = "/alice/vol/+api", "/alice/vol/+simple/pkg-a", "/alice/vol/+simple/pkg-a/"
WHEEL_BYTES = wheel("Pkg_A", "1.2")

_PREPARE = [
    user("alice", "pw2"),
    index("/alice/vol"),
    upload("prepare an sdist", "/alice/vol", 200, "Pkg_A", "2.0a1", "Pkg_A-2.0a1.tar.gz", b"2.0a1"),
    upload("prepare a wheel", "/alice/vol", 200, "Pkg_A", "1.2", "Pkg_A-1.2-py3-none-any.whl", WHEEL_BYTES),
]

URLS = Scenario(
    "urls",
    "base URL from headers",
    [
        *_PREPARE,
        read_json("457", API, headers=HOST),
        get("458", BARE, 302, headers=HOST),
        read_json("459", API, headers=HOST_PORT),
        get("460", BARE, 302, headers=HOST_PORT),
        read_json("461", API, headers=OUT),
        get("462", BARE, 302, headers=OUT),
        read_json("463", API, headers=OUT_SLASH),
        get("464", BARE, 302, headers=OUT_SLASH),
        read_json("465", API, headers=FORWARDED),
        get("466", BARE, 302, headers=FORWARDED),
        read_json("467", API, headers=OUT | HOST),
        read_json("468", f"/sub{API}", headers=OUT),
        page("469", PAGE, headers=ABSOLUTE),
        page("470", PAGE, headers={"X-Devpi-Absolute-Urls": ""} | OUT),
        json_page("471", PAGE, headers=ABSOLUTE | OUT),
        page("472", PAGE, headers=OUT),
        page("page under the outside path", f"/sub{PAGE}", headers=OUT),
        pip_page("page of the index route under the outside path", "/sub/alice/vol/pkg-a", headers=OUT),
        get("outside path alone", "/sub", headers=OUT),
        get("outside path with a slash", "/sub/", headers=OUT),
        read_json("a path that only begins like it", "/subalice/vol/+api", 404, headers=OUT, difference="prefix-strip"),
        get("outside url without a path", BARE, 302, headers={"X-Outside-Url": "http://plain.example"}),
        get("outside url of the empty string", BARE, 302, headers={"X-Outside-Url": ""}),
        read_json("project data under an outside url", "/alice/vol/pkg-a", headers=OUT),
        read_json("version data under another host", "/alice/vol/pkg-a/1.2", headers=HOST_PORT),
        read_json("redirect of a name under an outside url", "/alice/vol/Pkg_A/1.2", 302, headers=OUT),
        post("refresh under an outside url", "/alice/vol/+simple/pkg-a/refresh", 302, headers=OUT),
        post("login under an outside url", "/sub/+login", 200, {"user": "root", "password": ""}, headers=OUT),
        get(
            "file under an outside url",
            "/sub" + stored_path("/alice/vol", "Pkg_A-1.2-py3-none-any.whl", WHEEL_BYTES),
            headers=OUT,
        ),
        read_json("standard port of http", API, headers={"Host": "foo.example:80"}),
        read_json("standard port of https", API, headers={"X-Outside-Url": "https://out.example:443"}),
        get("unknown path under an outside url", "/sub/+nope", 404, headers=OUT),
    ],
    {"alice": "pw2"},
)

OUTSIDE_URL = Scenario(
    "outside-url",
    "base URL from the command line",
    [
        *_PREPARE,
        read_json("473", "/+api"),
        read_json("474", "/root/+api"),
        read_json("475", "/devpi/root/+api"),
        read_json("476", "/+api", headers={"X-Outside-Url": "http://hdr.example"}),
        read_json("477", "/+status", difference="status-fields"),
        read_json("host header does not matter", "/alice/vol/+api", headers=HOST),
        get("redirect", BARE, 302),
        get("redirect under the path", f"/devpi/root{BARE}", 302),
        page("relative links", PAGE),
        page("absolute links", f"/devpi/root{PAGE}", headers=ABSOLUTE),
        read_json("project data", "/alice/vol/pkg-a"),
        read_json("redirect of a name", "/alice/vol/Pkg_A", 302),
        get("empty header", BARE, 302, headers={"X-Outside-Url": ""}),
    ],
    {"alice": "pw2"},
    ("--outside-url", "http://outside.example:8080/devpi/root"),
)
