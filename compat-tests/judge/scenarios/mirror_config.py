"""The settings of mirrors: values, normalisation, listing, changes, and the credentials in `mirror_url`."""

from __future__ import annotations

from upstream import Project

from ..distributions import stored_path
from ..steps import (
    Act,
    Scenario,
    Step,
    change,
    configure,
    delete,
    documentation,
    get,
    head,
    index,
    metadata_form,
    mirrored_json_page,
    patch,
    post,
    publish,
    push,
    put,
    read_json,
    release_form,
    tox_result,
    upload,
)
from .mirror_data import EVERY_REQUEST, IMPATIENT, UPSTREAM, alice, hashed, mirror, release

M1, M3, M5 = "/alice/m1", "/alice/m3", "/alice/m5"
CONFIG = {
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

_CAPTURED = [
    put("113", M1, 200, {"type": "mirror"}, as_user="alice"),
    put("114", "/alice/m2", 400, {"type": "mirror", "mirror_url": "ftp://x"}, as_user="alice"),
    put("115", M3, 400, {**CONFIG, "acl_toxresult_upload": "z"}, as_user="alice"),
    put("116", M3, 200, {**CONFIG, "volatile": "no"}, as_user="alice"),
    put(
        "117",
        "/alice/m4",
        400,
        {"type": "mirror", "mirror_url": "http://x", "mirror_cache_expiry": "a"},
        as_user="alice",
    ),
    read_json("120", "/alice/m1/+api"),
    patch("152", M3, 400, ["mirror_url=foo"], as_user="alice"),
    patch("153", M3, 400, ["mirror_cache_expiry=x"], as_user="alice"),
    patch("154", M3, 200, ["mirror_cache_expiry=10"], as_user="alice"),
    patch("155", M3, 200, ["mirror_use_external_urls-="], as_user="alice"),
    patch("156", M3, 400, {"foo": "b"}, as_user="alice"),
    patch("157", M3, 200, ["mirror_provides_core_metadata=True"], as_user="alice"),
    patch("158", M3, 200, ["mirror_web_url_fmt-=", "mirror_ignore_serial_header-="], as_user="alice"),
    post("166", "/alice/m3/", 404, release_form("q", "1", "q-1.tar.gz", b"x"), as_user="alice"),
    tox_result("209", "/alice/m3/+f/a/b/c.zip", 404, {"a": 1}, as_user="alice"),
    push("355", "/alice/vol", 401, {"name": "pkg-a", "version": "1.0", "targetindex": "alice/m3"}),
    patch("volatile again", M3, 200, ["volatile=True"], as_user="alice"),
    delete("415", "/alice/m3/+e/a/b.zip", 404, as_user="alice"),
]

_BOOLEANS = ("mirror_no_project_list", "mirror_use_external_urls", "mirror_ignore_serial_header", "volatile")


def _value(key: str, value: object, status: int = 200, **details: object) -> Step:
    """Create and delete nothing: change one key of M5 to a value."""
    return patch(f"{key} {value!r}", M5, status, {key: value}, as_user="alice", **details)


_VALUES = [
    mirror(M5, expiry="5"),
    *(_value("mirror_url", value) for value in ("https://x.example", "http://x.example/a/b/?c=d", "http://")),
    *(_value("mirror_url", value, 400) for value in ("HTTP://x.example", " http://x.example", "", "x.example/simple")),
    *(_value("mirror_url", value, 500, difference="server-errors") for value in (5, ["http://x"], True)),
    _value("mirror_url", None, 500, difference="server-errors"),
    _value("mirror_url", UPSTREAM),
    *(_value("mirror_cache_expiry", value) for value in (10**12, 7, "8", " 9 ", -1, "+3", 2.7, True)),
    *(_value("mirror_cache_expiry", value, 400) for value in ("", "1.5", "1h", "0x10", [1], {"a": 1}, None)),
    *(_value(key, value) for key in _BOOLEANS for value in ("yes", "NO", "True", "false", True, False)),
    *(_value(key, value, 400) for key in _BOOLEANS for value in ("maybe", "", 1, "on")),
    *(_value(key, None, 400) for key in _BOOLEANS),
    *(_value("mirror_web_url_fmt", value) for value in ("http://x/{name}/", "no place", "", 5, ["a"], {"b": 1})),
    _value("mirror_web_url_fmt", None, 500, difference="server-errors"),
    *(_value(key, value) for key in ("title", "description", "custom_data") for value in ("t", "", 5, ["a"], {"b": 1})),
    *(_value(key, "x") for key in ("bases", "acl_upload", "mirror_whitelist", "pypi_whitelist")),
    *(_value(key, "x", 400) for key in ("acl_toxresult_upload", "mirror_foo", "mirror_whitelist_inheritance")),
    _value("projects", "x"),
    _value("type", "stage", 400),
    _value("type", "mirror"),
    _value("type", "unknown", 400),
    read_json("after all that", M5),
]

_CHANGES = [
    patch("several at once", M5, 200, ["mirror_url=http://y.example/", "title=T", "volatile=no"], as_user="alice"),
    patch("one bad of several", M5, 400, ["title=U", "mirror_cache_expiry=x"], as_user="alice"),
    patch("take the url away", M5, 200, ["mirror_url-="], as_user="alice"),
    patch("take away what is not there", M5, 200, ["mirror_web_url_fmt-="], as_user="alice"),
    patch("take volatile away", M5, 400, ["volatile-="], as_user="alice"),
    patch("take a value away", M5, 500, ["title-=T"], as_user="alice", difference="server-errors"),
    patch("add to a url", M5, 500, ["mirror_url+=http://z.example/"], as_user="alice", difference="server-errors"),
    patch("add to the expiry", M5, 500, ["mirror_cache_expiry+=5"], as_user="alice", difference="server-errors"),
    patch("nothing to do", f"{M5}?error_on_noop", 400, ["type=mirror"], as_user="alice"),
    patch("a mirror becomes a stage", M5, 400, ["type=stage"], as_user="alice"),
    patch("a stage becomes a mirror", "/alice/vol", 400, ["type=mirror"], as_user="alice"),
    patch("a stage gets a key of mirrors", "/alice/vol", 400, ["mirror_url=http://x.example"], as_user="alice"),
    patch("nobody changes a mirror", M5, 403, ["title=V"]),
    put("the name is taken", M5, 409, {"type": "mirror"}, as_user="alice"),
    put("an unknown key", "/alice/m6", 400, {"type": "mirror", "mirror_foo": "1"}, as_user="alice"),
    put("keys of a stage", "/alice/m6", 400, {"type": "mirror", "acl_toxresult_upload": []}, as_user="alice"),
    put("a stage with keys of mirrors", "/alice/m6", 400, {"mirror_url": "http://x.example"}, as_user="alice"),
    put(
        "a mirror of null",
        "/alice/m6",
        500,
        {"type": "mirror", "mirror_url": None},
        as_user="alice",
        difference="server-errors",
    ),
    put(
        "a title of null",
        "/alice/m6",
        500,
        {"type": "mirror", "title": None},
        as_user="alice",
        difference="server-errors",
    ),
    read_json("no mirror of null", "/alice/m6?no_projects", 404),
    put("a volatile that is none", "/alice/m7", 400, {"type": "mirror", "volatile": "perhaps"}, as_user="alice"),
    configure("/alice/vol", "bases=alice/m5"),
    read_json("a stage over a mirror", "/alice/vol?no_projects"),
    read_json("its api", "/alice/vol/+api"),
    read_json("the mirror's api", f"{M5}/+api"),
]

# Uploads and the like do not belong here.

_NOT_HERE = [
    post("register", "/alice/m3/", 404, metadata_form("submit", ("name", "q"), ("version", "1")), as_user="alice"),
    post("upload in json", "/alice/m3/", 404, release_form("q", "1", "q-1.zip", b"x"), as_user="alice", accept="*/*"),
    post("upload as nobody", "/alice/m3/", 404, release_form("q", "1", "q-1.zip", b"x")),
    documentation("documentation", "/alice/m3/", 404, "q", "1", b"x"),
    push(
        "push into a mirror of somebody else",
        "/alice/vol",
        401,
        {"name": "pkg-a", "version": "1.0", "targetindex": "alice/m1"},
        as_user="root",
    ),
]  # fmt: skip

NO_URL = "mirror-no-url"
_NO_URL = [
    get("a mirror without a url", f"{M1}/+simple/pkg/", 500, difference=NO_URL, our_status=502),
    get("its list", f"{M1}/+simple/", 500, difference=NO_URL),
    read_json("its project", f"{M1}/pkg", 500, difference=NO_URL),
    read_json("its record", M1, 500, difference=NO_URL),
    read_json("its record without projects", f"{M1}?no_projects"),
    get("its files", f"{M1}/+f/abc/0123456789abc/pkg-1.0.zip", 500, difference=NO_URL),
]

# Credentials

SECRET, SECRET_ENCODED = "/alice/secret", "/alice/encoded"
HIDDEN = "mirror-credentials"
STARS = "http://*****@upstream.example/simple/"
PKG = release("pkg", "1.0")
ELSEWHERE = release("elsewhere", "1.0")


def _ask_for_password() -> Act:
    return change("a password is asked for", lambda upstream: upstream.require("needed", "pw"))


def _with(credentials: str) -> str:
    return UPSTREAM.replace("//", f"//{credentials}@")


_CREDENTIALS = [
    put(
        "a url with credentials",
        SECRET,
        200,
        {"type": "mirror", "mirror_url": _with("us:pw"), "mirror_cache_expiry": EVERY_REQUEST},
        as_user="alice",
        difference=HIDDEN,
        ours={"json:/result/mirror_url": STARS},
    ),
    read_json(
        "shown by the index", f"{SECRET}?no_projects", difference=HIDDEN, ours={"json:/result/mirror_url": STARS}
    ),
    read_json(
        "shown to the owner",
        f"{SECRET}?no_projects",
        as_user="alice",
        difference=HIDDEN,
        ours={"json:/result/mirror_url": STARS},
    ),
    read_json("shown by the user", "/alice", difference=HIDDEN),
    read_json("shown by the root", "/", difference=HIDDEN),
    patch("shown after a change", SECRET, 200, ["title=x"], as_user="alice", difference=HIDDEN),
    mirrored_json_page("sent for a page", f"{SECRET}/+simple/pkg/"),
    get("sent for a file", hashed(SECRET, PKG), difference="mirror-first-download"),
    mirrored_json_page("a page with files elsewhere", f"{SECRET}/+simple/elsewhere/"),
    get(
        "not sent elsewhere",
        hashed(SECRET, ELSEWHERE),
        difference=["mirror-first-download", HIDDEN],
        ours={f"upstream:GET {ELSEWHERE.path}:authorization": None},
    ),
    read_json("not in the record of a file", hashed(SECRET, PKG)),
    patch("only a user name", SECRET, 200, [f"mirror_url={_with('us')}"], as_user="alice", difference=HIDDEN),
    patch("an empty password", SECRET, 200, [f"mirror_url={_with('us:')}"], as_user="alice", difference=HIDDEN),
    put(
        "credentials that need encoding",
        SECRET_ENCODED,
        200,
        {"type": "mirror", "mirror_url": _with("us%40er:p%3Aw%C3%A4"), "mirror_cache_expiry": EVERY_REQUEST},
        as_user="alice",
        difference=HIDDEN,
        ours={"json:/result/mirror_url": STARS},
    ),
    mirrored_json_page(
        "they are decoded",
        f"{SECRET_ENCODED}/+simple/pkg/",
        difference=HIDDEN,
        ours={"upstream:GET /simple/pkg/:authorization": "Basic dXNAZXI6cDp3w6Q="},
    ),
    patch("elsewhere", SECRET_ENCODED, 200, ["mirror_use_external_urls=yes"], as_user="alice", difference=HIDDEN),
    get(
        "not in a location",
        hashed(SECRET_ENCODED, PKG),
        302,
        difference=HIDDEN,
        ours={"header:location": f"http://upstream.example{PKG.path}"},
    ),
    mirrored_json_page("external links elsewhere", f"{SECRET_ENCODED}/+simple/elsewhere/", difference=HIDDEN),
    head(
        "not in a location elsewhere",
        hashed(SECRET_ENCODED, ELSEWHERE),
        302,
        difference=HIDDEN,
        ours={"header:location": f"http://other.example{ELSEWHERE.path}"},
    ),
    mirror("/alice/right", url=_with("needed:pw"), difference=HIDDEN),
    mirror("/alice/wrong", url=_with("needed:px"), difference=HIDDEN),
    mirrored_json_page("the right password", "/alice/right/+simple/pkg/", before=_ask_for_password()),
    read_json("the wrong password", "/alice/wrong/+simple/pkg/", 404, difference="mirror-unlisted", our_status=502),
    get("the right password for a file", hashed("/alice/right", PKG), difference="mirror-first-download"),
]

MIRROR_CONFIG = Scenario(
    "mirror-config",
    "settings of mirrors, and their credentials",
    [
        alice(),
        index("/alice/vol"),
        upload("prepare pkg-a", "/alice/vol", 200, "pkg-a", "1.0", "pkg_a-1.0.tar.gz", b"s1"),
        *_CAPTURED,
        *_NOT_HERE,
        *_VALUES,
        *_CHANGES,
        *_NO_URL,
        *_CREDENTIALS,
        delete("delete a mirror", M3, 201, as_user="alice"),
        delete("delete the mirror without a url", M1, 201, as_user="alice"),
        read_json("they are gone", "/alice", difference=HIDDEN),
        read_json("the file is as before", stored_path("/alice/vol", "pkg_a-1.0.tar.gz", b"s1")),
    ],
    {"alice": "pw2"},
    our_options=IMPATIENT,
    upstream=(publish(Project("pkg", [PKG]), Project("elsewhere", [ELSEWHERE], links="other")),),
)
