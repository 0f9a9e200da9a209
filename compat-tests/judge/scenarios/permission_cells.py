"""The permission tables, cell by cell: each right as each kind of caller.

The steps are made for alice's indexes `dev` (for uploads), `closed` (for deletions, filled by bob) and others made on
the way, from a table that says which callers hold which right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from ..distributions import stored_path
from ..steps import (
    Credentials,
    Step,
    delete,
    documentation,
    get,
    head,
    login,
    metadata_form,
    patch,
    post,
    push,
    put,
    read_json,
    tox_result,
    upload,
)

Callers = Mapping[str, Credentials | tuple[()]]
Rights = Mapping[str, Set[str]]

RIGHTS = (
    "user_create", "user_modify", "user_modify_password", "user_delete", "index_create", "index_modify", "index_delete",
    "upload", "toxresult_upload", "del_project", "del_verdata", "del_entry",
)  # fmt: skip
UNKNOWN = {"nobody", "wrong-password", "old-token"}
"""Callers who are nobody to the server."""
INSIDE = "error-texts-internals"
DEV, CLOSED, FROM = "/alice/dev", "/alice/closed", "/alice/from"
READ = stored_path(FROM, "read-1.tar.gz", b"read")


def prepare() -> list[Step]:
    """What all cells need on the indexes; bob may upload to each."""
    return [
        upload("prepare what is read and pushed", FROM, 200, "read", "1", "read-1.tar.gz", b"read", as_user="bob"),
        upload("prepare what is tested", DEV, 200, "tested", "1", "tested-1.tar.gz", b"tested", as_user="bob"),
        documentation("prepare docs", FROM, 200, "read", "1", b"PK", as_user="bob"),
    ]


def cells(callers: Callers, may: Rights, maker: str) -> Iterator[Step]:
    """All cells; `maker` may create users and indexes."""
    assert may.keys() == set(RIGHTS), "the table has a row for each right"
    for who, given in callers.items():
        yield from _user_rights(who, given, {right for right in RIGHTS if who in may[right]}, maker)
    for who, given in callers.items():
        yield from _index_rights(who, given, {right for right in RIGHTS if who in may[right]}, maker)
    for who, given in callers.items():
        yield from _upload_rights(who, given, who in may["upload"], who not in UNKNOWN)
        status = 200 if who in may["toxresult_upload"] else 403
        path = stored_path(DEV, "tested-1.tar.gz", b"tested")
        yield tox_result(f"toxresult_upload as {who}", path, status, {"by": who}, credentials=given)
    for who, given in callers.items():
        yield from _deletions(who, given, {right for right in RIGHTS if who in may[right]})
        yield from _reading(who, given)


def _user_rights(who: str, given: Credentials | tuple[()], rights: Set[str], maker: str) -> Iterator[Step]:
    yield put(f"user_create as {who}", f"/new-{who}", _status(201, "user_create" in rights), {"password": "x"},
              credentials=given)  # fmt: skip
    for right, changes in {
        "user_modify": [{"title": who}, {"custom_data": {"by": who}}, {"password": "pw2", "email": who}, {}],
        "user_modify_password": [{"password": "pw2"}],
    }.items():
        for number, change in enumerate(changes):
            allowed = right in rights
            yield patch(f"{right} as {who}, {number}", "/alice", _status(200, allowed), change, credentials=given,
                        difference=() if allowed else INSIDE)  # fmt: skip
    yield put(f"prepare a user to delete as {who}", f"/gone-{who}", 201, {"password": "x"}, as_user=maker)
    yield delete(f"user_delete as {who}", f"/gone-{who}", _status(200, "user_delete" in rights), credentials=given)


def _index_rights(who: str, given: Credentials | tuple[()], rights: Set[str], maker: str) -> Iterator[Step]:
    yield put(f"index_create as {who}", f"/alice/of-{who}", _status(200, "index_create" in rights), {},
              credentials=given)  # fmt: skip
    status = _status(200, "index_modify" in rights)
    yield patch(f"index_modify as {who}", DEV, status, {"title": who}, credentials=given)
    yield patch(f"index_modify by list as {who}", DEV, status, [f"title=l{who}"], credentials=given)
    yield put(f"prepare an index to delete as {who}", f"/alice/gone-{who}", 200, {}, as_user=maker)
    yield delete(f"index_delete as {who}", f"/alice/gone-{who}", _status(201, "index_delete" in rights),
                 credentials=given)  # fmt: skip


def _upload_rights(who: str, given: Credentials | tuple[()], allowed: bool, authenticated: bool) -> Iterator[Step]:
    status = 200 if allowed else 403 if authenticated else 401
    project = f"by-{who}"
    details = {"as_user": None, "credentials": given}
    yield upload(f"upload as {who}", DEV, status, project, "1", f"{project}-1.tar.gz", who.encode(), **details)
    yield documentation(f"upload of docs as {who}", DEV, status, project, "1", b"PK", **details)
    form = metadata_form("submit", ("name", f"reg-{who}"), ("version", "1"))
    yield post(f"submit as {who}", DEV, status, form, credentials=given)
    body = {"name": "read", "version": "1", "targetindex": "alice/dev"}
    yield push(f"push as {who}", FROM, 200 if allowed else 401, body, **details)


def _deletions(who: str, given: Credentials | tuple[()], rights: Set[str]) -> Iterator[Step]:
    for right in ("del_entry", "del_verdata", "del_project"):
        project, content = f"{right.replace('_', '-')}-{who}", f"{right} {who}".encode()
        filename = f"{project}-1.tar.gz"
        path = {
            "del_entry": stored_path(CLOSED, filename, content),
            "del_verdata": f"{CLOSED}/{project}/1",
            "del_project": f"{CLOSED}/{project}",
        }[right]
        yield upload(f"prepare {project}", CLOSED, 200, project, "1", filename, content, as_user="bob")
        yield delete(f"{right} as {who}", path, _status(200, right in rights), credentials=given)


def _reading(who: str, given: Credentials | tuple[()]) -> Iterator[Step]:
    """Reading is everybody's."""
    yield get(f"pkg_read as {who}", READ, credentials=given)
    yield head(f"pkg_read by head as {who}", READ, credentials=given)
    yield read_json(f"data as {who}", f"{FROM}/read/1", credentials=given)
    yield get(f"check of pkg_read as {who}", "/+authcheck", headers={"X-Original-URI": READ}, credentials=given)
    yield get(f"check of pkg_read of nothing as {who}", "/+authcheck", 403,
              headers={"X-Original-URI": READ.replace("from", "nope")}, credentials=given)  # fmt: skip


def logins(*names: str) -> Iterator[Step]:
    """`user_login`, which needs no caller."""
    for name in names:
        yield login(f"user_login as {name}", name, "" if name == "root" else "pw", 200)
        yield login(f"user_login as {name}, wrong password", name, "bad", 401)


def _status(good: int, allowed: bool) -> int:
    return good if allowed else 403
