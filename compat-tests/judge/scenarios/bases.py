"""Indexes that inherit from others, loops and deleted bases included."""

from __future__ import annotations

from ..distributions import archive, wheel
from ..steps import (
    Scenario,
    configure,
    delete,
    get,
    index,
    json_page,
    page,
    patch,
    pip_page,
    project_list,
    read_json,
    upload,
    user,
)

LA, LB, LC = "/alice/la", "/alice/lb", "/alice/lc"
Q3 = archive(q="3")

_LOOP = [
    user("alice", "pw2"),
    user("bob"),
    index(LA),
    index(LB),
    index(LC),
    upload("prepare q 1", LA, 200, "q", "1", "q-1.zip", archive(q="1")),
    upload("prepare q 2", LB, 200, "q", "2", "q-2.zip", archive(q="2")),
    configure(LC, "bases=alice/lc"),
    configure(LB, "bases=alice/la,alice/lc"),
    patch("501", LA, 200, ["bases=alice/lb"], as_user="alice"),
    page("502", "/alice/la/+simple/q/"),
    project_list("503", "/alice/la/+simple/"),
    pip_page("loop for pip", "/alice/la/+simple/q/"),
    json_page("loop in json", "/alice/la/+simple/q/"),
    json_page("loop without a slash", "/alice/la/+simple/q"),
    read_json("loop as project data", "/alice/la/q"),
    read_json("loop without bases", "/alice/la/q?ignore_bases"),
    delete("504", LB, 201, as_user="alice"),
    read_json("505", "/alice/la?no_projects"),
    page("506", "/alice/la/+simple/q/"),
    project_list("507", "/alice/la/+simple/"),
    patch("508", LA, 400, ["title=x"], as_user="alice"),
    patch("509", LA, 200, {"title": "x"}, as_user="alice"),
    patch("510", LA, 200, ["bases-=alice/lb"], as_user="alice"),
    patch("511", LA, 200, ["acl_upload=:AUTHENTICATED:,:grp"], as_user="alice"),
    upload("upload as any user", LA, 200, "q", "3", "q-3.zip", Q3, as_user="bob"),
    upload("upload as nobody", LA, 401, "q", "4", "q-4.zip", archive(q="4"), as_user=None),
    configure(LA, "acl_upload=:ANONYMOUS:"),
    upload("upload as nobody when allowed", LA, 200, "q", "4", "q-4.zip", archive(q="4"), as_user=None),
    read_json("log of an upload by nobody", "/alice/la/q/4"),
    delete("512", "/alice/la/q/4", 200),
    upload("513", f"{LA}/", 400, "x", "1.0", "x-1.0.tar.xz", b"x"),
    upload("before 514", LA, 200, "X", "1.0", "xyz-1.0.zip", archive(x="1")),
    upload("before 514 too", LA, 200, "X", "1.0", "x-1.0.zip", archive(x="1")),
    read_json("514", "/alice/la/x/1.0"),
    page("515", "/alice/la/+simple/x/"),
]

_INHERITANCE = [
    index("/alice/base"),
    index("/bob/other"),
    index("/alice/top", bases="alice/base,bob/other"),
    upload("prepare a shadowed release", "/alice/base", 200, "priv", "1.0", "priv-1.0.tar.gz", b"base"),
    upload("prepare another release", "/alice/base", 200, "priv", "2.0", "priv-2.0.tar.gz", b"base2"),
    upload(
        "prepare an unrelated release", "/bob/other", 200, "only-bob", "1", "only_bob-1.tar.gz", b"bob", as_user="bob"
    ),
    upload(
        "prepare a release of bob",
        "/bob/other",
        200,
        "Priv",
        "3.0",
        "Priv-3.0-py3-none-any.whl",
        wheel("Priv", "3.0"),
        as_user="bob",
    ),
    upload(
        "prepare the same release elsewhere",
        "/bob/other",
        200,
        "Priv",
        "2.0",
        "priv-2.0.tar.gz",
        b"bob2",
        as_user="bob",
    ),
    read_json("inherited project", "/alice/top/priv"),
    read_json("inherited version", "/alice/top/priv/2.0"),
    read_json("inherited project without bases", "/alice/top/priv?ignore_bases="),
    read_json("inherited unknown version", "/alice/top/priv/9", 404),
    page("inherited page", "/alice/top/+simple/priv/"),
    json_page("inherited page in json", "/alice/top/+simple/priv/"),
    json_page(
        "inherited page without slash", "/alice/top/priv", agent="uv/0.5", accept="application/vnd.pypi.simple.v1+json"
    ),
    project_list("list with bases", "/alice/top/+simple/"),
    project_list("list with bases for pip", "/alice/top/+simple/", agent="pip/23.0", audience="installer"),
    json_page("list with bases in json", "/alice/top/+simple/", unmarked=False),
    read_json("projects of the index alone", "/alice/top"),
    upload(
        "own release in front", "/alice/top", 200, "priv", "2.0", "priv-2.0.tar.gz", b"top2", ("requires_python", ">=3")
    ),
    read_json("shadowing", "/alice/top/priv/2.0"),
    json_page("the first of several files of a name", "/alice/top/+simple/priv/"),
    project_list("list with an own project", "/alice/top/+simple/"),
    delete("delete the own project", "/alice/top/priv", 200, as_user="alice"),
    delete("delete an inherited project", "/alice/top/priv", 404, as_user="alice", difference="no-half-changes"),
    delete("delete an inherited version", "/alice/top/priv/2.0", 404, as_user="alice"),
    json_page("inherited page again", "/alice/top/+simple/priv/"),
    delete("delete in the base", "/alice/base/priv/2.0", 200, as_user="alice"),
    json_page("change of a base shows", "/alice/top/+simple/priv/"),
    patch("bases in another order", "/alice/top", 200, ["bases=bob/other,alice/base"], as_user="alice"),
    page("inherited page in another order", "/alice/top/+simple/priv/"),
    delete("delete the user of a base", "/bob", 200, as_user="bob"),
    json_page("page without the deleted base", "/alice/top/+simple/priv/"),
    get("project of the deleted base", "/alice/top/+simple/only-bob/", 404),
]

_TWICE = [
    index("/alice/deep"),
    index("/alice/left", bases="alice/deep"),
    index("/alice/right", bases="alice/deep"),
    index("/alice/diamond", bases="alice/left,alice/right"),
    index("/alice/twice", bases="alice/deep,alice/deep"),
    upload("prepare a release below all", "/alice/deep", 200, "low", "1.0", "low-1.0.tar.gz", b"low"),
    project_list("a base reached in two ways", "/alice/diamond/+simple/", difference="bases-once"),
    project_list("a base named twice", "/alice/twice/+simple/", difference="bases-once"),
    read_json("a release reached in two ways", "/alice/diamond/low", difference="bases-once"),
    read_json("a release reached twice", "/alice/twice/low/1.0", difference="bases-once"),
    page("a file reached in two ways", "/alice/diamond/+simple/low/"),
]

_OWN_VERSIONS = [
    index("/alice/w1"),
    index("/alice/w2"),
    index("/alice/w4", bases="alice/w1,alice/w2", mirror_whitelist=["*"]),
    upload("prepare priv 1.0", "/alice/w1", 200, "priv", "1.0", "priv-1.0.tar.gz", b"1.0"),
    upload("prepare priv 2.0", "/alice/w2", 200, "priv", "2.0", "priv-2.0.tar.gz", b"2.0"),
    read_json("339", "/alice/w1/priv?ignore_bases"),
    read_json("340", "/alice/w4/priv/2.0"),
    read_json("342 before it has one", "/alice/w4/priv?ignore_bases="),
    upload("before 341", "/alice/w4", 200, "priv", "2.0", "priv-2.0.tar.gz", b"own"),
    read_json("341", "/alice/w4/priv/2.0"),
    read_json("342", "/alice/w4/priv?ignore_bases="),
    read_json("bases not ignored", "/alice/w4/priv"),
    read_json("bases ignored by another value", "/alice/w4/priv/?ignore_bases=false&x=1"),
    read_json("bases ignored by a capital", "/alice/w4/priv?Ignore_Bases"),
    read_json("bases ignored for a version", "/alice/w4/priv/1.0?ignore_bases"),
    read_json("bases ignored for an index", "/alice/w4?ignore_bases"),
    read_json("bases ignored for an unknown project", "/alice/w4/nope?ignore_bases", 404),
    read_json("bases ignored for an unknown index", "/alice/nope/priv?ignore_bases", 404),
    get("bases ignored for a browser", "/alice/w4/priv?ignore_bases", 404, accept="text/html"),
    get("bases ignored without accept", "/alice/w4/priv?ignore_bases", 415, difference="error-texts-internals"),
    read_json("bases ignored under another spelling", "/alice/w4/Priv?ignore_bases", 302),
    json_page("a page ignores no bases", "/alice/w4/+simple/priv/?ignore_bases"),
]

BASES = Scenario(
    "bases",
    "inheritance",
    [*_LOOP, *_INHERITANCE, *_TWICE, *_OWN_VERSIONS],
    {"alice": "pw2", "bob": "pw"},
)
