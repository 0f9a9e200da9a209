"""``python setup.py upload`` and ``register``, as old projects still release themselves.

Both write multipart bodies of their own: the upload begins with an empty line, its file has no content type, and its
``blake2_256_digest`` is the full BLAKE2b of 64 bytes; the registration ends its lines with a bare line feed and sends
credentials only when asked with the realm ``pypi``.
"""

from pathlib import Path

import pytest

import packages
from clients import VENVS, Shell
from harness import Index, Server

PYTHON = VENVS / "legacy/bin/python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a ``setup.py``."""
    return packages.project(tmp_path / "src", "hello-world", "1.0")


def write_pypirc(shell: Shell, index: Index, password: str | None = None) -> None:
    """The file with the blanks, and with colons for equal signs, that users have had for years."""
    (shell.home / ".pypirc").write_text(
        f"""# content of $HOME/.pypirc
[distutils]
index-servers = 
    starcount

[starcount]
repository: {index.upload_url}
username: {index.user}
password: {password or index.password} 
"""  # noqa: W291
    )


def test_sdist_upload(server: Server, shell: Shell, index: Index, project: Path) -> None:
    write_pypirc(shell, index)
    shown = shell.run(PYTHON, "setup.py", "sdist", "upload", "-r", "starcount", cwd=project)
    assert f"Submitting dist/hello-world-1.0.tar.gz to {index.upload_url}\nServer response (200): OK" in shown
    digest = packages.sha256(project / "dist/hello-world-1.0.tar.gz")
    assert server.files(index, "hello-world") == {"hello-world-1.0.tar.gz": digest}
    release = server.get(f"/{index.name}/hello-world/1.0")
    assert release.items() >= {"summary": "A sample.", "author": "Ada", "author_email": "ada@project.example"}.items()


def test_bdist_wheel_upload(server: Server, shell: Shell, index: Index, project: Path) -> None:
    write_pypirc(shell, index)
    shown = shell.run(PYTHON, "setup.py", "bdist_wheel", "upload", "-r", "starcount", cwd=project)
    assert "Server response (200): OK" in shown
    name = "hello_world-1.0-py3-none-any.whl"
    assert server.files(index, "hello-world") == {name: packages.sha256(project / "dist" / name)}
    venv = shell.venv()
    shell.uv("pip", "install", "--python", venv, "--index-url", index.simple_url, "hello-world")
    assert shell.installed(venv, "hello_world") == "1.0"


def test_both_at_once(server: Server, shell: Shell, index: Index, project: Path) -> None:
    write_pypirc(shell, index)
    shown = shell.run(PYTHON, "setup.py", "sdist", "bdist_wheel", "upload", "-r", "starcount", cwd=project)
    assert shown.count("Server response (200): OK") == 2
    assert len(server.files(index, "hello-world")) == 2


def test_register(server: Server, shell: Shell, index: Index, project: Path) -> None:
    """A registered release has metadata and an empty page, until files come."""
    write_pypirc(shell, index)
    shown = shell.run(PYTHON, "setup.py", "register", "-r", "starcount", cwd=project)
    assert f"Registering hello-world to {index.upload_url}\nServer response (200): OK" in shown
    release = server.get(f"/{index.name}/hello-world/1.0")
    assert release["home_page"] == "https://project.example/hello-world"
    assert "+links" not in release
    assert server.get(f"/{index.name}")["projects"] == ["hello-world"]
    assert server.simple(index, "hello-world") == {}


def test_wrong_password(server: Server, shell: Shell, index: Index, project: Path) -> None:
    write_pypirc(shell, index, "wrong")
    serial = server.serial()
    shown = shell.run(PYTHON, "setup.py", "sdist", "upload", "-r", "starcount", cwd=project, code=1)
    assert "Upload failed (401): Unauthorized" in shown
    shown = shell.run(PYTHON, "setup.py", "register", "-r", "starcount", cwd=project)
    assert "Server response (401): Unauthorized" in shown
    assert server.serial() == serial


def test_conflict_shows_the_reason(server: Server, shell: Shell, index: Index, project: Path) -> None:
    prod = server.new_index("prod", owner=index, volatile=False)
    write_pypirc(shell, prod)
    command = [PYTHON, "setup.py", "sdist", "upload", "-r", "starcount"]
    shell.run(*command, cwd=project)
    before = server.files(prod, "hello-world")
    (project / "hello_world.py").write_text("changed = True\n")
    shown = shell.run(*command, cwd=project, code=1)
    assert "Upload failed (409): hello-world-1.0.tar.gz already exists in non-volatile index" in shown
    assert server.files(prod, "hello-world") == before
