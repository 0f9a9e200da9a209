"""twine, ``uv publish``, ``poetry publish`` and ``hatch publish``, each on a volatile and a non-volatile index."""

from collections.abc import Callable
from pathlib import Path

import pytest

import packages
from clients import VENVS, Shell
from harness import Index, Server

# Uploads everything below a directory named dist; told the exit status to expect, gives what was shown.
Publish = Callable[..., str]


@pytest.fixture
def prod(server: Server) -> Index:
    """A non-volatile index."""
    return server.new_index("prod", volatile=False)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A project directory with a wheel and an sdist in ``dist``."""
    build(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "hello-world"\nversion = "1.0"\n')
    return tmp_path


def build(directory: Path, summary: str = "A sample.") -> dict[str, str]:
    """Makes both files; gives their hashes by name."""
    fields = {"summary": summary, "requires": ["other>=1"], "requires_python": ">=3.8"}
    paths = [make(directory / "dist", "hello-world", "1.0", **fields) for make in (packages.wheel, packages.sdist)]
    return {path.name: packages.sha256(path) for path in paths}


def twine(shell: Shell, index: Index, directory: Path, password: str, code: int = 0) -> str:
    files = sorted((directory / "dist").iterdir())
    return shell.twine(
        "upload", "--repository-url", index.upload_url, "-u", index.user, "-p", password, *files, code=code
    )


def uv(shell: Shell, index: Index, directory: Path, password: str, code: int = 0, *options: str) -> str:
    return shell.uv(
        "publish",
        "--publish-url",
        index.upload_url,
        "-u",
        index.user,
        "-p",
        password,
        *options,
        code=code and 2,
        cwd=directory,
    )


def poetry(shell: Shell, index: Index, directory: Path, password: str, code: int = 0) -> str:
    return shell.run(
        VENVS / "poetry/bin/poetry",
        "publish",
        "--no-interaction",
        "-r",
        "local",
        code=code,
        cwd=directory,
        env={
            "POETRY_REPOSITORIES_LOCAL_URL": index.upload_url,
            "POETRY_HTTP_BASIC_LOCAL_USERNAME": index.user,
            "POETRY_HTTP_BASIC_LOCAL_PASSWORD": password,
        },
    )


def hatch(shell: Shell, index: Index, directory: Path, password: str, code: int = 0) -> str:
    return shell.run(
        VENVS / "hatch/bin/hatch",
        "--no-interactive",
        "publish",
        "-r",
        index.upload_url,
        "-u",
        index.user,
        "-a",
        password,
        code=code,
        cwd=directory,
    )


everyone = pytest.mark.parametrize("publish", [twine, uv, poetry, hatch])


@everyone
def test_publish(server: Server, shell: Shell, index: Index, workdir: Path, publish: Publish) -> None:
    """The files arrive as they are, and so does what they say about themselves."""
    publish(shell, index, workdir, index.password)
    assert server.files(index, "hello-world") == build(workdir)
    release = server.get(f"/{index.name}/hello-world/1.0")
    assert (
        release.items()
        >= {
            "name": "hello-world",
            "version": "1.0",
            "summary": "A sample.",
            "requires_python": ">=3.8",
            "requires_dist": ["other>=1"],
        }.items()
    )
    assert {link["log"][-1]["who"] for link in release["+links"]} == {index.user}


@everyone
def test_wrong_password(server: Server, shell: Shell, index: Index, workdir: Path, publish: Publish) -> None:
    serial = server.serial()
    shown = publish(shell, index, workdir, "wrong", code=1)
    assert "401" in shown
    assert "Unauthorized" in shown
    assert server.serial() == serial


@everyone
def test_publish_again(server: Server, shell: Shell, prod: Index, workdir: Path, publish: Publish) -> None:
    """The same files once more are fine even where nothing may be replaced."""
    publish(shell, prod, workdir, prod.password)
    before = server.files(prod, "hello-world")
    publish(shell, prod, workdir, prod.password)
    assert server.files(prod, "hello-world") == before


@pytest.mark.parametrize("publish", [twine, uv, poetry])
def test_conflict(server: Server, shell: Shell, prod: Index, workdir: Path, publish: Publish) -> None:
    """Other contents are refused, and the user reads why. (hatch skips names that exist without a look inside.)"""
    publish(shell, prod, workdir, prod.password)
    before = server.files(prod, "hello-world")
    build(workdir, summary="changed")
    shown = publish(shell, prod, workdir, prod.password, code=1)
    assert "409" in shown
    assert "already exists in non-volatile index" in shown
    assert server.files(prod, "hello-world") == before


def test_twine_shows_the_reason_phrase(shell: Shell, prod: Index, workdir: Path) -> None:
    twine(shell, prod, workdir, prod.password)
    build(workdir, summary="changed")
    shown = [line.rstrip() for line in twine(shell, prod, workdir, prod.password, code=1).splitlines()]
    place = shown.index(f"ERROR    HTTPError: 409 Conflict from {prod.upload_url}")
    assert shown[place + 1].endswith("already exists in non-volatile index")


def test_twine_register(server: Server, shell: Shell, index: Index, workdir: Path) -> None:
    wheel = workdir / "dist/hello_world-1.0-py3-none-any.whl"
    (shell.home / ".pypirc").write_text(
        f"[distutils]\nindex-servers = dev\n[dev]\nrepository = {index.upload_url}\n"
        f"username = {index.user}\npassword = {index.password}\n"
    )
    shell.twine("register", "-r", "dev", wheel)
    release = server.get(f"/{index.name}/hello-world/1.0")
    assert release["requires_dist"] == ["other>=1"]
    assert "+links" not in release


def test_twine_with_a_login_token(server: Server, shell: Shell, index: Index, workdir: Path) -> None:
    """A token from a login serves in place of the password."""
    login = server.api("POST", "/+login", body={"user": index.user, "password": index.password}, auth=None)
    twine(shell, index, workdir, login["password"])
    assert len(server.files(index, "hello-world")) == 2


def test_uv_check_url(server: Server, shell: Shell, prod: Index, workdir: Path) -> None:
    """uv reads the simple page first: skips what is there, and complains when it differs."""
    check = ("--check-url", prod.simple_url)
    uv(shell, prod, workdir, prod.password, 0, *check)
    serial = server.serial()
    shown = uv(shell, prod, workdir, prod.password, 0, *check)
    for name in build(workdir):
        assert f"File {name} already exists, skipping" in shown
    build(workdir, summary="changed")
    assert "Local file and index file do not match" in uv(shell, prod, workdir, prod.password, 2, *check)
    assert server.serial() == serial


def test_hatch_sees_what_exists(server: Server, shell: Shell, prod: Index, workdir: Path) -> None:
    """hatch reads the HTML page at an address with an encoded plus sign."""
    shown = hatch(shell, prod, workdir, prod.password)
    assert shown.count(" ... success") == 2
    assert f"{prod.url}/hello-world/1.0/" in shown
    serial = server.serial()
    assert hatch(shell, prod, workdir, prod.password).count(" ... already exists") == 2
    assert server.serial() == serial
