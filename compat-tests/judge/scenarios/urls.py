"""How the base URL of answers is found."""

from __future__ import annotations

from ..distributions import stored_path, wheel
from ..steps import (
    HTML,
    Scenario,
    delete,
    documentation,
    get,
    head,
    index,
    json_page,
    page,
    patch,
    pip_page,
    post,
    project_list,
    push,
    put,
    read_json,
    tox_result,
    upload,
    user,
)

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

SDIST_FILE = stored_path("/alice/vol", "Pkg_A-2.0a1.tar.gz", b"2.0a1")
DEEP = {"X-Outside-Url": "https://out.example:444/a/b"}

# Values of the header, whether the path below it is found, and how ours differs.
_ODD_OUTSIDE_URLS = {
    "capitals": ("HTTPS://Out.Example/Sub", 200, ()),
    "an address": ("http://[2001:db8::1]:8080/x", 200, ()),
    "a query": ("https://out.example/sub?a=b", 200, ()),
    "a fragment": ("https://out.example/sub#a", 200, ()),
    "a user": ("https://u:p@out.example/sub", 200, ()),
    "blanks": ("https://out.example/a%20b", 200, "outside-url-encoding"),
    "two slashes behind": ("https://out.example/sub//", 200, ()),
    "only a slash": ("https://out.example/", 404, "prefix-strip"),
    "the path of the index": ("https://out.example/alice", 200, ()),
    "a port that is zero": ("https://out.example:0", 200, ()),
}

OUTSIDE_PATHS = Scenario(
    "outside-paths",
    "every kind of request below a path of the outside URL",
    [
        *_PREPARE,
        *(
            read_json(
                f"an outside url with {words}", API, status, headers={"X-Outside-Url": value}, difference=difference
            )
            for words, (value, status, difference) in _ODD_OUTSIDE_URLS.items()
        ),
        documentation("upload docs", "/a/b/alice/vol", 200, "Pkg_A", "1.2", b"PK", headers=DEEP),
        tox_result("post a tox result", f"/a/b{SDIST_FILE}", 200, {"a": 1}, headers=DEEP),
        read_json("project data", "/a/b/alice/vol/pkg-a", headers=DEEP),
        read_json("version data without the path", "/alice/vol/pkg-a/2.0a1", headers=DEEP),
        read_json("version data with half of the path", "/a/alice/vol/pkg-a/2.0a1", 404, headers=DEEP),
        read_json("version data by the names without the path", "/alice/vol/pkg-a/2.0a1"),
        get("a tox result", f"/a/b{SDIST_FILE}.toxresult-*-0", headers=DEEP),
        page("a page", f"/a/b{PAGE}", headers=DEEP),
        page("a page with absolute links", f"/a/b{PAGE}", headers=DEEP | ABSOLUTE),
        json_page("a page with absolute links in json", f"/a/b{PAGE}", headers=DEEP | ABSOLUTE),
        pip_page("a page for pip without a slash", f"/a/b{BARE}", headers=DEEP),
        pip_page("a page of the index route", "/a/b/alice/vol/pkg-a/", headers=DEEP | ABSOLUTE),
        project_list("the list", "/a/b/alice/vol/+simple/", headers=DEEP | ABSOLUTE),
        get("a redirect", f"/a/b{BARE}", 302, headers=DEEP),
        get("a redirect of the list", "/a/b/alice/vol/+simple", 302, headers=DEEP),
        get("a redirect of a name for a browser", "/a/b/alice/vol/+simple/Pkg_A/", 302, accept=HTML, headers=DEEP),
        head("a file by head", f"/a/b{SDIST_FILE}", headers=DEEP),
        read_json("a file's record", f"/a/b{SDIST_FILE}", headers=DEEP),
        put("create a user", "/a/b/bob", 201, {"password": "pw"}, headers=DEEP),
        put("create an index", "/a/b/alice/new", 200, {}, as_user="alice", headers=DEEP),
        patch("change an index", "/a/b/alice/new", 200, {"title": "t"}, as_user="alice", headers=DEEP),
        upload("upload", "/a/b/alice/new/", 200, "q", "1", "q-1.tar.gz", b"q", headers=DEEP),
        push("push", "/a/b/alice/new", 200, {"name": "q", "version": "1", "targetindex": "alice/vol"}, headers=DEEP),
        delete("delete a file", "/a/b" + stored_path("/alice/new", "q-1.tar.gz", b"q"), 200, as_user="alice",
               headers=DEEP),
        get("a deleted file", "/a/b" + stored_path("/alice/new", "q-1.tar.gz", b"q"), 410, headers=DEEP),
        delete("delete an index", "/a/b/alice/new", 201, as_user="alice", headers=DEEP),
        get("an unknown path", "/a/b/+nope", 404, headers=DEEP),
        get("the path itself", "/a/b", headers=DEEP),
        get("the path with a slash", "/a/b/", headers=DEEP),
        get("the path twice", "/a/b/a/b", 404, headers=DEEP),
        page("absolute links of another host and port", PAGE, headers=HOST_PORT | ABSOLUTE),
        page("absolute links by an empty header", PAGE, headers={"X-Devpi-Absolute-Urls": ""}),
        page("absolute links by a no", PAGE, headers={"X-Devpi-Absolute-Urls": "false"}),
        pip_page("absolute links of the index route", "/alice/vol/pkg-a", headers=ABSOLUTE),
        json_page("absolute links of the index route in json", "/alice/vol/pkg-a", agent="pip/23.0", headers=ABSOLUTE),
        project_list("the list knows no absolute links", "/alice/vol/+simple/", headers=ABSOLUTE),
        project_list("the list of pip knows no absolute links", "/alice/vol", agent="pip/23.0", audience="installer",
                     headers=ABSOLUTE),
    ],
    {"alice": "pw2"},
)  # fmt: skip

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
