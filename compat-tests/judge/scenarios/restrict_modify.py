"""`--restrict-modify`: only listed users and groups change users and indexes."""

from __future__ import annotations

from ..steps import Credentials, Scenario, Step, Token, delete, get, patch, post, put, read_json, upload
from .permission_cells import RIGHTS, Callers, cells, logins, prepare

INSIDE = "error-texts-internals"

RESTRICT_MODIFY = Scenario(
    "restrict-modify",
    "only root may modify",
    [
        put("434", "/u1", 403, {"password": "x"}),
        put("435", "/u1", 403, {"password": "x"}, accept=None),
        put("436", "/u1", 201, {"password": "x"}, as_user="root"),
        patch("437", "/u1", 403, {"email": "x"}, as_user="u1", difference=INSIDE),
        patch("438", "/u1", 200, {"password": "x2"}, as_user="u1"),
        patch("439", "/u1", 403, {"password": "x2", "email": "e"}, as_user="u1", difference=INSIDE),
        put("440", "/u1/dev", 403, {}, as_user="u1"),
        put("441", "/u1/dev", 200, {}, as_user="root"),
        put("create an existing user", "/u1", 403, {"password": "x"}),
        put("create an existing index", "/u1/dev", 409, {}),
        put("create another user", "/u2", 201, {"password": "y"}, as_user="root"),
        patch("password of another user", "/u2", 403, {"password": "z"}, as_user="u1", difference=INSIDE),
        patch("password of root", "/root", 403, {"password": "z"}, as_user="u1", difference=INSIDE),
        patch("a user as root", "/u1", 200, {"title": "t"}, as_user="root"),
        patch("an index as its owner", "/u1/dev", 403, {"title": "t"}, as_user="u1"),
        patch("an index as root", "/u1/dev", 200, {"title": "t"}, as_user="root"),
        upload("upload as the owner", "/u1/dev", 200, "q", "1", "q-1.tar.gz", b"1", as_user="u1"),
        upload("upload as root", "/u1/dev", 403, "q", "2", "q-2.tar.gz", b"2", as_user="root"),
        delete("a version as the owner, still listed", "/u1/dev/q/1", 200, as_user="u1"),
        patch("take the owner off the list", "/u1/dev", 200, ["acl_upload=u2"], as_user="root"),
        upload("upload as the listed", "/u1/dev", 200, "q", "3", "q-3.tar.gz", b"3", as_user="u2"),
        delete("a project as the owner, no longer listed", "/u1/dev/q", 403, as_user="u1"),
        delete("a project as root", "/u1/dev/q", 200, as_user="root"),
        delete("an index as its owner", "/u1/dev", 403, as_user="u1"),
        delete("an index as root", "/u1/dev", 201, as_user="root"),
        delete("a user as itself", "/u1", 403, as_user="u1"),
        delete("a user as root", "/u2", 200, as_user="root"),
        delete("root as root", "/root", 403, as_user="root"),
        read_json("read all the same", "/"),
        post("login all the same", "/+login", 200, {"user": "u1", "password": "x2"}, accept="application/json"),
        put("create a user with an unknown token", "/u9", 403, {"password": "x"}, headers={"X-Devpi-Auth": "dTE6eA=="}),
    ],
    {"u1": "x", "u2": "y"},
    ("--restrict-modify", "root"),
)

STAFF = Credentials("sam", Token("sam", groups=("staff",), from_user_record=False))
ADMIN = Credentials("admin", Token("admin", groups=("none",), from_user_record=False))

RESTRICT_MODIFY_GROUPS = Scenario(
    "restrict-modify-groups",
    "a user and a group may modify, root may not",
    [
        put("create a user as root", "/u1", 403, {"password": "x"}, as_user="root"),
        put("create a user as the group", "/u1", 201, {"password": "x"}, credentials=STAFF),
        put("create a user as admin", "/admin", 201, {"password": "a"}, credentials=ADMIN),
        put("create an index as the group", "/u1/dev", 200, {}, credentials=STAFF),
        put("create an index as root", "/u1/other", 403, {}, as_user="root"),
        patch("an index as root", "/u1/dev", 403, {"title": "t"}, as_user="root"),
        patch("an index as admin", "/u1/dev", 200, {"title": "t"}, as_user="admin"),
        patch("a user as root", "/u1", 403, {"title": "t"}, as_user="root", difference=INSIDE),
        patch("own password of root", "/root", 200, {"password": "r"}, as_user="root"),
        patch("a password as the group", "/u1", 200, {"password": "y"}, credentials=STAFF),
        upload("upload as the owner", "/u1/dev", 200, "q", "1", "q-1.tar.gz", b"1", as_user="u1"),
        upload("upload as admin", "/u1/dev", 403, "q", "2", "q-2.tar.gz", b"2", as_user="admin"),
        delete("a version as root", "/u1/dev/q/1", 403, as_user="root"),
        delete("a version as the group", "/u1/dev/q/1", 200, credentials=STAFF),
        delete("an index as root", "/u1/dev", 403, as_user="root"),
        delete("an index as the group", "/u1/dev", 201, credentials=STAFF),
        delete("the listed user as itself", "/admin", 403, as_user="admin"),
        delete("the listed user as the group", "/admin", 200, credentials=STAFF),
        delete("root as the group", "/root", 200, credentials=STAFF),
        get("who is left", "/"),
    ],
    {"u1": "y", "admin": "a"},
    ("--restrict-modify", "admin,:staff"),
)

# The permission table under the option, as each kind of caller.
CALLERS: Callers = {
    "owner": Credentials("alice", Token("alice")),
    "root": Credentials("root", Token("root")),
    "admin": Credentials("admin", Token("admin")),
    "staff": Credentials("carol", Token("carol", groups=("staff",))),
    "guest": STAFF,
    "uploader": Credentials("bob", Token("bob")),
    "other": Credentials("carol", Token("carol")),
    "other-member": Credentials("carol", Token("carol", groups=("STAFF", "admin"))),
    "wrong-password": Credentials("admin", "bad"),
    "nobody": (),
}


def _table(name: str, option: str, maker: str, listed: frozenset[str]) -> Scenario:
    may = {
        **dict.fromkeys(RIGHTS, listed),
        "user_modify_password": listed | {"owner"},
        "upload": frozenset({"uploader"}),
        "toxresult_upload": frozenset(CALLERS),
        **dict.fromkeys(("del_project", "del_verdata", "del_entry"), listed | {"uploader"}),
    }
    return Scenario(
        name,
        f"the permission table under --restrict-modify {option}",
        [
            *_first(maker),
            *(put(f"prepare {user}", f"/{user}", 201, {"password": "pw"}, as_user=maker) for user in ("bob", "carol")),
            put("prepare alice", "/alice", 201, {"password": "pw2"}, as_user=maker),
            *(
                put(f"prepare alice/{index}", f"/alice/{index}", 200, {"acl_upload": ["bob"]}, as_user=maker)
                for index in ("dev", "from", "closed")
            ),
            *prepare(),
            *cells(CALLERS, may, maker),
            *logins("bob", "carol", "root"),
            patch("own password", "/bob", 200, {"password": "pw"}, as_user="bob"),
            patch("own password with a title", "/bob", 403, {"password": "pw", "title": "x"}, as_user="bob",
                  difference=INSIDE),
            patch("own title", "/bob", 403, {"title": "x"}, as_user="bob", difference=INSIDE),
            delete("itself", "/bob", 403, as_user="bob"),
            get("what is there", "/"),
        ],
        {"alice": "pw2", "bob": "pw", "carol": "pw", "admin": "pw"},
        ("--restrict-modify", option),
    )  # fmt: skip


def _first(maker: str) -> list[Step]:
    """The listed user itself, who at first has no record, made by the group or by root."""
    if maker == "root":
        return [put("prepare admin", "/admin", 201, {"password": "pw"}, as_user="root")]
    return [put("prepare admin", "/admin", 201, {"password": "pw"}, credentials=STAFF)]


RESTRICT_MODIFY_TABLE = _table("restrict-modify-table", "root", "root", frozenset({"root"}))
RESTRICT_MODIFY_GROUPS_TABLE = _table(
    "restrict-modify-groups-table", "admin,:staff", "admin", frozenset({"admin", "staff", "guest"})
)
