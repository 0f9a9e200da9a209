"""Files that mirrors download: whole and broken, with and without hashes, by range, by redirect, and elsewhere."""

from __future__ import annotations

from typing import Any

from upstream import Fault, File, Generated, Project

from ..distributions import archive, wheel
from ..steps import (
    JSON,
    Scenario,
    Step,
    answer_at,
    call,
    die,
    fault,
    get,
    head,
    heal,
    mirrored_json_page,
    publish,
    read_json,
    redirect,
    revive,
    wait,
)
from .mirror_data import IMPATIENT, LONG, TIMEOUT, alice, hashed, mirror, release, unhashed

M, EXTERNAL, UNSEEN = "/alice/m", "/alice/external", "/alice/unseen"
FIRST, WRONG, RESUMED, UNCACHED_HEAD = (
    "mirror-first-download", "mirror-wrong-hash", "mirror-resume", "mirror-head",
)  # fmt: skip
ALSO = ("X-Accel-Buffering", "Content-Length", "Content-Encoding", "ETag", "Accept-Ranges")
TOO_LONG = 2.6
LARGE = 3_000_000
SOON = wait(0.3)
"""devpi keeps a file after it has sent all of it."""


def file(number: str, content: bytes | Generated | None = None, **details: Any) -> File:
    """A file of the project `f`."""
    filename = f"f-{number}.tar.gz"
    return File(filename, filename.encode() if content is None else content, **details)


def wrong(number: str, content: bytes | Generated, **details: Any) -> File:
    """A file that is not what its hash says."""
    return file(number, content, hashes={"sha256": number.replace(".", "") * 32}, **details)


def at(what: File, mirror_path: str = M) -> str:
    """Where the mirror serves it."""
    shown = what.shown_hashes()
    if not shown:
        return unhashed(mirror_path, what.filename.replace(" ", "%20"))
    value = shown.get("sha256") or next(iter(shown.values()))
    return f"{mirror_path}/+f/{value[:3]}/{value[3:16]}/{what.filename.replace(' ', '%20')}"


def first(name: str, what: File, **details: Any) -> Step:
    """A first download that succeeds."""
    difference = details.pop("difference", [])
    return get(name, at(what), **{"also": ALSO, **details}, difference=[FIRST, *difference])


def again(name: str, what: File, **details: Any) -> Step:
    """A download of what is kept."""
    return get(name, at(what), **{"before": SOON, "also": ["X-Accel-Buffering", "Content-Encoding"], **details})


PLAIN = file("1.0")
TYPELESS = file("1.1", content_type=None, last_modified=None)
CHUNKED = file("1.2", chunked=True)
EMPTY = file("1.3", b"")
LARGE_FILE = file("1.4", Generated(LARGE))
UNHASHED = file("1.5", hashes=())
MD5 = file("1.6", hashes=("md5",))
SHA512 = file("1.7", hashes=("sha512",))
BLAKE = file("1.8", hashes=("blake2b",))
MOVED = file("1.9")
MOVED_AWAY = file("2.0")
LOCAL = file("2.1+l.1")
BLANK = File("f-2.2 b.zip", archive(blank="1"))
WHEEL = File("f-2.3-py3-none-any.whl", wheel("f", "2.3"))
EXE = File("f-2.4.exe", b"MZ")
SLOW = file("2.5")
QUERY = file("2.6", href="/files/f-2.6.tar.gz?token=a%20b&x=1")
FINE = [
    PLAIN, TYPELESS, CHUNKED, EMPTY, LARGE_FILE, UNHASHED, MD5, SHA512, BLAKE, MOVED, MOVED_AWAY, LOCAL, BLANK, WHEEL,
    EXE, SLOW, QUERY,
]  # fmt: skip

_FINE = [
    first("first", PLAIN),
    again("from disk", PLAIN),
    again("by a range", PLAIN, headers={"Range": "bytes=1-2"}, difference="file-validators", our_status=206),
    again("head from disk", PLAIN, headers={"Accept": "*/*"}),
    head("by head", at(PLAIN)),
    read_json("its record", at(PLAIN)),
    first("without a type or a time", TYPELESS),
    again("without a type or a time, from disk", TYPELESS),
    first("in chunks", CHUNKED),
    again("in chunks, from disk", CHUNKED),
    first("empty", EMPTY),
    again("empty, from disk", EMPTY),
    first("large", LARGE_FILE),
    again("large, from disk", LARGE_FILE),
    read_json("the record before the download", at(UNHASHED)),
    first("without a hash", UNHASHED),
    again("without a hash, from disk", UNHASHED),
    read_json("the record after the download", at(UNHASHED)),
    *(step for what in (MD5, SHA512, BLAKE) for step in (
        first(f"by {what.hashes[0]}", what),
        again(f"by {what.hashes[0]}, from disk", what),
        read_json(f"the record by {what.hashes[0]}", at(what)),
    )),
    first("redirected", MOVED, before=[redirect(MOVED.path, "/elsewhere/f.tar.gz")]),
    again("redirected, from disk", MOVED),
    first(
        "redirected to another host",
        MOVED_AWAY,
        before=[redirect(MOVED_AWAY.path, "http://{other}/elsewhere/g.tar.gz")],
    ),
    first("a local version", LOCAL),
    again("a local version, from disk", LOCAL),
    get("an encoded local version", at(LOCAL).replace("+l", "%2Bl")),
    first("a blank in its name", BLANK),
    first("a wheel", WHEEL),
    again("a wheel, from disk", WHEEL),
    first("an exe", EXE),
    again("an exe, from disk", EXE),
    first("slow, but steady", SLOW, before=fault(SLOW.path, chunk_delay=0.4, chunk_size=2)),
    first("with a query", QUERY),
    mirrored_json_page("the page after the downloads", f"{M}/+simple/f/"),
]  # fmt: skip

# Heads, records and ranges before a file is there

HEADED, RANGED, RECORDED = file("3.0"), file("3.1"), file("3.2")
EARLY = [HEADED, RANGED, RECORDED]

_EARLY = [
    head("head first", at(HEADED), difference=UNCACHED_HEAD),
    head("head first, again", at(HEADED), difference=UNCACHED_HEAD),
    first("then the file", HEADED),
    head("and then head", at(HEADED), before=SOON),
    get(
        "a range first",
        at(RANGED),
        headers={"Range": "bytes=1-2"},
        difference=[FIRST, "file-validators"],
        our_status=206,
    ),
    again("a range first, then all", RANGED),
    read_json("the record first", at(RECORDED)),
    get("the record by a list of types", at(RECORDED), accept=f"text/html, {JSON}"),
    call("another method first", "OPTIONS", at(RECORDED), 200, difference=FIRST),
    first("with the client's headers", file("3.3"), headers={
        "X-Secret": "1", "Cookie": "a=b", "If-None-Match": '"x"', "X-Forwarded-For": "1.2.3.4",
        "Authorization": "Basic eDp5",
    }),
]  # fmt: skip
EARLY.append(file("3.3"))

# Broken ones

STATUSES = {status: file(f"4.{status}") for status in (401, 403, 404, 410, 429, 500, 503, 204, 206, 304)}
WRONG_SMALL = wrong("51", b"wrong")
WRONG_CHUNKED = wrong("52", b"wrong", chunked=True)
WRONG_LARGE = wrong("53", Generated(LARGE, "wrong"))
WRONG_MD5 = file("5.4", hashes={"md5": "5" * 32})
WRONG_AND_RIGHT = file("5.5")
CUT_ONCE, CUT_OFTEN, CUT_UNRANGED, CUT_LARGE = (
    file("6.0", Generated(100_000)), file("6.1", Generated(100_000)), file("6.2", Generated(100_000), ranges=False),
    file("6.3", Generated(LARGE)),
)  # fmt: skip
CUT_UNHASHED = file("6.4", Generated(100_000), hashes=())
CUT_SMALL, CUT_SMALL_UNHASHED = file("6.5"), file("6.6", hashes=())
DROPPED, LATE, GZIPPED, REFUSED, LOOPED = file("7.0"), file("7.1"), file("7.2"), file("7.3"), file("7.4")
SHORT, LONGER = file("7.5"), file("7.6")
BROKEN = [
    *STATUSES.values(), WRONG_SMALL, WRONG_CHUNKED, WRONG_LARGE, WRONG_MD5, WRONG_AND_RIGHT, CUT_ONCE, CUT_OFTEN,
    CUT_UNRANGED, CUT_LARGE, CUT_UNHASHED, CUT_SMALL, CUT_SMALL_UNHASHED, DROPPED, LATE, GZIPPED, REFUSED, LOOPED,
    SHORT, LONGER,
]  # fmt: skip

_BROKEN = [
    *(
        get(f"status {status}", at(what), 404 if status == 404 else 502, before=fault(what.path, status=status))
        for status, what in STATUSES.items()
    ),
    get("status 500 for json", at(STATUSES[500]), 502, accept="text/html"),
    head("status 404 by head", at(STATUSES[404]), 404, difference=UNCACHED_HEAD),
    head("status 500 by head", at(STATUSES[500]), 502, difference=UNCACHED_HEAD),
    first("status 500 is over", STATUSES[500], before=heal(STATUSES[500].path)),
    get("wrong", at(WRONG_SMALL), difference=WRONG, our_status=502),
    get("wrong again", at(WRONG_SMALL), difference=WRONG, our_status=502, before=SOON),
    get("wrong in chunks", at(WRONG_CHUNKED), difference=WRONG, our_status=502),
    get("wrong and large", at(WRONG_LARGE), difference=WRONG, before=SOON),
    get("wrong md5", at(WRONG_MD5), difference=WRONG, our_status=502),
    get(
        "wrong once", at(WRONG_AND_RIGHT), difference=WRONG, our_status=502,
        before=fault(WRONG_AND_RIGHT.path, Fault(body=b"F" * 12, times=1)),
    ),
    first("and then right", WRONG_AND_RIGHT, before=SOON),
    get("cut once", at(CUT_ONCE), difference=RESUMED, before=fault(CUT_ONCE.path, cut_after=30_000, times=1)),
    get("cut often", at(CUT_OFTEN), difference=RESUMED, before=fault(CUT_OFTEN.path, cut_after=40_000)),
    get("cut and large", at(CUT_LARGE), difference=RESUMED, before=fault(CUT_LARGE.path, cut_after=2_000_000, times=1)),
    get(
        "cut without a hash",
        at(CUT_UNHASHED),
        difference=RESUMED,
        before=fault(CUT_UNHASHED.path, cut_after=30_000, times=1),
    ),
    get("cut and small", at(CUT_SMALL), 500, difference=RESUMED, before=fault(CUT_SMALL.path, cut_after=5, times=1)),
    get(
        "cut and small without a hash", at(CUT_SMALL_UNHASHED), 500, difference=RESUMED,
        before=fault(CUT_SMALL_UNHASHED.path, cut_after=5, times=1),
    ),
    get(
        "cut before the first byte", at(SHORT), 500, difference=RESUMED, before=fault(SHORT.path, cut_after=0, times=1)
    ),
    get("shorter than announced", at(LONGER), 500, difference=RESUMED, before=fault(LONGER.path, content_length=500)),
    get(
        "cut for good", at(CUT_UNRANGED), difference=RESUMED, before=fault(CUT_UNRANGED.path, cut_after=30_000),
    ),
    first("not cut any more", CUT_UNRANGED, before=[heal(CUT_UNRANGED.path), SOON]),
    get("dropped", at(DROPPED), 502, before=fault(DROPPED.path, drop=True)),
    get("late", at(LATE), 502, before=fault(LATE.path, delay=TOO_LONG)),
    get("compressed", at(GZIPPED), difference=WRONG, before=fault(GZIPPED.path, encoding="gzip")),
    get("a redirect loop", at(LOOPED), 502, before=redirect(LOOPED.path, LOOPED.path)),
    get("refused", at(REFUSED), 502, before=die()),
    head("refused by head", at(REFUSED), 502, difference=UNCACHED_HEAD),
    read_json("the record of what is refused", at(REFUSED)),
    get("what is kept", at(PLAIN)),
    first("back again", REFUSED, before=revive()),
]  # fmt: skip

# Paths that are not known

_PATHS = [
    get("unknown +e", unhashed(M, "f-9.9.tar.gz"), 404),
    get("unknown +e of a host", f"{M}/+e/http_x/y/z.zip", 404),
    get("unknown hash of a known project", f"{M}/+f/abc/0123456789abc/f-1.0.tar.gz", 404),
    read_json("unknown hash of a known project, in json", f"{M}/+f/abc/0123456789abc/f-1.0.tar.gz", 404),
    get("unknown project", f"{M}/+f/abc/0123456789abc/nope-1.0.tar.gz", 404, difference="mirror-unlisted"),
    get("a name without a project", f"{M}/+f/abc/0123456789abc/x", 404),
    get("a name that is only an extension", f"{M}/+f/abc/0123456789abc/.zip", 404),
    get("no name", f"{M}/+f/abc/0123456789abc/", 404),
    get("another name for a hash", at(PLAIN).replace("f-1.0", "f-1.00"), 404),
    get("another index", at(PLAIN).replace("/m/", "/nope/"), 404),
    get("unseen: its page is read first", at(PLAIN, UNSEEN), difference=FIRST),
    read_json("unseen: a record", at(MD5, UNSEEN)),
    get("unseen: without a hash", at(UNHASHED, UNSEEN), difference=FIRST),
    get(
        "unseen: a project that the list lacks",
        f"{UNSEEN}/+f/abc/0123456789abc/nope-1.0.tar.gz",
        404,
        difference="mirror-unlisted",
    ),
    get("unseen: a project that is missing", f"{UNSEEN}/+f/abc/0123456789abc/gone-1.0.tar.gz", 404),
    get(
        "unseen: a project that is down",
        f"{UNSEEN}/+f/abc/0123456789abc/down-1.0.tar.gz",
        500,
        difference="mirror-no-names",
        before=fault("/simple/down/", status=503),
    ),
]  # fmt: skip

# Elsewhere

OUTSIDE, KEPT = release("g", "1.0"), release("g", "2.0")
_EXTERNAL = [
    mirror(EXTERNAL, expiry=LONG),
    mirrored_json_page("read the page of external files", f"{EXTERNAL}/+simple/g/"),
    get("kept before", hashed(EXTERNAL, KEPT), difference=FIRST),
    call(
        "external from now on",
        "PATCH",
        EXTERNAL,
        200,
        body=["mirror_use_external_urls=yes"],
        accept=JSON,
        as_user="alice",
    ),
    get("external", hashed(EXTERNAL, OUTSIDE), 302),
    head("external by head", hashed(EXTERNAL, OUTSIDE), 302),
    read_json("external, its record", hashed(EXTERNAL, OUTSIDE)),
    get("external, but kept", hashed(EXTERNAL, KEPT)),
    mirrored_json_page("the page of external files", f"{EXTERNAL}/+simple/g/"),
    get("external, unknown", f"{EXTERNAL}/+f/abc/0123456789abc/g-1.0.tar.gz", 404),
    get("external, not yet read", f"{EXTERNAL}{at(PLAIN).removeprefix(M)}", 302),
]  # fmt: skip

MIRROR_FILES = Scenario(
    "mirror-files",
    "downloads through mirrors",
    [
        alice(),
        mirror(M, expiry=LONG),
        mirror(UNSEEN, expiry=LONG),
        mirrored_json_page("read the page", f"{M}/+simple/f/"),
        *_FINE,
        *_EARLY,
        *_BROKEN,
        *_PATHS,
        *_EXTERNAL,
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("f", [*FINE, *EARLY, *BROKEN]),
            Project("g", [OUTSIDE, KEPT]),
            Project("gone", has_page=False),
            Project("down"),
        ),
        answer_at("/elsewhere/f.tar.gz", bytes(MOVED.content), "application/x-moved"),
        answer_at("/elsewhere/g.tar.gz", bytes(MOVED_AWAY.content), "application/x-moved"),
    ),
)
