"""Inputs on which devpi-server fails with 500; ours refuses them. None may change anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..steps import (
    JSON,
    Form,
    Scenario,
    Step,
    index,
    metadata_form,
    patch,
    post,
    put,
    read_json,
    release_form,
    user,
)

DEV = "/alice/dev"


def _crash(step: Step) -> Step:
    """The step with the status of a crash, accepted as a difference."""
    return replace(step, status=500, difference=("server-errors",))


def _login(name: str, body: Any) -> Step:
    return post(name, "/+login", 500, body, accept=JSON)


def _form(name: str, form: Form) -> Step:
    return post(name, DEV, 500, form, as_user="alice")


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
    _form("upload with a slash in the file name", release_form("q", "1", "q-1/x-1.tar.gz", b"x")),
    _form("upload with a slash in the version", release_form("q", "1/2", "q-1/2.tar.gz", b"x")),
]

CRASHES = Scenario(
    "crashes",
    "inputs that crash devpi-server",
    [
        user("alice", "pw2"),
        index("/alice/dev", title="T"),
        *(_crash(step) for step in _REQUESTS),
        read_json("users are as before", "/"),
        read_json("the index is as before", DEV),
    ],
    {"alice": "pw2"},
)
