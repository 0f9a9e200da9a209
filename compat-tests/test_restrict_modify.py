"""``devpi-server --restrict-modify root``: only root makes and changes users and indexes; uploads follow the ACLs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import packages
from clients import Shell
from harness import ROOT_PASSWORD, Index, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which only root may change users and indexes."""
    server = Server(tmp_path_factory.mktemp("server"), "--restrict-modify", "root")
    try:
        yield server.init().start()
    finally:
        server.close()


def as_root(shell: Shell, server: Server) -> None:
    shell.devpi("use", server.url)
    shell.devpi("login", "root", "--password", ROOT_PASSWORD)


def test_nobody_else_makes_users(server: Server, shell: Shell, index: Index) -> None:
    users = server.get("/").keys()
    shell.devpi("use", server.url)
    assert "403 Forbidden" in shell.devpi("user", "-c", "anna", "password=secret-12", code=1)
    shell.use(index)
    assert "403 Forbidden" in shell.devpi("user", "-c", "anna", "password=secret-12", code=1)
    assert server.get("/").keys() == users


def test_nobody_else_makes_or_changes_indexes(server: Server, shell: Shell, index: Index) -> None:
    """Not even the owner."""
    before = server.get(f"/{index.user}")["indexes"]
    shell.use(index)
    shown = shell.devpi("index", "-c", "more", code=1)
    assert f"403 Forbidden: no permission to create index {index.user}/more" in shown
    assert "403 Forbidden" in shell.devpi("index", "title=x", code=1)
    assert "403 Forbidden" in shell.devpi("index", "-y", "--delete", "dev", code=1)
    assert server.get(f"/{index.user}")["indexes"] == before


def test_nobody_else_changes_or_deletes_users(server: Server, shell: Shell, index: Index) -> None:
    before = server.get(f"/{index.user}")
    shell.use(index)
    assert "403 Forbidden: no permission to modify user" in shell.devpi("user", index.user, "title=x", code=1)
    assert "403 Forbidden" in shell.devpi("user", "-y", "--delete", index.user, code=1)
    assert server.get(f"/{index.user}") == before


def test_users_still_change_their_own_password(server: Server, shell: Shell, index: Index) -> None:
    """By a request with the password alone, which is not what ``devpi passwd`` sends."""
    answer = server.request("PATCH", f"/{index.user}", json={"password": "new-pw-123"}, auth=index.auth)
    assert answer.status_code == 200
    shell.devpi("use", server.url)
    shell.devpi("login", index.user, "--password", "new-pw-123")
    other, password = server.new_user()
    answer = server.request("PATCH", f"/{other}", json={"password": "stolen"}, auth=(index.user, "new-pw-123"))
    assert answer.status_code == 403
    shell.devpi("login", other, "--password", password)


def test_users_still_upload(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    shell.use(index)
    path = packages.wheel(tmp_path, "hello", "1.0")
    shell.devpi("upload", path)
    assert server.files(index, "hello") == {path.name: packages.sha256(path)}
    shell.devpi("remove", "-y", "hello")
    assert server.get(f"/{index.name}")["projects"] == []


def test_root_may_do_it_all(server: Server, shell: Shell) -> None:
    as_root(shell, server)
    shell.devpi("user", "-c", "berta", "password=secret-12")
    shell.devpi("index", "-c", "berta/dev")
    shell.devpi("index", "berta/dev", "title=by root")
    shell.devpi("user", "berta", "title=by root")
    assert server.get("/berta")["title"] == server.get("/berta/dev")["title"] == "by root"
    shell.devpi("index", "-y", "--delete", "berta/dev")
    shell.devpi("user", "-y", "--delete", "berta")
    assert "berta" not in server.get("/")


def test_root_index(server: Server, shell: Shell, tmp_path: Path) -> None:
    """How the mode is mostly used: one index of root that all read."""
    as_root(shell, server)
    shell.devpi("index", "-c", "root/company", "volatile=False")
    shell.devpi("use", "root/company")
    shell.devpi("upload", packages.wheel(tmp_path, "hello", "1.0"))
    assert server.simple("root/company", "hello").keys() == {"hello-1.0-py3-none-any.whl"}
