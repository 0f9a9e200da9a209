"""Creating, reading, changing and deleting users."""

from __future__ import annotations

from ..steps import HTML, JSON, Credentials, Scenario, Step, call, delete, get, head, login, patch, post, put, read_json

# Argon2id hash of "from outside", with costs other than the defaults.
PASSWORD_HASH = "$argon2id$v=19$m=8,t=1,p=1$anVkZ2VqdWRnZWp1ZGdlag$3yrWHAVlPULozglu9l+3n7vwe3WaQE91lUOaeXg72Gw"


def with_password(name: str, password: str) -> Step:
    """`GET /+api` as alice with a plain password."""
    return read_json(name, "/+api", credentials=Credentials("alice", password))


_CREATE = [
    put("031", "/alice", 201, {"password": "pw1", "email": "a@x"}),
    put("032", "/alice", 409, {"password": "pw1"}),
    put("033", "/bob/", 201, {"password": "pw"}),
    put("034", "/carol", 400, {"email": "x"}),
    put("035", "/carol", 400, b"{"),
    put("036", "/carol", 400, {"password": "x", "foo": "1"}),
    put("037", "/carol", 400, {"password": "x", "zoo": "1", "foo": 2}),
    put("038", "/ca%20rol", 400, {"password": "x"}),
    put("039", "/ca%3Arol", 400, {"password": "x"}),
    put("040", "/ca!rol", 400, {"password": "x"}),
    put("041", "/c%C3%A4rol", 201, {"password": "x"}),
    put("042", "/Carol-X.y@z_1", 201, {"password": "x"}),
    put("043", "/ca+rol", 404, {"password": "x"}),
    put("044", "/dave", 201, {"password": None}),
    put("045", "/dave2", 201, {"password": "x", "pwhash": "abc"}, difference="pwhash-invalid"),
    login("login with an unusable hash", "dave2", "x", 500, difference="server-errors"),
    put("046", "/dave4", 201, {"password": "x"}, accept=None),
    put("047", "/dave5", 201, {"password": "x"}, accept=HTML),
    put("048", "/dave8", 201, {"password": "x", "email": "", "title": None}),
    put("create an existing user without json", "/alice", 409, b"{"),
    put("create without a body", "/carol", 400, None),
    put("create without a body for a browser", "/carol", 400, None, accept=HTML),
    put("create with a dot", "/.b", 201, {"password": "x"}),
    put("create with a dash", "/-", 201, {"password": "x"}),
    put("create with a control character", "/a%01b", 400, {"password": "x"}),
    put("create with an encoded slash", "/a%2Fb", 404, {"password": "x"}),
    put("create with a double quote", "/a%22b", 400, {"password": "x"}),
    put("create with a single quote", "/a'b", 400, {"password": "x"}),
    put("create with nested data", "/dora", 201, {"password": "x", "title": {"a": [1]}, "custom_data": "text"}),
    put("create with a password hash", "/hans", 201, {"password": "x", "pwhash": PASSWORD_HASH}),
    login("login by the hash", "hans", "from outside", 200),
    login("login by the password beside the hash", "hans", "x", 401),
]

UNVALIDATED = "user-unvalidated"

_UNCHECKED = [
    put(
        "080",
        "/ed2",
        201,
        {"password": "x", "indexes": {"x": {"type": "stage"}}, "created": "2000-01-01T00:00:00Z", "modified": "x"},
        difference=UNVALIDATED,
    ),
    read_json("081", "/ed2", difference=UNVALIDATED),
    read_json("082", "/ed2/x", difference=UNVALIDATED),
    put("create with a time", "/ed3", 201, {"password": "x", "modified": "x"}, difference=UNVALIDATED),
    read_json("no such time is kept", "/ed3", difference=UNVALIDATED),
    delete("delete its user", "/ed2", 500, as_user="root", difference=UNVALIDATED, our_status=404),
]

_READ_AND_CHANGE = [
    read_json("049", "/alice"),
    get("050", "/alice", 404, accept=HTML),
    read_json("051", "/nouser", 404),
    get("052", "/nouser", 404),
    patch("053", "/alice", 403, {"email": "b@x"}, difference="error-texts-internals"),
    patch("054", "/alice", 403, {"password": "new"}, difference="error-texts-internals"),
    patch("055", "/nouser", 404, {"password": "new"}),
    patch("056", "/alice", 200, {"email": "b@x"}, as_user="alice"),
    read_json("057", "/alice"),
    patch("before 058", "/alice", 200, {"email": "", "title": "x", "custom_data": [1, 2]}, as_user="alice"),
    read_json("058", "/alice"),
    patch("059", "/alice", 403, {"email": "b@x"}, as_user="bob", difference="error-texts-internals"),
    patch("060", "/alice", 403, {"password": "b"}, as_user="bob", difference="error-texts-internals"),
    patch("061", "/root", 403, {"title": "x"}, as_user="alice", difference="error-texts-internals"),
    patch("062", "/alice", 400, b"x", as_user="alice"),
    patch("063", "/alice", 200, {"password": "pw2"}, as_user="alice"),
    read_json("064", "/+api", as_user="alice"),
    with_password("065", "pw1"),
    with_password("066", "pw2"),
    patch("067", "/alice", 200, {"password": ""}, as_user="alice"),
    with_password("068", "pw2"),
    with_password("069", ""),
    patch("070", "/alice", 200, {"password": "pw2", "title": "both"}, as_user="alice"),
    head("read by head", "/alice", accept=JSON),
    get("read with a slash", "/alice/"),
    get("read percent encoded", "/%61lice"),
    get("read for a browser with json", "/alice", accept=f"{HTML}, {JSON}"),
    patch("change nothing", "/alice", 200, {}, as_user="alice"),
    patch("change to the same", "/alice", 200, {"title": "both"}, as_user="alice"),
    patch(
        "change unknown keys",
        "/alice",
        200,
        {"foo": 1, "indexes": {"q": {}}, "username": "z", "created": "x"},
        as_user="alice",
    ),
    patch("change with a null password", "/alice", 200, {"password": None, "description": "d"}, as_user="alice"),
    read_json("read after changes", "/alice"),
    with_password("password after changes", "pw2"),
    patch("change without json as nobody", "/alice", 400, b"x", accept=HTML),
    patch("change an unknown user for a browser", "/nouser", 404, {"title": "x"}, accept=HTML),
    patch("change as root", "/alice", 200, {"title": "by root"}, as_user="root"),
    patch("change a password as root", "/bob", 200, {"password": "pw3"}, as_user="root"),
    login("login with the password set by root", "bob", "pw3", 200),
    patch(
        "change as devpi-client does",
        "/alice",
        200,
        {"created": "2020-01-01T00:00:00Z", "modified": "2020-01-01T00:00:00Z", "custom_data": [1, 2], "title": "hey"},
        as_user="alice",
    ),
    patch("empty all", "/alice", 200, {"title": "", "description": [], "custom_data": 0}, as_user="alice"),
    read_json("read when emptied", "/alice"),
]

_DELETE = [
    delete("071", "/bob", 403),
    delete("072", "/bob", 403, accept=None),
    delete("073", "/bob", 403, accept=HTML),
    delete("074", "/nouser", 404, as_user="root"),
    delete("075", "/nouser", 404, as_user="root", accept=None),
    delete("076", "/bob", 200, as_user="bob"),
    read_json("077", "/+api", as_user="bob"),
    post("078", "/alice", 404, {}, accept=JSON, as_user="alice"),
    delete("delete root as root", "/root", 403, as_user="root"),
    delete("delete another user", "/dave4", 403, as_user="alice"),
    delete("delete an unknown user as a user", "/nouser", 403, as_user="alice"),
    delete("delete as root", "/dave5/", 200, as_user="root"),
    delete("delete again", "/dave5", 404, as_user="root"),
    read_json("read a deleted user", "/dave5", 404),
    login("login of a deleted user", "bob", "pw3", 401),
    put("create a deleted user again", "/bob", 201, {"password": "pw4"}),
    read_json("old token of the new user", "/+api", as_user="bob"),
    call("an unknown method", "LOCK", "/alice", 404, accept=JSON),
]

USERS = Scenario(
    "users",
    "user life cycle",
    [*_CREATE, *_READ_AND_CHANGE, *_DELETE, *_UNCHECKED],
    {"alice": "pw1", "bob": "pw"},
)
