"""Disks that fail, are full or may not be written any more, and a database that somebody else holds: whatever was
asked for is done whole or not at all, the client hears that it was not, and it works when the fault is gone.

Calls fail through a preloaded library (faults/shim.c); what needs a disk of its own mounts a small one, which only the
server sees.
"""

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import requests

import packages
from faults.disks import Disk, break_file_system, image, loop_disk, memory_disk, mounted
from faults.held import Held, does_not_add_up, gives_back
from faults.place import CHANGES, CONTENT, Place
from faults.shim import Fault, Shim, library, shim
from harness import DEADLINE, Server, expect_uploaded, wait_until
from mirrors import mirror_of, page, publish, released, upstream
from serverdirs import DATABASE, content_file, contents, sound
from takeover import state
from upstream import FakeUpstream

pytestmark = pytest.mark.ours

FULL = 507
FAILED = 500
BUSY = 503


@pytest.fixture(scope="module")
def built_serverdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The serverdir of a place, at rest."""
    directory = tmp_path_factory.mktemp("built")
    server = Server(directory).init().start()
    try:
        Place.made(server, directory / "dist")
        server.stop()
    finally:
        server.close()
    return server.serverdir


@pytest.fixture
def place(new_server: Callable[..., Server], built_serverdir: Path, shim: Shim, tmp_path: Path) -> Place:
    """A copy of it, and a server whose calls can be made to fail."""
    server = new_server(init=False, env=shim.environment)
    state.copy(built_serverdir, server.serverdir)
    return Place.at(server.start(), tmp_path / "dist")


def succeeded(answer: requests.Response) -> None:
    assert answer.status_code in (200, 201), f"{answer.status_code} {answer.reason} {answer.text}"


def told(answer: requests.Response, *statuses: int) -> None:
    """The client hears of it, and nothing of the inside."""
    assert answer.status_code in statuses, f"{answer.status_code} {answer.reason} {answer.text}"
    if answer.status_code == FULL:
        assert "no space left" in answer.reason + answer.text
    assert "wheelhouse.sqlite" not in answer.text + answer.reason


def status_of_download(place: Place, url: str) -> int | None:
    """None if fewer bytes came than were announced."""
    try:
        return place.server.request("GET", url).status_code
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
        return None


# The database

WAL = f"{DATABASE}-wal$"
DATABASE_FAULTS = {
    "full": (Fault("write", WAL, errno.ENOSPC), FULL),
    "not written": (Fault("write", WAL, errno.EIO), FAILED),
    "not written once": (Fault("write", WAL, errno.EIO, count=1), FAILED),
    "not synced": (Fault("fsync", WAL, errno.EIO), FAILED),
    "not synced once": (Fault("fsync", WAL, errno.EIO, count=1), FAILED),
}
IN_DOUBT = ("not written", "not synced")
"""Faults after which only the next start can tell whether a change was made."""


@pytest.mark.parametrize("fault", DATABASE_FAULTS)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_that_the_database_does_not_take(place: Place, shim: Shim, change: str, fault: str) -> None:
    """Nothing of them is there, and the next attempt succeeds."""
    cause, status = DATABASE_FAULTS[fault]
    before, held = place.everything(), Held.by(place.server)
    with shim.failing(cause):
        told(CHANGES[change](place), status)
        assert place.everything() == before, "reading goes on meanwhile"
    assert place.everything() == before
    if fault in IN_DOUBT:
        place.server.stop()
        place.server.start()
        assert place.everything() == before
        after = Held.by(place.server)
        assert (after.incoming, after.unconfirmed, after.contents) == ([], [], held.contents)
    else:
        gives_back(place.server, held)
    succeeded(CHANGES[change](place))
    assert place.everything() != before
    sound(place.server.serverdir)


@pytest.mark.parametrize(
    ("change", "fault"),
    [*((change, fault) for change in CHANGES for fault in ("not synced", "not synced once")), ("upload", "full"),
     ("upload", "not written")],
)
def test_killed_after_such_a_failure(place: Place, shim: Shim, change: str, fault: str) -> None:
    """What a failed sync has left on the disk may count at the next start, or not: but whole, with its files."""
    cause, status = DATABASE_FAULTS[fault]
    with shim.failing(cause):
        told(CHANGES[change](place), status)
        place.server.kill()
    place.server.start()
    sound(place.server.serverdir)
    place.everything()


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("then", ["goes on", "is killed", "is stopped"])
def test_changes_that_do_not_get_out_of_the_log(place: Place, shim: Shim, call: str, then: str) -> None:
    """SQLite moves them into its main file when there are many; they are safe in the log, so this may fail."""
    with shim.failing(Fault(call, f"{DATABASE}$", errno.EIO)):
        succeeded(place.register("sample", "3.0", description="x" * 5_000_000))
        before = place.everything()
        if then == "is killed":
            place.server.kill()
        elif then == "is stopped":
            assert place.server.stop() == 0
    if then != "goes on":
        place.server.start()
    assert place.everything() == before
    place.server.restart()
    assert place.everything() == before
    sound(place.server.serverdir)


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE], ids=errno.errorcode.get)
def test_a_database_that_cannot_be_read(place: Place, shim: Shim, error: int) -> None:
    """An error, and never an empty page; what comes afterwards is whole."""
    before = place.everything()
    place.server.restart()
    fault = Fault("read", DATABASE) if error == errno.EIO else Fault("create", DATABASE, error)
    with shim.failing(fault, unused=True):
        statuses = {place.server.request("GET", path).status_code for path in ("/", f"/{place.dev.name}")}
        statuses.add(place.server.request("GET", f"{place.dev.simple_url}sample/").status_code)
        assert statuses <= {200, FAILED, 503}
    assert place.everything() == before


# The files

INCOMING, MARKS, FILES, SERVERDIR = "/incoming/", "/unconfirmed/", "/files/", "/data/"
FILE_FAULTS = {
    "not created": (Fault("create", INCOMING, errno.EIO), FAILED),
    "no room for the name": (Fault("create", INCOMING, errno.ENOSPC), FULL),
    "too many open files": (Fault("create", INCOMING, errno.EMFILE), FAILED),
    "full": (Fault("write", INCOMING, errno.ENOSPC), FULL),
    "quota": (Fault("write", INCOMING, errno.EDQUOT), FULL),
    "not written": (Fault("write", INCOMING, errno.EIO), FAILED),
    "not synced": (Fault("fsync", FILES, errno.EIO), FAILED),
    "full when synced": (Fault("fsync", FILES, errno.ENOSPC), FULL),
    "no room for the mark": (Fault("link", MARKS, errno.ENOSPC), FULL),
    "not marked": (Fault("link", MARKS, errno.EIO), FAILED),
    "content or name not synced": (Fault("fsync", SERVERDIR, errno.EIO, count=1), FAILED),
    "the other one not synced": (Fault("fsync", SERVERDIR, errno.EIO, skip=1, count=1), FAILED),
    "read-only": (Fault("create", SERVERDIR, errno.EROFS), FAILED),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
@pytest.mark.parametrize("change", ["upload", "documentation", "test result"])
def test_files_that_the_disk_does_not_take(place: Place, shim: Shim, change: str, fault: str) -> None:
    """Nothing of them is there, neither in a page nor on the disk, and the next attempt succeeds."""
    cause, status = FILE_FAULTS[fault]
    before, held = place.everything(), Held.by(place.server)
    with shim.failing(cause):
        told(CHANGES[change](place), status)
        assert place.everything() == before, "reading goes on meanwhile"
    gives_back(place.server, held)
    succeeded(CHANGES[change](place))
    assert place.everything() != before
    place.server.kill()
    place.server.start()
    assert Held.by(place.server).unconfirmed == []
    sound(place.server.serverdir)


@pytest.mark.parametrize("how", ["a directory in its place", "no directory for it"])
def test_files_that_do_not_get_their_name(place: Place, how: str) -> None:
    """As if somebody had meddled with the serverdir."""
    target = content_file(place.server.serverdir, place.wheel("other", "1.0").read_bytes())
    away = target.parent.with_name("away")
    before = place.everything()
    if how == "no directory for it":
        target.parent.rename(away)
    else:
        target.mkdir()
    held = Held.by(place.server)
    told(place.upload("other", "1.0"), FAILED)
    gives_back(place.server, held)
    if away.exists():
        away.rename(target.parent)
    else:
        target.rmdir()
    assert place.everything() == before
    expect_uploaded(place.upload("other", "1.0"))
    sound(place.server.serverdir)


def test_failures_do_not_add_up(place: Place, shim: Shim) -> None:
    """Hundreds of uploads that fail at different points leave neither memory nor descriptors behind."""
    path = place.wheel("other", "1.0")
    names = ("full", "not created", "no room for the mark")
    faults = [*(FILE_FAULTS[name] for name in names), *DATABASE_FAULTS.values()]

    def fail_in_all_ways() -> None:
        for cause, status in faults * 5:
            with shim.failing(cause):
                told(place.server.upload(place.dev, path, "other", "1.0"), status)

    does_not_add_up(place.server, fail_in_all_ways)


def test_a_file_system_without_second_names(place: Place, shim: Shim) -> None:
    """A mark is a file of its own there."""
    second_names = Fault("link", MARKS, errno.EPERM)
    with shim.failing(second_names):
        expect_uploaded(place.upload("other", "1.0"))
    before, held = place.everything(), Held.by(place.server)
    assert held.unconfirmed == []
    with shim.failing(second_names, Fault("create", MARKS, errno.ENOSPC)):
        told(place.upload("other", "2.0"), FULL)
    assert place.everything() == before
    gives_back(place.server, held)
    expect_uploaded(place.upload("other", "2.0"))
    sound(place.server.serverdir)


def test_marks_that_stay(place: Place, shim: Shim) -> None:
    """They say that nothing may name a file. When one cannot be removed, the upload counts all the same."""
    with shim.failing(Fault("unlink", MARKS)):
        expect_uploaded(place.upload("other", "1.0"))
    before = place.everything()
    assert len(Held.by(place.server).unconfirmed) == 1
    place.server.restart()
    assert Held.by(place.server).unconfirmed == []
    assert place.everything() == before
    sound(place.server.serverdir)


def test_contents_that_cannot_be_removed(place: Place, shim: Shim) -> None:
    """Those of an upload that failed go at the next start."""
    known = contents(place.server.serverdir).keys()
    with shim.failing(Fault("write", WAL, errno.ENOSPC), Fault("unlink", FILES)):
        told(place.upload("other", "1.0"), FULL)
    place.server.restart()
    assert contents(place.server.serverdir).keys() == known
    assert Held.by(place.server).unconfirmed == []
    sound(place.server.serverdir)


@pytest.mark.parametrize("fault", [Fault("read", FILES), Fault("open", FILES, errno.EMFILE)], ids=str)
@pytest.mark.parametrize("size", ["small", "large"])
def test_files_that_cannot_be_read(place: Place, shim: Shim, fault: Fault, size: str) -> None:
    """The client sees a failure: an error, or fewer bytes than announced. It is whole afterwards."""
    name = released(place.directory, "other", "1.0", padding=0 if size == "small" else 1_000_000).filename
    file = place.directory / name
    expect_uploaded(place.server.upload(place.dev, file, "other", "1.0"))
    held = Held.by(place.server)
    url = place.file("other", "1.0")
    with shim.failing(fault):
        assert status_of_download(place, url) in (None, FAILED)
    assert place.server.request("GET", url).content == file.read_bytes()
    gives_back(place.server, held)


def test_many_uploads_while_syncs_fail_now_and_then(place: Place, shim: Shim) -> None:
    """Several clients; each fifth sync fails somewhere. What was acknowledged is there, and nothing else."""
    held = Held.by(place.server)
    acknowledged: set[str] = set()
    statuses: set[int] = set()

    def upload(client: int) -> None:
        for number in range(10):
            project = f"load-{client}-{number}"
            answer = place.upload(project, "1.0")
            statuses.add(answer.status_code)
            if answer.status_code == 200:
                acknowledged.add(project)

    threads = [threading.Thread(target=upload, args=[client]) for client in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with shim.failing(Fault("fsync", "/data/", skip=4, count=1), unused=True):
            wait_until(lambda: shim.hits() or not any(thread.is_alive() for thread in threads), "a sync fails")
    for thread in threads:
        thread.join()
    assert statuses == {200, FAILED}
    _, indexes = place.everything()
    assert indexes[place.dev.name].keys() - {"sample"} == acknowledged
    place.server.kill()
    place.server.start()
    _, indexes = place.everything()
    assert indexes[place.dev.name].keys() - {"sample"} >= acknowledged
    sound(place.server.serverdir)
    assert Held.by(place.server).unconfirmed == held.unconfirmed == []


# A mirror's files


MIRROR_FAULTS = {name: FILE_FAULTS[name] for name in ("full", "not written", "not synced", "no room for the mark")} | {
    "database full": (Fault("write", WAL, errno.ENOSPC), FULL)
}


@pytest.mark.parametrize("fault", MIRROR_FAULTS)
def test_downloads_that_cannot_be_kept(
    place: Place,
    shim: Shim,
    upstream: FakeUpstream,
    tmp_path: Path,
    fault: str,
) -> None:
    """The client hears of it, or has fewer bytes than announced: a file is no success before it is kept."""
    cause, status = MIRROR_FAULTS[fault]
    file = released(tmp_path, "far", "1.0", padding=1_000_000)
    publish(upstream, "far", file)
    mirror = mirror_of(place.server, upstream, mirror_cache_expiry=1000)
    [shown] = page(place.server, mirror, "far").json()["files"]
    url = requests.compat.urljoin(f"{mirror.simple_url}far/", shown["url"])
    held = Held.by(place.server)
    with shim.failing(cause):
        assert status_of_download(place, url) in (None, status, 502)
        page(place.server, mirror, "far")
    # The connections to it do not count.
    upstream.stop()
    gives_back(place.server, held)
    upstream.start()
    assert place.server.request("GET", url).content == file.content
    sound(place.server.serverdir)


# Somebody else's lock


@pytest.fixture
def lock(place: Place) -> Iterator[sqlite3.Connection]:
    """Somebody who writes to the database and does not come to an end."""
    connection = sqlite3.connect(place.server.serverdir / DATABASE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_database_busy_for_a_while(place: Place, lock: sqlite3.Connection) -> None:
    """Changes wait, and reading goes on."""
    answers: list[requests.Response] = []
    thread = threading.Thread(target=lambda: answers.append(place.upload("other", "1.0")))
    thread.start()
    wait_until(lambda: Held.by(place.server).unconfirmed, "the upload waits for the database")
    started = time.monotonic()
    assert place.server.simple(place.dev, "other") == {}
    assert place.server.request("GET", place.file("sample", "1.0")).status_code == 200
    assert time.monotonic() - started < 2
    assert answers == []
    lock.rollback()
    thread.join(10)
    [answer] = answers
    expect_uploaded(answer)
    assert place.server.simple(place.dev, "other").keys() == {"other-1.0-py3-none-any.whl"}
    sound(place.server.serverdir)


def test_many_changes_at_once_need_no_temporary_files(place: Place, shim: Shim) -> None:
    """There may be no directory for such that may be written, as in a container whose root is read-only."""

    def upload(project: str) -> None:
        path = packages.wheel(place.directory, project, "1.0")
        expect_uploaded(place.server.upload(place.dev, path, project, "1.0"))

    # In a small database few pages change.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, (f"before-{number}" for number in range(1000))))
    lock = sqlite3.connect(place.server.serverdir / DATABASE, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with shim.failing(Fault("create", "/var/tmp", errno.EROFS), unused=True), ThreadPoolExecutor(40) as pool:
        uploads = pool.map(upload, (f"new-{number}" for number in range(40)))
        wait_until(lambda: len(Held.by(place.server).unconfirmed) == 40, "all wait for the database")
        lock.close()
        assert len(list(uploads)) == 40
    sound(place.server.serverdir)


@pytest.mark.parametrize("change", ["upload", "push", "deleted project", "new user"])
def test_database_busy_for_too_long(place: Place, shim: Shim, lock: sqlite3.Connection, change: str) -> None:
    """The wait is half a minute, but for this server its pauses take no time."""
    before, held = place.everything(), Held.by(place.server)
    with shim.failing(Fault("sleep", "sqlite-writer")):
        told(CHANGES[change](place), BUSY)
        assert place.everything() == before
    lock.rollback()
    gives_back(place.server, held)
    succeeded(CHANGES[change](place))
    sound(place.server.serverdir)


# Disks


@pytest.fixture
def disk(mounted: Callable[..., Disk], new_server: Callable[..., Server], tmp_path: Path) -> Disk:
    """A small one in memory."""
    return mounted(memory_disk, tmp_path / "disk", 12)


@pytest.fixture
def on_disk(disk: Disk, new_server: Callable[..., Server], tmp_path: Path) -> Place:
    """A place on it."""
    return placed(disk, new_server(init=False), tmp_path)


def placed(disk: Disk, server: Server, directory: Path) -> Place:
    server.serverdir = disk.directory
    return Place.made(disk.start(server), directory / "dist")


@pytest.mark.parametrize("change", CHANGES)
def test_full_disk(on_disk: Place, disk: Disk, change: str) -> None:
    """With no byte left there may still be room in what the database has; if not, the client hears of it."""
    before, held = on_disk.everything(), Held.by(on_disk.server)
    ballast = disk.fill()
    answer = CHANGES[change](on_disk)
    if answer.status_code in (200, 201):
        assert on_disk.everything() != before
        del answer
    else:
        told(answer, FULL)
        del answer
        assert on_disk.everything() == before
        gives_back(on_disk.server, held)
    ballast.unlink()
    expect_uploaded(on_disk.server.upload(on_disk.prod, on_disk.wheel("later", "1.0"), "later", "1.0"))
    disk.sound()


def test_disk_that_many_fill(on_disk: Place, disk: Disk) -> None:
    """Of several uploads at once some find room. They are whole, and nothing is left of the others."""
    statuses: dict[str, int] = {}

    def upload(client: int) -> None:
        for number in range(4):
            project = f"load-{client}-{number}"
            path = packages.wheel(on_disk.directory, project, "1.0", padding=os.urandom(1_000_000))
            statuses[project] = on_disk.server.upload(on_disk.dev, path, project, "1.0").status_code

    threads = [threading.Thread(target=upload, args=[client]) for client in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(statuses.values()) == {200, FULL}
    _, indexes = on_disk.everything()
    accepted = {project for project, status in statuses.items() if status == 200}
    assert indexes[on_disk.dev.name].keys() - {"sample"} == accepted
    held = Held.by(on_disk.server)
    assert (held.incoming, held.unconfirmed) == ([], [])
    disk.sound()


def test_start_on_a_full_disk(on_disk: Place, disk: Disk) -> None:
    """It says what is wrong, or serves; nothing is damaged by the attempt."""
    before = on_disk.everything()
    on_disk.server.stop()
    ballast = disk.fill()
    try:
        disk.start(on_disk.server)
    except AssertionError:
        assert "space" in disk.refuses(on_disk.server)
    else:
        assert on_disk.everything() == before
        on_disk.server.stop()
    ballast.unlink()
    disk.start(on_disk.server)
    assert on_disk.everything() == before
    disk.sound()


def test_init_on_a_full_disk(disk: Disk) -> None:
    """It says what is wrong, and can be repeated."""
    init = ("devpi-init", "--serverdir", disk.directory, "--no-root-pypi", "--root-passwd", "pw-12345")
    ballast = disk.fill()
    done = disk.run(*init)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("fatal: ") and "space" in line], done.stderr
    ballast.unlink()
    done = disk.run(*init)
    assert done.returncode == 0, done.stderr
    disk.sound()


def test_backup_to_a_full_disk(place: Place, mounted: Callable[..., Disk], tmp_path: Path) -> None:
    """The one that is there already stays as it is."""
    disk = mounted(memory_disk, tmp_path / "backup", 4)
    arguments = ("backup", disk.directory, "--serverdir", place.server.serverdir)
    assert disk.run("devpi-server", *arguments).returncode == 0
    disk.sound()
    for number in range(10):
        expect_uploaded(place.upload(f"more-{number}", "1.0"))
    path = packages.wheel(tmp_path, "large", "1.0", padding=os.urandom(5_000_000))
    expect_uploaded(place.server.upload(place.dev, path, "large", "1.0"))
    done = disk.run("devpi-server", *arguments)
    assert done.returncode == 1, done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("fatal: ")], done.stderr
    assert "space" in done.stdout + done.stderr
    done = disk.run("devpi-fsck", "--serverdir", disk.directory)
    assert done.returncode == 0, done.stdout + done.stderr


def test_file_system_that_turned_read_only(
    mounted: Callable[..., Disk], new_server: Callable[..., Server], tmp_path: Path
) -> None:
    """As ext4 does at an error: all can be read, nothing changes, and after a repair all is there."""
    path = image(tmp_path / "image", 32)
    disk = mounted(loop_disk, tmp_path / "disk", path)
    place = placed(disk, new_server(init=False), tmp_path)
    before, held = place.everything(), Held.by(place.server)
    break_file_system(disk)
    for change in CHANGES.values():
        told(change(place), FAILED)
    assert place.everything() == before
    gives_back(place.server, held)
    place.server.kill()
    disk.close()
    repaired = mounted(loop_disk, tmp_path / "disk", path)
    repaired.start(place.server)
    assert place.everything() == before
    expect_uploaded(place.upload("later", "1.0"))
    repaired.sound()


def test_start_on_a_read_only_file_system(on_disk: Place, disk: Disk) -> None:
    """It says what is wrong."""
    before = on_disk.everything()
    on_disk.server.stop()
    assert disk.run("mount", "-o", "remount,ro", disk.directory).returncode == 0
    assert "Read-only file system" in disk.refuses(on_disk.server)
    assert disk.run("mount", "-o", "remount,rw", disk.directory).returncode == 0
    disk.start(on_disk.server)
    assert on_disk.everything() == before
    disk.sound()


def test_power_cut(mounted: Callable[..., Disk], new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What was not synced is lost with the memory of the machine; all that was acknowledged was synced."""
    path = image(tmp_path / "image", 64)
    disk = mounted(loop_disk, tmp_path / "disk", path)
    place = placed(disk, new_server(init=False), tmp_path)
    acknowledged: list[str] = []

    def upload(client: int) -> None:
        for number in count():
            project = f"load-{client}-{number}"
            try:
                expect_uploaded(place.upload(project, "1.0"))
            except requests.RequestException:
                return
            acknowledged.append(project)

    threads = [threading.Thread(target=upload, args=[client]) for client in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 20, "uploads are acknowledged")
    place.server.kill()
    # The disk is still mounted: what the kernel has not written yet is not in the file.
    after = shutil.copy(path, tmp_path / "after")
    for thread in threads:
        thread.join(DEADLINE)
    disk.close()
    later = mounted(loop_disk, tmp_path / "disk", after)
    later.start(place.server)
    _, indexes = place.everything()
    assert indexes[place.dev.name].keys() >= {"sample", *acknowledged}
    later.sound()
