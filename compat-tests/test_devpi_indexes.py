"""``devpi index`` and ``devpi getjson``: making, showing, changing and deleting indexes."""

import json

import pytest

from clients import Shell
from harness import Index, Server

DEFAULTS = {
    "type": "stage",
    "bases": [],
    "volatile": True,
    "acl_toxresult_upload": [":ANONYMOUS:"],
    "mirror_whitelist": [],
    "mirror_whitelist_inheritance": "intersection",
}


def config(server: Server, name: str) -> dict:
    """The stored configuration of an index."""
    return server.get(f"/{name}?no_projects=")


def shown_config(index_url: str, **values: str) -> str:
    """The lines that ``devpi index`` prints for a configuration."""
    return "".join([f"{index_url}:\n", *(f"  {key}={value}\n" for key, value in values.items())])


def test_create(server: Server, shell: Shell, index: Index) -> None:
    shell.use(index)
    shown = shell.devpi("index", "-c", "prod", "volatile=False", f"bases={index.name}")
    assert shown == shown_config(
        f"{server.url}/{index.user}/prod?no_projects=",
        type="stage",
        bases=index.name,
        volatile="False",
        acl_upload=index.user,
        acl_toxresult_upload=":ANONYMOUS:",
        mirror_whitelist="",
        mirror_whitelist_inheritance="intersection",
    )
    stored = config(server, f"{index.user}/prod")
    assert stored == DEFAULTS | {"acl_upload": [index.user], "bases": [index.name], "volatile": False}


def test_create_with_all_defaults(server: Server, shell: Shell, index: Index) -> None:
    shell.use(index)
    shell.devpi("index", "-c", f"{index.user}/plain")
    assert config(server, f"{index.user}/plain") == DEFAULTS | {"acl_upload": [index.user]}


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("dev", [], "409 Conflict: index '{user}/dev' exists"),
        (
            "x y",
            [],
            "400 Bad Request: indexname 'x y' contains characters that aren't allowed. Any ascii symbol besides -.@_",
        ),
        ("new", ["bases=a/nope"], "400 Bad Request: base index 'a/nope' does not exist"),
        ("new", ["bases=nope"], "400 Bad Request: invalid base index spec: 'nope'"),
        ("new", ["type=foo"], "400 Bad Request: unknown index type 'foo'"),
        ("new", ["foo=1"], "400 Bad Request: indexconfig got unexpected keyword arguments: foo=1"),
        ("new", ["volatile=maybe"], "400 Bad Request: Unknown boolean value 'maybe'."),
        ("root/new", [], "403 Forbidden: no permission to create index root/new"),
        ("nobody/new", [], "404 Not Found: no user 'nobody'"),
    ],
)
def test_create_refused(server: Server, shell: Shell, index: Index, name: str, settings: list[str], error: str) -> None:
    shell.use(index)
    before = server.get("/"), server.serial()
    assert error.format(user=index.user) in shell.devpi("index", "-c", name, *settings, code=1)
    assert (server.get("/"), server.serial()) == before


def test_create_needs_a_login(server: Server, shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    shell.devpi("index", "-c", f"{index.user}/new", code=1)
    assert server.get(f"/{index.user}")["indexes"].keys() == {"dev"}


def test_show(shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    expected = shown_config(
        index.url,
        type="stage",
        bases="",
        volatile="True",
        acl_upload=index.user,
        acl_toxresult_upload=":ANONYMOUS:",
        mirror_whitelist="",
        mirror_whitelist_inheritance="intersection",
    )
    assert shell.devpi("index") == expected
    assert shell.devpi("index", index.name) == expected
    assert shell.devpi("index", "--no-projects") == expected.replace(":\n", "?no_projects=:\n", 1)
    assert shell.devpi("index", f"{index.user}/nope", code=1) == ""


def test_list(server: Server, shell: Shell, index: Index) -> None:
    server.new_index("a-first", owner=index)
    shell.use(index)
    assert shell.devpi("index", "-l") == f"{index.user}/a-first\n{index.user}/dev\n"
    assert shell.devpi("index", "-l", index.user) == f"{index.user}/a-first\n{index.user}/dev\n"
    assert "404 Not Found: no user 'nobody'" in shell.devpi("index", "-l", "nobody", code=1)


def test_set_and_unset(server: Server, shell: Shell, index: Index) -> None:
    shell.use(index)
    shown = shell.devpi("index", "title=My Title", "mirror_whitelist=Foo_B.ar, *", "description=two\nlines")
    assert f"/{index.name} title=My Title\n" in shown
    assert "  mirror_whitelist=foo-b-ar,*\n" in shown
    expected = {"title": "My Title", "mirror_whitelist": ["foo-b-ar", "*"], "description": "two\nlines"}
    assert config(server, index.name).items() >= expected.items()

    shell.devpi("index", index.name, "title-=")
    assert "title" not in config(server, index.name)


def test_add_and_remove_list_items(server: Server, shell: Shell, index: Index) -> None:
    base = server.new_index("base", owner=index)
    shell.use(index)
    shown = shell.devpi("index", "acl_upload+=bob", f"bases+={base.name}")
    assert f"  acl_upload={index.user},bob\n" in shown
    assert config(server, index.name).items() >= {"acl_upload": [index.user, "bob"], "bases": [base.name]}.items()

    serial = server.serial()
    shell.devpi("index", "acl_upload+=bob")
    assert config(server, index.name)["acl_upload"] == [index.user, "bob"]
    assert server.serial() == serial, "adding what is there is no change"

    shell.devpi("index", f"acl_upload-={index.user}", f"bases-={base.name}")
    assert config(server, index.name).items() >= {"acl_upload": ["bob"], "bases": []}.items()

    shell.devpi("index", "acl_upload=:anonymous:")
    assert config(server, index.name)["acl_upload"] == [":ANONYMOUS:"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("acl_upload-=bob", "400 Bad Request: The 'acl_upload' setting doesn't have value 'bob'"),
        ("acl_upload-=", "400 Bad Request: Default values can't be removed."),
        ("volatile=maybe", "400 Bad Request: Unknown boolean value 'maybe'."),
        ("bases+=root/nope", "400 Bad Request: base index 'root/nope' does not exist"),
        ("mirror_whitelist_inheritance=x", "400 Bad Request: Unknown value 'x' for mirror_whitelist_inheritance"),
        ("type=mirror", "400 Bad Request: the 'type' of an index can't be changed"),
        ("foo=1", "400 Bad Request: indexconfig got unexpected keyword arguments: foo=1"),
    ],
)
def test_modify_refused(server: Server, shell: Shell, index: Index, change: str, error: str) -> None:
    """A refused change takes the valid one next to it along."""
    shell.use(index)
    before = config(server, index.name), server.serial()
    shown = shell.devpi("index", "title=not to be stored", change, code=1)
    assert f"/{index.name} {change}\nPATCH {index.url}\n{error}" in shown
    assert (config(server, index.name), server.serial()) == before


def test_modify_needs_the_owner(server: Server, shell: Shell, index: Index) -> None:
    other = server.new_index()
    shell.use(index)
    assert "403 Forbidden" in shell.devpi("index", other.name, "title=mine", code=1)
    assert "title" not in config(server, other.name)


def test_delete(server: Server, shell: Shell, index: Index) -> None:
    shell.use(index)
    shell.devpi("index", "--delete", "dev", input="no\n")
    assert server.get(f"/{index.user}")["indexes"].keys() == {"dev"}
    shown = shell.devpi("index", "--delete", "dev", input="yes\n")
    assert f"About to remove: {index.url}\n" in shown
    assert f"index deleted: {index.url}" in shown
    assert server.get(f"/{index.user}")["indexes"] == {}
    assert "404 Not Found: The stage" in shell.devpi("use", index.name, code=1)


def test_delete_refuses_a_non_volatile_index(server: Server, shell: Shell, index: Index) -> None:
    """It has to be made volatile first."""
    prod = server.new_index("prod", owner=index, volatile=False)
    shell.use(index)
    shown = shell.devpi("index", "-y", "--delete", "prod", code=1)
    assert f"DELETE {prod.url}\n403 Forbidden: index {prod.name} non-volatile, cannot delete" in shown
    assert config(server, prod.name)["volatile"] is False
    shell.devpi("index", "prod", "volatile=True")
    shell.devpi("index", "-y", "--delete", "prod")
    assert "prod" not in server.get(f"/{index.user}")["indexes"]


def test_getjson(server: Server, shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    shown = json.loads(shell.devpi("getjson", f"/{index.name}"))
    assert shown == {
        "type": "indexconfig",
        "result": DEFAULTS | {"acl_upload": [index.user], "projects": []},
    }
    users = json.loads(shell.devpi("getjson", "/"))
    assert users["type"] == "list:userconfig"
    assert users["result"][index.user]["indexes"]["dev"] == DEFAULTS | {"acl_upload": [index.user]}
    assert json.loads(shell.devpi("getjson", f"{server.url}/+api"))["type"] == "apiconfig"


def test_getjson_shows_headers(server: Server, shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    shown = shell.devpi("getjson", "-v", index.url)
    assert f"GET REQUEST sent to {index.url}\n" in shown
    assert "CONTENT-TYPE: application/json\n" in shown
    assert "X-DEVPI-API-VERSION: 2\n" in shown
    assert "X-DEVPI-SERVER-VERSION: 6.20.3\n" in shown
    assert f"X-DEVPI-SERIAL: {server.serial()}\n" in shown


def test_getjson_of_nothing(shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    assert f"GET {index.server_url}/nope\n404 Not Found: no user 'nope'" in shell.devpi("getjson", "/nope", code=1)
    assert "404 Not Found: no project 'nope'" in shell.devpi("getjson", "nope", code=1)


def test_patchjson(server: Server, shell: Shell, index: Index) -> None:
    shell.use(index)
    (shell.home / "patch.json").write_text(json.dumps({"title": "from a file"}))
    shown = shell.devpi("patchjson", f"/{index.name}", "patch.json")
    assert f"PATCH REQUEST sent to {index.url}" in shown
    assert config(server, index.name)["title"] == "from a file"
