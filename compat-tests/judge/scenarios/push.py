"""Pushing from index to index: checks, answers, and what the target has afterwards."""

from __future__ import annotations

from typing import Any

from ..distributions import archive, stored_path, wheel
from ..steps import (
    HTML,
    JSON,
    SIMPLE_JSON,
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
    json_page,
    metadata_form,
    page,
    post,
    push,
    put,
    read_json,
    tox_result,
    upload,
    user,
)

VOL, TGT, TGTNV, HEIR = "/alice/vol", "/alice/tgt", "/alice/tgtnv", "/alice/w1"
SDIST, WHEEL = "pkg_a-1.0.tar.gz", "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
FILE = stored_path(VOL, SDIST, b"sdist2")
PUSHED_FILE, PUSHED_WHEEL = stored_path(TGT, SDIST, b"sdist2"), stored_path(TGT, WHEEL, WHEEL_BYTES)
PUSHED_DOCS = stored_path(TGT, "pkg-a-1.0.doc.zip", b"PKzip")
RESULT = {"testenvs": {"py": {}}, "host": "h"}


def body(target: Any = "alice/tgt", name: Any = "Pkg_A", version: Any = "1.0", **more: Any) -> dict[str, Any]:
    """What devpi-client sends to push a release."""
    return {"name": name, "version": version, "targetindex": target, **more}


def _post(name: str, status: int, content: Any, *, path: str = VOL, **details: Any) -> Step:
    """The same by POST, as the captured pairs have it."""
    return post(name, path, status, content, **{"accept": JSON, "as_user": "alice", **details})


def _register(name: str, path: str, project: str, version: str, *fields: tuple[str, str]) -> Step:
    return post(name, path, 200, metadata_form("submit", ("name", project), ("version", version), *fields),
                as_user="alice")  # fmt: skip


_PREPARE = [
    user("alice", "pw2"),
    user("dave4", "x"),
    index("/dave4/dx"),
    index(VOL),
    index(TGT),
    index(TGTNV, volatile=False),
    index(HEIR, bases="alice/vol"),
    upload("prepare the first sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist1"),
    upload("prepare the second sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2", ("summary", "s2"),
           ("classifiers", "A"), ("classifiers", "B"), ("requires_python", ">=3.8")),
    upload("prepare a wheel", VOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
    *(tox_result(f"prepare tox result {number}", FILE, 200, RESULT) for number in range(3)),
    tox_result("prepare tox result 3", FILE, 200, [1]),
    documentation("prepare docs", VOL, 200, "Pkg_A", "1.0", b"PKzi"),
    documentation("prepare other docs", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
    upload("prepare 0.9", VOL, 200, "Pkg_A", "0.9", "Pkg_A-0.9.tar.gz", b"0.9"),
    upload("prepare zed-proj", VOL, 200, "Zed.Proj", "1", "Zed.Proj-1.zip", archive(z="1")),
    documentation("prepare newdoc", VOL, 200, "newdoc", "3.0", b"PKzip"),
    _register("prepare reg", VOL, "reg", "1.0"),
    read_json("the source before", f"{VOL}/pkg-a/1.0"),
]  # fmt: skip

_CAPTURED = [
    _post("345", 200, body()),
    read_json("the target of 345", f"{TGT}/pkg-a/1.0"),
    _post("346", 200, body("alice/tgtnv")),
    read_json("the target of 346", f"{TGTNV}/pkg-a/1.0"),
    _post("347", 409, body("alice/tgtnv")),
    _post("348", 200, body(), path=f"{VOL}/"),
    read_json("the target of 348", f"{TGT}/pkg-a/1.0"),
    _post("349", 401, body("dave4/dx")),
    _post("350", 401, body("dave4/dx"), as_user=None),
    _post("351", 401, body(), as_user=None),
    _post("352", 401, body(), as_user="dave4"),
    _post("353", 404, body("alice/nope")),
    _post("354", 400, body("alice")),
    _post("356", 400, body(foo=1, bar=2)),
    _post("357", 400, body(no_docs=True, only_docs=True)),
    _post("358", 200, body(no_docs=True)),
    read_json("docs stay when none are pushed", f"{TGT}/pkg-a/1.0"),
    _post("359", 200, body(only_docs=True)),
    read_json("the target of 359", f"{TGT}/pkg-a/1.0"),
    _post("360", 400, body(version="9.9")),
    _post("361", 400, body(name="nope")),
    _post("362", 404, body(name="reg")),
    _post("363", 404, body(name="pkg-a", version="0.9", only_docs=True)),
    _post("364", 404, body(name="newdoc", version="3.0", no_docs=True)),
    _post("365", 200, body(name="newdoc", version="3.0")),
    read_json("the target of 365", f"{TGT}/newdoc/3.0"),
    _post("366", 400, body(include_docs=True)),
    _post("367", 400, body(register_project=True)),
    push("368", VOL, 200, body(name="zed-proj", version="1")),
    _post("369", 200, body(name="zed-proj", version="1"), accept=None),
    read_json("370", f"{TGT}/pkg-a/1.0"),
    read_json("371", f"{TGTNV}/pkg-a"),
    _post("376", 400, body(name="Zed.Proj", version="1"), path=HEIR),
]

_PUSHED = [
    get("a pushed file", PUSHED_FILE),
    head("a pushed file by head", PUSHED_FILE),
    read_json("the record of a pushed file", PUSHED_FILE),
    get("a pushed wheel", PUSHED_WHEEL),
    get("metadata of a pushed wheel", f"{PUSHED_WHEEL}.metadata", 404, difference="core-metadata-on", our_status=200),
    get("pushed docs", PUSHED_DOCS),
    read_json("the record of pushed docs", PUSHED_DOCS),
    *(get(f"pushed tox result {number}", f"{PUSHED_FILE}.toxresult-*-{number}") for number in range(4)),
    get("no fifth tox result", f"{PUSHED_FILE}.toxresult-*-4", 404),
    read_json("the record of a pushed tox result", f"{PUSHED_FILE}.toxresult-*-0"),
    tox_result("another tox result on the target", PUSHED_FILE, 200, {"n": 5}),
    page("the page of the target", f"{TGT}/+simple/pkg-a/", unmarked=False),
    json_page("the page of the target in json", f"{TGT}/+simple/pkg-a/", accept=SIMPLE_JSON,
              unmarked=False),
    read_json("projects of the target", TGT),
    read_json("the source is as before", f"{VOL}/pkg-a/1.0"),
]  # fmt: skip

_FORMS = [
    push("push with a slash", f"{VOL}/", 200, body()),
    push("push without accept", VOL, 200, body(), accept=None),
    push("push for a browser", VOL, 200, body(), accept=HTML),
    push("push with a form's type", VOL, 200, body(), headers={"Content-Type": "application/x-www-form-urlencoded"}),
    _post("post with a form's type", 200, body(), headers={"Content-Type": "application/x-www-form-urlencoded"}),
    push("push under another spelling", VOL, 200, body(name="pkg.A")),
    push("push a name that normalises to a known one", VOL, 200, body(name="Pkg+A")),
    push("push another spelling of the version", VOL, 400, body(version="1.00")),
    push("push an empty name", VOL, 400, body(name="")),
    push("push an empty version", VOL, 400, body(version="")),
    push("push to itself", VOL, 200, body("alice/vol", name="Zed.Proj", version="1")),
    read_json("what was pushed to itself", f"{VOL}/zed-proj/1"),
    push("a target with a slash before", VOL, 400, body("/alice/tgt")),
    push("a target with a slash behind", VOL, 400, body("alice/tgt/")),
    push("a target of three", VOL, 400, body("alice/tgt/x")),
    push("an empty target", VOL, 400, body("")),
    push("a target of an unknown user", VOL, 404, body("nouser/tgt")),
    push("a target of an unknown user for a browser", VOL, 404, body("nouser/tgt"), accept=HTML),
    push("an unknown target without accept", VOL, 404, body("alice/nope"), accept=None),
    push("an empty index name", VOL, 404, body("alice/")),
    push("from an unknown index", "/alice/nope", 404, body()),
    push("from an unknown index for a browser", "/alice/nope", 404, body(), accept=HTML),
    push("from an unknown user", "/nouser/vol", 404, body()),
    push("no json", VOL, 400, b"x"),
    push("no json for a browser", VOL, 400, b"x", accept=HTML),
    push("no json without accept", VOL, 400, b"{", accept=None),
    push("no body", VOL, 400, None),
    push("no json from an unknown index", "/alice/nope", 404, b"x"),
    push("no json as nobody", VOL, 400, b"x", as_user=None),
    push("an unknown release as nobody", VOL, 400, body(version="9.9"), as_user=None),
    push("unknown keys as nobody", VOL, 400, body(foo=1), as_user=None),
    push("no target as nobody", VOL, 404, body("alice/nope"), as_user=None),
    push("false and zero flags", VOL, 200, body(no_docs=False, only_docs=0)),
    push("flags that are texts", VOL, 200, body(no_docs="false")),
    push("flags that are null", VOL, 200, body(no_docs=None, only_docs=None)),
    push("both flags, one false", VOL, 200, body(no_docs=False, only_docs=True)),
    push("both flags of an unknown release", VOL, 400, body(version="9.9", no_docs=True, only_docs=True)),
    push("both flags of a registered release", VOL, 400, body(name="reg", no_docs=True, only_docs=True)),
    push("unknown keys of a registered release", VOL, 404, body(name="reg", foo=1)),
    push("unknown keys and a bad target", VOL, 400, body("alice", foo=1)),
    push("an unknown release to a bad target", VOL, 400, body("alice", version="9.9")),
    push("a registered release to a bad target", VOL, 404, body("alice", name="reg")),
    call("put is no push", "PUT", VOL, 409, body=body(), accept=JSON, as_user="alice"),
    call("push to a project", "PUSH", f"{VOL}/pkg-a", 404, body=body(), accept=JSON, as_user="alice"),
    call("push to the root", "PUSH", "/", 404, body=body(), accept=JSON, as_user="alice"),
]

_TARGETS = [
    upload("prepare other metadata", TGT, 200, "PKG-A", "1.0", "pkg_a-1.0.zip", archive(other="1"),
           ("summary", "of the target"), ("author", "target")),
    push("push over other metadata", VOL, 200, body()),
    read_json("metadata of the source win", f"{TGT}/pkg-a/1.0"),
    upload("prepare another content", TGT, 200, "Pkg_A", "1.0", SDIST, b"of the target"),
    tox_result("prepare a tox result of it", stored_path(TGT, SDIST, b"of the target"), 200, {"of": "target"}),
    get("the content before", stored_path(TGT, SDIST, b"of the target")),
    push("push over another content", VOL, 200, body(no_docs=True)),
    get("the content that was replaced", stored_path(TGT, SDIST, b"of the target"), 410),
    get("its tox result", stored_path(TGT, SDIST, b"of the target") + ".toxresult-*-0", 410),
    read_json("log of what was replaced", f"{TGT}/pkg-a/1.0"),
    push("push what was pushed", TGT, 200, body("alice/vol2")),
    read_json("log of what was pushed twice", "/alice/vol2/pkg-a/1.0"),
    push("only docs to a new index", VOL, 200, body("alice/docs", only_docs=True)),
    read_json("docs without files", "/alice/docs/pkg-a/1.0"),
    page("the page of docs without files", "/alice/docs/+simple/pkg-a/", unmarked=False),
    push("then the files", VOL, 200, body("alice/docs", no_docs=True)),
    read_json("files beside docs", "/alice/docs/pkg-a/1.0"),
    push("docs once more to a non-volatile index", VOL, 409, body("alice/tgtnv", only_docs=True)),
    push("docs alone to a non-volatile index", VOL, 200, body("alice/tgtnv", name="newdoc", version="3.0")),
    push("docs alone a second time", VOL, 409, body("alice/tgtnv", name="newdoc", version="3.0")),
    push("a conflict for a browser", VOL, 409, body("alice/tgtnv"), accept=HTML),
    read_json("the non-volatile target", f"{TGTNV}/pkg-a/1.0"),
    configure(VOL, "volatile=False"),
    push("from a non-volatile index", VOL, 200, body()),
    push("from a non-volatile index to itself", VOL, 409, body("alice/vol")),
    delete("delete the source", f"{VOL}/pkg-a?force", 200, as_user="alice"),
    get("a file of the source", FILE, 410),
    get("a pushed file without its source", PUSHED_FILE),
    get("pushed docs without their source", PUSHED_DOCS),
    push("push what was deleted", VOL, 400, body()),
    delete("delete a pushed file", PUSHED_FILE, 200, as_user="alice"),
    get("its tox results are gone", f"{PUSHED_FILE}.toxresult-*-0", 410),
    read_json("what is left of the target", f"{TGT}/pkg-a/1.0"),
]  # fmt: skip

MEMBER = Credentials("dave4", Token("dave4", groups=("devs",)))
GUEST = Credentials("guest", Token("guest", groups=("devs",), from_user_record=False))
ZED = {"name": "Zed.Proj", "version": "1"}

_CALLERS = [
    push("as root, not listed", VOL, 401, body(**ZED), as_user="root"),
    push("as root to an index of its own", VOL, 404, body("root/own", **ZED), as_user="root"),
    put("prepare an index of root", "/root/own", 200, {}, as_user="root"),
    push("as root to an index that is its own", VOL, 200, body("root/own", **ZED), as_user="root"),
    read_json("who pushed it", "/root/own/zed-proj/1"),
    push("from somebody else's index", VOL, 200, body("dave4/dx", **ZED), as_user="dave4"),
    read_json("who uploaded and who pushed", "/dave4/dx/zed-proj/1"),
    configure(TGT, "acl_upload=:devs"),
    push("as owner, not listed", VOL, 401, body(**ZED)),
    push("as member of the listed group", VOL, 200, body(**ZED), as_user=None, credentials=MEMBER),
    push("as guest in the listed group", VOL, 200, body(**ZED), as_user=None, credentials=GUEST),
    read_json("who of the group pushed", f"{TGT}/zed-proj/1"),
    configure(TGT, "acl_upload=dave4"),
    push("as listed user", VOL, 200, body(**ZED), as_user="dave4"),
    push("with a wrong password", VOL, 401, body(**ZED), as_user=None, credentials=Credentials("dave4", "bad")),
    configure(TGT, "acl_upload=:AUTHENTICATED:"),
    push("as anybody who is known", VOL, 200, body(**ZED), as_user="root"),
    push("as nobody when known ones may", VOL, 401, body(**ZED), as_user=None),
    configure(TGT, "acl_upload=:ANONYMOUS:"),
    push("as nobody when all may", VOL, 200, body(**ZED), as_user=None),
    read_json("what nobody pushed", f"{TGT}/zed-proj/1"),
    configure(TGT, "acl_upload="),
    push("when none may", VOL, 401, body(**ZED)),
    upload("prepare a tested release", "/alice/vol2", 200, "own", "1", "own-1.tar.gz", b"own"),
    tox_result("test it", stored_path("/alice/vol2", "own-1.tar.gz", b"own"), 200, {"testenvs": {}}),
    push(
        "a tested release onto its own index",
        "/alice/vol2",
        500,
        body("alice/vol2", name="own", version="1"),
        difference="push-onto-itself",
    ),
    push("when none may, without accept", VOL, 401, body(**ZED), accept=None),
]

PUSH = Scenario(
    "push",
    "pushing from index to index",
    [*_PREPARE, *_CAPTURED, *_PUSHED, *_FORMS, index("/alice/vol2"), index("/alice/docs"), *_TARGETS, *_CALLERS],
    {"alice": "pw2", "dave4": "x"},
)
