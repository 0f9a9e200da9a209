"""Inputs on which devpi-server fails with 500; ours refuses them. None may change anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..steps import (
    JSON,
    External,
    Form,
    Scenario,
    Step,
    index,
    metadata_form,
    patch,
    post,
    push,
    put,
    read_json,
    release_form,
    upload,
    user,
)

DEV = "/alice/dev"


def _crash(step: Step) -> Step:
    """The step with a crash, accepted as a difference."""
    return replace(step, difference=("server-errors",))


def _login(name: str, body: Any) -> Step:
    return post(name, "/+login", 500, body, accept=JSON)


def _form(name: str, form: Form) -> Step:
    return post(name, DEV, 500, form, as_user="alice")


def _push(name: str, body: Any, status: int = 500) -> Step:
    return push(name, DEV, status, body)


PUSH = {"name": "q", "version": "1", "targetindex": "alice/tgt"}
ELSEWHERE = {
    "name": "q", "version": "1", "posturl": External("/up/200"), "username": "u", "password": "p",
}  # fmt: skip

_REQUESTS = [
    _login("login with a list", [1]),
    _login("login with a string", "x"),
    _login("login with a number as user", {"user": 1, "password": "x"}),
    _login("login with a number as password", {"user": "root", "password": 1}),
    _login("login with an object as password", {"user": "root", "password": {"a": 1}}),
    put("create a user with its name", "/carol", 500, {"password": "x", "username": "carol"}),
    put("create a user from a list", "/carol", 500, ["password"]),
    put("create a user with a number as password", "/carol", 500, {"password": 1}),
    patch("change a user with a string", "/alice", 500, "title", as_user="alice"),
    patch("change a user with a list", "/alice", 500, ["title=x"], as_user="alice"),
    put("create an index from a list", "/alice/x", 500, ["title=x"], as_user="alice"),
    put("an inheritance that is a number", "/alice/x", 500, {"mirror_whitelist_inheritance": 1}, as_user="alice"),
    put("a list of principals that are numbers", "/alice/x", 500, {"acl_upload": [1]}, as_user="alice"),
    put("a title that is null", "/alice/x", 500, {"title": None}, as_user="alice"),
    patch("change an index with a string", DEV, 500, "title", as_user="alice"),
    patch("change an index with a list of numbers", DEV, 500, [1], as_user="alice"),
    patch("append to an absent key", DEV, 500, ["custom_data+=x"], as_user="alice"),
    patch("append to a text", DEV, 500, ["title+=x"], as_user="alice"),
    patch("remove from an absent key", DEV, 500, ["custom_data-=x"], as_user="alice"),
    _form(
        "upload without a name",
        Form(((":action", "file_upload"), ("version", "1")), (("content", "q-1.tar.gz", b"x"),)),
    ),
    _form(
        "upload without a version",
        Form(((":action", "file_upload"), ("name", "q")), (("content", "q-1.tar.gz", b"x"),)),
    ),
    _form(
        "upload with text as content", metadata_form("file_upload", ("name", "q"), ("version", "1"), ("content", "x"))
    ),
    _push("push of a list", ["q", "1"]),
    _push("push of a text", "q"),
    _push("push of a number", 1),
    _push("push of null", b"null"),
    _push("push of nothing", {}),
    _push("push without a name", {"version": "1", "targetindex": "alice/tgt"}),
    _push("push without a version", {"name": "q", "targetindex": "alice/tgt"}),
    _push("push of a name that is a number", {**PUSH, "name": 1}),
    _push("push of a name that is a list", {**PUSH, "name": ["q"]}),
    _push("push of a name that is null", {**PUSH, "name": None}),
    _push("push to a number", {**PUSH, "targetindex": 1}),
    _push("push to a list", {**PUSH, "targetindex": ["alice", "tgt"]}),
    _push("push to nowhere", {"name": "q", "version": "1"}),
    _push("push elsewhere to null", {**ELSEWHERE, "posturl": None}, 502),
    _push("push elsewhere without a url", {key: ELSEWHERE[key] for key in ELSEWHERE if key != "posturl"}),
    _push("push elsewhere without a user", {key: ELSEWHERE[key] for key in ELSEWHERE if key != "username"}),
    _push("push elsewhere without a password", {key: ELSEWHERE[key] for key in ELSEWHERE if key != "password"}),
    _push("push elsewhere to a number", {**ELSEWHERE, "posturl": 1}, 502),
    _push("push elsewhere to an empty url", {**ELSEWHERE, "posturl": ""}),
    _push("push elsewhere to a path", {**ELSEWHERE, "posturl": "/up/200"}),
    _push("push elsewhere by another scheme", {**ELSEWHERE, "posturl": "ftp://127.0.0.1/"}),
    _form("upload with a slash in the file name", release_form("q", "1", "q-1/x-1.tar.gz", b"x")),
    _form("upload with a slash in the version", release_form("q", "1/2", "q-1/2.tar.gz", b"x")),
]

CRASHES = Scenario(
    "crashes",
    "inputs that crash devpi-server",
    [
        user("alice", "pw2"),
        index("/alice/dev", title="T"),
        index("/alice/tgt"),
        upload("prepare a release", DEV, 200, "q", "1", "q-1.tar.gz", b"q"),
        *(_crash(step) for step in _REQUESTS),
        read_json("users are as before", "/"),
        read_json("the index is as before", DEV),
        read_json("the target is as before", "/alice/tgt"),
        read_json("the release is as before", f"{DEV}/q"),
    ],
    {"alice": "pw2"},
)
