"""Form uploads: checks, stored metadata, and the ways clients write their forms."""

from __future__ import annotations

from ..distributions import archive, digest_fields, wheel
from ..steps import (
    HTML,
    JSON,
    Credentials,
    Form,
    Scenario,
    index,
    metadata_form,
    post,
    read_json,
    release_form,
    upload,
    user,
)

SDIST = "pkg_a-1.0.tar.gz"
WHEEL = "Pkg_A-1.0-py3-none-any.whl"
WHEEL_BYTES = wheel("Pkg_A", "1.0")
VOL, NVOL = "/alice/vol/", "/alice/nvol/"
FORM = release_form("Pkg_A", "1.0", SDIST, b"sdist1")

METADATA = (
    ("summary", "s"),
    ("requires_python", ">=3.8"),
    ("metadata_version", "2.1"),
    ("home_page", "UNKNOWN"),
    ("protocol_version", "1"),
    ("filetype", "sdist"),
    ("pyversion", "source"),
    ("gpg_signature", "x"),
    ("classifiers", "A"),
    ("classifiers", "B"),
    ("classifiers", ""),
    ("requires_dist", "foo>1"),
    ("project_urls", "X, http://x"),
    ("attestations", "[]"),
    ("license_expression", "MIT"),
    ("license_file", "LICENSE"),
    ("import_names", "import_names x"),
)

_PREPARE = [
    user("alice", "pw2"),
    user("dave4", "x"),
    index("/alice/vol"),
    index("/alice/nvol", volatile=False),
    index("/alice/other"),
]

_ACCEPTED = [
    post("162", VOL, 401, FORM),
    post("163", VOL, 401, FORM, accept=JSON),
    post("164", VOL, 403, FORM, as_user="dave4"),
    post("165", VOL, 403, FORM, as_user="dave4", accept=JSON),
    post("167", "/alice/nope/", 404, FORM, as_user="alice"),
    post("168", "/nouser/nope/", 404, FORM, as_user="alice"),
    post(
        "169",
        VOL,
        200,
        release_form("Pkg_A", "1.0", SDIST, b"sdist1", *METADATA, *digest_fields(b"sdist1")),
        credentials=Credentials("alice", "pw2", "Authorization"),
    ),
    read_json("170", "/alice/vol/pkg-a", difference="unknown-fields"),
    read_json("171", "/alice/vol/pkg-a/1.0", difference="unknown-fields"),
    upload("before 172", VOL, 200, "Pkg_A", "1.0", SDIST, b"sdist2", ("summary", "s2")),
    upload("before 172 too", VOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
    read_json("172", "/alice/vol/pkg-a/1.0", difference="unknown-fields"),
    upload("before 173", NVOL, 200, "Pkg_A", "1.0", SDIST, b"sdist1"),
    upload("173", NVOL, 200, "Pkg_A", "1.0", SDIST, b"sdist1"),
    upload("174", NVOL, 200, "Pkg_A", "1.0", SDIST, b"sdist1", accept=JSON),
    upload("175", NVOL, 409, "Pkg_A", "1.0", SDIST, b"sdist2"),
    upload("176", NVOL, 409, "Pkg_A", "1.0", SDIST, b"sdist2", accept=JSON),
    upload("177", NVOL, 409, "Pkg_A", "1.0", SDIST, b"sdist2", accept=HTML),
    upload("non-volatile, another file", NVOL, 200, "Pkg_A", "1.0", WHEEL, WHEEL_BYTES),
    upload(
        "refused with other metadata",
        NVOL,
        409,
        "Pkg_A",
        "1.0",
        SDIST,
        b"sdist2",
        ("summary", "changed"),
        difference="no-half-changes",
    ),
    read_json("metadata after a refusal", "/alice/nvol/pkg-a/1.0", difference="no-half-changes"),
]

_REFUSED = [
    upload("178", VOL, 400, "Pkg_A", "2.0", SDIST, b"sdist1"),
    upload("179", VOL, 400, "other", "1.0", SDIST, b"sdist1"),
    upload("180", VOL, 400, "Pkg_A", "1.0", "pkg_a-1.0.txt", b"x"),
    upload("181", VOL, 400, "Pkg_A", "1.0", "pkg_a-1.0.tar.gz.asc", b"x"),
    post("182", VOL, 400, metadata_form("file_upload", ("name", "Pkg_A"), ("version", "1.0")), as_user="alice"),
    upload("183", VOL, 400, "Pkg_A", "", SDIST, b"sdist1"),
    post("184", VOL, 400, Form(((":action", "foo"), *FORM.fields[1:]), FORM.files), as_user="alice"),
    post("185", VOL, 400, Form(((":action", "remove"), *FORM.fields[1:]), FORM.files), as_user="alice"),
    upload("186", VOL, 400, "-bad", "1.0", "-bad-1.0.tar.gz", b"x"),
    upload("187", VOL, 400, "bad_", "1.0", "bad_-1.0.tar.gz", b"x"),
    upload("188", VOL, 400, "b d", "1.0", "b d-1.0.tar.gz", b"x"),
    upload("189", VOL, 400, "x", "1<2", "x-1<2.tar.gz", b"x"),
    upload("190", VOL, 400, "", "1.0", "x-1.0.tar.gz", b"x"),
    upload("191", VOL, 400, "x", "1.0", "../x-1.0.tar.gz", b"x"),
]

_REGISTERED = [
    post(
        "before 192",
        VOL,
        200,
        metadata_form("submit", ("name", "reg"), ("version", "1.0"), ("summary", "hi")),
        as_user="alice",
    ),
    read_json("192", "/alice/vol/reg"),
    read_json("193", "/alice/vol/reg/1.0"),
    post("194", VOL, 400, metadata_form("verify", ("name", "reg"), ("version", "1.0")), as_user="alice"),
    post("before 195", VOL, 200, metadata_form("submit", ("name", "reg"), ("version", "1.0")), as_user="alice"),
    read_json("195", "/alice/vol/reg/1.0"),
    upload("196", "/alice/vol", 200, "abc", "1", "abc-1.zip", archive(setup="abc")),
    read_json("the first project after all", "/alice/vol/pkg-a/1.0", difference="unknown-fields"),
    post(
        "submit over files",
        NVOL,
        200,
        metadata_form("submit", ("name", "Pkg_A"), ("version", "1.0")),
        as_user="alice",
        difference="no-half-changes",
    ),
    read_json("files after a submit", "/alice/nvol/pkg-a/1.0"),
    post("submit without a name", VOL, 400, metadata_form("submit", ("version", "1.0")), as_user="alice"),
    post("submit without a version", VOL, 400, metadata_form("submit", ("name", "reg")), as_user="alice", accept=JSON),
    post("submit a bad name", VOL, 400, metadata_form("submit", ("name", "b+d"), ("version", "1")), as_user="alice"),
    post("submit as nobody", VOL, 401, metadata_form("submit", ("name", "reg"), ("version", "2"))),
    post(
        "submit as another user", VOL, 403, metadata_form("submit", ("name", "reg"), ("version", "2")), as_user="dave4"
    ),
    post(
        "submit url-encoded",
        VOL,
        200,
        b":action=submit&name=reg&version=2&classifiers=A&classifiers=B&platform=UNKNOWN",
        as_user="alice",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    read_json("read what was url-encoded", "/alice/vol/reg/2"),
]

_FURTHER = [
    upload(
        "a broken wheel",
        "/alice/other",
        200,
        "broken",
        "1",
        "broken-1-py3-none-any.whl",
        b"no zip",
        difference="broken-zip",
    ),
    upload("a broken zip", "/alice/other", 200, "broken", "1", "broken-1.zip", b"no zip", difference="broken-zip"),
    upload("a broken egg", "/alice/other", 200, "broken", "1", "broken-1-py3.egg", b"no", difference="broken-zip"),
    upload(
        "a wrong md5",
        "/alice/other",
        200,
        "digests",
        "1",
        "digests-1.tar.gz",
        b"x",
        ("md5_digest", "bad"),
        difference="upload-digests",
    ),
    upload(
        "a wrong sha256",
        "/alice/other",
        200,
        "digests",
        "2",
        "digests-2.tar.gz",
        b"x",
        ("sha256_digest", "0" * 64),
        difference="upload-digests",
    ),
    upload(
        "a wrong blake2",
        "/alice/other",
        200,
        "digests",
        "3",
        "digests-3.tar.gz",
        b"x",
        ("blake2_256_digest", "0" * 64),
        difference="upload-digests",
    ),
    upload(
        "provides-extra as twine sends it",
        "/alice/other",
        200,
        "extras",
        "1",
        "extras-1.tar.gz",
        b"x",
        ("provides_extra", "test"),
        ("provides_extra", "doc"),
    ),
    read_json("provides-extra is kept", "/alice/other/extras/1", difference="provides-extra"),
]

UPLOADS = Scenario(
    "uploads",
    "accepted and refused uploads",
    [*_PREPARE, *_ACCEPTED, *_REFUSED, *_REGISTERED, *_FURTHER],
    {"alice": "pw2", "dave4": "x"},
)
