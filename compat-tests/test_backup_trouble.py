"""`devpi-server backup` while others upload, cut off at any point, and of data that are damaged: each is whole."""

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import packages
from backups import DEV, Summary, backed_up, backup, built_serverdir, other, server
from harness import DEADLINE, Index, Server, expect_uploaded, numbers, tool, tool_killed_after, wait_until
from serverdirs import DATABASE, contents, damage, fatal, fsck, linked_copy, sound
from takeover import scale, state
from takeover.places import index_of, upload
from takeover.reference import succeeds

KILLS = int(os.environ.get("BACKUP_KILLS", "6"))

pytestmark = pytest.mark.ours


# Under load


@dataclass
class Uploader:
    """Somebody who changes one project, step by step, and knows what it was like after each step."""

    server: Server
    index: Index
    project: str
    directory: Path
    states: list[dict[str, str]] = field(default_factory=lambda: [{}])
    """The digests of the files that are there, by name, after each step that was begun."""
    acknowledged: int = 0
    """How many steps were done for sure."""
    failure: Exception | None = None

    def work(self, done: threading.Event) -> None:
        """Takes one step after the other."""
        noise = random.Random(self.project)
        try:
            while not done.is_set():
                self.step(noise)
                self.acknowledged += 1
        except Exception as error:
            self.failure = error

    def step(self, noise: random.Random) -> None:
        """Uploads a file, mostly; or overwrites one, or deletes a release, or the project."""
        files = dict(self.states[-1])
        kind = noise.choices(("upload", "overwrite", "release", "project"), (10, 4, 3, 1))[0] if files else "upload"
        if kind in ("upload", "overwrite"):
            version = f"1.{len(self.states)}" if kind == "upload" else self.version(noise.choice(sorted(files)))
            size = noise.choice((1_000, 50_000, 500_000))
            path = packages.wheel(self.directory, self.project, version, padding=noise.randbytes(size))
            self.states.append(files | {path.name: packages.sha256(path)})
            expect_uploaded(self.server.upload(self.index, path, self.project, version))
        elif kind == "release":
            name = noise.choice(sorted(files))
            del files[name]
            self.states.append(files)
            path = f"/{self.index.name}/{self.project}/{self.version(name)}"
            self.server.api("DELETE", path, auth=self.index.auth)
        else:
            self.states.append({})
            self.server.api("DELETE", f"/{self.index.name}/{self.project}", auth=self.index.auth)

    @staticmethod
    def version(filename: str) -> str:
        return filename.split("-")[1]


@dataclass
class Taken:
    """A backup, and between which steps of each uploader it was made."""

    directory: Path
    first: list[int]
    last: list[int]


BACKUPS = 6


def test_while_many_upload(server: Server, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Each backup has all that was acknowledged before it began, is whole, and of one moment for each project."""
    server.start()
    indexes = [index_of(server, name) for name in (DEV, "alice/other")]
    server.api("PUT", "/alice/other", body={}, auth=indexes[0].auth)
    uploaders = [
        Uploader(server, indexes[number % 2], f"load-{number}", tmp_path / f"load-{number}") for number in range(4)
    ]
    done = threading.Event()
    threads = [threading.Thread(target=uploader.work, args=[done]) for uploader in uploaders]
    for thread in threads:
        thread.start()
    taken: list[Taken] = []
    try:
        for number in range(BACKUPS):
            goal = sum(uploader.acknowledged for uploader in uploaders) + 10
            wait_until(
                lambda goal=goal: any(uploader.failure for uploader in uploaders)
                or sum(uploader.acknowledged for uploader in uploaders) >= goal,
                "uploads are not acknowledged",
            )
            first = [uploader.acknowledged for uploader in uploaders]
            summary = backed_up(server.serverdir, tmp_path / "backup")
            last = [len(uploader.states) - 1 for uploader in uploaders]
            assert sound(tmp_path / "backup")[0] == summary.serial
            succeeds(fsck(server.serverdir))
            taken.append(Taken(state.copy(tmp_path / "backup", tmp_path / f"taken{number}" / "data"), first, last))
    finally:
        done.set()
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
    assert [uploader.failure for uploader in uploaders if uploader.failure] == []
    for one in taken:
        restored = new_server(init=False)
        restored.serverdir = one.directory
        restored.start()
        for uploader, first, last in zip(uploaders, one.first, one.last, strict=True):
            found = restored.files(uploader.index, uploader.project)
            assert found in uploader.states[first : last + 1], uploader.project
        restored.stop()
    assert [uploader.project for uploader in uploaders if uploader.acknowledged < BACKUPS] == []


# Cut off


def imported(directory: Path, size: scale.Size) -> Path:
    """A serverdir at rest of this size."""
    scale.generate(directory / "dump", size)
    where = ("--serverdir", directory / "data", "--no-root-pypi")
    succeeds(tool("devpi-import", *where, directory / "dump"))
    return directory / "data"


@pytest.fixture(scope="module")
def two_states(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An earlier state of a server, and a later one, which has many new files and lacks some of the old ones."""
    earlier = imported(tmp_path_factory.mktemp("earlier"), scale.Size(files=450, projects=30, indexes=10))
    later = imported(tmp_path_factory.mktemp("later"), scale.Size(files=1_000, projects=100, indexes=10))
    shutil.copy(later / ".nodeinfo", earlier / ".nodeinfo")
    assert sound(earlier)[0] < sound(later)[0]
    assert len(contents(earlier).keys() - contents(later).keys()) > 100
    return earlier, later


def names(directory: Path) -> set[str]:
    """The names of all that is in a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


@pytest.mark.parametrize("before", ["nothing", "an older one"])
def test_killed_again_and_again(
    two_states: tuple[Path, Path], new_server: Callable[..., Server], tmp_path: Path, before: str
) -> None:
    """There is the old backup or the new one, whole, and the next attempt ends with the new one and nothing else."""
    earlier, later = two_states
    expected = [sound(earlier), sound(later)]
    old = tmp_path / "old"
    if before == "an older one":
        backed_up(earlier, old)

    def new_place() -> Path:
        directory = tmp_path / f"backup{next(numbers)}"
        return linked_copy(old, directory) if old.exists() else directory

    measured = new_place()
    begin = time.monotonic()
    backed_up(later, measured)
    whole = time.monotonic() - begin
    everything = names(measured)

    noise = random.Random(f"{before} {KILLS}")
    killed = 0
    while killed < KILLS:
        directory = new_place()
        killed += tool_killed_after(noise.uniform(0, whole), "devpi-server", "backup", directory, "--serverdir", later)
        if (directory / DATABASE).exists():
            assert sound(directory, strays=True) in (expected if old.exists() else expected[1:])
        else:
            assert not old.exists()
            assert not directory.exists() or re.search("no devpi-server data|No sqlite storage", fatal(fsck(directory)))
        backed_up(later, directory)
        assert names(directory) == everything
        assert sound(directory) == expected[1]
        shutil.rmtree(directory)

    restored = new_server(init=False)
    linked_copy(measured, restored.serverdir)
    assert len(restored.start().files("user0/index0", "sample-000000")) == 10


# Damaged data


@pytest.mark.parametrize("how", ["cut", "longer", "missing"])
def test_damaged_contents(server: Server, other: Server, how: str) -> None:
    """They are named, and all the rest is in the backup; so it is when the server is mended."""
    harmed, fine = sorted(contents(server.serverdir).values())
    content = harmed.read_bytes()
    damage(harmed, how)
    done = backup(server.serverdir, other.serverdir)
    assert fatal(done)
    [line] = [line for line in done.stdout.splitlines() if harmed.name in line]
    assert "ERROR" in line
    assert "1 file" in done.stderr
    assert Summary.of(done.stdout).files == 1
    assert contents(other.serverdir).keys() == {fine.name}
    harmed.write_bytes(content)
    assert backed_up(server.serverdir, other.serverdir).new_files == 1
    sound(other.serverdir)
    assert len(other.start().files(DEV, "demo")) == 2


@pytest.mark.parametrize("how", ["cut", "missing"])
def test_good_copies_stay(server: Server, tmp_path: Path, how: str) -> None:
    """A backup has what the server has lost, and tells that it is lost."""
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    harmed = min(contents(server.serverdir).values())
    damage(harmed, how)
    done = backup(server.serverdir, directory)
    sound(directory)
    assert fatal(done)
    assert [line for line in done.stdout.splitlines() if harmed.name in line]


def test_all_damaged_contents_are_named(two_states: tuple[Path, Path], tmp_path: Path) -> None:
    """At once."""
    serverdir = state.copy(two_states[0], tmp_path / "data")
    harmed = sorted(contents(serverdir).items())[::25]
    for number, (_, path) in enumerate(harmed):
        damage(path, ("cut", "missing")[number % 2])
    done = backup(serverdir, tmp_path / "backup")
    assert fatal(done)
    assert [name for name, _ in harmed if name not in done.stdout] == []
    assert Summary.of(done.stdout).files == 450 - len(harmed)


def test_damaged_database(server: Server, tmp_path: Path) -> None:
    """The backup before stays what it was."""
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    before = sound(directory)
    database = server.serverdir / DATABASE
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert fatal(backup(server.serverdir, directory))
    assert sound(directory) == before


# Damaged backups


@pytest.mark.parametrize("how", ["cut", "longer", "missing"])
def test_a_damaged_backup_is_mended(server: Server, tmp_path: Path, how: str) -> None:
    """By the next one, as far as sizes tell."""
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    damage(min(contents(directory).values()), how)
    assert fsck(directory).returncode == 1
    assert backed_up(server.serverdir, directory).new_files == 1
    sound(directory)


WRITE_AND_DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("UPDATE users SET record = record || ' '")
connection.execute("CREATE TABLE foreign_to_it AS SELECT * FROM changes")
os._exit(0)
"""

# As `devpi-fsck --repair` works on a backup: without a log.
DIE_IN_THE_MIDDLE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE users SET record = record || ' '")
connection.execute("CREATE TABLE foreign_to_it AS SELECT randomblob(100000)")
os._exit(0)
"""


@pytest.mark.parametrize(("program", "left"), [(WRITE_AND_DIE, "wal"), (DIE_IN_THE_MIDDLE, "journal")])
def test_somebody_wrote_to_the_backup(server: Server, tmp_path: Path, program: str, left: str) -> None:
    """And died: what SQLite keeps beside a database until the next one opens it does not get into another one."""
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    subprocess.run([sys.executable, "-c", program, directory / DATABASE], check=True)
    assert (directory / f"{DATABASE}-{left}").stat().st_size > 0
    server.start()
    for number in range(20):
        upload(server, DEV, f"more-{number}", tmp_path)
    summary = backed_up(server.serverdir, directory)
    assert sound(directory) == (summary.serial, 22)
