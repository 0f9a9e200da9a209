"""`devpi login`, `logoff`, `user` and `passwd`: who one is, and what belongs to a user."""

from __future__ import annotations

import json
from pathlib import Path

from clients import Hidden

from ..steps import GENERIC, Scenario, devpi, put, show

DEV = "{server}/alice/dev"
ALICE, BOB, CAROL, NOBODY = (f"new password for user {name}:" for name in ("alice", "bob", "carol", "nobody"))
NO, YES = [("with less than 8 characters, are you sure", "no")], [("empty password, are you sure", "yes")]
NEW, OTHER, SHORT, EMPTY = (Hidden(word) for word in ("new-pw-123", "other-pw-1", "short", ""))


def twice(prompt: str, password: str, repeated: str = "") -> list[tuple[str, str]]:
    """What is asked and typed for a new password."""
    return [(prompt, password), (f"repeat {prompt}", repeated or password)]


def spoil_tokens(home: Path) -> None:
    """Changes the signature of every stored login."""
    file = home / ".devpi/client/auth.json"
    stored = json.loads(file.read_text())
    for pairs in stored["auth"].values():
        for pair in pairs:
            pair[1] = pair[1][:-4] + "AAAA"
    file.write_text(json.dumps(stored))


SCENARIOS = (
    Scenario(
        "login",
        [
            devpi("login", "alice", "--password", "x", code=1, says="not connected to a server"),
            devpi("logoff", says="not logged in"),
            devpi("use", "{server}"),
            devpi("login", code=2, says="the following arguments are required: username"),
            devpi("login", "alice", "--password", "alice-pw-1", says="credentials valid for 10.00 hours"),
            show(".devpi/client/auth.json"),
            devpi("use", DEV, says="(logged in as alice)"),
            devpi("login", "bob", "--password", "bob-pw-1", says="logged in 'bob' at '{server}/alice/dev'"),
            show(".devpi/client/auth.json"),
            devpi("login", "bob", "--password", "wrong", code=1, says="401 Unauthorized: user 'bob' could not be"),
            devpi("login", "bob", "--password", "", code=1),
            devpi("login", "bob", "--password", "ümläut", code=1),
            devpi("login", "nobody", "--password", "x", code=1, says="401 Unauthorized"),
            devpi("login", "", "--password", "x", code=1),
            devpi("use", says="(logged in as bob)"),
            devpi("login", "root", "--password", "", *GENERIC, says="logged in 'root'"),
            devpi("logoff", *GENERIC, says="login information deleted"),
            devpi("logoff", says="not logged in"),
            devpi("use", says="(not logged in)"),
            devpi("use", "--user", "alice", says="(logged in as alice)"),
            devpi("logout", *GENERIC, says="login information deleted"),
            devpi("logout"),
            show(".devpi/client/auth.json"),
        ],
        users=("alice", "bob"),
    ),
    Scenario(
        "login-on-a-terminal",
        [
            devpi("login", "alice", dialogue=[("password for user alice at ", Hidden("alice-pw-1"))]),
            devpi("login", "alice", dialogue=[("password for user alice at ", Hidden("wrong"))], code=1),
            devpi("use", says="(logged in as alice)"),
        ],
        use="alice/dev",
    ),
    Scenario(
        "a-login-that-is-worth-nothing",
        [
            put(spoil_tokens, into=""),
            devpi("list"),
            devpi("index", "-c", "more", code=1, says="403 Forbidden"),
            devpi("use", says="(not logged in)"),
            show(".devpi/client/auth.json"),
            devpi("login", "alice", "--password", "alice-pw-1"),
            put(spoil_tokens, into=""),
            devpi("login", "alice", "--password", "alice-pw-1"),
            devpi("use", says="(logged in as alice)"),
        ],
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "user-create-and-show",
        [
            devpi("user", code=1, says="no user specified and no user currently active"),
            devpi("user", "-c", "bob", "password=bob-pw-123", "email=bob@project.example", says="user created: bob"),
            devpi("user", "bob", says="email=bob@project.example"),
            devpi("user", "-c", "carol", "password=carol-pw-1", "title=A Title", "description=a\nb", *GENERIC),
            devpi("user", "carol", *GENERIC, says="description=a"),
            devpi("user", "--create", "dora", "pwhash=nonsense", code=1, says="password needs to be set"),
            devpi("user", "-c", "eve", "password=eve-pw-123", "custom_data=mine", "email="),
            devpi("user", "eve"),
            devpi("user", "-c", "bob", "password=bob-pw-123", code=1, says="409 Conflict: user already exists"),
            devpi("user", "-c", "b$b", "password=bob-pw-123", code=1, says="400 Bad Request"),
            devpi("user", "-c", "b b", "password=bob-pw-123", code=1, says="400 Bad Request"),
            devpi("user", "-c", "b/b", "password=bob-pw-123", code=1, says="user name contains a slash"),
            devpi("user", "-c", "+b", "password=bob-pw-123", code=1),
            devpi("user", "-c", "Über", "password=bob-pw-123", says="user created: Über"),
            devpi("user", "-c", "B.o-b_@1", "password=bob-pw-123"),
            devpi("user", "-c", "frank", "password=frank-pw-1", "phone=1", code=1, says="Unknown keys"),
            devpi("user", "-c", "frank", "password=frank-pw-1", "username=fred", code=1, difference="server-errors"),
            devpi("user", "-c", "frank", "password", code=1, says="No equal sign in argument"),
            devpi("user", "-c", code=1, says="need to specify a username"),
            devpi("user", "-c", "-m", "bob", code=2, says="not allowed with argument"),
            devpi("user", "-l", says="bob"),
            devpi("user", "--list"),
            devpi("user", "nobody", code=1, says="404 Not Found: no user 'nobody'"),
            devpi("user", "nobody/dev", code=1),
            devpi("login", "bob", "--password", "bob-pw-123"),
            devpi("user", says="{server}/bob:"),
        ],
        use="/",
    ),
    Scenario(
        "user-modify",
        [
            devpi("user", "-m", "alice", "email=a@project.example", "title=A Title", says="user modified: alice"),
            devpi("user", "--modify", "alice", "description=x", "custom_data=y"),
            devpi("user", "alice", says="title=A Title"),
            devpi("user", "alice", "email=", "title="),
            devpi("user", "alice"),
            devpi("user", "-m", "alice", says="user modified: alice"),
            devpi("user", "-m", "alice", "password=new-pw-123", says="changing password: ********"),
            devpi("login", "alice", "--password", "alice-pw-1", code=1),
            devpi("login", "alice", "--password", "new-pw-123"),
            devpi("user", "alice", "phone=1"),
            devpi("user", "alice", "password=", code=0),
            devpi("user", "alice", "created=2001-01-01T00:00:00Z"),
            devpi("user", "-m", "bob", "title=x", code=1, difference="error-texts-internals"),
            devpi("user", "-m", "nobody", "title=x", code=1, says="404 Not Found"),
            devpi("logoff"),
            devpi("user", "-m", "alice", "title=x", code=1, difference="error-texts-internals"),
            devpi("login", "root", "--password", ""),
            devpi("user", "-m", "alice", "title=by root"),
            devpi("user", "-m", "bob", "password=root-made-1", "email=b@project.example"),
            devpi("login", "bob", "--password", "root-made-1"),
        ],
        users=("alice", "bob"),
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "user-delete",
        [
            devpi("user", "--delete", code=1, says="need to specify a username"),
            devpi("user", "--delete", "alice", input="maybe\nno\n", says="not a valid choice 'maybe'"),
            devpi("user", "--delete", "bob", "-y", code=1, says="403 Forbidden"),
            devpi("user", "--delete", "nobody", "-y", code=1),
            devpi("user", "--delete", "root", "-y", code=1),
            devpi("user", "--delete", "alice", "-y", code=1, says="has non-volatile index: prod"),
            devpi("index", "prod", "volatile=True"),
            devpi("user", "--delete", "alice", input="yes\n", says="user deleted: alice"),
            devpi("user", "alice", code=1, says="404 Not Found"),
            devpi("use", code=1),
            devpi("login", "alice", "--password", "alice-pw-1", code=1),
            devpi("login", "root", "--password", ""),
            devpi("user", "--delete", "root", "-y", code=1),
            devpi("user", "--delete", "nobody", "-y", code=1, says="404 Not Found"),
            devpi("user", "--delete", "bob", dialogue=[("Are you sure (yes/no)? ", "yes")]),
            devpi("user", "-l", says="root"),
        ],
        users=("alice", "bob"),
        indexes={"alice/dev": {}, "alice/prod": {"volatile": False}, "bob/dev": {}},
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "passwords-on-a-terminal",
        [
            devpi("user", "-c", "carol", dialogue=twice(CAROL, NEW, OTHER) + twice(CAROL, NEW), says="did not match"),
            devpi("passwd", dialogue=twice(ALICE, NEW), says="changing password: ********"),
            devpi("list"),
            devpi("login", "alice", "--password", "alice-pw-1", code=1),
            devpi("login", "alice", "--password", "new-pw-123"),
            devpi("passwd", "alice", dialogue=twice(ALICE, SHORT) + NO + twice(ALICE, EMPTY) + YES),
            devpi("login", "alice", "--password", ""),
            devpi("passwd", "bob", code=1, dialogue=twice(BOB, NEW), difference="error-texts-internals"),
            devpi("passwd", "nobody", code=1, dialogue=twice(NOBODY, NEW), says="404 Not Found"),
            devpi("login", "root", "--password", ""),
            devpi("passwd", "bob", *GENERIC, dialogue=twice(BOB, NEW)),
            devpi("login", "bob", "--password", "new-pw-123"),
            devpi("logoff"),
            devpi("passwd", code=1, says="no user specified and no user currently active"),
        ],
        users=("alice", "bob"),
        as_user="alice",
        use="alice/dev",
    ),
)
