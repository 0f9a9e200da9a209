"""Refreshing a page: `POST …/refresh`."""

from __future__ import annotations

from upstream import Project

from ..steps import (
    JSON,
    Scenario,
    call,
    die,
    fault,
    get,
    head,
    heal,
    index,
    mirrored_json_page,
    post,
    publish,
    read_json,
    revive,
    upload,
)
from .mirror_data import IMPATIENT, LONG, TIMEOUT, alice, expiry, mirror, release

M, OVER, BLOCKED, NO_LIST = "/alice/m", "/alice/over", "/alice/blocked", "/alice/nolist"
PAGE = f"{M}/+simple/r/"
ERROR = "mirror-refresh-error"


def _r(*versions: str) -> Project:
    return Project("r", [release("r", version) for version in versions])


_STEPS = [
    mirrored_json_page("read", PAGE),
    mirrored_json_page("fresh", PAGE, before=publish(_r("1.0", "2.0"))),
    get("by get", f"{PAGE}refresh", 404),
    head("by head", f"{PAGE}refresh", 404),
    call("by put", "PUT", f"{PAGE}refresh", 404, as_user="alice"),
    post("refresh as nobody", f"{PAGE}refresh", 302),
    mirrored_json_page("what is new", PAGE),
    post("refresh with json accepted", f"{PAGE}refresh", 302, accept=JSON),
    post(
        "refresh with a form",
        f"{PAGE}refresh",
        302,
        b"refresh=Refresh",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    post("refresh of another spelling", f"{M}/+simple/R/refresh", 302),
    post("refresh with a slash", f"{PAGE}refresh/", 404),
    post("refresh what nobody has", f"{M}/+simple/nope/refresh", 500, difference=ERROR),
    post("refresh what was never read", f"{M}/+simple/other/refresh", 302),
    mirrored_json_page("what was never read", f"{M}/+simple/other/"),
    post("refresh on an unknown index", "/alice/none/+simple/r/refresh", 404),
    # Through stages
    index(OVER, bases="alice/m"),
    post("refresh through a stage", f"{OVER}/+simple/r/refresh", 302, before=publish(_r("2.0", "3.0"))),
    mirrored_json_page("what is new, through a stage", f"{OVER}/+simple/r/"),
    index(BLOCKED, bases="alice/m"),
    upload("upload to the blocked stage", BLOCKED, 200, "r", "9.0", "r-9.0.tar.gz", b"own"),
    post("refresh through a stage that blocks it", f"{BLOCKED}/+simple/r/refresh", 302, before=publish(_r("4.0"))),
    mirrored_json_page("what is new behind the block", PAGE),
    # Failures
    expiry(M, "0"),
    post(
        "refresh fails", f"{PAGE}refresh", 500, difference=ERROR, our_status=502, before=fault("/simple/r/", status=503)
    ),
    mirrored_json_page("the page is still there", PAGE, stale=True),
    post("refresh fails with json accepted", f"{PAGE}refresh", 500, accept=JSON, difference=ERROR, our_status=502),
    post("refresh fails through a stage", f"{OVER}/+simple/r/refresh", 500, difference=ERROR, our_status=502),
    post("refresh of broken json", f"{PAGE}refresh", 500, difference=ERROR, our_status=502,
         before=fault("/simple/r/", body=b"{", content_type="application/vnd.pypi.simple.v1+json")),
    post("refresh of a page that is missing", f"{PAGE}refresh", 500, difference=ERROR, our_status=502,
         before=fault("/simple/r/", status=404)),
    mirrored_json_page("the page is still there after 404", PAGE, stale=True),
    post(
        "refresh when the upstream is dead",
        f"{PAGE}refresh",
        500,
        difference=ERROR,
        our_status=502,
        before=[heal(), die()],
    ),
    mirrored_json_page("the page is still there without an upstream", PAGE, stale=True),
    post(
        "refresh what was never read when the upstream is dead",
        f"{M}/+simple/last/refresh",
        500,
        difference=ERROR,
        our_status=502,
    ),
    post("refresh when it is back", f"{PAGE}refresh", 302, before=revive()),
    post("refresh when it is slow", f"{PAGE}refresh", 500, difference=ERROR, our_status=502,
         before=fault("/simple/r/", delay=2.6, no_validators=True)),
    # What the list does not have
    read_json(
        "not in the list", f"{M}/+simple/unlisted/", 404, difference="mirror-unlisted", our_status=200, before=heal()
    ),
    post("refresh what the list does not have", f"{M}/+simple/unlisted/refresh", 302),
    mirrored_json_page("it is there now", f"{M}/+simple/unlisted/"),
    # Without a list
    mirror(NO_LIST, expiry=LONG, mirror_no_project_list=True),
    post("without a list", f"{NO_LIST}/+simple/unlisted/refresh", 302),
    mirrored_json_page("the page without a list", f"{NO_LIST}/+simple/unlisted/"),
]  # fmt: skip

MIRROR_REFRESH = Scenario(
    "mirror-refresh",
    "refreshing pages of mirrors",
    [alice(), mirror(M, expiry=LONG), *_STEPS],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            _r("1.0"),
            Project("other", [release("other", "1.0")]),
            Project("last", [release("last", "1.0")]),
            Project("unlisted", [release("unlisted", "1.0")], listed=False),
        ),
    ),
)
