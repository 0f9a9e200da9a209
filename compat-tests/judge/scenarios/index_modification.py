"""Changing and deleting indexes."""

from __future__ import annotations

from ..steps import HTML, Scenario, delete, index, patch, read_json, user

_PREPARE = [
    user("alice", "pw2"),
    user("bob"),
    index("/alice/dev"),
    index("/alice/prod", bases="alice/dev", volatile=False),
    index("/alice/byroot"),
]

_MODIFY = [
    patch("124", "/alice/dev", 403, {"volatile": False}),
    patch("125", "/alice/dev", 403, {"volatile": False}, accept=HTML),
    patch("126", "/alice/dev", 200, {"volatile": False}, as_user="alice"),
    patch("127", "/alice/dev", 200, {"title": "x"}, as_user="alice"),
    patch("128", "/alice/dev", 200, {"acl_upload": ["alice", "bob"], "volatile": "yes", "bases": ""}, as_user="alice"),
    patch("129", "/alice/dev", 400, {"type": "mirror"}, as_user="alice"),
    patch(
        "130",
        "/alice/dev",
        200,
        {"type": "indexconfig", "result": {"type": "stage", "title": "fromresult", "projects": ["q"]}},
        as_user="alice",
    ),
    patch("131", "/alice/dev", 400, {"foo": 1}, as_user="alice"),
    patch("132", "/alice/dev", 200, {"mirror_whitelist": "Foo_B.ar,*"}, as_user="alice"),
    patch("133", "/alice/dev", 200, ["acl_upload+=carol"], as_user="alice"),
    patch("before 134", "/alice/dev", 200, ["acl_upload-=carol"], as_user="alice"),
    patch("134", "/alice/dev", 400, ["acl_upload-=carol"], as_user="alice"),
    patch("135", "/alice/dev", 200, ["acl_upload+=:anonymous:", "title=hello", "description=a=b"], as_user="alice"),
    patch("136", "/alice/dev", 400, ["acl_upload-=:anonymous:"], as_user="alice"),
    patch("137", "/alice/dev", 200, ["acl_upload-=:ANONYMOUS:"], as_user="alice"),
    patch("138", "/alice/dev", 200, ["title-="], as_user="alice"),
    patch("139", "/alice/dev", 400, ["volatile-="], as_user="alice"),
    patch("140", "/alice/dev", 400, ["nokey=x"], as_user="alice"),
    patch("141", "/alice/dev", 400, ["custom=x"], as_user="alice"),
    patch("142", "/alice/dev", 200, ["bases+=alice/prod"], as_user="alice"),
    patch("143", "/alice/dev", 400, ["bases+=alice/nope"], as_user="alice"),
    patch("144", "/alice/dev", 200, ["bases=alice/prod,alice/dev"], as_user="alice"),
    patch("before 145", "/alice/dev", 200, ["bases="], as_user="alice"),
    patch("145", "/alice/dev", 200, ["title"], as_user="alice"),
    patch("146", "/alice/dev", 200, ["acl_upload="], as_user="alice"),
    patch("147", "/alice/dev", 200, ["acl_upload=alice"], as_user="alice"),
    patch("148", "/alice/dev", 200, ["volatile=False"], as_user="alice"),
    patch("149", "/alice/dev", 200, ["mirror_whitelist+=Foo_Bar"], as_user="alice"),
    patch(
        "150",
        "/alice/dev?error_on_noop",
        200,
        {
            "bases": [],
            "volatile": True,
            "acl_toxresult_upload": [":ANONYMOUS:"],
            "mirror_whitelist_inheritance": "intersection",
            "mirror_whitelist": ["foo-b-ar", "*"],
            "acl_upload": ["alice"],
            "type": "stage",
            "description": "a=b",
            "title": "new",
        },
        as_user="alice",
    ),
    patch("151", "/alice/dev?error_on_noop=1", 400, ["acl_upload+=alice"], as_user="alice"),
    patch("append what is there", "/alice/dev", 200, ["acl_upload+=alice"], as_user="alice"),
    patch("set to the same", "/alice/dev", 200, {"title": "new"}, as_user="alice"),
    patch("change nothing", "/alice/dev", 200, {}, as_user="alice"),
    patch("drop an unknown key", "/alice/dev", 200, ["nokey-="], as_user="alice"),
    patch("drop an absent key", "/alice/dev", 200, ["custom_data-="], as_user="alice"),
    patch("the same type", "/alice/dev", 200, {"type": "stage", "title": "typed"}, as_user="alice"),
    patch("type by string", "/alice/dev", 400, ["type=mirror"], as_user="alice"),
    patch("a bad boolean by string", "/alice/dev", 400, ["volatile=maybe"], as_user="alice"),
    patch("a bad inheritance by string", "/alice/dev", 400, ["mirror_whitelist_inheritance=x"], as_user="alice"),
    patch("inheritance in capitals", "/alice/dev", 200, ["mirror_whitelist_inheritance=UNION"], as_user="alice"),
    patch("a bad base by value", "/alice/dev", 400, {"bases": ["zzz"]}, as_user="alice"),
    patch("a null list", "/alice/dev", 400, {"mirror_whitelist": None}, as_user="alice"),
    patch(
        "several operations on one key", "/alice/dev", 200, ["acl_upload+=bob", "acl_upload-=alice"], as_user="alice"
    ),
    patch("one failing operation of two", "/alice/dev", 400, ["title=lost", "acl_upload-=zoe"], as_user="alice"),
    patch("a mirror setting", "/alice/dev", 400, {"mirror_cache_expiry": 1}, as_user="alice"),
    patch("data by value", "/alice/dev", 200, {"custom_data": {"a": [1, None]}, "description": ""}, as_user="alice"),
    patch("without json", "/alice/dev", 400, b"x", as_user="alice"),
    patch("without json for a browser", "/alice/dev", 400, b"x", as_user="alice", accept=HTML),
    patch("without json as nobody", "/alice/dev", 403, b"x"),
    patch("an unknown index", "/alice/nope", 403, {"title": "x"}, as_user="alice"),
    patch("an unknown index as root", "/alice/nope", 403, {"title": "x"}, as_user="root"),
    patch("an unknown user", "/nouser/nope", 403, {"title": "x"}, as_user="root", accept=None),
    patch("as another user", "/alice/dev", 403, {"title": "x"}, as_user="bob"),
    patch("as root", "/alice/dev", 200, {"title": "by root"}, as_user="root"),
    patch("with a slash", "/alice/dev/", 200, {"title": "by slash"}, as_user="alice"),
    read_json("read after all", "/alice/dev"),
]

NOOP = "/alice/noop?error_on_noop"
NORMALISED = "noop-normalised"
WHOLE = {
    "type": "stage", "volatile": True, "bases": [], "acl_upload": ["alice"], "acl_toxresult_upload": [":ANONYMOUS:"],
    "mirror_whitelist": [], "mirror_whitelist_inheritance": "intersection", "title": "t",
}  # fmt: skip

_NOOP = [
    index("/alice/noop", title="t"),
    patch("no change, refused", NOOP, 400, ["title=t"], as_user="alice"),
    patch("no change, refused with a value", "/alice/noop?x=1&error_on_noop=0", 400, ["title=t"], as_user="alice"),
    patch("no change, refused for a browser", NOOP, 400, ["title=t"], as_user="alice", accept=HTML),
    patch(
        "no change by any of several",
        NOOP,
        200,
        ["title=t", "acl_upload+=alice", "nokey-="],
        as_user="alice",
        difference=NORMALISED,
    ),
    patch("no operations", NOOP, 400, [], as_user="alice"),
    patch("a change and back", NOOP, 400, ["acl_upload+=bob", "acl_upload-=bob"], as_user="alice"),
    patch("a change by one of several", NOOP, 200, ["title=u", "acl_upload+=alice"], as_user="alice"),
    patch("a set list that is the same", NOOP, 200, ["acl_upload=alice"], as_user="alice", difference=NORMALISED),
    patch("bases that are the same", NOOP, 200, ["bases="], as_user="alice", difference=NORMALISED),
    patch("a boolean that is the same", NOOP, 200, ["volatile=yes"], as_user="alice", difference=NORMALISED),
    patch("an object that changes nothing", NOOP, 200, {"title": "u"}, as_user="alice", difference=NORMALISED),
    patch("the whole object", NOOP, 200, {**WHOLE, "title": "u"}, as_user="alice", difference=NORMALISED),
    patch("an empty object", NOOP, 200, {}, as_user="alice", difference=NORMALISED),
    patch("a refusal before it", NOOP, 400, ["acl_upload-=zoe"], as_user="alice"),
    patch("no permission before it", NOOP, 403, ["title=u"], as_user="bob"),
    patch("an unknown index with the query", "/alice/nope?error_on_noop", 403, ["title=u"], as_user="alice"),
    patch("a user knows no such query", "/alice?error_on_noop", 200, {}, as_user="alice"),
    patch("no change without the query", "/alice/noop", 200, ["title=u"], as_user="alice"),
    delete("delete it", "/alice/noop?error_on_noop", 201, as_user="alice"),
]

_DELETE = [
    delete("159", "/alice/prod", 403, as_user="alice"),
    delete("160", "/alice/byroot/", 201, as_user="alice"),
    delete("161", "/alice", 403, as_user="alice"),
    delete("non-volatile with force", "/alice/prod?force", 403, as_user="alice"),
    delete("as nobody", "/alice/dev", 403),
    delete("as another user for a browser", "/alice/dev", 403, as_user="bob", accept=HTML),
    delete("an unknown index", "/alice/byroot", 403, as_user="alice"),
    delete("as root", "/alice/dev", 201, as_user="root"),
    read_json("read a deleted index", "/alice/dev", 404),
    read_json("bases keep a deleted index", "/alice/prod"),
    patch("make it volatile", "/alice/prod", 200, {"volatile": True}, as_user="alice"),
    delete("then delete the user", "/alice", 200, as_user="alice"),
    read_json("an index of a deleted user", "/alice/prod", 404),
]

INDEX_MODIFICATION = Scenario(
    "index-modification",
    "changing and deleting indexes",
    [*_PREPARE, *_MODIFY, *_NOOP, *_DELETE],
    {"alice": "pw2", "bob": "pw"},
)
