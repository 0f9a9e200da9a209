"""Pushing to an index elsewhere, as `devpi push … pypi:NAME` does: what is sent, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..distributions import archive, stored_path, wheel
from ..steps import (
    HTML,
    JSON,
    Credentials,
    External,
    Scenario,
    Step,
    Token,
    documentation,
    get,
    index,
    metadata_form,
    post,
    push,
    read_json,
    tox_result,
    upload,
    user,
)

VOL, HEIR = "/alice/vol", "/alice/heir"
SDIST, WHEEL = "pkg_a-1.0.tar.gz", "Pkg_A-1.0-py3-none-any.whl"
ACCOUNT = {"username": "u", "password": "p"}
ANONYMOUS = "anonymous-push"
UNREACHABLE = "push-unreachable"

METADATA = (
    ("metadata_version", "2.1"),
    ("summary", "s\u00e4\u4e2d"),
    ("description", "line one\r\nline two\n  <b>&amp;</b>\n"),
    ("classifiers", "A"),
    ("classifiers", "B"),
    ("requires_dist", "foo>1"),
    ("requires_python", ">=3.8"),
    ("project_urls", "X, http://x"),
)

_KINDS = {
    "zip": ("kinds-1.zip", archive(kinds="1")),
    "tgz": ("kinds-2.tgz", b"tgz"),
    "bz2": ("kinds-3.tar.bz2", b"bz2"),
    "egg": ("kinds-4-py3.11.egg", archive(egg="1")),
    "wininst": ("kinds-5.win32-py2.7.exe", b"exe"),
    "exe": ("kinds-6.exe", b"exe"),
    "msi": ("kinds-7.win32-py3.4.msi", b"msi"),
    "rpm": ("kinds-8.rpm", b"rpm"),
    "deb": ("kinds-9.deb", b"deb"),
    "universal": ("kinds-10-py2.py3-none-any.whl", wheel("kinds", "10")),
    "py27": ("kinds-11-py27-none-any.whl", wheel("kinds", "11")),
    "cp311": ("kinds-12-cp311-cp311-linux_x86_64.whl", wheel("kinds", "12")),
    "pp310": ("kinds-13-pp310-pypy310_pp73-win32.whl", wheel("kinds", "13")),
    "py3 and py4": ("kinds-14-py3.py4-none-any.whl", wheel("kinds", "14")),
    "abi3": ("kinds-15-cp39-abi3-linux_x86_64.whl", wheel("kinds", "15")),
    "build": ("kinds-16-1-py3-none-any.whl", wheel("kinds", "16")),
    "capitals": ("kinds-17.ZIP", archive(kinds="17")),
    "blank": ("kinds-18 b\u00e4.zip", archive(kinds="18")),
    "quote": ("kinds-19'&;=%.zip", archive(kinds="19")),
    "dmg": ("kinds-20.dmg", b"dmg"),
    "tar": ("kinds-21.linux-x86_64.tar.gz", b"dumb"),
}


def body(path: str = "/up/200", name: Any = "pkg-a", version: Any = "1.0", **more: Any) -> dict[str, Any]:
    """What devpi-client sends to push a release to an index of a `.pypirc`."""
    return {"name": name, "version": version, "posturl": External(path), **ACCOUNT, **more}


def _post(name: str, status: int, content: Any, **details: Any) -> Step:
    """A push by POST, as the captured pairs have it."""
    return post(name, VOL, status, content, **{"accept": JSON, "as_user": "alice", **details})


def _dead(**more: Any) -> dict[str, Any]:
    return body(**more) | {"posturl": External("/", alive=False)}


def _kinds() -> Iterator[Step]:
    """Each kind of file: `filetype` and `pyversion` are derived from its name."""
    for kind, (filename, content) in _KINDS.items():
        version = filename.removeprefix("kinds-").split("-")[0].split(".")[0].split(" ")[0].split("'")[0]
        yield upload(f"prepare {kind}", VOL, 200, "kinds", version, filename, content)
        yield push(f"push {kind}", VOL, 200, body(name="kinds", version=version))


_PREPARE = [
    user("alice", "pw2"),
    user("dave4", "x"),
    index(VOL),
    index(HEIR, bases="alice/vol"),
    upload("prepare an sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2\x00\xff\r\n--", *METADATA),
    upload("prepare a wheel", VOL, 200, "Pkg_A", "1.0", WHEEL, wheel("Pkg_A", "1.0")),
    tox_result("prepare a tox result", stored_path(VOL, SDIST, b"sdist2\x00\xff\r\n--"), 200, {"a": 1}),
    documentation("prepare docs", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
    documentation("prepare docs alone", VOL, 200, "newdoc", "3.0", b"PKnew"),
    upload("prepare an empty file", VOL, 200, "empty", "1", "empty-1.tar.gz", b""),
    post("prepare reg", VOL, 200, metadata_form("submit", ("name", "reg"), ("version", "1.0")), as_user="alice"),
]

_CAPTURED = [
    _post("378", 200, body()),
    _post("379", 200, body(register_project=True)),
    _post("380", 200, body(no_docs=True)),
    _post("381", 200, body(only_docs=True)),
    _post("382", 502, body("/up/400")),
    _post("383", 502, body("/up/400", register_project=True)),
    _post("384", 502, body("/up/410", register_project=True)),
    _post("385", 200, body("/up/201", no_docs=True)),
    _post("386", 502, _dead(register_project=True)),
    read_json("the source after pushing", f"{VOL}/pkg-a/1.0"),
]

_HALF = [
    _post("register gone, files taken", 200, body("/up/410,200", register_project=True)),
    _post("register made", 200, body("/up/201", register_project=True)),
    _post("register accepted but not made", 502, body("/up/202,200", register_project=True)),
    _post("register refused, the files would be taken", 502, body("/up/403,200", register_project=True)),
    _post("register redirected", 502, body("/up/302,200", register_project=True)),
    _post("register with docs alone", 200, body(register_project=True, only_docs=True)),
    _post("register false", 200, body(register_project=False)),
    _post("register as text", 200, body(register_project="false")),
    _post("register null", 200, body(register_project=None)),
    _post("the first file fails", 200, body("/up/500,200")),
    _post("the second file fails", 200, body("/up/200,409,200")),
    _post("the docs fail", 502, body("/up/200,200,500")),
    _post("the last file fails without docs", 502, body("/up/200,409", no_docs=True)),
    _post("accepted but not made", 502, body("/up/202")),
    _post("redirected", 502, body("/up/302")),
    _post("nothing to say", 502, body("/up/204")),
    _post("unauthorized", 502, body("/up/401")),
    _post("server error", 502, body("/up/503", register_project=True)),
    _post("a refusal in utf-8", 502, body("/up/400/utf-8")),
    _post("a refusal in latin-1", 502, body("/up/400/latin-1")),
    _post("a refusal in html", 502, body("/up/400/html")),
    _post("a refusal in json", 502, body("/up/400/json")),
    _post("a long refusal", 502, body("/up/400/long")),
    _post("an empty refusal", 502, body("/up/400/empty")),
    _post("a body with the success", 200, body("/up/200/html")),
    _post("a path with a query", 200, body("/up/200?a=b&c=%20d")),
]

_UNREACHABLE = [
    _post("nobody listens, docs alone", 502, _dead(only_docs=True)),
    _post("nobody listens, register and docs", 502, _dead(register_project=True, only_docs=True)),
    _post("nobody listens", 500, _dead(), difference=UNREACHABLE),
    _post("nobody listens, one file", 500, _dead(name="empty", version="1"), difference=UNREACHABLE),
    push("nobody listens, without accept", VOL, 500, _dead(), accept=None, difference=UNREACHABLE),
    _post("no answer", 500, body("/up/drop"), difference=UNREACHABLE),
    _post("no answer to the second file", 500, body("/up/200,drop"), difference=UNREACHABLE),
    _post("no answer to the register", 502, body("/up/drop,200", register_project=True)),
    _post("no answer to the first file", 500, body("/up/200,drop", register_project=True), difference=UNREACHABLE),
    _post("no answer to the docs", 502, body("/up/200,200,drop")),
]

_FORMS = [
    push("by the method PUSH", VOL, 200, body()),
    push("with a slash", f"{VOL}/", 200, body()),
    push("without accept", VOL, 200, body(), accept=None),
    push("for a browser", VOL, 200, body(), accept=HTML),
    push("a failure for a browser", VOL, 502, body("/up/400"), accept=HTML),
    push("a null target", VOL, 200, body(targetindex=None)),
    push("further keys", VOL, 200, body(foo=1, include_docs=True)),
    push("in another spelling", VOL, 200, body(name="PKG.a")),
    push("another spelling of docs alone", VOL, 200, body(name="NewDoc", version="3.0", only_docs=True)),
    push("another spelling with register", VOL, 200, body(name="NewDoc", version="3.0", register_project=True)),
    push("an empty file", VOL, 200, body(name="empty", version="1", register_project=True)),
    push("non-ascii credentials", VOL, 200, body() | {"username": "\u00fc", "password": "p:\u00e4\u4e2d"}),
    push("empty credentials", VOL, 200, body() | {"username": "", "password": ""}),
    push("a colon in the user name", VOL, 200, body() | {"username": "a:b", "password": "c"}),
    push("a registered release", VOL, 404, body(name="reg")),
    push("an unknown release", VOL, 400, body(version="9")),
    push("no docs of docs alone", VOL, 404, body(name="newdoc", version="3.0", no_docs=True)),
    push("no docs and only docs", VOL, 400, body(no_docs=True, only_docs=True)),
    push("an inherited release", HEIR, 400, body()),
    push("from an unknown index", "/alice/nope", 404, body()),
    push("as another user", VOL, 200, body(), as_user="dave4"),
    push("as root", VOL, 200, body(), as_user="root"),
    push("as a guest with groups", VOL, 200, body(), as_user=None,
         credentials=Credentials("guest", Token("guest", groups=("g",), from_user_record=False))),
]  # fmt: skip

_ANONYMOUS = [
    push("as nobody", VOL, 200, body(), as_user=None, difference=ANONYMOUS, our_status=401),
    push("as nobody by POST", VOL, 200, body(), as_user=None, accept=None, difference=ANONYMOUS, our_status=401),
    push("as nobody with register", VOL, 200, body(register_project=True), as_user=None, difference=ANONYMOUS),
    push("as nobody to where it fails", VOL, 502, body("/up/400"), as_user=None, difference=ANONYMOUS),
    push("as nobody to where nobody listens", VOL, 502, _dead(only_docs=True), as_user=None, difference=ANONYMOUS),
    push("with a wrong password", VOL, 200, body(), as_user=None, credentials=Credentials("alice", "bad"),
         difference=ANONYMOUS),
    push("an unknown release as nobody", VOL, 400, body(version="9"), as_user=None),
    push("a registered release as nobody", VOL, 404, body(name="reg"), as_user=None),
]  # fmt: skip

_UNKNOWN_FIELDS = [
    upload("prepare fields of newer metadata", VOL, 200, "newer", "1", "newer-1.tar.gz", b"newer",
           ("import_name", "import_name a"), ("import_name", "import_name b"), ("from_tomorrow", "from_tomorrow x")),
    push("push fields of newer metadata", VOL, 200, body(name="newer", version="1", register_project=True),
         difference="unknown-fields"),
]  # fmt: skip

PUSH_EXTERNAL = Scenario(
    "push-external",
    "pushing to an index elsewhere",
    [
        *_PREPARE,
        *_CAPTURED,
        *_HALF,
        *_UNREACHABLE,
        *_FORMS,
        *_ANONYMOUS,
        *_kinds(),
        *_UNKNOWN_FIELDS,
        get("index after all", VOL),
    ],
    {"alice": "pw2", "dave4": "x"},
)
