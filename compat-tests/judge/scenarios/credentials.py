"""How credentials are sent, which win, and which tokens are good."""

from __future__ import annotations

import base64
from typing import Any

from ..steps import Credentials, Scenario, Step, Token, delete, index, login, patch, post, put, read_json, upload, user

TEN_HOURS = 36000


def _auth(name: str, *given: Credentials, headers: dict[str, str] | None = None) -> Step:
    """Ask `+api` who the caller is."""
    return read_json(name, "/+api", credentials=given, headers=headers or {})


def _basic(name: str, secret: str | Token) -> Credentials:
    return Credentials(name, secret, "Authorization")


def _own(name: str, secret: str | Token) -> Credentials:
    return Credentials(name, secret)


def _encoded(text: str, encoding: str = "utf-8") -> str:
    return base64.b64encode(text.encode(encoding)).decode()


def _token(name: str, user_name: str, **details: Any) -> Step:
    return _auth(name, _own(user_name, Token(**{"user": user_name, **details})))


CREDENTIALS = Scenario(
    "credentials",
    "credentials and tokens",
    [
        user("alice", "pw2"),
        put("prepare a user with a non-ascii name", "/j%C3%BCrg", 201, {"password": "p\u00e4ss:w\u00f6rd"}),
        index("/alice/vol"),
        _auth("418", _basic("alice", "pw2")),
        _auth("419", _basic("alice", Token("alice"))),
        _auth("420", _own("alice", Token("alice")), _basic("root", "")),
        _auth("421", _own("alice", Token("alice")), _basic("alice", "bad")),
        _auth("422", _basic("alice", "pw2"), _own("alice", "bad")),
        _auth("423", headers={"X-Devpi-Auth": "@@@"}),
        _auth("424", _basic("root", ""), headers={"X-Devpi-Auth": "YWxpY2U6cH"}),
        _auth("425", headers={"Authorization": "Basic @@"}),
        _auth("426", headers={"Authorization": "Bearer abc"}),
        _auth("427", Credentials("alice", "pw2", "Authorization", "basic")),
        _token("428", "root", age_seconds=TEN_HOURS + 60),
        _token("429", "alice", age_seconds=-3600),
        _auth("430", headers={"X-Devpi-Auth": _encoded("nocolon")}),
        put("431", "/newanon", 201, {"password": "x"}, credentials=_own("alice", "bad")),
        read_json("432", "/alice/vol", credentials=_own("alice", "bad")),
        login("433", "alice", Token("alice"), 401),
        _auth("nobody"),
        _auth("empty own header, good basic", _basic("root", ""), headers={"X-Devpi-Auth": ""}),
        _auth(
            "own header without colon, good basic",
            _basic("alice", "pw2"),
            headers={"X-Devpi-Auth": _encoded("nocolon")},
        ),
        _auth("unknown user, good basic", _basic("alice", "pw2"), _own("nouser", "x")),
        _auth("scheme without value", headers={"Authorization": "Basic"}),
        _auth("scheme in capitals", Credentials("alice", "pw2", "Authorization", "BASIC")),
        _auth("empty authorization", headers={"Authorization": ""}),
        _auth("password of root in the own header", _own("root", "")),
        _auth("password with a colon and non-ascii letters", _own("j\u00fcrg", "p\u00e4ss:w\u00f6rd")),
        _auth("the same in latin-1", headers={"X-Devpi-Auth": _encoded("j\u00fcrg:p\u00e4ss:w\u00f6rd", "latin-1")}),
        _auth(
            "base64 with a line break's blank",
            headers={"X-Devpi-Auth": f"{_encoded('alice:pw2')[:4]} {_encoded('alice:pw2')[4:]}"},
        ),
        _auth("base64 without padding", headers={"X-Devpi-Auth": _encoded("alice:pw2").rstrip("=")}),
        _auth("base64 with rubbish behind", headers={"X-Devpi-Auth": f"{_encoded('root:')}#"}),
        _token("a fresh signed token", "alice", age_seconds=1),
        _token("a token nearly too old", "alice", age_seconds=TEN_HOURS - 60),
        _token("a token with groups", "alice", groups=("g2", "g1"), age_seconds=1),
        _token("a token of an unknown user", "ghost", age_seconds=1),
        _token("550", "ldap", from_user_record=False, groups=("g2", "g1")),
        _token(
            "a token of a user without record, too old", "ghost", from_user_record=False, age_seconds=TEN_HOURS + 60
        ),
        _auth("a token of somebody else", _own("alice", Token("root"))),
        _auth("a token of somebody else in basic", _basic("root", Token("alice"))),
        _auth("a token with its signature cut", _own("alice", '["alice", [], true].awLnrA.DHlJcUhDGA5nF5XgLHWHbTk1d5')),
        login("a signed token as password", "alice", Token("alice", age_seconds=1), 401),
        login("549", "ldap", "bad", 401),
        put(
            "551",
            "/ldap/dev",
            200,
            {},
            credentials=_own("ldap", Token("ldap", from_user_record=False, groups=("g2", "g1"))),
        ),
        read_json("the record made for it", "/ldap"),
        patch("change the password", "/alice", 200, {"password": "pw9"}, as_user="alice"),
        _auth("the old token", _own("alice", Token("alice"))),
        _auth("the old password", _own("alice", "pw2")),
        login("the new password", "alice", "pw9", 200),
        upload("group upload before", "/alice/vol", 403, "q", "1", "q-1.tar.gz", b"1", as_user="newanon"),
        patch("allow a group", "/alice/vol", 200, ["acl_upload=:devs"], as_user="alice"),
        upload("owner outside the group", "/alice/vol", 403, "q", "1", "q-1.tar.gz", b"1"),
        upload(
            "member of the group",
            "/alice/vol",
            200,
            "q",
            "1",
            "q-1.tar.gz",
            b"1",
            as_user=None,
            credentials=_own("newanon", Token("newanon", groups=("devs",))),
        ),
        upload(
            "user without record in the group",
            "/alice/vol",
            200,
            "q",
            "2",
            "q-2.tar.gz",
            b"2",
            as_user=None,
            credentials=_basic("guest", Token("guest", groups=("x", "devs"), from_user_record=False)),
        ),
        read_json("who uploaded", "/alice/vol/q"),
        delete(
            "delete as a group member",
            "/alice/vol/q/2",
            200,
            credentials=_own("newanon", Token("newanon", groups=("devs",))),
        ),
        delete("delete the user", "/alice", 200, as_user="root"),
        _auth("token of a deleted user", _own("alice", Token("alice"))),
        post(
            "login of a deleted user", "/+login", 401, {"user": "alice", "password": "pw9"}, accept="application/json"
        ),
        user("alice", "again"),
        _auth("token of a user created again", _own("alice", Token("alice"))),
    ],
    {"alice": "pw2", "newanon": "x"},
)
