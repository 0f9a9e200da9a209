"""Deleting files, versions, projects, indexes and users."""

from __future__ import annotations

from ..distributions import archive, stored_path, wheel
from ..steps import (
    HTML,
    Scenario,
    delete,
    documentation,
    get,
    index,
    json_page,
    metadata_form,
    post,
    read_json,
    upload,
    user,
)

TGT, TGTNV, NVOL = "/alice/tgt", "/alice/tgtnv", "/alice/nvol"
SDIST, WHEEL = "pkg_a-1.0.tar.gz", "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
WHEEL_FILE = stored_path(TGT, WHEEL, WHEEL_BYTES)
SDIST_FILE = stored_path(TGT, SDIST, b"sdist2")
DOCS_FILE = stored_path(TGT, "pkg-a-1.0.doc.zip", b"PKzip")
NV_FILE = stored_path(NVOL, "last-1.tar.gz", b"last")
UP_FILE = stored_path(TGT, "up-pkg-1.0.tar.gz", b"up")

_PREPARE = [
    user("alice", "pw2"),
    user("dave4", "x"),
    index("/dave4/dx"),
    index(TGT),
    index(TGTNV, volatile=False),
    index(NVOL, volatile=False),
    *(
        step
        for path in (TGT, TGTNV, NVOL)
        for step in (
            upload(f"prepare a wheel on {path}", path, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
            upload(f"prepare an sdist on {path}", path, 200, "Pkg_A", "1.0", SDIST, b"sdist2"),
        )
    ),
    documentation("prepare docs", TGT, 200, "Pkg_A", "1.0", b"PKzip"),
    upload("prepare zed-proj", TGT, 200, "Zed.Proj", "1", "Zed.Proj-1.zip", archive(z="1")),
    upload("prepare up-pkg", TGT, 200, "up-pkg", "1.0", "up-pkg-1.0.tar.gz", b"up"),
    documentation("prepare newdoc", TGT, 200, "newdoc", "3.0", b"PKnew"),
    upload("prepare last", NVOL, 200, "last", "1", "last-1.tar.gz", b"last"),
]

_CAPTURED = [
    delete("387", "/alice/tgtnv/pkg-a/1.0", 403, as_user="alice"),
    delete("388", "/alice/tgtnv/pkg-a/1.0", 403, as_user="alice", accept=None),
    delete("389", "/alice/tgt/zed-proj/9", 404, as_user="alice"),
    delete("390", "/alice/tgt/nope/9", 404, as_user="alice"),
    delete("391", "/alice/tgt/Zed.Proj/1", 200, as_user="alice"),
    read_json("392", "/alice/tgt/zed-proj", 404),
    delete("393", "/alice/tgtnv/pkg-a/1.0?force", 200, as_user="alice"),
    read_json("394", "/alice/tgtnv/pkg-a", 404),
    delete("399", "/alice/tgt/newdoc", 200, as_user="alice"),
    delete("400", "/alice/tgt/newdoc", 404, as_user="alice", difference="no-half-changes"),
    delete("401", "/alice/nvol/Pkg_A", 403, as_user="alice"),
    delete("402", "/alice/nvol/Pkg_A/?force=1", 200, as_user="alice"),
    delete("404", WHEEL_FILE, 200, as_user="alice"),
    delete("405", WHEEL_FILE, 410, as_user="alice"),
    delete("406", WHEEL_FILE, 410, as_user="alice", accept=None),
    delete("407", "/alice/tgt/+f/aaa/bbb/x.whl", 404, as_user="alice"),
    delete("408", "/alice/tgt/+f/aaa", 404, as_user="alice"),
    read_json("409", "/alice/tgt/pkg-a/1.0"),
    delete("410", SDIST_FILE, 200, as_user="alice"),
    read_json("411", "/alice/tgt/pkg-a"),
    delete("the last link", DOCS_FILE, 200, as_user="alice"),
    read_json("then the project is gone", "/alice/tgt/pkg-a", 404),
    delete("412", f"{UP_FILE}?force", 200, as_user="alice"),
    delete("416", "/dave4/dx", 201, as_user="root"),
    delete("417", "/dave4", 200, as_user="dave4"),
]

_FURTHER = [
    get("a deleted file", WHEEL_FILE, 410),
    get("page of a deleted project", "/alice/tgt/+simple/pkg-a/", 404),
    read_json("index after deletions", TGT),
    upload("upload a deleted file again", TGT, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
    get("the file uploaded again", WHEEL_FILE),
    read_json("the version uploaded again", "/alice/tgt/pkg-a/1.0"),
    json_page("page of the file uploaded again", "/alice/tgt/+simple/pkg-a/"),
    delete("non-volatile file", NV_FILE, 403, as_user="alice"),
    delete("non-volatile file for a browser", NV_FILE, 403, as_user="alice", accept=HTML),
    delete("no file on a non-volatile index", "/alice/nvol/+f/aaa/bbb/x.whl", 403, as_user="alice"),
    delete("no project on a non-volatile index", "/alice/nvol/nope", 403, as_user="alice"),
    delete("no version on a non-volatile index", "/alice/nvol/nope/1", 403, as_user="alice"),
    delete("no project with force", "/alice/nvol/nope?force", 404, as_user="alice", difference="no-half-changes"),
    delete("no version with force", "/alice/nvol/last/2?force", 404, as_user="alice", accept=None),
    delete("non-volatile file with force", f"{NV_FILE}?force=", 200, as_user="alice"),
    read_json("the last file takes the project along", "/alice/nvol/last", 404),
    delete("project as nobody", "/alice/tgt/pkg-a", 403),
    delete("project as nobody without accept", "/alice/tgt/pkg-a", 403, accept=None),
    delete("version as nobody", "/alice/tgt/pkg-a/1.0", 403),
    delete("file as nobody for a browser", WHEEL_FILE, 403, accept=HTML),
    delete("project of an unknown index", "/alice/nope/pkg-a", 403, as_user="alice"),
    delete("version of an unknown index", "/alice/nope/pkg-a/1", 403, as_user="alice"),
    delete("file of an unknown index", "/alice/nope/+f/aaa/bbb/x.whl", 403, as_user="alice"),
    delete(
        "unknown project without accept",
        "/alice/tgt/nope",
        404,
        as_user="alice",
        accept=None,
        difference="no-half-changes",
    ),
    delete("unknown version for a browser", "/alice/tgt/pkg-a/9", 404, as_user="alice", accept=HTML),
    delete("external file of a stage", "/alice/tgt/+e/a/b.zip", 404, as_user="alice"),
    delete("version with a slash", "/alice/tgt/pkg-a/1.0/", 200, as_user="root"),
    delete("deleted version again", "/alice/tgt/pkg-a/1.0", 404, as_user="alice"),
    post(
        "register without files", TGT, 200, metadata_form("submit", ("name", "reg"), ("version", "1")), as_user="alice"
    ),
    post("register another", TGT, 200, metadata_form("submit", ("name", "reg"), ("version", "2")), as_user="alice"),
    delete("registered version", "/alice/tgt/reg/1", 200, as_user="alice"),
    read_json("what is left of it", "/alice/tgt/reg"),
    delete("by the escaped name", "/alice/tgt/r%65g", 200, as_user="alice"),
    delete("a quoted version", "/alice/tgt/pkg-a/o'hara", 404, as_user="alice"),
]

DELETION = Scenario(
    "deletion", "deleting what was uploaded", [*_PREPARE, *_CAPTURED, *_FURTHER], {"alice": "pw2", "dave4": "x"}
)
