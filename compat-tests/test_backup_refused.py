"""`devpi-server backup` is not made where it could harm anything, and says why; how it is called otherwise."""

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from backups import DEV, backed_up, backup, built_serverdir, server
from harness import Server, tool
from serverdirs import changes, fatal, listing, sound
from takeover import reference, state
from takeover.places import upload
from takeover.reference import succeeds

pytestmark = pytest.mark.ours


# How it is called


WORDS = [
    ["backup", "{to}", "--serverdir", "{from}"],
    ["--serverdir", "{from}", "backup", "{to}"],
    ["backup", "--serverdir={from}", "{to}"],
    ["--serverdir", "{from}", "backup", "{to}", "--request-timeout", "3", "--debug"],
    ["--configfile", "{file}", "backup", "{to}"],
    ["backup", "{to}", "-c", "{file}"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_words_in_any_order(server: Server, tmp_path: Path, words: list[str]) -> None:
    """Also with the options of the server that is backed up, so that one configuration file will do for both."""
    file = tmp_path / "devpi.yml"
    file.write_text(f"devpi-server:\n  serverdir: {server.serverdir}\n  port: 1\n  threads: 3\n")
    places = {"from": server.serverdir, "to": tmp_path / "backup", "file": file}
    done = tool("devpi-server", *(word.format(**places) for word in words))
    assert done.returncode == 0, done.stderr
    assert sound(tmp_path / "backup") == sound(server.serverdir)


def test_serverdir_from_the_environment(server: Server, tmp_path: Path) -> None:
    """A relative directory is one below the current one, as everywhere."""
    env = {"DEVPISERVER_SERVERDIR": str(server.serverdir)}
    done = tool("devpi-server", "backup", "deep/er", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sound(tmp_path / "deep/er") == sound(server.serverdir)


@pytest.mark.parametrize(
    "words", [["backup"], ["backup", "one", "two"], ["restore", "one"], ["back", "one"]], ids=" ".join
)
def test_wrong_usage(server: Server, tmp_path: Path, words: list[str]) -> None:
    before = listing(tmp_path)
    done = tool("devpi-server", "--serverdir", server.serverdir, *words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "fatal" not in done.stderr
    assert changes(before, listing(tmp_path)) == []


# What is refused


def itself(server: Server, _: Path) -> Path:
    return server.serverdir


def inside(server: Server, _: Path) -> Path:
    return server.serverdir / "backup"


def inside_with_files(server: Server, _: Path) -> Path:
    return server.serverdir / "files" / "backup"


def inside_by_a_link(server: Server, place: Path) -> Path:
    (place / "link").symlink_to(server.serverdir)
    return place / "link" / "deep" / "backup"


def inside_by_dots(server: Server, place: Path) -> Path:
    return place / ".." / os.path.relpath(server.serverdir, place.parent) / "backup"


def around(server: Server, place: Path) -> Path:
    """A backup into which the server was moved."""
    backed_up(server.serverdir, place / "backup")
    server.serverdir = server.serverdir.rename(place / "backup/data")
    return place / "backup"


def around_its_files(server: Server, place: Path) -> Path:
    """Where the files of the server lie, by a link, as when its disk was too small."""
    (place / "big").mkdir()
    files = (server.serverdir / "files").rename(place / "big/files")
    (server.serverdir / "files").symlink_to(files)
    return place / "big"


def with_a_file(_: Server, place: Path) -> Path:
    (place / "mine").mkdir()
    (place / "mine/notes.txt").write_text("mine")
    return place / "mine"


def with_a_name_that_we_use(name: str) -> Callable[[Server, Path], Path]:
    def make(_: Server, place: Path) -> Path:
        path = place / "mine" / name
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        return place / "mine"

    return make


def another_serverdir(_: Server, place: Path) -> Path:
    succeeds(tool("devpi-init", "--serverdir", place / "other", "--no-root-pypi"))
    return place / "other"


def of_another_server(_: Server, place: Path) -> Path:
    backed_up(another_serverdir(_, place), place / "backup")
    return place / "backup"


def of_a_later_state(server: Server, place: Path) -> Path:
    earlier = state.copy(server.serverdir, place / "earlier")
    upload(server.start(), DEV, "later", place / "dist")
    server.stop()
    backed_up(server.serverdir, place / "backup")
    server.serverdir = earlier
    return place / "backup"


def served_once(server: Server, place: Path) -> Path:
    """From its first start on it is a server's directory."""
    backed_up(server.serverdir, place / "backup")
    mine, server.serverdir = server.serverdir, place / "backup"
    server.start().stop()
    server.serverdir = mine
    assert not (place / "backup/backup.json").exists()
    return place / "backup"


def with_a_damaged_mark(server: Server, place: Path) -> Path:
    backed_up(server.serverdir, place / "backup")
    (place / "backup/backup.json").write_text("{")
    return place / "backup"


def a_file(_: Server, place: Path) -> Path:
    (place / "file").write_text("mine")
    return place / "file"


REFUSED: dict[str, tuple[Callable[[Server, Path], Path], str]] = {
    "itself": (itself, "must not lie in each other"),
    "inside": (inside, "must not lie in each other"),
    "inside its files": (inside_with_files, "must not lie in each other"),
    "inside by a link": (inside_by_a_link, "must not lie in each other"),
    "inside by dots": (inside_by_dots, "must not lie in each other"),
    "around": (around, "must not lie in each other"),
    "around its files": (around_its_files, "must not lie in each other|is not empty, and no backup"),
    "with a file": (with_a_file, "is not empty, and no backup"),
    "with files of somebody": (with_a_name_that_we_use("files/report.txt"), "is not empty, and no backup"),
    "with incoming of somebody": (with_a_name_that_we_use("incoming/report.txt"), "is not empty, and no backup"),
    "with somebody's secret": (with_a_name_that_we_use(".secret"), "is not empty, and no backup"),
    "another serverdir": (another_serverdir, "is not empty, and no backup"),
    "backup of another server": (of_another_server, "is the backup of another server"),
    "backup of a later state": (of_a_later_state, "an older one"),
    "served once": (served_once, "is not empty, and no backup"),
    "with a damaged mark": (with_a_damaged_mark, "backup.json' is damaged"),
    "a file": (a_file, "file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(server: Server, tmp_path: Path, case: str) -> None:
    """Before anything is changed, there or elsewhere."""
    prepare, reason = REFUSED[case]
    directory = prepare(server, tmp_path)
    before = [listing(place) for place in (tmp_path, server.serverdir)]
    message = fatal(backup(server.serverdir, directory))
    after = [listing(place) for place in (tmp_path, server.serverdir)]
    assert re.search(reason, message)
    assert list(map(changes, before, after)) == [[], []]


def test_refused_while_another_process_works_on_it(server: Server, tmp_path: Path) -> None:
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    before = listing(directory)
    with (directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fatal(backup(server.serverdir, directory)) == f"The path '{directory}' is in use by another process."
    assert changes(before, listing(directory)) == []
    backed_up(server.serverdir, directory)


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_to_back_up(tmp_path: Path, exists: bool) -> None:
    source = tmp_path / "data"
    if exists:
        source.mkdir()
    message = fatal(backup(source, tmp_path / "backup"))
    assert message == f"The path '{source}' contains no devpi-server data, use devpi-init to initialize."
    assert not (tmp_path / "backup").exists()


def test_data_of_devpi_server(tmp_path: Path) -> None:
    """They are no data of ours before a server has taken them over."""
    succeeds(reference.tool("devpi-init", "--serverdir", tmp_path / "data", "--no-root-pypi"))
    message = fatal(backup(tmp_path / "data", tmp_path / "backup"))
    assert "which devpi-server takes over when it starts" in message
    assert not (tmp_path / "backup").exists()
