"""Deleting from mirrors, and changing where they mirror from."""

from __future__ import annotations

from typing import Any

from upstream import File, Project

from ..steps import (
    Scenario,
    answer_at,
    configure,
    delete,
    get,
    index,
    mirrored_json_page,
    mirrored_list,
    mirrored_pip_page,
    mirrored_page,
    post,
    publish,
    read_json,
    user,
    wait,
)
from .mirror_data import IMPATIENT, LONG, TIMEOUT, UPSTREAM, alice, expiry, hashed, mirror, release, unhashed

M, FIXED, MOVED = "/alice/m", "/alice/fixed", "/alice/moved"
FIRST, DELETED, AT_ONCE = "mirror-first-download", "mirror-deleted-files", "mirror-moved"
ONE, TWO, FREE = release("d", "1.0"), release("d", "2.0"), release("d", "3.0", hashes=())
ALONE, NEVER = release("alone", "1.0"), release("never", "1.0")
FREE_FILE = unhashed(M, FREE.filename)
PAGE = f"{M}/+simple/d/"
SOON = wait(0.3)
OTHER = "http://other.example/second/"


def _without(*files: File) -> dict[str, Any]:
    """The facts of a page that lacks these."""
    return {f"page:file:{file.filename}:filename": None for file in files}


_FILES = [
    mirrored_json_page("read the page", PAGE),
    get("get one", hashed(M, ONE), difference=FIRST),
    get("get two", hashed(M, TWO), difference=FIRST),
    get("get the one without a hash", FREE_FILE, difference=FIRST),
    delete("delete one as nobody", hashed(M, ONE), 403, before=SOON),
    delete("delete one as somebody else", hashed(M, ONE), 403, as_user="bob"),
    delete("delete one", hashed(M, ONE), 200, as_user="alice"),
    delete("delete one again", hashed(M, ONE), 410, as_user="alice"),
    get("one is gone", hashed(M, ONE), 410),
    read_json("the record of one is gone", hashed(M, ONE), 410),
    mirrored_json_page("its link is still there", PAGE, difference=DELETED, ours=_without(ONE)),
    read_json("its version is still there", f"{M}/d/1.0", difference=DELETED, our_status=404),
    delete("delete the one without a hash", FREE_FILE, 200, as_user="alice"),
    get("the one without a hash is gone", FREE_FILE, 404),
    get("two is still there", hashed(M, TWO)),
    expiry(M, "0"),
    mirrored_json_page("expired, but nothing is new", PAGE, difference=DELETED, ours=_without(ONE, FREE)),
    get("one is still gone", hashed(M, ONE), 410),
    post("refresh", f"{PAGE}refresh", 302),
    get("one is back", hashed(M, ONE), difference=FIRST),
    expiry(M, LONG),
    delete("delete what was not downloaded", FREE_FILE, 404, as_user="alice", difference="error-texts-internals"),
    get("it is not gone", FREE_FILE, difference=FIRST, before=SOON),
    delete("delete what was never there", f"{M}/+f/abc/0123456789abc/d-1.0.tar.gz", 404, as_user="alice"),
    mirrored_json_page("read the other page", f"{M}/+simple/alone/"),
    get("get the only file", hashed(M, ALONE), difference=FIRST),
    delete("delete the only file", hashed(M, ALONE), 200, as_user="alice", before=SOON),
    mirrored_pip_page("nothing is left", f"{M}/+simple/alone/"),
    read_json("no version is left", f"{M}/alone"),
    get("the only file is gone", hashed(M, ALONE), 410),
    post("refresh the other page", f"{M}/+simple/alone/refresh", 302),
    get("the only file is back", hashed(M, ALONE), difference=FIRST),
]

_VERSIONS = [
    delete("delete a version as nobody", f"{M}/d/2.0", 403, before=SOON),
    delete("delete a version", f"{M}/d/2.0", 200, as_user="alice"),
    mirrored_json_page("it is still listed", PAGE),
    read_json("it can still be read", f"{M}/d/2.0"),
    get("it is downloaded again", hashed(M, TWO), difference=FIRST),
    delete("delete a version of another spelling", f"{M}/D/2.0", 200, as_user="alice", before=SOON),
    delete("delete a version that is not there", f"{M}/d/9.9", 200, as_user="alice"),
    delete("delete a version of an unknown project", f"{M}/nope/1.0", 404, as_user="alice"),
    delete("delete a project as nobody", f"{M}/d", 403),
    delete("delete a project", f"{M}/d", 200, as_user="alice"),
    delete("delete a project again", f"{M}/d", 404, as_user="alice"),
    delete("delete an unknown project", f"{M}/nope", 404, as_user="alice"),
    delete("delete a listed project that was never read", f"{M}/never", 404, as_user="alice"),
    delete(
        "delete a version of what was never read", f"{M}/never/1.0", 200,
        as_user="alice", difference="mirror-never-read", our_status=404,
    ),
    mirrored_page("the page after the deletion", PAGE),
    mirrored_list("the list after the deletion", f"{M}/+simple/"),
    get("its file after the deletion", hashed(M, TWO), difference=FIRST),
    expiry(M, "0"),
    mirrored_json_page("it is there again", PAGE),
    get("its file is there again", hashed(M, TWO), before=SOON),
]

_FIXED = [
    mirror(FIXED, expiry=LONG, volatile=False),
    mirrored_json_page("read a page of a fixed mirror", f"{FIXED}/+simple/d/"),
    get("get a file of a fixed mirror", hashed(FIXED, ONE), difference=FIRST),
    delete("fixed: delete a file", hashed(FIXED, ONE), 403, as_user="alice", before=SOON),
    delete("fixed: delete a version", f"{FIXED}/d/1.0", 403, as_user="alice"),
    delete("fixed: delete a project", f"{FIXED}/d", 403, as_user="alice"),
    delete("fixed: delete the index", FIXED, 403, as_user="alice"),
    delete("fixed: delete the index by force", f"{FIXED}?force", 403, as_user="alice"),
    delete("fixed: delete a file by force", f"{hashed(FIXED, ONE)}?force", 200, as_user="alice"),
    get("fixed: the file is gone", hashed(FIXED, ONE), 410),
    delete("fixed: delete a version by force", f"{FIXED}/d/2.0?force", 200, as_user="alice"),
    mirrored_json_page("fixed: the page is empty without a file", f"{FIXED}/+simple/d/", difference=DELETED),
    delete("fixed: no project to delete", f"{FIXED}/d?force", 404, as_user="alice", difference=DELETED, our_status=200),
    post("fixed: refresh", f"{FIXED}/+simple/d/refresh", 302),
    mirrored_json_page("fixed: the page", f"{FIXED}/+simple/d/"),
    delete("fixed: delete a project by force", f"{FIXED}/d?force", 200, as_user="alice"),
    delete("fixed: delete the user", "/alice", 403, as_user="alice"),
]

NEW = release("d", "4.0")
SECOND = (
    answer_at("/second/", '<a href="d/">d</a><a href="e/">e</a>'),
    answer_at("/second/d/", f'<a href="../../files/{TWO.filename}">x</a><a href="../../files/{NEW.filename}">x</a>'),
)
_MOVED = [
    mirror(MOVED, expiry=LONG),
    mirrored_json_page("read before the move", f"{MOVED}/+simple/d/"),
    mirrored_list("list before the move", f"{MOVED}/+simple/"),
    get("get before the move", hashed(MOVED, ONE), difference=FIRST),
    configure(MOVED, f"mirror_url={OTHER}"),
    mirrored_json_page("the page right after the move", f"{MOVED}/+simple/d/", difference=AT_ONCE),
    mirrored_list("the list right after the move", f"{MOVED}/+simple/", difference=AT_ONCE),
    get("a file that is kept", hashed(MOVED, ONE), before=SOON),
    get("a file that only the old place has", hashed(MOVED, TWO), difference=AT_ONCE, our_status=404),
    expiry(MOVED, "0"),
    mirrored_json_page("the page of the new place", f"{MOVED}/+simple/d/", difference=AT_ONCE),
    mirrored_list("the list of the new place", f"{MOVED}/+simple/"),
    get("a file of the new place", f"{MOVED}/+e/http_other.example_files/{NEW.filename}", difference=FIRST),
    configure(MOVED, f"mirror_url={UPSTREAM}"),
    mirrored_json_page("back again", f"{MOVED}/+simple/d/"),
]

_INDEX = [
    index("/alice/over", bases="alice/m"),
    delete("delete the index as nobody", M, 403),
    delete("delete the index", M, 201, as_user="alice"),
    delete("delete the index again", M, 403, as_user="alice"),
    get("its pages are gone", PAGE, 404),
    get("its files are gone", hashed(M, TWO), 410),
    get("the page of a stage over it", "/alice/over/+simple/d/", 404),
    mirror(M, expiry=LONG),
    mirrored_json_page("a new one of that name", PAGE),
    get("its file is new", hashed(M, TWO), difference=FIRST),
    configure(FIXED, "volatile=yes"),
    delete("delete the user", "/alice", 200, as_user="alice"),
    get("its files are gone with it", hashed(M, TWO), 410),
]

MIRROR_DELETION = Scenario(
    "mirror-deletion",
    "deletion from mirrors, and changes of their upstream",
    [alice(), user("bob"), mirror(M, expiry=LONG), *_FILES, *_VERSIONS, *_FIXED, *_MOVED, *_INDEX],
    {"alice": "pw2", "bob": "pw"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("d", [ONE, TWO, FREE]),
            Project("alone", [ALONE]),
            Project("never", [NEVER]),
            Project("second", [NEW], listed=False),
        ),
        *SECOND,
    ),
)
