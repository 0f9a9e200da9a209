"""What has been there answers 410: after deleting file, version, project, index and user, and after replacement."""

from __future__ import annotations

from collections.abc import Iterator

from ..distributions import stored_path, wheel
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    SIMPLE_JSON,
    Scenario,
    Step,
    call,
    delete,
    documentation,
    get,
    head,
    index,
    tox_result,
    upload,
    user,
)

ACCEPTS = {"no accept": None, "json": JSON, "html": HTML, "anything": ANYTHING, "simple json": SIMPLE_JSON}
WHEEL_BYTES = wheel("q", "1")


def _release(path: str, user_name: str = "alice") -> Iterator[Step]:
    """A release with a wheel, an sdist with a tox result, and docs."""
    sdist = stored_path(path, "q-1.tar.gz", b"q1")
    yield upload(f"sdist on {path}", path, 200, "q", "1", "q-1.tar.gz", b"q1", as_user=user_name)
    yield upload(f"wheel on {path}", path, 200, "q", "1", "q-1-py3-none-any.whl", WHEEL_BYTES, as_user=user_name)
    yield documentation(f"docs on {path}", path, 200, "q", "1", b"PK", as_user=user_name)
    yield tox_result(f"tox result on {path}", sdist, 200, {"a": 1})


def _files(path: str) -> dict[str, str]:
    return {
        "sdist": stored_path(path, "q-1.tar.gz", b"q1"),
        "wheel": stored_path(path, "q-1-py3-none-any.whl", WHEEL_BYTES),
        "docs": stored_path(path, "q-1.doc.zip", b"PK"),
        "tox result": stored_path(path, "q-1.tar.gz", b"q1") + ".toxresult-*-0",
    }


def _gone(after: str, path: str, *, exists: bool = True) -> Iterator[Step]:
    """All files of the release are asked for in every way; `exists` if the index does."""
    for kind, file in _files(path).items():
        for words, accept in ACCEPTS.items():
            yield get(f"{kind} after {after}, {words}", file, 410, accept=accept)
        yield head(f"{kind} after {after}, head", file, 410)
        yield call(f"{kind} after {after}, put", "PUT", file, 410, body=b"x", as_user="alice")
    file = _files(path)["wheel"]
    yield get(f"metadata after {after}", f"{file}.metadata", 404, difference="core-metadata-on")
    yield get(f"never there, after {after}", file.replace("q-1", "q-9"), 404)
    yield delete(f"delete after {after}", file, 410 if exists else 403, as_user="alice")
    yield delete(f"delete after {after} as nobody", file, 403)
    yield tox_result(f"tox result after {after}", file, 404 if exists else 403, {"a": 1})


GONE = Scenario(
    "gone",
    "files that have been there",
    [
        user("alice", "pw2"),
        user("bob"),
        *(index(f"/alice/{kind}") for kind in ("file", "version", "project", "index", "again")),
        index("/bob/user"),
        *(step for kind in ("file", "version", "project", "index", "again") for step in _release(f"/alice/{kind}")),
        *_release("/bob/user", "bob"),
        *(
            delete(f"delete the {kind}", path, 200, as_user="alice")
            for kind, path in _files("/alice/file").items()
            if kind != "tox result"
        ),
        *_gone("deleting the files", "/alice/file"),
        delete("delete the version", "/alice/version/q/1", 200, as_user="alice"),
        *_gone("deleting the version", "/alice/version"),
        delete("delete the project", "/alice/project/q", 200, as_user="alice"),
        *_gone("deleting the project", "/alice/project"),
        delete("delete the index", "/alice/index", 201, as_user="alice"),
        *_gone("deleting the index", "/alice/index", exists=False),
        delete("delete the user", "/bob", 200, as_user="bob"),
        *_gone("deleting the user", "/bob/user", exists=False),
        index("/alice/index"),
        *_gone("making the index again", "/alice/index"),
        *_release("/alice/index"),
        *(get(f"{kind} uploaded again", file) for kind, file in _files("/alice/index").items()),
        user("bob"),
        index("/bob/user"),
        get("sdist after making the user again", _files("/bob/user")["sdist"], 410),
        upload("replace an sdist", "/alice/again", 200, "q", "1", "q-1.tar.gz", b"q2"),
        get("the replaced sdist", _files("/alice/again")["sdist"], 410),
        get("the tox result of the replaced sdist", _files("/alice/again")["tox result"], 410),
        upload("replace it by the first", "/alice/again", 200, "q", "1", "q-1.tar.gz", b"q1"),
        get("the first sdist", _files("/alice/again")["sdist"]),
        get("the second sdist", stored_path("/alice/again", "q-1.tar.gz", b"q2"), 410),
        get("the tox result stays away", _files("/alice/again")["tox result"], 410),
    ],
    {"alice": "pw2", "bob": "pw"},
)
