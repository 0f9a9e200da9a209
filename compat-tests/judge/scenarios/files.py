"""Downloading files and reading their records."""

from __future__ import annotations

from ..distributions import archive, stored_path, wheel
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    PIP,
    Scenario,
    call,
    delete,
    get,
    head,
    index,
    post,
    put,
    read_json,
    upload,
    user,
)

VOL = "/alice/vol"
SDIST = "pkg_a-1.0.tar.gz"
WHEEL = "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
OLD = stored_path(VOL, SDIST, b"sdist1")
FILE = stored_path(VOL, SDIST, b"sdist2")
WHEEL_FILE = stored_path(VOL, WHEEL, WHEEL_BYTES)
NEVER = OLD.replace(SDIST, "never-1.0.tar.gz")

_KINDS = {
    "types-1.zip": archive(types="1"),
    "types-1.tgz": b"tgz",
    "types-1.tar.bz2": b"tar.bz2",
    "types-1.bz2": b"bz2",
    "types-1-py3.egg": archive(egg="1"),
    "types-1.exe": b"exe",
    "types-1.msi": b"msi",
    "types-1.deb": b"deb",
    "types-1.rpm": b"rpm",
    "types-1.dmg": b"dmg",
    "types-1.TAR.GZ": b"capitals",
    "types-1+l.1.tar.gz": b"local",
    "types-1 b.zip": archive(blank="1"),
}


def _encoded(path: str) -> str:
    return path.replace(" ", "%20")


_PREPARE = [
    user("alice", "pw2"),
    index("/alice/vol"),
    index("/alice/other"),
    upload("prepare the first sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist1"),
    upload("prepare the second sdist", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2"),
    upload("prepare a wheel", VOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
]

_CAPTURED = [
    get("212", FILE),
    head("213", FILE),
    read_json("214", FILE),
    get("215", WHEEL_FILE),
    get("217", f"{WHEEL_FILE}.metadata", 404, difference="core-metadata-on", our_status=200),
    get("218", OLD, 410),
    read_json("219", OLD, 410),
    read_json("220", NEVER, 404),
    get("221", "/alice/vol/+f/500", 404),
    get("222", "/alice/vol/+f", 404),
    read_json("223", "/alice/vol/+f", 404),
    call("224", "OPTIONS", FILE, 200),
    put("225", FILE, 200, b"x", as_user="alice", accept=None),
    post("226", "/alice/vol/+e/x", 404, {}, as_user="alice"),
]

_FURTHER = [
    get("with validators", FILE, also=["ETag", "Accept-Ranges"], difference="file-validators"),
    get("with a slash", f"{FILE}/"),
    get("with an encoded plus", FILE.replace("+f", "%2Bf"), agent=PIP, accept=ANYTHING),
    get("with an encoded slash", FILE.replace("+f/", "+f%2F")),
    get("for a browser", FILE, accept=HTML),
    get("with json among others", FILE, accept=f"{HTML}, {JSON};q=0.1"),
    read_json("of the wheel", WHEEL_FILE),
    get("on another index", FILE.replace("/vol/", "/other/"), 404),
    get("on an unknown index", FILE.replace("/vol/", "/nope/"), 404),
    read_json("on an unknown index with json", FILE.replace("/vol/", "/nope/"), 404),
    get("with another directory", FILE.replace(SDIST, WHEEL), 404),
    get("nothing behind", "/alice/vol/+f/", 404),
    get("of an unknown user", "/nouser/vol/+f/a/b/c.zip", 404, accept=ANYTHING),
    get("climbing out", "/alice/vol/+f/../../vol", 404),
    get("climbing out encoded", "/alice/vol/+f/%2e%2e/%2e%2e/x", 404),
    get("external path of a stage", "/alice/vol/+e/a/b.zip", 404),
    get("metadata of an sdist", f"{FILE}.metadata", 404, difference="core-metadata-on"),
    get("metadata of nothing", f"{NEVER}.metadata", 404, difference="core-metadata-on"),
    get("metadata of a deleted file", f"{OLD}.metadata", 404, difference="core-metadata-on"),
    head("of a deleted file", OLD, 410),
    head("of no file", NEVER, 404),
    head("record by head", FILE, accept=JSON, difference="head-length"),
    call("an unknown method", "LOCK", FILE, 200),
    call("patch of a file", "PATCH", FILE, 200, body=b"x"),
    *(
        upload(f"prepare {name}", VOL, 200, "types", "1", name, content)
        for name, content in _KINDS.items()
        if "+" not in name
    ),
    upload("prepare a local version", VOL, 200, "types", "1+l.1", "types-1+l.1.tar.gz", _KINDS["types-1+l.1.tar.gz"]),
    *(get(f"type of {name}", _encoded(stored_path(VOL, name, content))) for name, content in _KINDS.items()),
    *(head(f"head of {name}", _encoded(stored_path(VOL, name, content))) for name, content in list(_KINDS.items())[:3]),
    get("an encoded local version", stored_path(VOL, "types-1%2Bl.1.tar.gz", _KINDS["types-1+l.1.tar.gz"])),
    read_json("record of a name with a blank", _encoded(stored_path(VOL, "types-1 b.zip", _KINDS["types-1 b.zip"]))),
    delete("delete the index", "/alice/vol", 201, as_user="alice"),
    get("file of a deleted index", FILE, 410),
    read_json("file of a deleted index with json", FILE, 410),
    get("no file of a deleted index", NEVER, 404),
    delete("delete the user", "/alice", 200, as_user="alice"),
    get("file of a deleted user", FILE, 410),
]

FILES = Scenario("files", "downloads", [*_PREPARE, *_CAPTURED, *_FURTHER], {"alice": "pw2"})
