"""Test results: who may post them, what they belong to, and when they go."""

from __future__ import annotations

from collections.abc import Iterator

from ..distributions import archive, stored_path, wheel
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    Credentials,
    Scenario,
    Step,
    Token,
    call,
    configure,
    delete,
    documentation,
    get,
    head,
    index,
    page,
    patch,
    put,
    read_json,
    tox_result,
    upload,
    user,
)

VOL, NVOL, HEIR = "/alice/vol", "/alice/nvol", "/alice/heir"
SDIST, WHEEL = "pkg_a-1.0.tar.gz", "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
FILE, OTHER = stored_path(VOL, SDIST, b"sdist2"), stored_path(VOL, WHEEL, WHEEL_BYTES)
OLD = stored_path(VOL, SDIST, b"sdist1")
NV_FILE = stored_path(NVOL, SDIST, b"sdist2")
DOCS = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKzip")
RESULT = {"testenvs": {"py": {}}, "host": "h"}

CALLERS = {
    "owner": Credentials("alice", Token("alice")),
    "root": Credentials("root", Token("root")),
    "listed": Credentials("bob", Token("bob")),
    "member": Credentials("carol", Token("carol", groups=("testers", "x"))),
    "guest": Credentials("guest", Token("guest", groups=("testers",), from_user_record=False)),
    "other": Credentials("carol", Token("carol")),
    "wrong password": Credentials("bob", "bad"),
    "nobody": (),
}

_EVERYBODY = set(CALLERS)
_KNOWN = _EVERYBODY - {"wrong password", "nobody"}

# Each form of the list, and who may post then.
_LISTS = {
    "absent": ("acl_toxresult_upload=:ANONYMOUS:", _EVERYBODY),
    "empty": ("acl_toxresult_upload=", set()),
    "owner": ("acl_toxresult_upload=alice", {"owner"}),
    "listed": ("acl_toxresult_upload=bob", {"listed"}),
    "two": ("acl_toxresult_upload=alice,bob", {"owner", "listed"}),
    "group": ("acl_toxresult_upload=:testers", {"member", "guest"}),
    "root": ("acl_toxresult_upload=root", {"root"}),
    "everybody": ("acl_toxresult_upload=:anonymous:", _EVERYBODY),
    "known ones": ("acl_toxresult_upload=:Authenticated:", _KNOWN),
    "guest by name": ("acl_toxresult_upload=guest", {"guest"}),
}


def _permissions() -> Iterator[Step]:
    for words, (setting, allowed) in _LISTS.items():
        yield configure(VOL, setting)
        for who, given in CALLERS.items():
            status = 200 if who in allowed else 403
            yield tox_result(f"{words} may post, as {who}", OTHER, status, {words: who}, credentials=given)


_PREPARE = [
    user("alice", "pw2"),
    user("bob"),
    user("carol"),
    index(VOL),
    index(NVOL, volatile=False),
    index(HEIR, bases="alice/vol"),
    upload("prepare an sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2"),
    upload("prepare a wheel", VOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
    upload("prepare an sdist, non-volatile", NVOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2"),
    documentation("prepare docs", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
]

_CAPTURED = [
    tox_result("201", FILE, 200, RESULT),
    tox_result("202", FILE, 200, RESULT, accept=None),
    tox_result("203", FILE, 200, RESULT, as_user="alice"),
    tox_result("204", FILE.replace(SDIST, "nope.tar.gz"), 404, RESULT, as_user="alice"),
    tox_result("205", DOCS, 404, RESULT, as_user="alice"),
    tox_result("206", f"{VOL}/+f/nope", 404, RESULT, as_user="alice"),
    tox_result("207", FILE, 200, [1]),
    configure(VOL, "acl_toxresult_upload=alice"),
    tox_result("208", FILE, 403, RESULT),
    get("210", f"{FILE}.toxresult-*-0"),
    read_json("211", f"{FILE}.toxresult-*-0"),
    configure(VOL, "acl_toxresult_upload=:ANONYMOUS:"),
]

_RETRIEVAL = [
    head("a result by head", f"{FILE}.toxresult-*-1"),
    get("a result for a browser", f"{FILE}.toxresult-*-2", accept=HTML),
    get("a result of odd json", f"{FILE}.toxresult-*-3"),
    get("a result that is not there", f"{FILE}.toxresult-*-9", 404),
    get("metadata of a result", f"{FILE}.toxresult-*-0.metadata", 404, difference="core-metadata-on"),
    get("a result on another index", f"{FILE}.toxresult-*-0".replace("/vol/", "/nvol/"), 404),
    read_json("results as links", f"{VOL}/pkg-a/1.0"),
    read_json("results as links of the project", f"{VOL}/pkg-a"),
    read_json("results of a base", f"{HEIR}/pkg-a/1.0"),
    read_json("results under an outside url", f"{VOL}/pkg-a/1.0", headers={"X-Outside-Url": "https://out.example/s"}),
    page("no results on the page", f"{VOL}/+simple/pkg-a/"),
    get("the file is as before", FILE),
]

_FORMS = [
    tox_result("a slash behind", f"{FILE}/", 200, {"n": 4}),
    tox_result("an encoded plus", FILE.replace("+f", "%2Bf"), 200, {"n": 5}),
    tox_result("for a browser", FILE, 200, {"n": 6}, accept=HTML),
    tox_result("any type", FILE, 200, {"n": 7}, headers={"Content-Type": "text/plain"}),
    tox_result("a form's type", FILE, 200, b'{"n": 8}', headers={"Content-Type": "application/x-www-form-urlencoded"}),
    tox_result("a query", f"{FILE}?x=1", 200, {"n": 9}),
    tox_result("a text", FILE, 200, b'"\xc3\xa4 \\u00e4"'),
    tox_result("a number", FILE, 200, b"12"),
    tox_result("null", FILE, 200, b"null"),
    tox_result("blanks around", FILE, 200, b' \n{"a" : 1}\n'),
    get("blanks are kept", f"{FILE}.toxresult-*-13"),
    tox_result("an empty object", FILE, 200, {}),
    read_json("many results", f"{VOL}/pkg-a/1.0"),
    tox_result("not a number", FILE, 200, b"NaN", difference="json-strict"),
    tox_result("for another file", OTHER, 200, RESULT),
    tox_result("no json", FILE, 400, b"x"),
    tox_result("no json for a browser", FILE, 400, b"x", accept=HTML),
    tox_result("no json without accept", FILE, 400, b"{", accept=None),
    tox_result("no body", FILE, 400, None),
    tox_result("broken utf-8", FILE, 400, b'"\xff"'),
    tox_result("no json for no file", f"{VOL}/+f/nope", 404, b"x"),
    tox_result("no json without permission", FILE.replace("/vol/", "/nope/"), 403, b"x"),
    tox_result("for an unknown index", FILE.replace("/vol/", "/nope/"), 403, RESULT, as_user="alice"),
    tox_result("for an unknown index without accept", FILE.replace("/vol/", "/nope/"), 403, RESULT, accept=None),
    tox_result("for an unknown user", FILE.replace("/alice/", "/nouser/"), 403, RESULT, as_user="root"),
    tox_result("for a result", f"{FILE}.toxresult-*-0", 404, RESULT),
    tox_result("for a file of a base", FILE.replace("/vol/", "/heir/"), 404, RESULT, as_user="alice"),
    tox_result("for no file for a browser", f"{VOL}/+f/nope", 404, RESULT, accept=HTML),
    tox_result("for nothing", f"{VOL}/+f/", 404, RESULT, as_user="alice"),
    tox_result("for no route", f"{VOL}/+f", 404, RESULT, as_user="alice"),
    tox_result("for a path of an old kind", f"{VOL}/+e/a/b.zip", 404, RESULT, as_user="alice", accept=ANYTHING),
    call("by put", "PUT", FILE, 200, body=RESULT, as_user="alice"),
    call("by patch", "PATCH", FILE, 200, body=RESULT, as_user="alice", accept=JSON),
    call("by push", "PUSH", FILE, 200, body=RESULT, as_user="alice"),
    tox_result("on a non-volatile index", NV_FILE, 200, RESULT),
    tox_result("the same on a non-volatile index", NV_FILE, 200, RESULT),
    get("on a non-volatile index, retrieved", f"{NV_FILE}.toxresult-*-1"),
    read_json("on a non-volatile index, as links", f"{NVOL}/pkg-a/1.0"),
]

_ACLS = [
    put("an index whose list is a text", "/alice/text", 200, {"acl_toxresult_upload": "bob, :Anonymous:,"},
        as_user="alice"),
    put("an index whose list is null", "/alice/null", 400, {"acl_toxresult_upload": None}, as_user="alice"),
    patch("add to the list", VOL, 200, ["acl_toxresult_upload+=bob"], as_user="alice"),
    patch("take from the list", VOL, 200, ["acl_toxresult_upload-=bob"], as_user="alice"),
    patch("drop the list", VOL, 400, ["acl_toxresult_upload-="], as_user="alice"),
]  # fmt: skip

_GOING = [
    configure(VOL, "acl_toxresult_upload=:ANONYMOUS:"),
    upload("replace the file", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist3"),
    get("a result of a replaced file", f"{FILE}.toxresult-*-0", 410),
    read_json("a result of a replaced file, json", f"{FILE}.toxresult-*-3", 410),
    tox_result("for a replaced file", FILE, 404, RESULT),
    read_json("links without the results", f"{VOL}/pkg-a/1.0"),
    tox_result("for the new file", stored_path(VOL, SDIST, b"sdist3"), 200, RESULT),
    upload("upload the same again", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist3"),
    read_json("results after the same again", f"{VOL}/pkg-a/1.0"),
    tox_result("for the same again", stored_path(VOL, SDIST, b"sdist3"), 200, RESULT),
    delete("delete a result as nobody", stored_path(VOL, SDIST, b"sdist3") + ".toxresult-*-0", 403),
    delete("delete a result", stored_path(VOL, SDIST, b"sdist3") + ".toxresult-*-0", 200, as_user="alice"),
    get("a deleted result", stored_path(VOL, SDIST, b"sdist3") + ".toxresult-*-0", 410),
    get("the file of a deleted result", stored_path(VOL, SDIST, b"sdist3")),
    read_json("links without the deleted result", f"{VOL}/pkg-a/1.0"),
    delete("delete the wheel", OTHER, 200, as_user="alice"),
    get("a result of a deleted file", f"{OTHER}.toxresult-*-0", 410),
    tox_result("for a deleted file", OTHER, 404, RESULT),
    read_json("links after deletion", f"{VOL}/pkg-a/1.0"),
    delete("delete a result, non-volatile", f"{NV_FILE}.toxresult-*-0", 403, as_user="alice"),
    delete("delete a result by force", f"{NV_FILE}.toxresult-*-0?force", 200, as_user="alice"),
    delete("delete the version, non-volatile", f"{NVOL}/pkg-a/1.0?force", 200, as_user="alice"),
    get("a result of a deleted version", f"{NV_FILE}.toxresult-*-1", 410),
    upload("a file that stays alone", NVOL, 200, "alone", "1", "alone-1.zip", archive(a="1")),
    tox_result("its result", stored_path(NVOL, "alone-1.zip", archive(a="1")), 200, RESULT),
    delete("delete the file alone", stored_path(NVOL, "alone-1.zip", archive(a="1")) + "?force", 200, as_user="alice"),
    read_json("a result keeps no version", f"{NVOL}/alone", 404),
    delete("delete the index", VOL, 201, as_user="alice"),
    get("a result of a deleted index", stored_path(VOL, SDIST, b"sdist3") + ".toxresult-*-0", 410),
    tox_result("for a deleted index", stored_path(VOL, SDIST, b"sdist3"), 403, RESULT),
]

TOX_RESULTS = Scenario(
    "tox-results",
    "test results",
    [*_PREPARE, *_CAPTURED, *_RETRIEVAL, *_FORMS, *_ACLS, *_permissions(), *_GOING],
    {"alice": "pw2", "bob": "pw", "carol": "pw"},
)
