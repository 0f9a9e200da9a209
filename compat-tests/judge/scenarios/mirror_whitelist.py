"""Stages over mirrors: order, whitelists, and what is blocked; the captured pairs of it are in `mirror_captured`."""

from __future__ import annotations

from typing import Any

from upstream import Project

from ..steps import (
    SIMPLE_JSON,
    Scenario,
    Step,
    configure,
    delete,
    die,
    fault,
    get,
    heal,
    index,
    json_page,
    mirrored_json_page,
    mirrored_list,
    mirrored_page,
    mirrored_pip_page,
    page,
    publish,
    push,
    read_json,
    revive,
    upload,
)
from .mirror_data import IMPATIENT, LONG, TIMEOUT, alice, hashed, mirror, release

M, N = "/alice/m", "/alice/n"
DEV, MID, TOP = "/alice/dev", "/alice/mid", "/alice/top"
WA = release("wa", "9.0")
SAME = release("same", "1.0")


def at(path: str, project: str = "wa") -> str:
    """The page of a project."""
    return f"{path}/+simple/{project}/"


def private(path: str, project: str, version: str) -> Step:
    """A release that is ours."""
    return upload(
        f"prepare {project} {version} in {path}", path, 200, project, version, f"{project}-{version}.tar.gz", b"own"
    )


def _mixed(name: str, path: str, *, blocked: bool = False, **details: Any) -> list[Step]:
    """The page in two formats, and the versions."""
    return [
        page(f"{name}, for people", path, difference="mirror-refresh-form", mirrored=True, **details),
        json_page(f"{name}, in json", path, mirrored=True, **details),
        read_json(f"{name}, versions", path.replace("/+simple/", "/").rstrip("/")),
        read_json(f"{name}, a version", path.replace("/+simple/", "/") + "9.0", 404 if blocked else 200),
    ]


_ONE_STAGE = [
    index(DEV, bases="alice/m"),
    mirrored_page("nothing private", at(DEV)),
    mirrored_pip_page("nothing private, for pip", at(DEV)),
    read_json("nothing private, versions", "/alice/dev/wa"),
    read_json("nothing private, a version", "/alice/dev/wa/9.0"),
    private(DEV, "wa", "1.0"),
    *_mixed("private", at(DEV), blocked=True),
    configure(DEV, "mirror_whitelist=wb"),
    *_mixed("another one is whitelisted", at(DEV), blocked=True),
    configure(DEV, "mirror_whitelist=WA"),
    *_mixed("whitelisted", at(DEV)),
    configure(DEV, "mirror_whitelist=*"),
    *_mixed("all are whitelisted", at(DEV)),
    configure(DEV, "mirror_whitelist="),
    *_mixed("nothing is whitelisted any more", at(DEV), blocked=True),
    get("a file of the mirror through the stage", hashed(DEV, WA), 404),
    get("the file of the mirror", hashed(M, WA), difference="mirror-first-download"),
    mirrored_list("the list of both", f"{DEV}/+simple/"),
    read_json("the record of the stage", DEV),
    push("push the blocked version", DEV, 400, {"name": "wa", "version": "9.0", "targetindex": "alice/other"}),
]

_TWO_STAGES = [
    index(MID, bases="alice/m", mirror_whitelist="*"),
    index(TOP, bases="alice/mid"),
    *_mixed("nothing private in two stages", at(TOP), unmarked=False),
    private(MID, "wa", "2.0"),
    *_mixed("open below", at(TOP), blocked=True),
    *_mixed("open itself", at(MID)),
    configure(TOP, "mirror_whitelist_inheritance=union"),
    *_mixed("open below, by union", at(TOP)),
    configure(TOP, "mirror_whitelist=wa", "mirror_whitelist_inheritance=intersection"),
    *_mixed("open on top", at(TOP)),
    configure(MID, "mirror_whitelist="),
    *_mixed("open only on top", at(TOP)),
    configure(TOP, "mirror_whitelist=wb"),
    *_mixed("open for another on top", at(TOP), blocked=True),
    configure(MID, "mirror_whitelist=wa,wb"),
    *_mixed("the intersection has another", at(TOP), blocked=True),
    private(TOP, "wa", "3.0"),
    *_mixed("private twice", at(TOP), blocked=True),
    configure(TOP, "mirror_whitelist_inheritance=union"),
    *_mixed("private twice, by union", at(TOP)),
    configure(TOP, "mirror_whitelist=*"),
    *_mixed("private twice, all", at(TOP)),
]

_ORDER = [
    mirror(N, url="http://other.example/simple/"),
    index("/alice/both", bases="alice/n,alice/dev,alice/m"),
    index("/alice/mirrors", bases="alice/n,alice/m"),
    index("/alice/diamond", bases="alice/dev,alice/mid"),
    mirrored_json_page("two mirrors", at("/alice/mirrors", "same")),
    mirrored_page("two mirrors, for people", at("/alice/mirrors", "same")),
    mirrored_json_page("mirrors behind stages", at("/alice/both", "same")),
    private("/alice/dev", "same", "1.0"),
    configure("/alice/both", "mirror_whitelist=*"),
    *(
        step
        for name, path in (("the same file in both", "/alice/both"), ("the same through a diamond", "/alice/diamond"))
        for step in (
            page(f"{name}, for people", at(path, "same"), difference="mirror-refresh-form", mirrored=True),
            json_page(f"{name}, in json", at(path, "same"), mirrored=True),
            read_json(f"{name}, versions", f"{path}/same"),
            read_json(f"{name}, a version", f"{path}/same/1.0"),
        )
    ),
    mirrored_list("the list of all", "/alice/both/+simple/"),
    mirrored_list("the list of all, in json", "/alice/both/+simple/", accept=SIMPLE_JSON, audience="installer"),
    read_json("the record of all", "/alice/both"),
    get("nobody has it", at("/alice/both", "nope"), 404, difference="mirror-unlisted"),
]

_TROUBLE = [
    mirrored_json_page(
        "one mirror fails", at("/alice/mirrors", "other"), stale=True, before=fault("/simple/other/", status=503)
    ),
    json_page("private, and the mirror is dead", at(DEV, "wa"), before=[heal(), die()]),
    mirrored_json_page("remembered, and the mirror is dead", at(DEV, "wb"), stale=True),
    get("unknown, and the mirror is dead", at(DEV, "wc"), 404, difference="mirror-unlisted", our_status=200),
    json_page(
        "private, and the dead mirror is whitelisted",
        at("/alice/both", "same"),
        mirrored=True,
        difference="mirror-stale-header",
    ),
    mirrored_list("the list, and the mirror is dead", f"{DEV}/+simple/", difference="mirror-list-stale"),
    mirrored_json_page("alive again", at(DEV, "wb"), before=revive()),
    configure(M, f"mirror_cache_expiry={LONG}"),
    delete("the mirror is deleted", M, 201, as_user="alice"),
    json_page("a base that was deleted", at(DEV, "wa")),
    get("what only the deleted mirror had", at(DEV, "wb"), 404),
]  # fmt: skip

MIRROR_WHITELIST = Scenario(
    "mirror-whitelist",
    "stages over mirrors",
    [
        alice(),
        mirror(M),
        index("/alice/other"),
        *_ONE_STAGE,
        mirrored_json_page("read wb", at(DEV, "wb")),
        *_TWO_STAGES,
        *_ORDER,
        *_TROUBLE,
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("wa", [WA]),
            Project("wb", [release("wb", "9.0")]),
            Project("wc", [release("wc", "9.0")]),
            Project("same", [SAME, release("same", "2.0")]),
            Project("other", [release("other", "1.0")]),
        ),
    ),
)
