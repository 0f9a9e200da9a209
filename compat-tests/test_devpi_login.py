"""Login tokens: which ones are good, and how `devpi` loses one that is not, without harm."""

import json
import time

import pytest

from clients import Shell
from harness import Index, Server, forge_token


def replace_token(shell: Shell, server: Server, user: str, token: str) -> None:
    """Puts a token where devpi-client keeps its login."""
    auth = shell.home / ".devpi/client/auth.json"
    auth.write_text(json.dumps({"auth": {f"{server.url}/": [[user, token]]}}))


def stored_tokens(shell: Shell) -> list[list[str]]:
    """All the (user, token) pairs that devpi-client still keeps."""
    stored = json.loads((shell.home / ".devpi/client/auth.json").read_text())
    return [pair for pairs in stored["auth"].values() for pair in pairs]


def test_login_token_is_no_password(shell: Shell, index: Index) -> None:
    shell.use(index)
    [[_, token]] = stored_tokens(shell)
    assert "401 Unauthorized" in shell.devpi("login", index.user, "--password", token, code=1)


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
