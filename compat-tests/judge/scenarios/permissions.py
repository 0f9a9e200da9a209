"""Who may do what: every operation as owner, root, listed user, other user and nobody."""

from __future__ import annotations

from collections.abc import Iterator

from ..distributions import stored_path
from ..steps import Scenario, Step, delete, index, metadata_form, patch, post, put, read_json, upload, user

CALLERS = {"owner": "alice", "root": "root", "listed": "bob", "other": "carol", "nobody": None}
UPLOAD = {"owner": 200, "root": 403, "listed": 200, "other": 403, "nobody": 401}
DELETE = {"owner": 200, "root": 200, "listed": 200, "other": 403, "nobody": 403}
OWNER_OR_ROOT = {"owner", "root"}


def _uploads() -> Iterator[Step]:
    for who, name in CALLERS.items():
        status = UPLOAD[who]
        filename, content = f"by_{who}-1.tar.gz", who.encode()
        yield upload(f"upload as {who}", "/alice/dev", status, f"by-{who}", "1", filename, content, as_user=name)
        form = metadata_form("submit", ("name", f"reg-{who}"), ("version", "1"))
        yield post(f"submit as {who}", "/alice/dev", status, form, as_user=name)
        yield upload(
            f"upload to the list as {who}",
            "/alice/closed",
            UPLOAD[who] if who == "listed" else 403 if name else 401,
            f"by-{who}",
            "1",
            filename,
            content,
            as_user=name,
        )


def _deletions() -> Iterator[Step]:
    for who, name in CALLERS.items():
        for kind in ("file", "version", "project"):
            project, filename, content = f"{kind}-{who}", f"{kind}_{who}-1.tar.gz", f"{kind} {who}".encode()
            path = {
                "file": stored_path("/alice/closed", filename, content),
                "version": f"/alice/closed/{project}/1",
                "project": f"/alice/closed/{project}",
            }[kind]
            yield upload(f"prepare {project}", "/alice/closed", 200, project, "1", filename, content, as_user="bob")
            yield delete(f"delete a {kind} as {who}", path, DELETE[who], as_user=name)


def _indexes() -> Iterator[Step]:
    for who, name in CALLERS.items():
        allowed = who in OWNER_OR_ROOT
        yield put(f"create an index as {who}", f"/alice/of-{who}", 200 if allowed else 403, {}, as_user=name)
        yield patch(f"change an index as {who}", "/alice/dev", 200 if allowed else 403, {"title": who}, as_user=name)
        yield patch(
            f"change an index by list as {who}", "/alice/dev", 200 if allowed else 403, [f"title=l{who}"], as_user=name
        )
        yield delete(f"delete an index as {who}", "/alice/of-owner", 201 if who == "owner" else 403, as_user=name)


def _users() -> Iterator[Step]:
    for who, name in CALLERS.items():
        allowed = 200 if who in OWNER_OR_ROOT else 403
        difference = () if allowed == 200 else "error-texts-internals"
        yield put(f"create a user as {who}", f"/new-{who}", 201, {"password": "x"}, as_user=name)
        yield patch(f"change a user as {who}", "/alice", allowed, {"title": who}, as_user=name, difference=difference)
        yield patch(
            f"change a password as {who}", "/alice", allowed, {"password": "pw2"}, as_user=name, difference=difference
        )
        yield patch(
            f"change both as {who}",
            "/alice",
            allowed,
            {"password": "pw2", "email": who},
            as_user=name,
            difference=difference,
        )
        yield delete(f"delete a user as {who}", "/new-owner", 200 if who == "root" else 403, as_user=name)


PERMISSIONS = Scenario(
    "permissions",
    "operations by each kind of caller",
    [
        user("alice", "pw2"),
        user("bob"),
        user("carol"),
        index("/alice/dev", acl_upload="alice,bob"),
        index("/alice/closed", acl_upload=["bob"]),
        *_uploads(),
        *_deletions(),
        *_indexes(),
        *_users(),
        read_json("what is there", "/"),
        read_json("what is in the index", "/alice/dev"),
        patch("open to everybody", "/alice/dev", 200, ["acl_upload=:anonymous:"], as_user="alice"),
        upload("upload as nobody when open", "/alice/dev", 200, "open", "1", "open-1.tar.gz", b"1", as_user=None),
        upload(
            "upload with a wrong password when open",
            "/alice/dev",
            200,
            "open",
            "2",
            "open-2.tar.gz",
            b"2",
            as_user=None,
            headers={"Authorization": "Basic YWxpY2U6YmFk"},
        ),
        upload("upload as other when open", "/alice/dev", 200, "open", "3", "open-3.tar.gz", b"3", as_user="carol"),
        read_json("who uploaded", "/alice/dev/open"),
        delete("delete as nobody when open", "/alice/dev/open", 200),
        patch("open to all users", "/alice/dev", 200, ["acl_upload=:Authenticated:"], as_user="alice"),
        upload(
            "upload as nobody when open to users", "/alice/dev", 401, "open", "4", "open-4.tar.gz", b"4", as_user=None
        ),
        upload(
            "upload as other when open to users", "/alice/dev", 200, "open", "5", "open-5.tar.gz", b"5", as_user="carol"
        ),
        delete("delete as other when open to users", "/alice/dev/open/5", 200, as_user="carol"),
        patch("close to everybody", "/alice/dev", 200, ["acl_upload="], as_user="alice"),
        upload("upload as owner when closed", "/alice/dev", 403, "open", "6", "open-6.tar.gz", b"6"),
    ],
    {"alice": "pw2", "bob": "pw", "carol": "pw"},
)
