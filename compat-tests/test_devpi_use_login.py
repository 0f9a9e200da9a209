"""``devpi use``, ``login`` and ``logoff``: finding a server, knowing who one is, and losing a login without harm."""

import json
import re
import time

import pytest

from clients import VENVS, Hidden, Shell, interact
from harness import ROOT_PASSWORD, Index, Server, forge_token


def replace_token(shell: Shell, server: Server, user: str, token: str) -> None:
    """Puts a token where devpi-client keeps its login."""
    auth = shell.home / ".devpi/client/auth.json"
    auth.write_text(json.dumps({"auth": {f"{server.url}/": [[user, token]]}}))


def stored_tokens(shell: Shell) -> list[list[str]]:
    """All the (user, token) pairs that devpi-client still keeps."""
    stored = json.loads((shell.home / ".devpi/client/auth.json").read_text())
    return [pair for pairs in stored["auth"].values() for pair in pairs]


def test_use_server_root(server: Server, shell: Shell) -> None:
    shown = shell.devpi("use", server.url)
    assert f"using server: {server.url}/ (not logged in)" in shown
    assert "no current index: type 'devpi use -l' to discover indices" in shown
    assert "unversioned reply" not in shown


@pytest.mark.parametrize("form", ["{url}", "{url}/", "{name}"])
def test_use_index(server: Server, shell: Shell, index: Index, form: str) -> None:
    shell.devpi("use", server.url)
    shown = shell.devpi("use", form.format(url=index.url, name=index.name))
    assert f"current devpi index: {index.url} (not logged in)" in shown
    assert re.search(r"^supported features: .*\bserver-keyvalue-parsing\b", shown, re.MULTILINE)
    assert "redirected" not in shown
    assert "rewritten" not in shown


def test_use_urls(shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    shown = shell.devpi("use", "--urls")
    assert f"              login: {index.server_url}/+login\n" in shown
    assert f"         pypisubmit: {index.upload_url}\n" in shown
    assert f"        simpleindex: {index.simple_url}\n" in shown


def test_use_missing_index(server: Server, shell: Shell) -> None:
    shown = shell.devpi("use", f"{server.url}/root/nothere", code=1)
    assert f"GET {server.url}/root/nothere/+api\n404 Not Found: The stage root/nothere could not be found." in shown


def test_use_list(server: Server, shell: Shell, index: Index) -> None:
    """The client sends this GET with a body of two bytes, which must not disturb."""
    prod = server.new_index("prod", owner=index, bases=[index.name], volatile=False)
    shell.devpi("use", server.url)
    shown = shell.devpi("use", "-l")
    assert f"{index.name:15} bases={'':15} volatile=True\n" in shown
    assert f"{prod.name:15} bases={index.name:15} volatile=False\n" in shown
    assert shell.devpi("use", "-l", "--user", index.user).count("bases=") == 2


def test_use_set_cfg_points_pip_and_uv_at_the_index(shell: Shell, index: Index) -> None:
    shell.devpi("use", "--set-cfg", index.url)
    assert f"index_url = {index.simple_url}" in (shell.home / ".config/pip/pip.conf").read_text()
    assert f'index-url = "{index.simple_url}"' in (shell.home / ".config/uv/uv.toml").read_text()


def test_login_and_logoff(server: Server, shell: Shell, index: Index) -> None:
    shell.devpi("use", index.url)
    shown = shell.devpi("login", index.user, "--password", index.password)
    assert f"logged in '{index.user}' at '{index.url}', credentials valid for 10.00 hours" in shown
    assert f"(logged in as {index.user})" in shell.devpi("use")
    [[user, token]] = stored_tokens(shell)
    status = server.request("GET", "/+api", auth=(user, token)).json()["result"]["authstatus"]
    assert status == ["ok", index.user, []]

    assert "login information deleted" in shell.devpi("logoff")
    assert "not logged in" in shell.devpi("logoff")
    assert f"current devpi index: {index.url} (not logged in)" in shell.devpi("use")
    assert stored_tokens(shell) == []


def test_login_asks_for_the_password(shell: Shell, index: Index) -> None:
    shell.devpi("use", index.server_url)
    prompt = f"password for user {index.user} at {index.server_url}/: "
    status, shown = interact(
        [VENVS / "clients/bin/devpi", "login", index.user], (prompt, Hidden(index.password)), env=shell.env
    )
    assert status == 0
    assert f"logged in '{index.user}', credentials valid for 10.00 hours" in shown


@pytest.mark.parametrize("password", ["wrong", ""])
def test_login_with_a_wrong_password(shell: Shell, index: Index, password: str) -> None:
    """A refused login leaves the one before it as it was."""
    shell.use(index)
    shown = shell.devpi("login", index.user, "--password", password, code=1)
    assert f"POST {index.server_url}/+login\n401 Unauthorized: user '{index.user}' could not be authenticated" in shown
    assert f"(logged in as {index.user})" in shell.devpi("use")


def test_login_of_an_unknown_user(shell: Shell, server: Server) -> None:
    shell.devpi("use", server.url)
    shown = shell.devpi("login", "nobody", "--password", "x", code=1)
    assert "401 Unauthorized: user 'nobody' could not be authenticated" in shown


def test_login_token_is_no_password(shell: Shell, index: Index) -> None:
    shell.use(index)
    [[_, token]] = stored_tokens(shell)
    assert "401 Unauthorized" in shell.devpi("login", index.user, "--password", token, code=1)


def test_two_logins_are_kept_apart(shell: Shell, index: Index) -> None:
    """The token of the first user goes along with the second login, and must not matter."""
    shell.use(index)
    assert "logged in 'root'" in shell.devpi("login", "root", "--password", ROOT_PASSWORD)
    assert [user for user, _ in stored_tokens(shell)] == ["root", index.user]


def test_forged_token_with_the_right_secret_is_valid(server: Server, shell: Shell, index: Index) -> None:
    """Servers that share a secret file accept each other's logins, so the format of tokens is a promise."""
    shell.use(index)
    replace_token(shell, server, index.user, forge_token(index.user, time.time() - 3600))
    assert f"(logged in as {index.user})" in shell.devpi("use")


@pytest.mark.parametrize("kind", ["expired", "from the future", "of another user", "garbage", '["", 1'])
def test_a_worthless_token_is_dropped(server: Server, shell: Shell, index: Index, kind: str) -> None:
    """The client is told that it is nobody, forgets the token, and a new login works."""
    shell.use(index)
    tokens = {
        "expired": forge_token(index.user, time.time() - 36060),
        "from the future": forge_token(index.user, time.time() + 3600),
        "of another user": forge_token("root", time.time()),
    }
    replace_token(shell, server, index.user, tokens.get(kind, kind))
    serial = server.serial()
    shown = shell.devpi("index", "-c", "more", code=1)
    assert f"403 Forbidden: no permission to create index {index.user}/more" in shown
    assert f"current devpi index: {index.url} (not logged in)" in shell.devpi("use")
    assert stored_tokens(shell) == []
    assert server.serial() == serial
    shell.use(index)
    assert "logged in as" in shell.devpi("use")


def test_login_outlives_a_restart(server: Server, shell: Shell, index: Index) -> None:
    """With a secret file, users need not log in again after each restart of the server."""
    shell.use(index)
    server.restart()
    assert f"(logged in as {index.user})" in shell.devpi("use")
