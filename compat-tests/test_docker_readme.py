"""A team's container, by its README: set up with DEVPI_PASSWORD, one index of root that all upload to and install from.

No container is needed here: what runs in it is ``devpi-server --init``. (Without it, ``devpi-init`` comes first.)
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import packages
from clients import VENVS, Shell
from harness import CHEAP_KEY, Index, Server, expect_uploaded, tool, wait_until
from serverdirs import DATABASE, fatal

PASSWORD = "the-deployed-password"


@pytest.fixture
def deployed(new_server: Callable[..., Server]) -> Server:
    """The server as the container runs it."""
    if Server.reference:
        server = new_server("--restrict-modify", "root", init=False)
        return server.init(PASSWORD).start()
    return new_server("--init", "--restrict-modify", "root", env={"DEVPI_PASSWORD": PASSWORD}, init=False).start()


def test_the_readme_from_top_to_bottom(deployed: Server, shell: Shell, tmp_path: Path) -> None:
    url = deployed.url
    name, version = "our-library", "1.0"
    project = packages.project(tmp_path / "project", name, version)

    # Uploading with devpi-client; the index is made once.
    shell.devpi("use", url)
    shell.devpi("login", "root", f"--password={PASSWORD}")
    shell.devpi("index", "-c", "root/starcount")
    shell.devpi("use", "root/starcount")
    shown = shell.devpi("upload", "--no-isolation", cwd=project)
    assert f"file_upload of our_library-1.0.tar.gz to {url}/root/starcount/" in shown

    # Uploading with setup.py alone.
    (shell.home / ".pypirc").write_text(
        f"""# content of $HOME/.pypirc
[distutils]
index-servers = 
    starcount

[starcount]
repository: {url}/root/starcount/
username: root
password: {PASSWORD} 
"""  # noqa: W291
    )
    newer = packages.project(tmp_path / "newer", name, "1.1")
    shown = shell.run(VENVS / "legacy/bin/python", "setup.py", "sdist", "upload", "-r", "starcount", cwd=newer)
    assert "Server response (200): OK" in shown
    shell.run(VENVS / "legacy/bin/python", "setup.py", "bdist_wheel", "upload", "-r", "starcount", cwd=newer)

    # Using pip manually.
    venv = shell.venv()
    shell.pip(
        "--python",
        venv,
        "install",
        f"{name}==1.0",
        "--index",
        f"{url}/root/starcount/+simple/",
        "--trusted-host",
        "127.0.0.1",
    )
    assert shell.installed(venv, "our_library") == "1.0"

    # Using pip automatically; an empty index stands for the public one.
    shell.devpi("index", "-c", "root/empty")
    (shell.home / ".pip").mkdir()
    (shell.home / ".pip/pip.conf").write_text(
        f"""# content of $HOME/.pip/pip.conf
[global]
index-url = {url}/root/empty/+simple
extra-index-url = {url}/root/starcount/+simple

[install]
trusted-host = 127.0.0.1

"""
    )
    venv = shell.venv()
    shell.pip("--python", venv, "install", name)
    assert shell.installed(venv, "our_library") == "1.1"

    # Persistence: another container on the same data.
    before = deployed.files("root/starcount", name)
    assert len(before) == 4
    deployed.restart()
    assert deployed.files("root/starcount", name) == before
    assert "logged in as root" in shell.devpi("use")


def test_only_root_makes_users_and_indexes(deployed: Server, shell: Shell) -> None:
    shell.devpi("use", deployed.url)
    assert "403 Forbidden" in shell.devpi("user", "-c", "mallory", "password=secret-12", code=1)
    assert "401 Unauthorized" in shell.devpi("login", "root", "--password=", code=1)
    assert deployed.get("/").keys() == {"root"}


@pytest.mark.ours
def test_the_password_of_the_options(new_server: Callable[..., Server]) -> None:
    """Those of devpi-init count at the first start, too, but for the variable."""
    for options, env, expected in (
        (["--root-passwd", "a"], {}, "a"),
        ([], {"DEVPISERVER_ROOT_PASSWD": "b"}, "b"),
        (["--root-passwd", "a"], {"DEVPI_PASSWORD": "c"}, "c"),
    ):
        server = new_server("--init", *options, env=env, init=False).start()
        assert server.request("POST", "/+login", json={"user": "root", "password": expected}).ok
        server.stop()


@pytest.mark.ours
@pytest.mark.parametrize("env", [{}, {"DEVPI_PASSWORD": ""}], ids=["unset", "empty"])
def test_without_a_password_one_is_made_up(new_server: Callable[..., Server], env: dict[str, str]) -> None:
    """It is shown once, by the start that sets it; nobody gets in with an empty one."""
    server = new_server("--init", env=env, init=False).start()

    def lets_in(password: str) -> bool:
        return server.request("POST", "/+login", json={"user": "root", "password": password}).ok

    def shown_password() -> str | None:
        log = server.log.read_text()
        candidates = re.findall(r"\S{16,}", log[log.lower().find("password") :])
        return next((word for word in candidates if lets_in(word.strip("'\"`"))), None)

    assert not lets_in("")
    password = wait_until(shown_password, "no password is shown")
    assert server.log.read_text().count(password) == 1
    server.log.write_text("")
    server.restart()
    assert password not in server.log.read_text()
    assert lets_in(password)


@pytest.mark.ours
def test_init_leaves_existing_data_alone(new_server: Callable[..., Server]) -> None:
    """The option stays on the command line of every start; a password that is not root's any more is an error."""
    server = new_server("--init", env={"DEVPI_PASSWORD": PASSWORD}, init=False).start()
    server.api("PUT", "/root/starcount", body={}, auth=("root", PASSWORD))
    serial = server.serial()
    server.stop()
    done = tool("devpi-server", *server.command()[1:], env={"DEVPI_PASSWORD": "another-password"})
    assert done.returncode == 1
    assert "fatal: DEVPI_PASSWORD is not the password of the user root" in done.stderr
    server.start()
    assert server.serial() == serial
    assert server.get("/root/starcount")["type"] == "stage"
    assert server.request("POST", "/+login", json={"user": "root", "password": PASSWORD}).ok


@pytest.fixture
def stopped(new_server: Callable[..., Server]) -> Server:
    """One that the container has run, with no files yet."""
    server = new_server("--init", env={"DEVPI_PASSWORD": PASSWORD}, init=False).start()
    server.stop()
    return server


def serves_new_data(server: Server) -> None:
    server.env["DEVPI_PASSWORD"] = "another-password"
    server.start()
    assert server.request("POST", "/+login", json={"user": "root", "password": "another-password"}).ok
    server.restart()


@pytest.mark.ours
def test_init_where_all_but_hidden_files_were_removed(stopped: Server) -> None:
    """As by `rm -rf "$DEVPI_DATA"/*`."""
    for path in stopped.serverdir.glob("[!.]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert (stopped.serverdir / ".nodeinfo").exists()
    serves_new_data(stopped)


@pytest.mark.ours
def test_init_that_was_killed_at_its_end(stopped: Server) -> None:
    """When all was there but the name of the database."""
    (stopped.serverdir / DATABASE).rename(stopped.serverdir / "unfinished.sqlite")
    serves_new_data(stopped)


@pytest.mark.ours
def test_init_does_not_replace_a_database_that_was_lost(stopped: Server, tmp_path: Path) -> None:
    """Files show that there was one; whoever has lost it may still have a backup."""
    stopped.start()
    stopped.api("PUT", "/root/starcount", body={}, auth=("root", PASSWORD))
    index = Index(stopped.url, "root", PASSWORD, "starcount")
    expect_uploaded(stopped.upload(index, packages.wheel(tmp_path, "demo", "1.0"), "demo", "1.0"))
    stopped.stop()
    database = stopped.serverdir / DATABASE
    content = database.read_bytes()
    database.unlink()
    done = tool("devpi-server", *stopped.command()[1:], env=stopped.env)
    assert fatal(done) == f"No sqlite storage found in {stopped.serverdir}."
    database.write_bytes(content)
    assert len(stopped.start().files(index, "demo")) == 1


@pytest.mark.ours
def test_init_refuses_a_directory_of_others(new_server: Callable[..., Server]) -> None:
    server = new_server("--init", init=False)
    server.serverdir.mkdir()
    for name in ("one", "two"):
        (server.serverdir / name).write_text("mine")
    done = tool("devpi-server", "--init", "--serverdir", server.serverdir, "--port", 0, *CHEAP_KEY)
    assert done.returncode == 1
    assert "fatal: " in done.stderr
    assert {path.name for path in server.serverdir.iterdir()} == {"one", "two"}
