"""``devpi user`` and ``devpi passwd``."""

import pytest

from clients import VENVS, Hidden, Shell, interact
from harness import ROOT_PASSWORD, Index, Server, numbers

DEVPI = VENVS / "clients/bin/devpi"


@pytest.fixture
def name() -> str:
    """A user name that is not taken."""
    return f"fresh{next(numbers)}"


def as_root(shell: Shell, server: Server) -> None:
    shell.devpi("use", server.url)
    shell.devpi("login", "root", "--password", ROOT_PASSWORD)


def test_create_show_and_list(server: Server, shell: Shell, name: str) -> None:
    """Everybody may make a user; nobody needs to be logged in for it."""
    shell.devpi("use", server.url)
    assert f"user created: {name}" in shell.devpi("user", "-c", name, "password=secret-12", "email=a@project.example")
    assert server.get(f"/{name}").items() >= {"username": name, "email": "a@project.example", "indexes": {}}.items()
    shown = shell.devpi("user", name)
    assert f"{server.url}/{name}:\n  created=" in shown
    assert "  email=a@project.example\n" in shown
    assert "pw" not in shown.partition("created=")[2]
    listed = shell.devpi("user", "-l").splitlines()
    assert {name, "root"} <= set(listed)
    assert listed == sorted(listed)
    shell.devpi("login", name, "--password", "secret-12")


def test_create_asks_for_a_password(server: Server, shell: Shell, name: str) -> None:
    shell.devpi("use", server.url)
    asked = f"new password for user {name}:"
    one, two = Hidden("one-pw-12"), Hidden("two-pw-12")
    dialogue = [(asked, one), (f"repeat {asked}", two), (asked, one), (f"repeat {asked}", one)]
    status, shown = interact([DEVPI, "user", "-c", name], *dialogue, env=shell.env)
    assert status == 0, shown
    assert "passwords did not match" in shown
    assert f"user created: {name}" in shown
    shell.devpi("login", name, "--password", "one-pw-12")


def test_create_an_existing_user(server: Server, shell: Shell, index: Index) -> None:
    shell.devpi("use", server.url)
    shown = shell.devpi("user", "-c", index.user, "password=other-pw-1", code=1)
    assert f"PUT {server.url}/{index.user}\n409 Conflict: user already exists" in shown
    shell.devpi("login", index.user, "--password", index.password)


@pytest.mark.parametrize("bad", ["ca rol", "a$b", "a=b{c"])
def test_create_with_a_bad_name(server: Server, shell: Shell, bad: str) -> None:
    shell.devpi("use", server.url)
    users = server.get("/").keys()
    shown = shell.devpi("user", "-c", bad, "password=secret-12", code=1)
    assert f"400 Bad Request: username '{bad}' contains characters that aren't allowed" in shown
    assert server.get("/").keys() == users


def test_create_with_an_unknown_setting(server: Server, shell: Shell, name: str) -> None:
    shell.devpi("use", server.url)
    shown = shell.devpi("user", "-c", name, "password=secret-12", "phone=1", code=1)
    assert "400 Bad Request: Unknown keys in user config: phone" in shown
    assert name not in server.get("/")


def test_modify(server: Server, shell: Shell, index: Index) -> None:
    """The client sends the whole record back, with keys that cannot be set; they are ignored."""
    shell.use(index)
    shown = shell.devpi("user", "-m", index.user, "email=z@project.example", "title=A Title")
    assert f"/{index.user} changing email: z@project.example\n" in shown
    assert f"user modified: {index.user}" in shown
    record = server.get(f"/{index.user}")
    assert (record["email"], record["title"]) == ("z@project.example", "A Title")
    assert "modified" in record
    assert "dev" in record["indexes"]

    shell.devpi("user", index.user, "email=")
    assert "email" not in server.get(f"/{index.user}")


def test_modify_somebody_else(server: Server, shell: Shell, index: Index) -> None:
    other, _ = server.new_user()
    shell.use(index)
    serial = server.serial()
    assert "403 Forbidden: no permission to modify user" in shell.devpi("user", "-m", other, "title=x", code=1)
    assert server.serial() == serial


def test_modify_an_unknown_user(server: Server, shell: Shell) -> None:
    as_root(shell, server)
    assert "404 Not Found: no user 'nobody'" in shell.devpi("user", "-m", "nobody", "title=x", code=1)


def test_root_may_modify_everybody(server: Server, shell: Shell, index: Index) -> None:
    as_root(shell, server)
    shell.devpi("user", "-m", index.user, "title=by root")
    assert server.get(f"/{index.user}")["title"] == "by root"


def test_passwd(shell: Shell, index: Index) -> None:
    """The new password counts at once; the login at hand stays good, since the client does not store the new token."""
    shell.use(index)
    asked = f"new password for user {index.user}:"
    new = Hidden("new-pw-123")
    status, shown = interact([DEVPI, "passwd"], (asked, new), (f"repeat {asked}", new), env=shell.env)
    assert status == 0, shown
    assert f"/{index.user} changing password: ********" in shown
    assert f"user modified: {index.user}" in shown
    shell.devpi("index", "title=still logged in")
    assert "401 Unauthorized" in shell.devpi("login", index.user, "--password", index.password, code=1)
    shell.devpi("login", index.user, "--password", "new-pw-123")


def test_passwd_of_somebody_else(server: Server, shell: Shell, index: Index) -> None:
    other, password = server.new_user()
    shell.use(index)
    shown = shell.devpi("passwd", other, code=1, input="stolen-pw\nstolen-pw\n")
    assert "403 Forbidden: no permission to modify user" in shown
    shell.devpi("login", other, "--password", password)


def test_delete(server: Server, shell: Shell, index: Index) -> None:
    """A deleted user is gone with all indexes, and its login with it."""
    shell.use(index)
    assert "Are you sure (yes/no)?" in shell.devpi("user", "--delete", index.user, input="no\n")
    assert index.user in server.get("/")
    shown = shell.devpi("user", "--delete", index.user, input="yes\n")
    assert f"About to remove: {server.url}/{index.user}" in shown
    assert f"user deleted: {index.user}" in shown
    assert index.user not in server.get("/")
    assert server.request("GET", f"/{index.name}").status_code == 404
    assert "could not be authenticated" in shell.devpi("login", index.user, "--password", index.password, code=1)


def test_delete_refuses_a_user_with_a_non_volatile_index(server: Server, shell: Shell, index: Index) -> None:
    server.new_index("prod", owner=index, volatile=False)
    shell.use(index)
    shown = shell.devpi("user", "-y", "--delete", index.user, code=1)
    assert f"403 Forbidden: user '{index.user}' has non-volatile index: prod" in shown
    assert server.get(f"/{index.user}")["indexes"].keys() == {"dev", "prod"}


def test_nobody_deletes_root(server: Server, shell: Shell) -> None:
    as_root(shell, server)
    assert "403 Forbidden" in shell.devpi("user", "-y", "--delete", "root", code=1)
    assert "root" in server.get("/")


def test_delete_an_unknown_user(server: Server, shell: Shell) -> None:
    as_root(shell, server)
    assert "404 Not Found: no user 'nobody'" in shell.devpi("user", "-y", "--delete", "nobody", code=1)
