"""Who may do what: every right as each kind of caller, and what the special principals open."""

from __future__ import annotations

from ..steps import Credentials, Scenario, Token, delete, index, patch, read_json, upload, user
from .permission_cells import RIGHTS, Callers, cells, logins, prepare

CALLERS: Callers = {
    "owner": Credentials("alice", Token("alice")),
    "root": Credentials("root", Token("root")),
    "listed": Credentials("bob", Token("bob")),
    "member": Credentials("carol", Token("carol", groups=("devs",))),
    "guest": Credentials("guest", Token("guest", groups=("x", "devs"), from_user_record=False)),
    "other": Credentials("carol", Token("carol")),
    "other-member": Credentials("carol", Token("carol", groups=("dev", "DEVS"))),
    "wrong-password": Credentials("alice", "bad"),
    "old-token": Credentials("alice", Token("alice", age_seconds=40000)),
    "nobody": (),
}

OWNER_AND_ROOT = frozenset({"owner", "root"})
LISTED = frozenset({"owner", "listed", "member", "guest"})
UNLISTED_OWNER = frozenset({"listed", "member", "guest"})

MAY = {
    **dict.fromkeys(RIGHTS, OWNER_AND_ROOT),
    "user_create": frozenset(CALLERS),
    "user_delete": frozenset({"root"}),
    "upload": LISTED,
    "toxresult_upload": frozenset(CALLERS),
    **dict.fromkeys(("del_project", "del_verdata", "del_entry"), UNLISTED_OWNER | OWNER_AND_ROOT),
}

PERMISSIONS = Scenario(
    "permissions",
    "operations by each kind of caller",
    [
        user("alice", "pw2"),
        user("bob"),
        user("carol"),
        index("/alice/from", acl_upload="bob"),
        index("/alice/dev", acl_upload="alice,bob,:devs"),
        index("/alice/closed", acl_upload=["bob", ":devs"]),
        *prepare(),
        *cells(CALLERS, MAY, maker="root"),
        *logins("bob", "carol", "root"),
        delete("a user deletes itself", "/new-owner", 200, credentials=Credentials("new-owner", "x")),
        delete("root deletes itself", "/root", 403, as_user="root"),
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
