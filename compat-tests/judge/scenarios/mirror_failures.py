"""What mirrors answer when their upstream fails: pages and lists, with and without something remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from upstream import Fault, Project

from ..steps import (
    SIMPLE_JSON,
    Act,
    Scenario,
    Step,
    change,
    die,
    fault,
    get,
    head,
    heal,
    index,
    mirrored_json_page,
    mirrored_list,
    mirrored_page,
    mirrored_pip_page,
    page,
    publish,
    read_json,
    revive,
    upload,
)
from .mirror_data import IMPATIENT, LONG, TIMEOUT, alice, expiry, hashed, mirror, release

M, NO_LIST, OVER, LISTS = "/alice/m", "/alice/nolist", "/alice/over", "/alice/lists"
BROKEN, MISSING, UNLISTED = "mirror-broken-page", "mirror-missing-page", "mirror-unlisted"
LENIENT = "mirror-lenient-pages"
LIST_STALE, STALE = "mirror-list-stale", "mirror-stale-header"
TOO_LONG = 2.6
"""Seconds, a bit more than `--request-timeout`."""


@dataclass(frozen=True)
class Failure:
    """A row of the table: what devpi answers when it cannot have a page, with nothing and with something remembered."""

    name: str
    fault: Fault
    without: int = 502
    with_stale: int = 200
    without_ids: str | tuple[str, ...] = ()
    with_ids: str | tuple[str, ...] = STALE
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def new(self) -> str:
        """A project that is never read otherwise."""
        return f"new-{self.name}"

    @property
    def old(self) -> str:
        """A project that was read before."""
        return f"old-{self.name}"


def _json(text: str) -> Fault:
    return Fault(body=text.encode(errors="surrogateescape"), content_type=SIMPLE_JSON)


def _broken(name: str, text: str) -> Failure:
    return Failure(name, _json(text), 500, 500, BROKEN, BROKEN)


def _lenient(name: str, text: str) -> Failure:
    return Failure(name, _json(text), 500, 500, LENIENT, LENIENT)


FAILURES = [
    *(
        Failure(f"status-{status}", Fault(status=status))
        for status in (204, 400, 401, 403, 410, 429, 500, 502, 503, 504)
    ),
    Failure("status-404", Fault(status=404), 200, 200, MISSING, STALE),
    Failure("status-206", Fault(status=206)),
    Failure("status-304", Fault(status=304), 500, 200, BROKEN, ()),
    _broken("no-json", '{"meta": {"api-version": "1.0"}, "files": ['),
    _broken("another-version", '{"meta": {"api-version": "2.0"}, "name": "x", "files": []}'),
    _lenient("no-version-number", '{"meta": {"api-version": "one"}, "name": "x", "files": []}'),
    _lenient("no-meta", '{"name": "x", "files": []}'),
    _broken("no-files", '{"meta": {"api-version": "1.0"}, "name": "x"}'),
    _broken("a-list", "[]"),
    _broken("files-null", '{"meta": {"api-version": "1.0"}, "name": "x", "files": null}'),
    _lenient("file-without-url", '{"meta": {"api-version": "1.0"}, "name": "x", "files": [{"filename": "x-1.zip"}]}'),
    _lenient(
        "file-without-hashes",
        '{"meta": {"api-version": "1.0"}, "name": "x", "files": [{"filename": "x", "url": "x-1.zip"}]}',
    ),
    Failure(
        "json-not-utf-8", _json('{"meta": {"api-version": "1.0"}, "name": "\udce4", "files": []}'), 200, 200, (), ()
    ),
    Failure("dropped", Fault(drop=True)),
    Failure("cut", Fault(cut_after=20, no_validators=True)),
    Failure("longer-announced", Fault(content_length=100_000, no_validators=True)),
    Failure("no-gzip", Fault(headers={"Content-Encoding": "gzip"}, no_validators=True)),
    Failure("slow", Fault(delay=TOO_LONG)),
    Failure("slow-body", Fault(chunk_delay=TOO_LONG, no_validators=True)),
    Failure("no-location", Fault(status=302)),
    Failure("loop", Fault(status=302, headers={"Location": "."})),
    Failure("bad-location", Fault(status=302, headers={"Location": "http://upstream.invalid:x/"})),
    Failure("ftp-location", Fault(status=302, headers={"Location": "ftp://127.0.0.1/"})),
]  # fmt: skip


def _page(name: str, path: str, status: int, ids: str | tuple[str, ...], **details: Any) -> Step:
    """A page in JSON with that status."""
    if status == 200 and ids != MISSING:
        return mirrored_json_page(name, path, difference=ids, **details)
    return get(name, path, status, accept=SIMPLE_JSON, difference=ids, **details)


def _row(failure: Failure) -> list[Step]:
    faults = [fault(f"/simple/{name}/", failure.fault) for name in (failure.new, failure.old)]
    return [
        _page(
            f"{failure.name}, nothing remembered",
            f"{M}/+simple/{failure.new}/",
            failure.without,
            failure.without_ids,
            before=faults,
        ),
        _page(
            f"{failure.name}, something remembered", f"{M}/+simple/{failure.old}/", failure.with_stale, failure.with_ids
        ),
    ]  # fmt: skip


_READ = [mirrored_json_page(f"read {failure.old}", f"{M}/+simple/{failure.old}/") for failure in FAILURES]
_ROWS = [step for failure in FAILURES for step in _row(failure)]

# Other views of a page that fails.

_VIEWS = [
    mirrored_json_page("read kept", f"{M}/+simple/kept/"),
    mirrored_json_page("read kept without a list", f"{NO_LIST}/+simple/kept/"),
    mirrored_page("stale for people", f"{M}/+simple/kept/", stale=True, before=fault("/simple/kept/", status=503)),
    mirrored_pip_page("stale for pip", f"{M}/+simple/kept/", stale=True),
    mirrored_pip_page("stale by head", f"{M}/+simple/kept/", stale=True, method="HEAD"),
    read_json("stale versions", f"{M}/kept"),
    read_json("a stale version", f"{M}/kept/1.0"),
    read_json("no stale version", f"{M}/kept/2.0", 404),
    get("a file of a stale page", hashed(M, release("kept", "1.0")), difference="mirror-first-download"),
    get("an error for people", f"{M}/+simple/down/", 502, before=fault("/simple/down/", status=503)),
    get("an error for pip", f"{M}/+simple/down/", 502, agent="pip/23"),
    get("an error for a json client", f"{M}/+simple/down/", 502, accept=SIMPLE_JSON),
    head("an error by head", f"{M}/+simple/down/", 502),
    read_json("versions of what is down", f"{M}/down", 502),
    read_json("a version of what is down", f"{M}/down/1.0", 502),
    get("a missing page for people", f"{M}/+simple/gone/", 200, page="human", difference=MISSING),
    read_json("versions of a missing page", f"{M}/gone", 200, difference=MISSING),
    read_json("a version of a missing page", f"{M}/gone/1.0", 502, difference=MISSING),
    # Within the expiry time nothing is asked.
    expiry(M, LONG),
    mirrored_json_page("read before it fails", f"{M}/+simple/fresh/"),
    mirrored_json_page("fresh, hence no failure", f"{M}/+simple/fresh/", before=fault("/simple/fresh/", status=503)),
    get("a missing page once", f"{M}/+simple/gone-too/", page="human", difference=MISSING),
    get("a missing page again", f"{M}/+simple/gone-too/", page="human", difference=MISSING),
    read_json("a version of a missing page that is remembered", f"{M}/gone-too/1", 502, difference=MISSING),
    read_json("down once", f"{M}/+simple/down-too/", 502, before=fault("/simple/down-too/", status=503)),
    read_json("down again", f"{M}/+simple/down-too/", 502),
    mirrored_json_page("up again", f"{M}/+simple/down-too/", before=heal("/simple/down-too/")),
    expiry(M, "0"),
]

# Without a project list

_NO_LIST = [
    get("no list: not there", f"{NO_LIST}/+simple/nope/", 404),
    get("no list: down", f"{NO_LIST}/+simple/down/", 502),
    mirrored_json_page("no list: stale", f"{NO_LIST}/+simple/kept/", stale=True),
    mirrored_json_page(
        "no list: stale after 404", f"{NO_LIST}/+simple/kept/", stale=True, before=fault("/simple/kept/", status=404)
    ),
    mirrored_json_page("no list: not listed", f"{NO_LIST}/+simple/unlisted/"),
    read_json("no list: versions of what is not there", f"{NO_LIST}/nope", 404),
    read_json("no list: a version of what is not there", f"{NO_LIST}/nope/1", 502, difference=MISSING),
    mirrored_list("no list: the list", f"{NO_LIST}/+simple/", accept=SIMPLE_JSON, audience="installer"),
    read_json("no list: the record", NO_LIST),
]

# Through a stage

_THROUGH = [
    index(OVER, bases="alice/m"),
    upload("upload to the stage", OVER, 200, "kept", "5.0", "kept-5.0.zip", b"PK\5\6" + b"\0" * 18),
    index("/alice/bare", bases="alice/m"),
    mirrored_json_page("through a stage: down", "/alice/bare/+simple/down/", stale=True),
    mirrored_json_page("through a stage: stale", "/alice/bare/+simple/kept/", stale=True),
    mirrored_pip_page("through a stage for pip: stale", "/alice/bare/+simple/kept/", stale=True),
    page("through a stage: its own only", f"{OVER}/+simple/kept/", difference="mirror-refresh-form", mirrored=True),
    get("through a stage: missing", "/alice/bare/+simple/gone/", page="human", difference=MISSING),
    get("through a stage: not listed, not there", "/alice/bare/+simple/nope/", 404, difference=UNLISTED),
    read_json("through a stage: versions", "/alice/bare/kept"),
    read_json("through a stage: versions of what is down", "/alice/bare/down"),
]

# The whole upstream is gone

_DEAD = [
    mirrored_list("the list before it is dead", f"{M}/+simple/"),
    mirrored_json_page("dead: stale", f"{M}/+simple/fresh/", stale=True, before=die()),
    read_json("dead: nothing remembered", f"{M}/+simple/last/", 404, difference=UNLISTED, our_status=502),
    get("dead: nothing remembered for people", f"{M}/+simple/last/", 404, difference=UNLISTED, our_status=502),
    read_json("dead: no list", f"{NO_LIST}/+simple/last/", 502),
    read_json("dead: versions", f"{M}/last", 404, difference=UNLISTED, our_status=502),
    get("dead: a file", hashed(M, release("fresh", "1.0")), 502),
    get("dead: a file that is kept", hashed(M, release("kept", "1.0"))),
    mirrored_list("dead: the list", f"{M}/+simple/", difference=LIST_STALE),
    read_json("dead: the record", M, difference=LIST_STALE),
    mirrored_json_page("alive again", f"{M}/+simple/last/", before=revive()),
]

# Lists

_LIST_FAILURES = {
    "404": Fault(status=404),
    "401": Fault(status=401),
    "500": Fault(status=500),
    "204": Fault(status=204),
    "dropped": Fault(drop=True),
    "cut": Fault(cut_after=50),
}
_LIST_CRASHES = {
    "no json": _json('{"meta": {"api-version": "1.0"}, "projects": ['),
    "another version": _json('{"meta": {"api-version": "2.0"}, "projects": []}'),
    "no meta": _json('{"projects": [{"name": "fresh"}]}'),
    "no projects": _json('{"meta": {"api-version": "1.0"}}'),
    "no name": _json('{"meta": {"api-version": "1.0"}, "projects": [{}]}'),
}


def _list(name: str, path: str = LISTS, *, difference: Sequence[str] = (), **details: Any) -> Step:
    return mirrored_list(
        name, f"{path}/+simple/", accept=SIMPLE_JSON, audience="installer", difference=difference, **details
    )


def _etag(tag: str | None) -> Act:
    def set_tag(upstream: Any) -> None:
        upstream.list_etag = tag

    return change(f"list etag {tag}", set_tag)


_LIST_STEPS = [
    mirror(LISTS),
    mirror("/alice/never"),
    mirrored_json_page("lists: read one project", f"{LISTS}/+simple/kept/", before=heal()),
    _list("list: loaded"),
    *(
        _list(f"list: {name}", difference=[LIST_STALE], before=fault("/simple/", what))
        for name, what in _LIST_FAILURES.items()
    ),
    _list("list: no html", before=fault("/simple/", body=b"\xff\xfe\xfd", content_type="text/html")),
    _list("list: whole before it is broken", before=heal("/simple/")),
    *(
        get(
            f"list: {name}",
            f"{LISTS}/+simple/",
            500,
            accept=SIMPLE_JSON,
            page="installer",
            difference=LIST_STALE,
            ours={"status": 200, "page:project:fresh:name": "fresh"},
            before=fault("/simple/", what),
        )
        for name, what in _LIST_CRASHES.items()
    ),
    _list("list: whole after it was broken", before=heal("/simple/")),
    mirrored_list(
        "list for people: 500", f"{LISTS}/+simple/", difference=LIST_STALE, before=fault("/simple/", status=500)
    ),
    read_json("record: 500", LISTS, difference=LIST_STALE),
    mirrored_list("list through a stage: 500", f"{OVER}/+simple/", difference=LIST_STALE),
    _list("list: never loaded, 500", "/alice/never", difference=[LIST_STALE]),
    read_json("record: never loaded, 500", "/alice/never"),
    read_json(
        "list fails: a page not remembered", "/alice/never/+simple/fresh/", 404, difference=UNLISTED, our_status=200
    ),
    _list("list: whole again", before=heal()),
    _list("list: with a validator", before=_etag('"one"')),
    _list("list: 304", difference=[LIST_STALE]),
    expiry(LISTS, LONG),
    _list("list: fresh"),
    _list("list: fresh though the upstream fails", before=fault("/simple/", status=500)),
    read_json("record: fresh", LISTS),
    expiry(LISTS, "0"),
    _list("list: slow", difference=[LIST_STALE], before=fault("/simple/", delay=TOO_LONG, no_validators=True)),
]

MIRROR_FAILURES = Scenario(
    "mirror-failures",
    "upstreams that fail, and what mirrors remember",
    [
        alice(),
        mirror(M),
        mirror(NO_LIST, mirror_no_project_list=True),
        *_READ,
        *_ROWS,
        *_VIEWS,
        *_NO_LIST,
        *_THROUGH,
        *_DEAD,
        *_LIST_STEPS,
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            *(Project(name, [release(name, "1.0")]) for failure in FAILURES for name in (failure.new, failure.old)),
            *(Project(name, [release(name, "1.0")]) for name in ("kept", "fresh", "down", "down-too", "last")),
            *(Project(name, has_page=False) for name in ("gone", "gone-too")),
            Project("unlisted", [release("unlisted", "1.0")], listed=False),
        ),
    ),
)

