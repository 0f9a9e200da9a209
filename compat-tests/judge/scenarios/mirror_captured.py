"""The captured pairs with mirrors, in their order, since state carries over."""

from __future__ import annotations

from ..steps import (
    PIP,
    SIMPLE_JSON,
    Act,
    Scenario,
    configure,
    delete,
    get,
    head,
    index,
    mirrored_json_page,
    mirrored_list,
    mirrored_page,
    mirrored_pip_page,
    page,
    post,
    push,
    read_json,
    upload,
    wait,
)
from .mirror_data import (
    CAPTURED,
    CAPTURED_BAD,
    CAPTURED_GONE,
    CAPTURED_SDIST,
    CAPTURED_UNHASHED,
    CAPTURED_WHEEL,
    CAPTURED_YANKED,
    IMPATIENT,
    LONG,
    TIMEOUT,
    alice,
    expiry,
    hashed,
    mirror,
    unhashed,
)

M3, MM = "/alice/m3", "/alice/mm"
PAGE = f"{M3}/+simple/up-pkg/"
FIRST, MISSING = "mirror-first-download", "mirror-missing-page"
WHEEL_FILE, SDIST_FILE = hashed(M3, CAPTURED_WHEEL), hashed(M3, CAPTURED_SDIST)
YANKED_FILE, GONE_FILE = hashed(M3, CAPTURED_YANKED), hashed(M3, CAPTURED_GONE)
UNHASHED_FILE = unhashed(M3, CAPTURED_UNHASHED.filename)
WRONG_FILE = f"{MM}/+f/000/0000000000000/badf-1.zip"
FAILING_FILE = f"{MM}/+f/111/1111111111111/badf-2.zip"
FREE_FILE = unhashed(MM, CAPTURED_BAD[2].filename)


def _stored() -> Act:
    """devpi keeps a file after it has sent all of it."""
    return wait(0.3)


_PAGES = [
    read_json("287", M3),
    mirrored_list("288", f"{M3}/+simple/", agent=PIP, audience="installer"),
    mirrored_list("289", f"{M3}/+simple/"),
    mirrored_list("290", f"{M3}/+simple/", accept=SIMPLE_JSON, audience="installer"),
    mirrored_page("291", PAGE),
    mirrored_json_page("292", PAGE),
    mirrored_pip_page("293", PAGE),
    get("294", f"{M3}/+simple/Up_Pkg/", 302, agent=PIP),
    mirrored_pip_page("295", f"{M3}/+simple/zzz-empty/"),
    mirrored_page("296", f"{M3}/+simple/zzz-empty/"),
    get("297", f"{M3}/+simple/down/", 502, agent=PIP),
    read_json("298", f"{M3}/+simple/down/", 502),
    get("299", f"{M3}/+simple/down/", 502, accept=SIMPLE_JSON),
    read_json("300", f"{M3}/up-pkg"),
    read_json("301", f"{M3}/Up_Pkg", 302),
    read_json("302", f"{M3}/up-pkg/1.0"),
    read_json("303", f"{M3}/up-pkg/0.9"),
    read_json("304", f"{M3}/up-pkg/9", 404),
    read_json("305", f"{M3}/nope/1", 404, difference="mirror-unlisted"),
    read_json("306", f"{M3}/zzz-empty"),
]

_FILES = [
    head("307", WHEEL_FILE, difference="mirror-head"),
    read_json("308", WHEEL_FILE),
    get("309", WHEEL_FILE, difference=FIRST),
    head("310", WHEEL_FILE, before=_stored()),
    read_json("311", WHEEL_FILE),
    get("312", UNHASHED_FILE, 404),
    read_json("313", UNHASHED_FILE),
    get("314", GONE_FILE, 404),
    read_json("315", GONE_FILE),
    get("316", YANKED_FILE, difference=FIRST),
    get("317", YANKED_FILE, before=_stored()),
    post("318", f"{PAGE}refresh", 302),
    configure(M3, "mirror_use_external_urls=yes"),
    get("320", WHEEL_FILE),
    get("321", GONE_FILE, 302, agent=PIP),
    configure(M3, "mirror_use_external_urls=no"),
]

_WHITELIST = [
    *(index(f"/alice/{name}", bases=bases, **config) for name, bases, config in (
        ("w1", ["alice/m3"], {}),
        ("w2", ["alice/m3"], {"mirror_whitelist": ["priv"]}),
        ("w3", ["alice/w1", "alice/m3"], {}),
        ("w4", ["alice/w2"], {"mirror_whitelist": ["*"]}),
        ("w5", ["alice/w1"], {"mirror_whitelist": ["*"]}),
        ("w6", ["alice/w1"], {"mirror_whitelist": ["*"], "mirror_whitelist_inheritance": "union"}),
    )),
    upload("prepare priv 1.0", "/alice/w1", 200, "priv", "1.0", "priv-1.0.tar.gz", b"private 1"),
    upload("prepare priv 2.0", "/alice/w2", 200, "priv", "2.0", "priv-2.0.tar.gz", b"private 2"),
    page("322", "/alice/w1/+simple/priv/", difference="mirror-refresh-form"),
    page("323", "/alice/w1/+simple/priv/", accept=SIMPLE_JSON, audience="installer"),
    *(step for number, name in ((324, "w2"), (326, "w3"), (328, "w4"), (330, "w5")) for step in (
        page(f"{number}", f"/alice/{name}/+simple/priv/", difference="mirror-refresh-form", mirrored=True),
        page(f"{number + 1}", f"/alice/{name}/+simple/priv/", accept=SIMPLE_JSON, audience="installer", mirrored=True),
    )),
    page("332", "/alice/w6/+simple/priv/", difference="mirror-refresh-form", mirrored=True),
    mirrored_page("333", "/alice/w1/+simple/up-pkg/"),
    mirrored_pip_page("334", "/alice/w1/+simple/down/", stale=True),
    mirrored_list("335", "/alice/w1/+simple/"),
    mirrored_list("336", "/alice/w1/+simple/", agent=PIP, audience="installer"),
    mirrored_list("337", "/alice/w1/+simple/", accept=SIMPLE_JSON, audience="installer"),
    mirrored_json_page("338", "/alice/w1/+simple/up-pkg/"),
    read_json("versions behind a whitelist", "/alice/w1/priv"),
    read_json("versions in front of one", "/alice/w4/priv"),
    read_json("a version that only the mirror has", "/alice/w4/priv/9.0"),
    read_json("a version that the mirror may not add", "/alice/w3/priv/9.0", 404),
    expiry(M3, LONG),
    mirrored_pip_page("343", PAGE),
    mirrored_pip_page("344", "/alice/w1/+simple/up-pkg/"),
]  # fmt: skip

_PUSHES = [
    index("/alice/tgt"),
    push("372", M3, 200, {"name": "up-pkg", "version": "1.0", "targetindex": "alice/tgt"}),
    push("373", M3, 502, {"name": "up-pkg", "version": "0.8", "targetindex": "alice/tgt"}),
    push("374", M3, 502, {"name": "up-pkg", "version": "0.7", "targetindex": "alice/tgt"}),
    push("375", M3, 400, {"name": "up-pkg", "version": "5", "targetindex": "alice/tgt"}),
    push(
        "push what the stage only inherits",
        "/alice/w1",
        400,
        {"name": "up-pkg", "version": "0.9", "targetindex": "alice/tgt"},
    ),
    read_json("377", "/alice/tgt/up-pkg/1.0"),
]

_DELETION = [
    delete("395", f"{M3}/up-pkg/0.9", 200, as_user="alice"),
    read_json("396", f"{M3}/up-pkg/0.9"),
    delete("397", f"{M3}/nope/0.9", 404, as_user="alice"),
    delete("398", f"{M3}/up-pkg/33", 200, as_user="alice"),
    delete("403", f"{M3}/up-pkg", 200, as_user="alice"),
    expiry(M3, "0"),
    mirrored_json_page("the page is there again", PAGE),
    expiry(M3, LONG),
    get("the file is there again", YANKED_FILE, difference=FIRST),
    delete("413", YANKED_FILE, 200, as_user="alice", before=_stored()),
    delete("414", YANKED_FILE, 410, as_user="alice"),
]

_FAILURES = [
    mirror(MM, expiry=LONG),
    mirrored_json_page("read the page of bad files", f"{MM}/+simple/badf/"),
    get("554", WRONG_FILE, difference="mirror-wrong-hash"),
    get("555", FAILING_FILE, 502),
    get("556", FREE_FILE, difference=FIRST),
    get("557", FREE_FILE, before=_stored()),
    delete("558", FREE_FILE, 200, as_user="alice"),
    get("559", f"{MM}/+simple/slow/", 502),
    get("560", f"{MM}/+simple/gonep/", page="human", difference=MISSING),
    read_json("561", f"{MM}/gonep/1", 502, difference=MISSING),
    # By now MM may have read the page in the background.
    mirror("/alice/mm2", expiry=LONG),
    read_json("562", "/alice/mm2/slow", 502),
    mirrored_json_page("read the page", f"{MM}/+simple/up-pkg/"),
    get("download one file", hashed(MM, CAPTURED_YANKED), difference=FIRST),
    delete("563", hashed(MM, CAPTURED_YANKED), 200, as_user="alice", before=_stored()),
    mirrored_pip_page("564", f"{MM}/+simple/up-pkg/", also=[], difference="mirror-deleted-files"),
    post("565", f"{MM}/+simple/up-pkg/refresh", 302),
    read_json("566", hashed(MM, CAPTURED_YANKED)),
]  # fmt: skip

MIRROR_CAPTURED = Scenario(
    "mirror-captured",
    "the captured pairs with mirrors",
    [
        alice(),
        mirror(M3, url="http://upstream.example/simple", title="M", mirror_no_project_list=False),
        *_PAGES,
        *_FILES,
        *_WHITELIST,
        *_PUSHES,
        *_DELETION,
        *_FAILURES,
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=CAPTURED,
)

