"""`devpi-fsck --repair`: what is recorded beside files, contents that nothing names, and repairs that are cut off."""

import hashlib
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import packages
from harness import Server, expect_uploaded, numbers, tool, tool_killed_after
from repairs import DEV, Place, made, place, repairs
from serverdirs import (
    DAMAGES,
    DATABASE,
    changes,
    content_file,
    contents,
    damage,
    database,
    fatal,
    fsck,
    linked_copy,
    listing,
    sound,
)
from takeover import scale, state
from takeover.places import index_of
from takeover.reference import succeeds

KILLS = int(os.environ.get("FSCK_KILLS", "3"))

pytestmark = pytest.mark.ours


# Core metadata


PRESENT = "path = :path AND removed_at IS NULL"
FAULTS = {
    "missing": f"DELETE FROM documents WHERE sha256 = (SELECT core_metadata FROM {{table}} WHERE {PRESENT})",
    "damaged": "UPDATE documents SET body = CAST(body || 'x' AS BLOB)"
    f" WHERE sha256 = (SELECT core_metadata FROM {{table}} WHERE {PRESENT})",
}
ANOTHERS = f"UPDATE {{table}} SET core_metadata = zeroblob(32) WHERE {PRESENT}"
TABLES = {"wheel": "links", "mirrored wheel": "fetched_files", "only looked at": "fetched_files"}
PROJECTS = {"wheel": "demo", "mirrored wheel": "mirrored", "only looked at": "looked-at"}


def harm_core_metadata(place: Place, name: str, fault: str) -> bytes:
    """Damages the core metadata of a wheel in the database; gives what they were."""
    with database(place.serverdir) as connection:
        file = place.made.only_looked_at if name == "only looked at" else place.files[name]
        table, parameters = TABLES[name], {"path": file.key}
        query = f"SELECT body FROM documents JOIN {table} ON core_metadata = documents.sha256 WHERE {PRESENT}"
        [[body]] = connection.execute(query, parameters)
        statement = FAULTS.get(fault, ANOTHERS).format(table=table)
        assert connection.execute(statement, parameters).rowcount == 1
    return body


@pytest.mark.parametrize(
    ("name", "fault"),
    [*((name, fault) for name in ("wheel", "mirrored wheel") for fault in FAULTS), ("mirrored wheel", "another's")],
)
def test_core_metadata(place: Place, name: str, fault: str) -> None:
    """They are read from the wheel again; a mirror may ask its upstream, from which it had them."""
    expected = harm_core_metadata(place, name, fault)
    place.repaired()
    place.serves_all()
    place.made.upstream.start()
    try:
        assert core_metadata(place, name) == (200, expected)
    finally:
        place.made.upstream.stop()


def test_core_metadata_that_are_not_the_wheels(place: Place) -> None:
    """They are not offered any more: installers look into the wheel then."""
    harm_core_metadata(place, "wheel", "another's")
    assert fsck(place.serverdir).returncode == 1
    place.repaired()
    place.serves_all()
    path = place.files["wheel"].path
    assert not place.server.simple(DEV, PROJECTS["wheel"])[path.rpartition("/")[2]].get("core-metadata")
    assert place.server.request("GET", f"{path}.metadata").status_code == 404


def core_metadata(place: Place, name: str) -> tuple[int, bytes]:
    """The answer with the core metadata of a wheel, whose hash is that on the page."""
    path = (place.made.only_looked_at if name == "only looked at" else place.files[name]).path
    index = DEV if name == "wheel" else place.made.mirror
    listed = place.server.simple(index, PROJECTS[name])[path.rpartition("/")[2]]
    answer = place.server.request("GET", f"{path}.metadata")
    if listed["core-metadata"]:
        assert hashlib.sha256(answer.content).hexdigest() == listed["core-metadata"]["sha256"]
    return answer.status_code, answer.content


@pytest.mark.parametrize("how", ["wrong byte", "missing"])
@pytest.mark.parametrize("fault", FAULTS)
def test_core_metadata_of_a_damaged_wheel(place: Place, fault: str, how: str) -> None:
    """Not from the damaged one; from the right one, if that is found."""
    expected = harm_core_metadata(place, "wheel", fault)
    place.harm("wheel", how)
    assert fatal(place.repair())
    place.repaired("--from", place.made.backup)
    place.serves_all()
    assert core_metadata(place, "wheel") == (200, expected)


@pytest.mark.parametrize("fault", FAULTS)
def test_core_metadata_of_a_lost_wheel(place: Place, fault: str) -> None:
    harm_core_metadata(place, "wheel", fault)
    place.harm("wheel", "cut")
    place.repaired("--remove-lost")
    place.serves_all({"wheel": 410, "result": 410})


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_core_metadata_alone(place: Place, fault: str) -> None:
    """Those of a mirror's wheel that nobody has asked for are fetched again."""
    expected = harm_core_metadata(place, "only looked at", fault)
    assert fsck(place.serverdir).returncode == 1
    place.repaired()
    place.made.upstream.start()
    try:
        place.server.start()
        assert core_metadata(place, "only looked at") == (200, expected)
    finally:
        place.made.upstream.stop()


# Contents that nothing names


def test_strays(place: Place) -> None:
    """They are kept aside; contents of removed files are none of them, as those can be brought back."""
    place.server.start()
    place.server.api("DELETE", place.files["sdist"].path, auth=index_of(place.server, DEV).auth)
    place.server.stop()
    strays = []
    for number, content in enumerate((b"", b"stray", b"marked")):
        strays.append(content_file(place.serverdir, content))
        strays[number].write_bytes(content)
    (place.serverdir / "unconfirmed" / strays[2].name).touch()
    done = place.repaired()
    assert [path.name for path in strays if path.exists()] == []
    assert place.kept_aside() == {strays[0].name: b"", strays[1].name: b"stray", strays[2].name: b"marked"}
    assert [line for line in done if strays[1].name in line]
    assert list((place.serverdir / "unconfirmed").iterdir()) == []
    assert place.where("sdist").exists()
    place.serves_all({"sdist": 410})


# Counters


COUNTERS = {
    "users": "UPDATE users SET changed_at = 0",
    "projects": "UPDATE projects SET changed_at = 0",
    "by one": "UPDATE projects SET changed_at = changed_at - 1",
}


@pytest.mark.parametrize("counter", COUNTERS)
def test_counters(place: Place, tmp_path: Path, counter: str) -> None:
    """Of users and projects, below what lies in them: by them the server sees that somebody was faster."""

    def counters() -> list[tuple[str, int]]:
        with database(place.serverdir) as connection:
            query = "SELECT name, changed_at FROM users UNION ALL SELECT name, changed_at FROM projects"
            return list(connection.execute(query))

    before = counters()
    with database(place.serverdir) as connection:
        connection.execute(COUNTERS[counter])
    assert fsck(place.serverdir).returncode == 1
    assert place.repaired() != []
    assert [name for (name, was), (_, now) in zip(before, counters(), strict=True) if now < was] == []
    place.serves_all()
    path = packages.wheel(tmp_path, "demo", "1.0", padding=b"new")
    expect_uploaded(place.server.upload(index_of(place.server, DEV), path, "demo", "1.0"))
    assert place.server.files(DEV, "demo")[path.name] == packages.sha256(path)


# A database that is damaged


def test_damaged_database(place: Place) -> None:
    """It is not repaired, and nothing else is done by what it says."""
    path = place.serverdir / DATABASE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    before = listing(place.serverdir)
    assert fatal(place.repair("--remove-lost", "--from", place.made.backup))
    assert changes(before, listing(place.serverdir)) == []


@pytest.mark.parametrize(("version", "text"), [(3, "start devpi-server of this release"), (99, "made by a newer release")])
def test_database_of_another_release(place: Place, version: int, text: str) -> None:
    """It is not taken for a damaged one."""
    with database(place.serverdir) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = listing(place.serverdir)
    for done in (place.repair(), fsck(place.serverdir)):
        assert text in fatal(done)
    assert changes(before, listing(place.serverdir)) == []


@pytest.mark.parametrize("table", ["projects", "indexes"])
def test_rows_that_refer_to_nothing(place: Place, table: str) -> None:
    """No content is removed because a database that has lost something does not name it."""
    with database(place.serverdir) as connection:
        connection.execute(f"DELETE FROM {table}")
    os.link(place.where("sdist"), place.serverdir / "unconfirmed" / place.where("sdist").name)
    before = listing(place.serverdir)
    done = place.repair("--remove-lost", "--from", place.made.backup)
    assert fatal(done).startswith("The database could not be repaired")
    assert f"refers to one that is not in {table}" in done.stdout
    assert changes(before, listing(place.serverdir)) in ([], [DATABASE])
    for path in place.serverdir.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(place.made.backup / DATABASE, place.serverdir)
    place.repaired()
    place.serves_all()


def test_links_that_are_lost(place: Place) -> None:
    """What a database does not name that had to be repaired is kept aside: it may have named it before."""
    lost = ("sdist", "documentation")
    with database(place.serverdir) as connection:
        for name in lost:
            connection.execute("DELETE FROM links WHERE path = ?", [place.files[name].key])
        connection.execute("UPDATE projects SET changed_at = 0")
    os.link(place.where("sdist"), place.serverdir / "unconfirmed" / place.where("sdist").name)
    done = place.repaired()
    for name in lost:
        assert [line for line in done if place.where(name).name in line and "is kept in" in line]
    assert place.kept_aside() == {place.where(name).name: place.files[name].content for name in lost}
    place.serves_all(dict.fromkeys(lost, 404))


# Again and again


def test_what_an_interrupted_repair_did_not_get_to(place: Place) -> None:
    """The database that it has repaired already is not believed more by the next one."""
    with database(place.serverdir) as connection:
        connection.execute("DELETE FROM links WHERE path = ?", [place.files["sdist"].key])
        connection.execute("UPDATE projects SET changed_at = 0")
    obstacle = place.serverdir / "damaged"
    obstacle.touch()
    assert repairs(done := place.repair()) and done.returncode
    obstacle.unlink()
    place.repaired()
    assert place.kept_aside() == {place.where("sdist").name: place.files["sdist"].content}


def test_a_database_of_before(place: Place) -> None:
    """Files that came after the backup whose database had to be taken are kept aside."""
    for path in place.serverdir.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(place.made.backup / DATABASE, place.serverdir)
    with database(place.serverdir) as connection:
        connection.execute("DELETE FROM links WHERE path = ?", [place.files["sdist"].key])
    place.repaired()
    assert place.kept_aside() == {place.where("sdist").name: place.files["sdist"].content}


def test_damaged_twice(place: Place) -> None:
    """What was set aside before is in nobody's way."""
    for how in ("wrong byte", "cut"):
        harmed = place.harm("wheel", how)
        place.repaired("--from", place.made.backup)
        assert place.kept_aside() == {place.where("wheel").name: harmed}
    place.serves_all()


def test_backups_go_on(place: Place, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """What was given up is missed by none of them: those of before the repair go on, and new ones are made."""
    old = state.copy(place.made.backup, tmp_path / "old")
    for name in ("wheel", "shared"):
        place.harm(name, "missing")
    place.harm("mirrored sdist", "wrong byte")
    place.repaired("--remove-lost")
    for directory in (old, tmp_path / "new"):
        succeeds(tool("devpi-server", "backup", directory, "--serverdir", place.serverdir))
        assert sound(directory) == sound(place.serverdir)
        assert not (directory / "damaged").exists()


def test_a_backup_is_repaired(place: Place, tmp_path: Path) -> None:
    """Like any other directory, and it stays a backup."""
    backup = state.copy(place.made.backup, tmp_path / "backup")
    damage(content_file(backup, place.files["wheel"].content), "wrong byte")
    assert fsck(backup).returncode == 1
    succeeds(fsck(backup, "--repair", "--from", place.serverdir))
    sound(backup)
    damage(content_file(backup, place.files["sdist"].content), "wrong byte")
    succeeds(fsck(backup, "--repair", "--remove-lost"))
    place.server.start().stop()
    done = tool("devpi-server", "backup", backup, "--serverdir", place.serverdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sound(backup) == sound(place.serverdir)


# Cut off


@dataclass
class Ruin:
    """A serverdir all of whose contents are damaged, and a directory with the right ones of half of them."""

    serverdir: Path
    source: Path
    good: dict[str, Path]
    lost: set[str]


@pytest.fixture(scope="module")
def ruin(tmp_path_factory: pytest.TempPathFactory) -> Ruin:
    directory = tmp_path_factory.mktemp("ruin")
    scale.generate(directory / "dump", scale.Size(files=600, projects=60, indexes=10))
    succeeds(tool("devpi-import", "--serverdir", directory / "data", "--no-root-pypi", directory / "dump"))
    good = {packages.sha256(path): path for path in (directory / "dump").rglob("*.whl")}
    for path in (directory / "dump").rglob("*.tar.gz"):
        path.unlink()
    stored = contents(directory / "data")
    for number, path in enumerate(stored.values()):
        damage(path, DAMAGES[number % 3])
    return Ruin(directory / "data", directory / "dump", good, stored.keys() - good.keys())


def test_killed_again_and_again(ruin: Ruin, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """The next repair ends with all that could be had, and nothing is lost on the way, not even what was damaged."""
    assert len(ruin.good) == len(ruin.lost) == 300
    damaged = {name: packages.sha256(path) for name, path in contents(ruin.serverdir).items()}
    options = ("--repair", "--remove-lost", "--from", ruin.source)
    measured = linked_copy(ruin.serverdir, tmp_path / "measured")
    begin = time.monotonic()
    succeeds(fsck(measured, *options))
    whole = time.monotonic() - begin

    noise = random.Random(KILLS)
    killed = 0
    while killed < KILLS:
        serverdir = linked_copy(ruin.serverdir, tmp_path / f"data{next(numbers)}")
        killed += tool_killed_after(noise.uniform(0, whole), "devpi-fsck", "--serverdir", serverdir, *options)
        assert not re.search("panicked", fsck(serverdir).stderr)
        succeeds(fsck(serverdir, *options))
        assert sound(serverdir)[1] == 300
        assert contents(serverdir).keys() == ruin.good.keys()
        aside = {path.name: packages.sha256(path) for path in (serverdir / "damaged").iterdir()}
        assert aside == damaged
        assert list((serverdir / "incoming").iterdir()) == list((serverdir / "unconfirmed").iterdir()) == []
    server = new_server(init=False)
    shutil.move(serverdir, server.serverdir)
    assert len(server.start().files("user0/index0", "sample-000000")) == 5
