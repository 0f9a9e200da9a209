"""Project, version and index data of mirrors; core metadata; pushing from a mirror; offline mode."""

from __future__ import annotations

from upstream import File, Project

from ..distributions import wheel
from ..steps import (
    HTML,
    JSON,
    PIP,
    SIMPLE_JSON,
    Scenario,
    configure,
    fault,
    get,
    head,
    heal,
    index,
    json_page,
    mirrored_json_page,
    mirrored_list,
    mirrored_page,
    mirrored_pip_page,
    post,
    publish,
    push,
    read_json,
    restart,
    tox_result,
    wait,
)
from .mirror_data import CAPTURED, CAPTURED_WHEEL, IMPATIENT, LONG, TIMEOUT, alice, hashed, mirror, release

M, OVER, TARGET = "/alice/m", "/alice/over", "/alice/target"
FIRST, UNLISTED, MISSING = "mirror-first-download", "mirror-unlisted", "mirror-missing-page"
YANKED = "mirror-yanked-empty"
SOON = wait(0.3)

ODD = [
    File("odd-1.4.exe", b"MZ"),
    File("odd-1.4.win32-py2.7.exe", b"MZ2"),
    File("odd.zip", b"PK\5\6" + b"\0" * 18),
    File("odd-1.0-py3-none-any.whl", wheel("odd", "1.0"), requires_python=">=3"),
    File("odd-1.0-py2-none-any.whl", wheel("odd", "1.0", payload="x"), requires_python=">=2"),
    File("odd-1.0.tar.gz", b"sdist", yanked="why"),
    File("odd-1.0.post1.tar.gz", b"post", yanked=True),
    File("odd-1.0+local.1.tar.gz", b"local"),
    File("odd-2021.1rc1.tar.gz", b"rc"),
    File("odd-dev.tar.gz", b"dev"),
    File("odd-docs-3.0.zip", b"PK\5\6" + b"\0" * 18),
    File("odd-0.10.tar.gz", b"zeros", hashes=("md5",)),
    File("odd-4.0.tar.gz", b"unhashed", hashes=()),
    File("odd-5.0.doc.zip", b"PK\5\6" + b"\0" * 18),
    File("odd-6.0.linux-x86_64.tar.gz", b"dumb"),
    File("odd-7.0-py3.9.egg", b"egg"),
    File("odd-8.0-1.noarch.rpm", b"rpm"),
]

_DATA = [
    read_json("versions", f"{M}/odd", difference=YANKED),
    read_json("versions again", f"{M}/odd", difference=YANKED),
    *(
        read_json(f"version {version}", f"{M}/odd/{version}", difference=YANKED if "post" in version else ())
        for version in (
            "1.0", "1.0.post1", "1.0+local.1", "1.0%2Blocal.1", "2021.1rc1", "1.4", "4.0", "3.0", "7.0", "8.0"
        )
    ),
    read_json("a version of another spelling", f"{M}/odd/v1.0", 404),
    read_json("a version with zeros", f"{M}/odd/0.10"),
    read_json("a version that is not there", f"{M}/odd/99", 404),
    read_json("another spelling of the project", f"{M}/ODD", 302),
    read_json("another spelling of the project with a version", f"{M}/Odd/1.0", 302),
    read_json("an unknown project", f"{M}/nope", 404, difference=UNLISTED),
    read_json("an unknown project with a version", f"{M}/nope/1.0", 404, difference=UNLISTED),
    read_json("without bases", f"{M}/odd?ignore_bases", difference=YANKED),
    read_json("no links", f"{M}/empty"),
    read_json("a version of no links", f"{M}/empty/1.0", 404),
    read_json("a missing page", f"{M}/gone", difference=MISSING),
    get("the project for people", f"{M}/odd", 404, accept=HTML),
    mirrored_pip_page("the project for pip", f"{M}/odd", agent=PIP),
    mirrored_page("the page for people", f"{M}/+simple/odd/"),
    read_json("the index", M),
    read_json("the index without projects", f"{M}?no_projects"),
    mirrored_list("the index for pip", M, agent=PIP, audience="installer"),
    mirrored_list("the index in simple json", M, accept=SIMPLE_JSON, audience="installer"),
    read_json("all indexes of the user", "/alice"),
    read_json("the api of the index", f"{M}/+api"),
    head("versions by head", f"{M}/odd", accept=JSON),
    index(OVER, bases="alice/m"),
    read_json("versions through a stage", f"{OVER}/odd", difference=YANKED),
    read_json("versions of the stage alone", f"{OVER}/odd?ignore_bases"),
    read_json("a version through a stage", f"{OVER}/odd/1.0"),
    read_json("an unknown project through a stage", f"{OVER}/nope", 404, difference=UNLISTED),
    read_json("the stage", OVER),
]

_PUSH = [
    index(TARGET),
    push("push a version", M, 200, {"name": "odd", "version": "1.0.post1", "targetindex": "alice/target"}),
    push("push a version of several files", M, 200, {"name": "odd", "version": "1.0", "targetindex": "alice/target"}),
    push("push through a stage", OVER, 400, {"name": "odd", "version": "4.0", "targetindex": "alice/target"}),
    push("push a version without a hash", M, 200, {"name": "odd", "version": "4.0", "targetindex": "alice/target"}),
    push("push what is not there", M, 400, {"name": "odd", "version": "99", "targetindex": "alice/target"}),
    push(
        "push an unknown project",
        M,
        500,
        {"name": "nope", "version": "1", "targetindex": "alice/target"},
        difference="server-errors",
    ),
    push(
        "push what fails", M, 502, {"name": "fails", "version": "1.0", "targetindex": "alice/target"},
        before=fault("/files/fails-1.0.tar.gz", status=500),
    ),
    push(
        "push what is wrong", M, 500, {"name": "fails", "version": "1.0", "targetindex": "alice/target"},
        difference="mirror-wrong-hash",
        before=fault("/files/fails-1.0.tar.gz", body=b"wrong"),
    ),
    read_json("what was pushed", f"{TARGET}/odd", difference="mirror-yanked-empty"),
    json_page("the page of what was pushed", f"{TARGET}/+simple/odd/", unmarked=False),
    read_json("what failed was not pushed", f"{TARGET}/fails", difference="push-atomic", our_status=404),
    tox_result("a result for a file of a mirror", hashed(M, ODD[5]), 500, {"testenvs": {}}, difference="server-errors"),
]  # fmt: skip

MIRROR_VIEWS = Scenario(
    "mirror-views",
    "project, version and index data of mirrors, and pushes from them",
    [alice(), mirror(M), *_DATA, *_PUSH],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("odd", ODD),
            Project("empty"),
            Project("gone", has_page=False),
            Project("fails", [release("fails", "1.0")]),
        ),
    ),
)

# Core metadata

MIR, OFF = "/alice/mir", "/alice/off"
META = "core-metadata-on"
BESIDE = File("meta-1.0-py3-none-any.whl", wheel("meta", "1.0"), metadata=b"Metadata-Version: 2.1\nName: beside\n")
BARE = File("meta-2.0-py3-none-any.whl", wheel("meta", "2.0"))
NONE_INSIDE = File("meta-3.0-py3-none-any.whl", wheel("meta", "3.0", metadata=False))
SDIST = File("meta-4.0.tar.gz", b"meta")
LIED = File("meta-5.0-py3-none-any.whl", wheel("meta", "5.0"), metadata=b"true", core_metadata={"sha256": "0" * 64})
FAILING = File("meta-6.0-py3-none-any.whl", wheel("meta", "6.0"), metadata=b"never seen")
HEADERS = {"X-Secret": "1", "Cookie": "a=b", "X-Devpi-Auth": "eDp5"}


def _metadata(path: str) -> str:
    return f"{path}.metadata"


MIRROR_CORE_METADATA = Scenario(
    "mirror-core-metadata",
    "core metadata of files that are mirrored",
    [
        alice(),
        mirror(MIR, expiry=LONG),
        mirrored_page("450", f"{MIR}/+simple/up-pkg/"),
        mirrored_json_page("451", f"{MIR}/+simple/up-pkg/"),
        get("452", _metadata(hashed(MIR, CAPTURED_WHEEL)), 404, difference=META, our_status=200),
        configure(MIR, "mirror_provides_core_metadata=yes"),
        mirrored_page("453", f"{MIR}/+simple/up-pkg/"),
        mirrored_json_page("454", f"{MIR}/+simple/up-pkg/"),
        get("455", _metadata(hashed(MIR, CAPTURED_WHEEL)), difference=META),
        get("get the wheel", hashed(MIR, CAPTURED_WHEEL), difference=FIRST),
        get("456", _metadata(hashed(MIR, CAPTURED_WHEEL)), difference=META, before=SOON, mirrored=True),
        mirrored_json_page("the page", f"{MIR}/+simple/meta/"),
        get("beside", _metadata(hashed(MIR, BESIDE)), difference=META),
        head("beside, by head", _metadata(hashed(MIR, BESIDE)), difference=META),
        get("beside, again", _metadata(hashed(MIR, BESIDE)), difference=META),
        get("with the client's headers", _metadata(hashed(MIR, BESIDE)), headers=HEADERS, difference=META),
        # Where none lies beside a wheel, ours reads the end of the wheel.
        get("not beside", _metadata(hashed(MIR, BARE)), 404, difference=META, our_status=200),
        get("of an sdist", _metadata(hashed(MIR, SDIST)), 404, difference=META, our_status=404),
        get("not as its hash says", _metadata(hashed(MIR, LIED)), difference=META, our_status=502, mirrored=True),
        get("fails", _metadata(hashed(MIR, FAILING)), 502, difference=META, mirrored=True, our_status=502,
            before=fault(f"{FAILING.path}*", status=500)),
        get("dropped", _metadata(hashed(MIR, FAILING)), 502,
            before=fault(f"{FAILING.path}*", drop=True)),
        get("no wheel", _metadata(f"{MIR}/+f/abc/0123456789abc/meta-9.0-py3-none-any.whl"), 404),
        get("get the bare wheel", hashed(MIR, BARE), difference=FIRST),
        get("from the wheel", _metadata(hashed(MIR, BARE)), difference=META, before=SOON),
        get("get the empty wheel", hashed(MIR, NONE_INSIDE), difference=FIRST),
        get("nothing in the wheel", _metadata(hashed(MIR, NONE_INSIDE)), 404, before=SOON),
        mirror(OFF, expiry=LONG),
        mirrored_json_page("the page of another mirror", f"{OFF}/+simple/meta/"),
        get("not provided", _metadata(hashed(OFF, BESIDE)), 404, difference=META),
        get("get the wheel there", hashed(OFF, BESIDE), difference=FIRST),
        get("not provided, but there", _metadata(hashed(OFF, BESIDE)), difference=META, before=SOON, mirrored=True),
    ],
    {"alice": "pw2"},
    ("--absolute-urls", "--enable-core-metadata", *TIMEOUT),
    IMPATIENT,
    upstream=(*CAPTURED, publish(Project("meta", [BESIDE, BARE, NONE_INSIDE, SDIST, LIED, FAILING]))),
)

# Offline

KEPT, LOST = release("off", "1.0"), release("off", "2.0")
EXTERNAL, RESTART = "/alice/external", "mirror-restart"

MIRROR_OFFLINE = Scenario(
    "mirror-offline",
    "what mirrors answer after a restart, and offline",
    [
        alice(),
        mirror(M, expiry=LONG),
        mirror(EXTERNAL, expiry=LONG, mirror_use_external_urls=True),
        mirrored_json_page("read a page", f"{M}/+simple/off/"),
        mirrored_json_page("read a page without files", f"{M}/+simple/paper/"),
        mirrored_json_page("read a page of external files", f"{EXTERNAL}/+simple/off/"),
        get("get a file", hashed(M, KEPT), difference=FIRST),
        index(OVER, bases="alice/m"),
        mirrored_json_page("after a restart", f"{M}/+simple/off/", before=[SOON, restart()], difference=RESTART),
        mirrored_json_page("after a restart, again", f"{M}/+simple/off/"),
        get("the file after a restart", hashed(M, KEPT)),
        mirrored_json_page(
            "after a restart that fails", f"{M}/+simple/paper/", difference=RESTART,
            before=[restart(), fault("/simple/paper/", status=503), fault("/simple/", status=503)],
        ),
        mirrored_list("after a restart: the list that fails", f"{M}/+simple/", difference="mirror-list-stale"),
        mirrored_json_page("healed", f"{M}/+simple/paper/", before=heal(), difference=RESTART),
        # Offline
        mirrored_json_page("offline: only what is kept", f"{M}/+simple/off/", before=restart("--offline-mode")),
        mirrored_page("offline: for people", f"{M}/+simple/off/"),
        mirrored_json_page("offline: nothing is kept", f"{M}/+simple/paper/"),
        read_json("offline: unknown", f"{M}/+simple/nope/", 404),
        mirrored_list("offline: the list", f"{M}/+simple/"),
        read_json("offline: the record", M),
        read_json("offline: versions", f"{M}/off"),
        read_json("offline: a version that is kept", f"{M}/off/1.0"),
        read_json("offline: a version that is not kept", f"{M}/off/2.0", 404),
        get("offline: a file that is kept", hashed(M, KEPT)),
        get("offline: a file that is not kept", hashed(M, LOST), 502),
        head("offline: head of a file that is not kept", hashed(M, LOST), 502),
        read_json("offline: the record of a file that is not kept", hashed(M, LOST)),
        get("offline: an unknown file", f"{M}/+f/abc/0123456789abc/off-1.0.tar.gz", 404),
        get("offline: an external file", hashed(EXTERNAL, LOST), 302),
        mirrored_json_page("offline: a page of external files", f"{EXTERNAL}/+simple/off/"),
        post("offline: refresh", f"{M}/+simple/off/refresh", 500, difference="mirror-refresh-error", our_status=502),
        mirrored_json_page("offline: after the refresh", f"{M}/+simple/off/"),
        mirrored_pip_page("offline: through a stage", f"{OVER}/+simple/off/"),
        get("offline: metadata", _metadata(hashed(M, KEPT)), 404, difference=META),
        # And back
        mirrored_json_page("online again", f"{M}/+simple/off/", before=restart(), difference=RESTART),
        get("online: a file that was not kept", hashed(M, LOST), difference=FIRST),
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("off", [KEPT, LOST]), Project("paper", [release("paper", "1.0")]), Project(
                "never", [release("never", "1.0")]
            )
        ),
    ),
)  # fmt: skip

