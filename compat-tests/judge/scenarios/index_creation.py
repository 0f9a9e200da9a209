"""Creating and reading indexes, and their configuration values."""

from __future__ import annotations

from ..steps import (
    HTML,
    JSON,
    SIMPLE_JSON,
    Scenario,
    call,
    delete,
    get,
    head,
    json_page,
    post,
    project_list,
    put,
    read_json,
    user,
)

_USERS = [
    user("alice", "pw2"),
    user("dave2"),
    user("dave8"),
    put("079", "/ed", 201, {"password": "x", "title": "T", "description": "D", "custom_data": {"a": 1}, "email": "e"}),
    put("083", "/ed4", 201, {"password": ""}),
    delete("084", "/dave2", 200, as_user="root"),
]

_CREATE = [
    put("085", "/alice/dev", 403, {}),
    put("086", "/alice/dev", 200, {}, as_user="alice"),
    put("087", "/alice/dev", 409, {}, as_user="alice"),
    read_json("088", "/alice/dev"),
    read_json("089", "/alice/dev?no_projects="),
    json_page("090", "/alice/dev", unmarked=False),
    project_list("091", "/alice/dev", agent="pip/23.0", audience="installer"),
    read_json("092", "/alice/dev", 404, agent="pip/23.0"),
    read_json("093", "/alice/nope", 404),
    get("094", "/alice/nope", 404),
    read_json("095", "/nouser/nope", 404),
    put(
        "096",
        "/alice/prod",
        200,
        {
            "bases": "alice/dev",
            "volatile": "False",
            "acl_upload": "alice, :authenticated:,:anonymous:",
            "mirror_whitelist": "*,Foo_Bar",
            "title": "T",
            "description": "",
            "custom_data": {"k": [1]},
        },
        as_user="alice",
    ),
    put("097", "/alice/x1", 400, {"bases": ["alice/dev", "alice/nope", "a/b/c", "zzz", "root/pypi"]}, as_user="alice"),
    put("098", "/alice/x1", 400, {"volatile": "maybe"}, as_user="alice"),
    put("099", "/alice/x1", 400, {"volatile": 1}, as_user="alice"),
    put("100", "/alice/x1", 400, {"volatile": None}, as_user="alice"),
    put("101", "/alice/x1", 400, {"bases": 1}, as_user="alice"),
    put("102", "/alice/x1", 400, {"acl_upload": None}, as_user="alice"),
    put("103", "/alice/x1", 400, {"mirror_whitelist_inheritance": "foo"}, as_user="alice"),
    put("104", "/alice/x1", 400, {"foo": "bar"}, as_user="alice"),
    put("105", "/alice/x1", 400, {"foo": "bar", "zoo": [1]}, as_user="alice"),
    put("106", "/alice/x1", 400, {"type": "foo"}, as_user="alice"),
    put("107", "/alice/x%20y", 400, {}, as_user="alice"),
    put("108", "/alice/x+y", 404, {}, as_user="alice"),
    put("109", "/alice/+x", 404, {}, as_user="alice"),
    put("110", "/alice/x:y", 400, {}, as_user="alice"),
    put("111", "/nouser/x1", 404, {}, as_user="root"),
    put(
        "112",
        "/alice/byroot",
        200,
        {
            "projects": ["x"],
            "acl_upload": "",
            "acl_toxresult_upload": [],
            "type": "stage",
            "mirror_whitelist_inheritance": "UNION",
            "pypi_whitelist": "x",
        },
        as_user="root",
    ),
    put("532", "/alice/pr", 200, {"title": "private"}, as_user="alice"),
    put("create without a body", "/alice/x1", 400, None, as_user="alice"),
    put("create without json", "/alice/x1", 400, b"{", as_user="alice", accept=None),
    put("create for an unknown user as nobody", "/nouser/x1", 404, {}),
    put("create an existing one as nobody", "/alice/dev", 409, b"{"),
    put("create with itself as base", "/alice/self", 400, {"bases": ["alice/self"]}, as_user="alice"),
    put("create with a base twice", "/alice/twice", 200, {"bases": "alice/dev,,alice/dev , "}, as_user="alice"),
    put("create with a mirror setting", "/alice/x1", 400, {"mirror_url": "http://x"}, as_user="alice"),
    put("create with other volatile words", "/alice/words", 200, {"volatile": "NO"}, as_user="alice"),
    put("create with a bad boolean list", "/alice/x1", 400, {"volatile": ["yes"]}, as_user="alice"),
    put(
        "create with special principals",
        "/alice/acl",
        200,
        {"acl_toxresult_upload": ":Grp,:Anonymous:, carol"},
        as_user="alice",
    ),
    put("create with nested title", "/alice/nested", 200, {"title": {"a": 1}, "description": 0}, as_user="alice"),
    put("create with a slash at the end", "/alice/slash/", 200, {}, as_user="alice"),
    put("create with a non-ascii name", "/alice/d%C3%A9v", 200, {}, as_user="alice"),
    put("create as another user", "/alice/byed", 403, {}, as_user="ed"),
    put("create without accept", "/alice/plain", 200, {}, as_user="alice", accept=None),
]

_READ = [
    read_json("118", "/alice"),
    read_json("119", "/"),
    read_json("121", "/alice/dev/+api", as_user="alice"),
    post("122", "/alice/dev/+api", 200, accept=JSON),
    call("123", "OPTIONS", "/alice/dev", 404),
    head("read by head", "/alice/dev", accept=JSON),
    get("read without accept", "/alice/dev"),
    get("read with a slash", "/alice/dev/"),
    get("read for a browser", "/alice/dev", 404, accept=HTML),
    read_json("read without projects", "/alice/prod?no_projects=1&other=2"),
    json_page(
        "read with simple json preferred", "/alice/dev", accept=f"{JSON};q=0.5, {SIMPLE_JSON};q=0.6", unmarked=False
    ),
    get("read with both at once", "/alice/dev", accept=f"{SIMPLE_JSON}, {JSON}"),
    json_page("simple json of an index with bases", "/alice/prod", unmarked=False),
    get("simple json of an unknown index", "/alice/nope", 404, accept=SIMPLE_JSON),
    get("unknown index for an installer", "/alice/nope", 404, agent="pip/23.0"),
    get("api of a non-ascii index", "/alice/d%C3%A9v/+api"),
    call(
        "delete of the user route with json", "POST", "/alice/dev/", 400, accept=JSON, body=b"nojson", as_user="alice"
    ),
]

INDEX_CREATION = Scenario(
    "index-creation", "creating and reading indexes", [*_USERS, *_CREATE, *_READ], {"alice": "pw2", "ed": "x"}
)
