"""Mirror indexes, as far as they can be asked for without an upstream; ours does not have them yet."""

from __future__ import annotations

from ..distributions import stored_path
from ..steps import Scenario, delete, index, patch, post, push, put, read_json, release_form, tox_result, upload, user

MIRROR = "no-mirror-yet"
MIRROR_CONFIG = {
    "type": "mirror",
    "mirror_url": "http://upstream.example/simple",
    "mirror_cache_expiry": "0",
    "bases": "x",
    "acl_upload": "y",
    "mirror_no_project_list": "no",
    "mirror_use_external_urls": "no",
    "mirror_ignore_serial_header": "True",
    "mirror_web_url_fmt": "http://x/{name}",
    "title": "M",
}

_CAPTURED = [
    put("113", "/alice/m1", 200, {"type": "mirror"}, as_user="alice", difference=MIRROR),
    put("114", "/alice/m2", 400, {"type": "mirror", "mirror_url": "ftp://x"}, as_user="alice", difference=MIRROR),
    put("115", "/alice/m3", 400, {**MIRROR_CONFIG, "acl_toxresult_upload": "z"}, as_user="alice", difference=MIRROR),
    put("116", "/alice/m3", 200, {**MIRROR_CONFIG, "volatile": "no"}, as_user="alice", difference=MIRROR),
    put(
        "117",
        "/alice/m4",
        400,
        {"type": "mirror", "mirror_url": "http://x", "mirror_cache_expiry": "a"},
        as_user="alice",
        difference=MIRROR,
    ),
    read_json("120", "/alice/m1/+api", difference=MIRROR),
    patch("152", "/alice/m3", 400, ["mirror_url=foo"], as_user="alice", difference=MIRROR),
    patch("153", "/alice/m3", 400, ["mirror_cache_expiry=x"], as_user="alice", difference=MIRROR),
    patch("154", "/alice/m3", 200, ["mirror_cache_expiry=10"], as_user="alice", difference=MIRROR),
    patch("155", "/alice/m3", 200, ["mirror_use_external_urls-="], as_user="alice", difference=MIRROR),
    patch("156", "/alice/m3", 400, {"foo": "b"}, as_user="alice", difference=MIRROR),
    patch("157", "/alice/m3", 200, ["mirror_provides_core_metadata=True"], as_user="alice", difference=MIRROR),
    patch(
        "158",
        "/alice/m3",
        200,
        ["mirror_web_url_fmt-=", "mirror_ignore_serial_header-="],
        as_user="alice",
        difference=MIRROR,
    ),
    post("166", "/alice/m3/", 404, release_form("q", "1", "q-1.tar.gz", b"x"), as_user="alice", difference=MIRROR),
    tox_result("209", "/alice/m3/+f/a/b/c.zip", 404, {"a": 1}, as_user="alice", difference=MIRROR),
    push(
        "355",
        "/alice/vol",
        401,
        {"name": "pkg-a", "version": "1.0", "targetindex": "alice/m3"},
        difference=MIRROR,
    ),
]

MIRRORS = Scenario(
    "mirrors",
    "mirror indexes",
    [
        user("alice", "pw2"),
        index("/alice/vol"),
        upload("prepare pkg-a", "/alice/vol", 200, "pkg-a", "1.0", "pkg_a-1.0.tar.gz", b"s1"),
        *_CAPTURED,
        patch("volatile again", "/alice/m3", 200, ["volatile=True"], as_user="alice", difference=MIRROR),
        delete("415", "/alice/m3/+e/a/b.zip", 404, as_user="alice", difference=MIRROR),
        delete("delete a mirror", "/alice/m3", 201, as_user="alice", difference=MIRROR),
        delete("delete the other mirror", "/alice/m1", 201, as_user="alice", difference=MIRROR),
        read_json("no mirror is left", "/alice"),
        read_json("the file is as before", stored_path("/alice/vol", "pkg_a-1.0.tar.gz", b"s1")),
    ],
    {"alice": "pw2"},
)
