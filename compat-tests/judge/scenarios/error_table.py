"""The table of errors, row by row, each with several kinds of `Accept`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..distributions import stored_path
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    Form,
    Scenario,
    Step,
    call,
    delete,
    documentation,
    index,
    metadata_form,
    read_json,
    release_form,
    upload,
    user,
)

VOL, NVOL = "/alice/vol", "/alice/nvol"
FILE = stored_path(VOL, "q-1.tar.gz", b"q")
NV_FILE = stored_path(NVOL, "q-1.tar.gz", b"q")
GONE = stored_path(VOL, "q-2.tar.gz", b"gone")
INSIDE = "error-texts-internals"
ACCEPTS = {"no accept": None, "json": JSON, "html": HTML, "anything": ANYTHING, "image": "image/png"}
READABLE = {words: ACCEPTS[words] for words in ("no accept", "json", "anything")}
"""For views that a browser cannot reach."""


@dataclass(frozen=True)
class Row:
    """A request that is refused."""

    words: str
    method: str
    path: str
    status: int
    body: Any = None
    by: str | None = "alice"
    difference: str | tuple[str, ...] = ()
    readable: bool = False


def _push(words: str, status: int, target: str = "alice/nvol", path: str = VOL, by: str | None = "alice",
          **more: Any) -> Row:  # fmt: skip
    return Row(words, "PUSH", path, status, {"name": "q", "version": "1", "targetindex": target, **more}, by)


def _form(words: str, status: int, body: Form, path: str = VOL, by: str | None = "alice") -> Row:
    return Row(words, "POST", path, status, body, by)


_REDIRECTS = [
    Row("slash", "GET", f"{VOL}/+simple/q", 302),
    Row("slash of the list", "GET", f"{VOL}/+simple", 302),
    Row("name", "GET", f"{VOL}/+simple/Q_/", 302),
    Row("refresh", "POST", f"{VOL}/+simple/q/refresh", 302),
]

_BAD_REQUESTS = [
    Row("no json for login", "POST", "/+login", 400, b"x", readable=True),
    Row("no user for login", "POST", "/+login", 400, {"password": "x"}, readable=True),
    Row("no json for a user", "PUT", "/new", 400, b"x"),
    Row("no json to change a user", "PATCH", "/alice", 400, b"x"),
    Row("no json for an index", "PUT", "/alice/new", 400, b"x"),
    Row("no json to change an index", "PATCH", VOL, 400, b"x"),
    Row("no json to push", "PUSH", VOL, 400, b"x"),
    Row("no json for a tox result", "POST", FILE, 400, b"x"),
    Row("a non-ascii name", "GET", f"{VOL}/+simple/n%C3%A4/", 400),
    Row("no password", "PUT", "/new", 400, {}),
    Row("unknown user keys", "PUT", "/new", 400, {"password": "x", "foo": 1}),
    Row("a bad user name", "PUT", "/n!w", 400, {"password": "x"}),
    Row("a bad index name", "PUT", "/alice/n!w", 400, {}),
    Row("an unknown type", "PUT", "/alice/new", 400, {"type": "foo"}),
    Row("another type", "PATCH", VOL, 400, {"type": "foo"}),
    Row("a bad boolean", "PATCH", VOL, 400, {"volatile": "x"}),
    Row("a bad list", "PATCH", VOL, 400, {"acl_upload": 1}),
    Row("a bad inheritance", "PATCH", VOL, 400, {"mirror_whitelist_inheritance": "x"}),
    Row("an unknown base", "PATCH", VOL, 400, {"bases": ["alice/nope"]}),
    Row("a bad base", "PATCH", VOL, 400, {"bases": ["nope"]}),
    Row("unknown index keys", "PATCH", VOL, 400, {"foo": "<b>&'\"\u00e4"}),
    Row("a default dropped", "PATCH", VOL, 400, ["volatile-="]),
    Row("a value not there", "PATCH", VOL, 400, ["acl_upload-=x"]),
    Row("no changes", "PATCH", f"{VOL}?error_on_noop", 400, ["acl_upload+=alice"]),
    _push("no files to push", 400, version="9"),
    _push("both flags", 400, no_docs=True, only_docs=True),
    _push("a bad target", 400, target="alice"),
    _push("unknown options", 400, foo=1),
    _form("an unknown action", 400, metadata_form("foo")),
    _form("no content", 400, metadata_form("file_upload", ("name", "q"), ("version", "1"))),
    _form("another version", 400, release_form("q", "7", "q-1.tar.gz", b"q")),
    _form("no archive", 400, release_form("q", "1", "q-1.txt", b"q")),
    _form("another project", 400, release_form("other", "1", "q-1.tar.gz", b"q")),
    _form("a bad name", 400, release_form("-q", "1", "-q-1.tar.gz", b"q")),
    _form("docs without a version", 400,
          Form(((":action", "doc_upload"), ("name", "nodoc")), (("content", "d.zip", b"PK"),))),
]  # fmt: skip

_DENIED = [
    Row("a failed login", "POST", "/+login", 401, {"user": "alice", "password": "x"}, readable=True),
    _push("no permission on the target", 401, target="bob/own"),
    _push("nobody on the target", 401, by=None),
    _form("an upload by nobody", 401, release_form("q", "1", "q-1.tar.gz", b"q"), by=None),
    Row("an index of somebody else", "PUT", "/bob/new", 403, {}),
    Row("a user who is somebody else", "PATCH", "/bob", 403, {"title": "x"}, difference=INSIDE),
    Row("a password of somebody else", "PATCH", "/bob", 403, {"password": "x"}, difference=INSIDE),
    Row("a non-volatile index", "DELETE", NVOL, 403),
    Row("a user with a non-volatile index", "DELETE", "/alice", 403),
    Row("a non-volatile project", "DELETE", f"{NVOL}/q", 403),
    Row("a tox result", "POST", NV_FILE, 403, {"a": 1}),
    Row("a non-volatile version", "DELETE", f"{NVOL}/q/1", 403),
    Row("a non-volatile file", "DELETE", NV_FILE, 403),
    Row("an index to change", "PATCH", "/bob/own", 403, {"title": "x"}),
    Row("an index to delete", "DELETE", "/bob/own", 403),
    Row("a user to delete", "DELETE", "/bob", 403),
    Row("a project to delete", "DELETE", f"{VOL}/q", 403, by="bob"),
    Row("a version to delete", "DELETE", f"{VOL}/q/1", 403, by=None),
    Row("a file to delete", "DELETE", FILE, 403, by="bob"),
    _form("an upload", 403, release_form("q", "1", "q-1.tar.gz", b"q"), by="bob"),
]

_MISSING = [
    Row("a user", "GET", "/nouser", 404, readable=True),
    Row("a user to change", "PATCH", "/nouser", 404, {"title": "x"}, by="root"),
    Row("a user to delete, missing", "DELETE", "/nouser", 404, by="root"),
    Row("a user of an index to create", "PUT", "/nouser/new", 404, {}, by="root"),
    Row("an index", "GET", "/alice/nope", 404, readable=True),
    Row("an index to tell of", "GET", "/alice/nope/+api", 404, readable=True),
    Row("an index to list", "GET", "/alice/nope/+simple/", 404),
    Row("an index of a page", "GET", "/alice/nope/+simple/q/", 404),
    Row("an index to refresh", "POST", "/alice/nope/+simple/q/refresh", 404),
    Row("an index of a version", "GET", "/alice/nope/q/1", 404, readable=True),
    Row("an index of a file", "GET", FILE.replace("vol", "nope"), 404),
    Row("an index to push from", "PUSH", "/alice/nope", 404, {"name": "q", "version": "1"}),
    _push("an index to push to", 404, target="alice/nope"),
    _form("an index to upload to", 404, release_form("q", "1", "q-1.tar.gz", b"q"), "/alice/nope"),
    Row("a page", "GET", f"{VOL}/+simple/nope/", 404),
    Row("a version", "GET", f"{VOL}/q/9", 404, readable=True),
    Row("a file", "GET", f"{VOL}/+f/a/b/c.zip", 404),
    Row("a file to delete, missing", "DELETE", f"{VOL}/+f/a/b/c.zip", 404),
    Row("a project of a version to delete", "DELETE", f"{VOL}/nope/1", 404),
    Row("a version to delete, missing", "DELETE", f"{VOL}/q/9", 404),
    Row("a project to delete, missing", "DELETE", f"{VOL}/nope", 404),
    _push("nothing to push", 404, name="reg"),
    Row("a file of a tox result", "POST", f"{VOL}/+f/a/b/c.zip", 404, {"a": 1}),
    Row("a route", "GET", "/+nope", 404),
    Row("a method", "LOCK", VOL, 404),
    Row("a method with a body", "PUT", f"{VOL}/q", 404, {"a": 1}),
    Row("a method of the login", "GET", "/+login", 404),
]

_CONFLICTS = [
    Row("a user that is there", "PUT", "/alice", 409, {"password": "x"}),
    Row("an index that is there", "PUT", VOL, 409, {}),
    _push("a pushed file that is there", 409),
    _form("a file that is there", 409, release_form("q", "1", "q-1.tar.gz", b"other"), NVOL),
    _form("docs that are there", 409, Form(((":action", "doc_upload"), ("name", "q"), ("version", "1")),
                                           (("content", "d<b>.zip", b"other"),)), NVOL),
    Row("a file that was deleted", "GET", GONE, 410),
    Row("a file to delete that was deleted", "DELETE", GONE, 410),
]  # fmt: skip


def _steps(rows: list[Row]) -> Iterator[Step]:
    for row in rows:
        for words, accept in (READABLE if row.readable else ACCEPTS).items():
            difference = row.difference
            if "<b>" in str(row.body) and row.path == NVOL and accept in (HTML, ANYTHING):
                difference = "error-html-escaped"
            yield call(f"{row.status} {row.words}, {words}", row.method, row.path, row.status, body=row.body,
                       accept=accept, as_user=row.by, difference=difference)  # fmt: skip


_LEFT = [
    read_json("404 a project", f"{VOL}/nope", 404),
    call("415 a project without accept", "GET", f"{VOL}/q", 415, difference=INSIDE),
    call("415 a project for anything", "GET", f"{VOL}/q", 415, accept=ANYTHING, difference=INSIDE),
]  # fmt: skip

ERROR_TABLE = Scenario(
    "error-table",
    "every error with several kinds of Accept",
    [
        user("alice", "pw2"),
        user("bob"),
        index(VOL),
        index(NVOL, volatile=False, acl_toxresult_upload=[]),
        index("/bob/own"),
        upload("prepare q 1", VOL, 200, "q", "1", "q-1.tar.gz", b"q"),
        upload("prepare q 2", VOL, 200, "q", "2", "q-2.tar.gz", b"gone"),
        delete("prepare a deleted file", GONE, 200, as_user="alice"),
        upload("prepare q 1, non-volatile", NVOL, 200, "q", "1", "q-1.tar.gz", b"q"),
        documentation("prepare docs", NVOL, 200, "q", "1", b"PK"),
        call("prepare reg", "POST", VOL, 200, body=metadata_form("submit", ("name", "reg"), ("version", "1")),
             as_user="alice"),
        # At the first time devpi leaves a trace.
        delete("delete a missing project", f"{VOL}/nope", 404, as_user="alice", difference="no-half-changes"),
        *_steps(_REDIRECTS),
        *_steps(_BAD_REQUESTS),
        *_steps(_DENIED),
        *_steps(_MISSING),
        *_steps(_CONFLICTS),
        *_LEFT,
        read_json("everything is as before", "/"),
        read_json("the release is as before", f"{VOL}/q"),
    ],
    {"alice": "pw2", "bob": "pw"},
)  # fmt: skip
