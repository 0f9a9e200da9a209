"""pip and uv install from an index, by all the ways in which users point them at one.

Marked ``ours`` is what needs the newer keys of the simple pages (PEP 658 and 700), which devpi-server lacks.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import packages
from clients import VENVS, Shell
from harness import Index, Server, expect_uploaded


@pytest.fixture
def filled(server: Server, index: Index, tmp_path: Path) -> Index:
    """The index with some releases of ``hello-world``, the newest of them not for this Python."""
    releases = [("1.0", {}), ("1.1", {"requires_python": ">=3.8"}), ("1.2", {"requires_python": ">=4"}), ("2.0rc1", {})]
    for version, fields in releases:
        path = packages.wheel(tmp_path / "dist", "hello-world", version, **fields)
        form = {"requires_python": fields["requires_python"]} if fields else {}
        expect_uploaded(server.upload(index, path, "hello-world", version, **form))
    expect_uploaded(server.upload(index, packages.sdist(tmp_path / "dist", "hello-world", "1.0"), "hello-world", "1.0"))
    return index


@pytest.fixture
def inheriting(server: Server, filled: Index, tmp_path: Path) -> Index:
    """An index above the filled one, with an ``app`` that needs ``hello-world`` from there."""
    above = server.new_index("above", owner=filled, bases=[filled.name])
    path = packages.wheel(tmp_path / "dist", "app", "3.0", requires=["hello-world>=1.0"])
    expect_uploaded(server.upload(above, path, "app", "3.0"))
    return above


def with_credentials(index: Index, url: str) -> str:
    return url.replace("://", f"://{index.user}:{index.password}@", 1)


def test_pip_install(shell: Shell, filled: Index) -> None:
    """The newest final release that this Python can run."""
    venv = shell.venv()
    shell.pip("--python", venv, "install", "--index-url", filled.simple_url, "Hello_World")
    assert shell.installed(venv, "hello_world") == "1.1"


OLD_PIPS = (
    "20.3.4",  # Debian 11, and the last for Python 2.7
    "22.0.2",  # Ubuntu 22.04
    "23.0.1",  # Debian 12. From 22.3 to 23.1 none bears the name that core metadata had in JSON before PEP 714.
    "24.0",  # Ubuntu 24.04
)
"""Versions of pip that long-lived systems bring."""


@pytest.mark.parametrize("version", OLD_PIPS)
def test_old_pip_install(shell: Shell, inheriting: Index, version: str) -> None:
    """A package with what it needs from a base, by each way of reading pages and metadata that pip has had."""
    python = VENVS / f"pip-{version}/bin/python"
    found = shell.run(python, "-m", "pip", "--version")
    if not found.startswith(f"pip {version} "):
        pytest.skip(f"pip {version} does not run on this Python; there is {found}")
    asked = ["--index-url", with_credentials(inheriting, inheriting.simple_url), "--trusted-host", "127.0.0.1"]
    target = shell.home / "target"
    shell.run(python, "-m", "pip", "install", "--target", target, *asked, "app")
    assert sorted(path.name for path in target.glob("*.dist-info")) == [
        "app-3.0.dist-info",
        "hello_world-1.1.dist-info",
    ]
    got = shell.home / "got"
    shell.run(python, "-m", "pip", "download", "--no-deps", "--dest", got, *asked, "hello-world==1.0")
    assert [path.name for path in got.iterdir()] == ["hello_world-1.0-py3-none-any.whl"]


def test_uv_pip_install(shell: Shell, filled: Index) -> None:
    venv = shell.venv()
    shell.uv("pip", "install", "--python", venv, "--index-url", filled.simple_url, "Hello_World")
    assert shell.installed(venv, "hello_world") == "1.1"


@pytest.mark.parametrize("ending", ["", "/"])
def test_index_url_without_simple(shell: Shell, filled: Index, ending: str) -> None:
    """The address of the index itself does too: installers are known by their User-Agent."""
    venv = shell.venv()
    shell.pip("--python", venv, "install", "--index-url", filled.url + ending, "hello-world==1.0")
    assert shell.installed(venv, "hello_world") == "1.0"
    shell.uv("pip", "install", "--python", venv, "--index-url", filled.url + ending, "hello-world==1.1")
    assert shell.installed(venv, "hello_world") == "1.1"


def test_credentials_in_the_url(shell: Shell, filled: Index) -> None:
    url = with_credentials(filled, filled.simple_url)
    venv = shell.venv()
    shell.pip("--python", venv, "install", "--index-url", url, "hello-world==1.0")
    shell.uv("pip", "install", "--python", venv, "--index-url", url, "hello-world==1.1")
    assert shell.installed(venv, "hello_world") == "1.1"


def test_through_bases(shell: Shell, inheriting: Index) -> None:
    pip_venv, uv_venv = shell.venv(), shell.venv()
    shell.pip("--python", pip_venv, "install", "--index-url", inheriting.simple_url, "app")
    shell.uv("pip", "install", "--python", uv_venv, "--index-url", inheriting.simple_url, "app")
    for venv in (pip_venv, uv_venv):
        assert (shell.installed(venv, "app"), shell.installed(venv, "hello_world")) == ("3.0", "1.1")


def test_own_release_hides_that_of_a_base(server: Server, shell: Shell, inheriting: Index, tmp_path: Path) -> None:
    """A file of the same name in a base is not seen from the index above."""
    own = packages.wheel(tmp_path / "own", "hello-world", "1.0", summary="mine")
    expect_uploaded(server.upload(inheriting, own, "hello-world", "1.0"))
    shell.pip("download", "--no-deps", "--index-url", inheriting.simple_url, "hello-world==1.0", "-d", tmp_path / "got")
    assert (tmp_path / "got" / own.name).read_bytes() == own.read_bytes()


def test_pip_conf_with_extra_index_url(server: Server, shell: Shell, filled: Index) -> None:
    """The index beside another one (here an empty one) in a file of old standing."""
    empty = server.new_index("empty")
    (shell.home / ".pip").mkdir()
    (shell.home / ".pip/pip.conf").write_text(
        f"[global]\nindex-url = {empty.simple_url}\nextra-index-url = {filled.url}/+simple\n"
        "[install]\ntrusted-host = 127.0.0.1\n"
    )
    venv = shell.venv()
    shown = shell.pip("--python", venv, "install", "hello-world")
    assert f"Looking in indexes: {empty.simple_url}, {filled.url}/+simple" in shown
    assert shell.installed(venv, "hello_world") == "1.1"


def test_after_devpi_use_set_cfg(shell: Shell, filled: Index) -> None:
    """``devpi use --set-cfg`` writes files with which pip and uv need no option."""
    shell.devpi("use", "--set-cfg", filled.url)
    venv = shell.venv()
    shell.pip("--python", venv, "install", "hello-world==1.0")
    assert shell.installed(venv, "hello_world") == "1.0"
    shell.uv("pip", "install", "--python", venv, "hello-world==1.1")
    assert shell.installed(venv, "hello_world") == "1.1"


def test_pip_download(shell: Shell, filled: Index, tmp_path: Path) -> None:
    got = tmp_path / "got"
    shell.pip(
        "download",
        "--no-binary=:all:",
        "--no-build-isolation",
        "--index-url",
        filled.simple_url,
        "hello-world==1.0",
        "-d",
        got,
    )
    assert {path.name: path.read_bytes() for path in got.iterdir()} == {
        "hello_world-1.0.tar.gz": (tmp_path / "dist/hello_world-1.0.tar.gz").read_bytes()
    }


def test_pip_index_versions(shell: Shell, filled: Index) -> None:
    shown = shell.pip("index", "versions", "--index-url", filled.simple_url, "hello-world")
    assert "hello-world (1.1)\nAvailable versions: 1.1, 1.0\n" in shown
    shown = shell.pip("index", "versions", "--pre", "--index-url", filled.simple_url, "hello-world")
    assert "hello-world (2.0rc1)\n" in shown


def test_pip_require_hashes(shell: Shell, filled: Index, tmp_path: Path) -> None:
    digest = packages.sha256(tmp_path / "dist/hello_world-1.1-py3-none-any.whl")
    requirements = shell.home / "requirements.txt"
    requirements.write_text(f"hello-world==1.1 --hash=sha256:{digest}\n")
    venv = shell.venv()
    install = ["--python", venv, "install", "--require-hashes", "--index-url", filled.simple_url, "-r", requirements]
    shell.pip(*install)
    requirements.write_text(f"hello-world==1.0 --hash=sha256:{digest}\n")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in shell.pip(*install, code=1)
    assert shell.installed(venv, "hello_world") == "1.1"


def test_unknown_project(shell: Shell, filled: Index) -> None:
    venv = shell.venv()
    shown = shell.pip("--python", venv, "install", "--index-url", filled.simple_url, "nosuchpkg", code=1)
    assert "Could not find a version that satisfies the requirement nosuchpkg (from versions: none)" in shown
    shown = shell.uv("pip", "install", "--python", venv, "--index-url", filled.simple_url, "nosuchpkg", code=1)
    assert "nosuchpkg was not found in the package registry" in shown


def test_uv_lock_and_sync(shell: Shell, inheriting: Index) -> None:
    """A lock file holds addresses and hashes of this index, and is enough to install from."""
    project = shell.home / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "here"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["app"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{inheriting.simple_url}"\ndefault = true\n'
    )
    shell.uv("lock", cwd=project)
    lock = (project / "uv.lock").read_text()
    assert f'registry = "{inheriting.simple_url}"'.replace('/"', "") in lock
    shell.uv("sync", "--frozen", cwd=project)
    assert shell.installed(project / ".venv", "hello_world") == "1.1"


@pytest.mark.ours
def test_pip_resolves_without_downloading_wheels(shell: Shell, inheriting: Index) -> None:
    """PEP 658: dependencies are read from ``.metadata`` files."""
    shown = shell.pip("--python", shell.venv(), "install", "--dry-run", "--index-url", inheriting.simple_url, "app")
    assert re.search(r"Downloading \S*app-3\.0-py3-none-any\.whl\.metadata", shown)
    assert "Would install app-3.0 hello-world-1.1" in shown


@pytest.mark.ours
def test_cool_down_by_upload_time(shell: Shell, filled: Index) -> None:
    """PEP 700: uv and pip can leave out what was uploaded after a date; without dates they find nothing at all."""
    venv = shell.venv()
    tomorrow, long_ago = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d"), "2020-01-01"
    uv = ["pip", "install", "--dry-run", "--python", venv, "--index-url", filled.simple_url, "hello-world"]
    assert "+ hello-world==1.1" in shell.uv(*uv, "--exclude-newer", tomorrow)
    shell.uv(*uv, "--exclude-newer", long_ago, code=1)
    pip = ["--python", venv, "install", "--dry-run", "--index-url", filled.simple_url, "hello-world"]
    assert "Would install hello-world-1.1" in shell.pip(*pip, "--uploaded-prior-to", tomorrow)
    assert "No matching distribution" in shell.pip(*pip, "--uploaded-prior-to", long_ago, code=1)
