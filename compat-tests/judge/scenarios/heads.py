"""HEAD where GET answers: every route, with each kind of `Accept`."""

from __future__ import annotations

from collections.abc import Iterator

from ..distributions import stored_path, wheel
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    PIP,
    SIMPLE_JSON,
    Scenario,
    Step,
    delete,
    documentation,
    head,
    index,
    tox_result,
    upload,
    user,
)

VOL = "/alice/vol"
WHEEL = "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
FILE, WHEEL_FILE = stored_path(VOL, "pkg_a-1.0.tar.gz", b"sdist"), stored_path(VOL, WHEEL, WHEEL_BYTES)
DOCS = stored_path(VOL, "pkg-a-1.0.doc.zip", b"PKzip")
GONE = stored_path(VOL, "pkg_a-2.0.tar.gz", b"gone")

ACCEPTS = {"no accept": None, "json": JSON, "html": HTML, "anything": ANYTHING, "simple json": SIMPLE_JSON}

# The statuses in the order of the kinds of Accept above.
_OF_JSON = (200, 200, 404, 200, 404)
_MISSING_JSON = (404,) * 5
_ROUTES: dict[str, tuple[int, ...]] = {
    "/": _OF_JSON,
    "/alice": _OF_JSON,
    "/alice/": _OF_JSON,
    "/nouser": _MISSING_JSON,
    VOL: (200, 200, 404, 200, 200),
    f"{VOL}/": (200, 200, 404, 200, 200),
    f"{VOL}?no_projects": (200, 200, 404, 200, 200),
    "/alice/nope": _MISSING_JSON,
    "/+api": _OF_JSON,
    "/alice/+api": _OF_JSON,
    f"{VOL}/+api": _OF_JSON,
    "/alice/nope/+api": _MISSING_JSON,
    "/+login": _MISSING_JSON,
    "/+authcheck": (200,) * 5,
    "/+nope": _MISSING_JSON,
    f"{VOL}/+simple": (302, 302, 302, 302, 200),
    f"{VOL}/+simple/": (200,) * 5,
    f"{VOL}/+simple/pkg-a": (302, 302, 302, 302, 200),
    f"{VOL}/+simple/pkg-a/": (200,) * 5,
    f"{VOL}/+simple/Pkg_A/": (200,) * 5,
    f"{VOL}/+simple/nope/": _MISSING_JSON,
    f"{VOL}/+simple/n%C3%A4/": (400,) * 5,
    f"{VOL}/+simple/pkg-a/refresh": _MISSING_JSON,
    "/alice/nope/+simple/": _MISSING_JSON,
    f"{VOL}/pkg-a": (415, 200, 404, 415, 404),
    f"{VOL}/Pkg_A/": (415, 200, 404, 415, 404),
    f"{VOL}/pkg-a?ignore_bases": (415, 200, 404, 415, 404),
    f"{VOL}/nope": (415, 404, 404, 415, 404),
    f"{VOL}/pkg-a/1.0": _OF_JSON,
    f"{VOL}/Pkg_A/1.0": _OF_JSON,
    f"{VOL}/pkg-a/9": _MISSING_JSON,
    FILE: (200,) * 5,
    f"{FILE}/": (200,) * 5,
    DOCS: (200,) * 5,
    f"{FILE}.toxresult-*-0": (200,) * 5,
    f"{VOL}/+f/nope": _MISSING_JSON,
    f"{VOL}/+f": _MISSING_JSON,
    f"{VOL}/+e/a/b.zip": _MISSING_JSON,
    GONE: (410,) * 5,
    f"/alice/nope/{FILE.removeprefix(VOL)}": _MISSING_JSON,
}


def _difference(path: str, accept: str | None, status: int) -> tuple[str, ...]:
    """What is different in the headers of an answer without a body."""
    is_page = "+simple" in path or (accept == SIMPLE_JSON and path.partition("?")[0].rstrip("/") == VOL)
    ids = ["page-caching"] if is_page and status == 200 else []
    if is_page and status == 200 and accept == JSON:
        ids.append("simple-content-type")
    if "/+f/" in path and accept == JSON and status == 200:
        ids.append("head-length")
    return tuple(ids)


def _every_route() -> Iterator[Step]:
    for path, statuses in _ROUTES.items():
        for (words, accept), status in zip(ACCEPTS.items(), statuses, strict=True):
            yield head(f"{path}, {words}", path, status, accept=accept, difference=_difference(path, accept, status))


HEADS = Scenario(
    "heads",
    "HEAD on every route",
    [
        user("alice", "pw2"),
        index(VOL),
        upload("prepare an sdist", VOL, 200, "Pkg_A", "1.0", "pkg_a-1.0.tar.gz", b"sdist"),
        upload("prepare a wheel", VOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
        upload("prepare a file to delete", VOL, 200, "Pkg_A", "2.0", "pkg_a-2.0.tar.gz", b"gone"),
        documentation("prepare docs", VOL, 200, "Pkg_A", "1.0", b"PKzip"),
        tox_result("prepare a tox result", FILE, 200, {"a": 1}),
        delete("prepare a deleted file", GONE, 200, as_user="alice"),
        *_every_route(),
        head("metadata of a wheel", f"{WHEEL_FILE}.metadata", 404, difference="core-metadata-on", our_status=200),
        *(
            head(f"{path} as pip", path, status, agent=PIP, difference="page-caching" if status == 200 else ())
            for path, status in {
                VOL: 200,
                f"{VOL}/pkg-a": 200,
                f"{VOL}/pkg-a/": 200,
                f"{VOL}/Pkg_A": 200,
                f"{VOL}/nope": 404,
                f"{VOL}/+simple": 200,
                f"{VOL}/+simple/pkg-a": 200,
                "/alice/nope": 404,
            }.items()
        ),
        head("under an outside url", f"/sub{FILE}", headers={"X-Outside-Url": "https://out.example/sub"}),
    ],
    {"alice": "pw2"},
)
