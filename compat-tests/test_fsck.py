"""`devpi-fsck`: what is damaged or missing is named, and whoever runs it hears of it by the exit status."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import requests

import packages
from harness import Server, expect_uploaded, tool
from mirrors import mirror_of, publish, released, upstream  # noqa: F401
from serverdirs import DAMAGES, changes, content_file, damage, database, listing
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


@pytest.mark.ours
@pytest.mark.parametrize("how", ["wrong byte", "cut"])
def test_damaged_in_a_mirror(server: Server, upstream: FakeUpstream, tmp_path: Path, how: str) -> None:  # noqa: F811
    """It would be given out, so this is an error whatever the upstream has."""
    file = released(tmp_path, "mirrored", "1.0")
    publish(upstream, "mirrored", file)
    assert server.files(mirror_of(server, upstream), "mirrored")
    damage(content_file(server.serverdir, file.content), how)
    done = fsck(server)
    assert done.returncode == 1
    assert re.search(rf"ERROR \S+/{file.filename} - \w+ mismatch, got ", done.stdout)


@pytest.mark.ours
def test_contents_of_nobody(server: Server) -> None:
    """They are told of and do no harm. What removed files had belongs to those still."""
    stray = content_file(server.serverdir, b"stray")
    stray.write_bytes(b"stray")
    [user] = server.get("/").keys() - {"root"}
    server.api("DELETE", f"/{user}/dev/sample/1.0")
    done = fsck(server)
    assert done.returncode == 0, done.stdout + done.stderr
    [warning] = [line for line in done.stdout.splitlines() if "WARN" in line]
    assert stray.name in warning
    assert stray.exists()


@pytest.mark.ours
@pytest.mark.parametrize("table", ["users", "projects"])
def test_counters(server: Server, table: str) -> None:
    """By them the server sees that somebody was faster; one that lags behind lets two overwrite each other's work."""
    server.stop()
    with database(server.serverdir) as connection:
        connection.execute(f"UPDATE {table} SET changed_at = changed_at - 1 WHERE name != 'root'")
    done = fsck(server)
    assert done.returncode == 1
    assert "the database is damaged: " in done.stdout
    assert ERRORS in done.stderr


@pytest.mark.ours
@pytest.mark.parametrize("running", [True, False])
def test_nothing_is_changed(server: Server, tmp_path: Path, running: bool) -> None:
    """Whatever is found, with a server at work or without."""
    if not running:
        server.stop()
    for number, name in enumerate(("sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz")):
        damage(content_file(server.serverdir, (tmp_path / name).read_bytes()), DAMAGES[number])
    content_file(server.serverdir, b"stray").write_bytes(b"stray")
    with database(server.serverdir) as connection:
        connection.execute("UPDATE users SET changed_at = 0")
        connection.execute("UPDATE documents SET body = x'00'")
    before = listing(server.serverdir)
    assert [fsck(server, *options).returncode for options in ([], ["--no-checksum"])] == [1, 1]
    assert changes(before, listing(server.serverdir)) == []


def test_nothing_to_check(tmp_path: Path) -> None:
    done = tool("devpi-fsck", "--serverdir", tmp_path / "none")
    assert done.returncode == 1
    assert "contains no devpi-server data, use devpi-init to initialize." in done.stderr
