"""Documentation zips: uploading, retrieval as a file, replacing and deleting."""

from __future__ import annotations

from dataclasses import replace

from ..distributions import archive, stored_path
from ..steps import (
    HTML,
    JSON,
    Credentials,
    Form,
    Scenario,
    Step,
    Token,
    configure,
    delete,
    documentation,
    get,
    head,
    index,
    json_page,
    metadata_form,
    page,
    post,
    put,
    read_json,
    tox_result,
    upload,
    user,
)

VOL, NVOL, DEV = "/alice/vol", "/alice/nvol", "/alice/dev"
DOCS = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKzip")
REPLACED = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKold")
NEWER = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKnew")
SDIST = stored_path(VOL, "pkg_a-1.0.tar.gz", b"sdist2")
HALF = "no-half-changes"


def _with(step: Step, *fields: tuple[str, str]) -> Step:
    """The upload with further form fields."""
    return replace(step, body=replace(step.body, fields=(*step.body.fields, *fields)))


_PREPARE = [
    user("alice", "pw2"),
    user("dave4", "x"),
    index(VOL),
    index(NVOL, volatile=False),
    index(DEV),
    upload("prepare an sdist", VOL, 200, "Pkg_A", "1.0", "pkg_a-1.0.tar.gz", b"sdist2", ("summary", "s2")),
    upload("prepare an sdist, non-volatile", NVOL, 200, "Pkg_A", "1.0", "pkg_a-1.0.tar.gz", b"sdist2"),
]

_CAPTURED = [
    documentation("197", f"{VOL}/", 400, "nodoc", None, b"PKzip"),
    documentation("before 198", f"{NVOL}/", 200, "Pkg_A", "1.0", b"PKzip"),
    documentation("198", f"{NVOL}/", 409, "Pkg_A", "1.0", b"PKold"),
    documentation("docs", f"{VOL}/", 200, "Pkg_A", "1.0", b"PKold"),
    read_json("links with docs", f"{VOL}/pkg-a/1.0"),
    documentation("before 199", f"{VOL}/", 200, "Pkg_A", "1.0", b"PKzip"),
    read_json("199", f"{VOL}/pkg-a/1.0"),
    documentation("before 200", f"{VOL}/", 200, "newdoc", "3.0", b"PKzip"),
    read_json("200", f"{VOL}/newdoc/3.0"),
    get("216", DOCS),
]

_RETRIEVAL = [
    head("docs by head", DOCS),
    read_json("the record of docs", DOCS),
    get("docs for a browser", DOCS, accept=HTML),
    get("docs that were replaced", REPLACED, 410),
    read_json("docs that were replaced, json", REPLACED, 410),
    get("metadata of docs", f"{DOCS}.metadata", 404, difference="core-metadata-on"),
    tox_result("a tox result for docs", DOCS, 404, {"a": 1}),
    page("no docs on the page", f"{VOL}/+simple/pkg-a/"),
    json_page("no docs on the page in json", f"{VOL}/+simple/pkg-a/"),
    page("the page of docs alone", f"{VOL}/+simple/newdoc/", unmarked=False),
    read_json("the project of docs alone", f"{VOL}/newdoc"),
    read_json("the index", VOL),
]

_REPLACING = [
    documentation("the same again", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
    documentation("other docs", VOL, 200, "pkg.a", "1.0", b"PKnew"),
    read_json("the log counts", f"{VOL}/pkg-a/1.0"),
    get("docs before", DOCS, 410),
    get("docs now", NEWER),
    documentation("back to the ones before", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
    get("docs that are back", DOCS),
    read_json("the log counts on", f"{VOL}/pkg-a/1.0"),
    documentation("identical, non-volatile", NVOL, 200, "Pkg_A", "1.0", b"PKzip"),
    documentation("identical, non-volatile, json", NVOL, 200, "Pkg_A", "1.0", b"PKzip", accept=JSON),
    documentation("identical, non-volatile, browser", NVOL, 200, "Pkg_A", "1.0", b"PKzip", accept=HTML),
    documentation("other, non-volatile, json", NVOL, 409, "Pkg_A", "1.0", b"PKold", accept=JSON),
    documentation("other, non-volatile, browser", NVOL, 409, "Pkg_A", "1.0", b"PKold", accept=HTML),
    documentation("other, non-volatile, odd file name", NVOL, 409, "Pkg_A", "1.0", b"PKold", "../d'oc.tar"),
    documentation("other, non-volatile, without version", NVOL, 409, "Pkg_A", None, b"PKold"),
    _with(documentation("other, non-volatile, with metadata", NVOL, 409, "Pkg_A", "1.0", b"PKold", difference=HALF),
          ("summary", "changed")),
    read_json("metadata after a refusal", f"{NVOL}/pkg-a/1.0", difference=HALF),
    documentation("docs of another version, non-volatile", NVOL, 200, "Pkg_A", "2.0", b"PK2"),
    read_json("the versions, non-volatile", f"{NVOL}/pkg-a", difference=HALF),
]  # fmt: skip

_VERSIONS = [
    upload("prepare 1.9", DEV, 200, "Vers", "1.9", "Vers-1.9.tar.gz", b"1.9", ("summary", "kept")),
    upload("prepare 1.10", DEV, 200, "Vers", "1.10", "Vers-1.10.tar.gz", b"1.10"),
    documentation("docs of the highest version", DEV, 200, "vers", None, b"PK1.10"),
    upload("prepare a pre-release", DEV, 200, "Vers", "2.0a1", "Vers-2.0a1.tar.gz", b"2.0a1"),
    documentation("docs of a pre-release", DEV, 200, "VERS", None, b"PKa1"),
    _with(documentation("docs with metadata and no version", DEV, 200, "Vers", None, b"PKa1"), ("summary", "lost")),
    _with(documentation("docs with metadata", DEV, 200, "Vers", "1.9", b"PK1.9"), ("author", "of docs")),
    read_json("which version has docs", f"{DEV}/vers"),
    documentation("docs of a local version", DEV, 200, "Vers", "1.9+l.1", b"PKlocal"),
    get("docs of a local version retrieved", stored_path(DEV, "vers-1.9+l.1.doc.zip", b"PKlocal")),
    documentation("docs of a version with a blank", DEV, 200, "Vers", "3 b", b"PKblank"),
    get("docs with a blank retrieved", stored_path(DEV, "vers-3%20b.doc.zip", b"PKblank")),
    post("register a higher version", DEV, 200, metadata_form("submit", ("name", "Vers"), ("version", "9")),
         as_user="alice"),
    documentation("docs of a registered version", DEV, 200, "Vers", None, b"PK9"),
    read_json("what the registered version has", f"{DEV}/vers/9"),
    documentation("docs that are empty", DEV, 200, "Vers", "9", b""),
    read_json("what the empty ones are", f"{DEV}/vers/9"),
    documentation("docs of many dots", DEV, 200, "Do..t_s", "1", b"PKdots"),
    read_json("how many dots are named", f"{DEV}/do-t-s"),
    index("/alice/heir", bases="alice/dev"),
    documentation("docs for an inherited project", "/alice/heir", 400, "Vers", None, b"PK"),
    documentation("docs for an inherited version", "/alice/heir", 200, "Vers", "9", b"PKheir"),
    read_json("docs that shadow", "/alice/heir/vers/9"),
    documentation("docs without a file name", DEV, 500, "Vers", "9", b"PK", "", difference="server-errors"),
]  # fmt: skip

_REFUSED = [
    documentation("an empty version", VOL, 400, "Pkg_A", "", b"PK"),
    documentation("an empty version, json", VOL, 400, "Pkg_A", "", b"PK", accept=JSON),
    documentation("an empty name", VOL, 400, "", "1.0", b"PK"),
    documentation("an empty name without version", VOL, 400, "", None, b"PK"),
    documentation("a bad name", VOL, 400, "b d", "1.0", b"PK"),
    documentation("a bad name without version", VOL, 400, "b d", None, b"PK"),
    documentation("a bad version", VOL, 400, "x", "1<2", b"PK"),
    documentation("an unknown project, json", VOL, 400, "nodoc", None, b"PK", accept=JSON),
    documentation("an unknown project for a browser", VOL, 400, "nodoc", None, b"PK", accept=HTML),
    post("no content", VOL, 400, metadata_form("doc_upload", ("name", "Pkg_A"), ("version", "1.0")), as_user="alice"),
    post("no content, url-encoded", VOL, 400, b":action=doc_upload&name=Pkg_A&version=1.0", as_user="alice",
         headers={"Content-Type": "application/x-www-form-urlencoded"}),
    documentation("as nobody", VOL, 401, "Pkg_A", "1.0", b"PK", as_user=None),
    documentation("as nobody, json", VOL, 401, "Pkg_A", "1.0", b"PK", as_user=None, accept=JSON),
    documentation("as another user", VOL, 403, "Pkg_A", "1.0", b"PK", as_user="dave4"),
    documentation("as root", VOL, 403, "Pkg_A", "1.0", b"PK", as_user="root"),
    documentation("for an unknown index", "/alice/nope", 404, "Pkg_A", "1.0", b"PK"),
    documentation("for an unknown user", "/nouser/nope", 404, "Pkg_A", "1.0", b"PK", accept=JSON),
    post("no name", VOL, 500, Form(((":action", "doc_upload"),), (("content", "d.zip", b"PK"),)), as_user="alice",
         difference="server-errors"),
    post("content that is no file", VOL, 500,
         metadata_form("doc_upload", ("name", "Pkg_A"), ("version", "1.0"), ("content", "x")), as_user="alice",
         difference="server-errors"),
    documentation("a slash in the version", VOL, 500, "Pkg_A", "1/2", b"PK", difference="server-errors"),
    configure(VOL, "acl_upload=:docs"),
    documentation("as owner outside the group", VOL, 403, "Pkg_A", "1.0", b"PK"),
    documentation("as member of the group", VOL, 200, "Pkg_A", "1.0", b"PKgroup", as_user=None,
                  credentials=Credentials("dave4", Token("dave4", groups=("docs",)))),
    read_json("who uploaded docs", f"{VOL}/pkg-a/1.0"),
    configure(VOL, "acl_upload=alice"),
]  # fmt: skip

GROUP = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKgroup")
NEWDOC = stored_path(VOL, "newdoc-3.0.doc.zip", b"PKzip")
NV_DOCS = stored_path(NVOL, "pkg-a-1.0.doc.zip", b"PKzip")

_DELETING = [
    delete("delete the file beside docs", SDIST, 200, as_user="alice"),
    read_json("docs keep the version", f"{VOL}/pkg-a/1.0"),
    page("the page is empty", f"{VOL}/+simple/pkg-a/", unmarked=False),
    read_json("the project stays", VOL),
    delete("delete docs as another user", GROUP, 403, as_user="dave4"),
    delete("delete the docs", GROUP, 200, as_user="alice"),
    read_json("then the project is gone", f"{VOL}/pkg-a", 404),
    get("deleted docs", GROUP, 410),
    delete("delete deleted docs", GROUP, 410, as_user="alice"),
    delete("delete a version with docs", f"{VOL}/newdoc/3.0", 200, as_user="alice"),
    get("docs of a deleted version", NEWDOC, 410),
    delete("delete docs, non-volatile", NV_DOCS, 403, as_user="alice"),
    delete("delete docs by force", f"{NV_DOCS}?force", 200, as_user="alice"),
    documentation("docs again, non-volatile", NVOL, 200, "Pkg_A", "1.0", b"PKother"),
    read_json("no count after deletion", f"{NVOL}/pkg-a/1.0", difference=HALF),
    delete("delete the project with docs", f"{NVOL}/pkg-a?force", 200, as_user="alice"),
    get("docs of a deleted project", stored_path(NVOL, "pkg-a-1.0.doc.zip", b"PKother"), 410),
    upload("an upload named like docs", VOL, 200, "Pkg_A", "1.0", "pkg-a-1.0.doc.zip", archive(d="1")),
    documentation("docs beside it", VOL, 200, "Pkg_A", "1.0", archive(d="1")),
    read_json("both of one name", f"{VOL}/pkg-a/1.0"),
]

_LAST = [
    put("anybody may", "/alice/open", 200, {"acl_upload": [":ANONYMOUS:"]}, as_user="alice"),
    documentation("docs by nobody", "/alice/open", 200, "q", "1", b"PK", as_user=None),
    read_json("whom nobody is", "/alice/open/q/1"),
]

DOCUMENTATION = Scenario(
    "documentation",
    "documentation zips",
    [*_PREPARE, *_CAPTURED, *_RETRIEVAL, *_REPLACING, *_VERSIONS, *_REFUSED, *_DELETING, *_LAST],
    {"alice": "pw2", "dave4": "x"},
)
