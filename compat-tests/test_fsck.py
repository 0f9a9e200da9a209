"""`devpi-fsck`: what is damaged or missing is named, and whoever runs it hears of it by the exit status."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import requests

import packages
from harness import Server, expect_uploaded, tool
from mirrors import mirror_of, publish, released, upstream  # noqa: F401
from upstream import FakeUpstream

ERRORS = "fatal: There have been errors during consistency check."


def fsck(server: Server, *options: str) -> CompletedProcess[str]:
    return tool("devpi-fsck", "--serverdir", server.serverdir, *options)


def stored(server: Server, content: bytes) -> Path:
    """Where a content lies, in either server's layout."""
    found = [path for name in ("files", "+files") for path in (server.serverdir / name).rglob("*") if path.is_file()]
    [path] = [path for path in found if path.read_bytes() == content]
    return path


@pytest.fixture
def server(new_server: Callable[..., Server], tmp_path: Path) -> Server:
    """A server that runs, with one wheel and one sdist."""
    server = new_server().start()
    index = server.new_index()
    for path in (packages.wheel(tmp_path, "sample", "1.0"), packages.sdist(tmp_path, "sample", "1.0")):
        expect_uploaded(server.upload(index, path, "sample", "1.0"))
    return server


def test_all_is_well(server: Server) -> None:
    """Also while the server works on the data."""
    done = fsck(server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Finished with a total of 2 files." in done.stdout
    assert f"Checking at serial {server.serial()}" in done.stdout


def test_damaged(server: Server, tmp_path: Path) -> None:
    wheel = tmp_path / "sample-1.0-py3-none-any.whl"
    content = wheel.read_bytes()
    path = stored(server, content)
    path.write_bytes(content[:-1] + b"x")
    done = fsck(server)
    assert done.returncode == 1
    assert f"{wheel.name} - sha256 mismatch, got " in done.stdout
    assert ERRORS in done.stderr
    assert fsck(server, "--no-checksum").returncode == 0


def test_missing(server: Server, tmp_path: Path) -> None:
    wheel = tmp_path / "sample-1.0-py3-none-any.whl"
    stored(server, wheel.read_bytes()).unlink()
    done = fsck(server, "--no-checksum")
    assert done.returncode == 1
    assert "Missing file " in done.stdout
    assert "A total of 1 files are missing." in done.stdout
    assert ERRORS in done.stderr


@pytest.mark.ours
def test_missing_in_a_mirror(server: Server, upstream: FakeUpstream, tmp_path: Path) -> None:  # noqa: F811
    """The upstream has it: no error. (devpi-fsck does not start if it is the file that came last.)"""
    file = released(tmp_path, "mirrored", "1.0")
    publish(upstream, "mirrored", file)
    mirror = mirror_of(server, upstream)
    page = requests.get(f"{mirror.simple_url}mirrored/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    assert page.status_code == 200
    assert requests.get(requests.compat.urljoin(page.url, page.json()["files"][0]["url"])).content == file.content
    assert fsck(server).returncode == 0
    stored(server, file.content).unlink()
    done = fsck(server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A total of 1 files are missing in mirrors." in done.stdout


@pytest.mark.ours
def test_damaged_database(server: Server) -> None:
    server.stop()
    database = server.serverdir / "wheelhouse.sqlite"
    content = bytearray(database.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    database.write_bytes(content)
    done = fsck(server)
    assert done.returncode == 1
    assert "fatal: " in done.stderr


def test_nothing_to_check(tmp_path: Path) -> None:
    done = tool("devpi-fsck", "--serverdir", tmp_path / "none")
    assert done.returncode == 1
    assert "contains no devpi-server data, use devpi-init to initialize." in done.stderr
