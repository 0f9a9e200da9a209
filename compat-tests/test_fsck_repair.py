"""`devpi-fsck --repair`: damaged and missing files are had again, from wherever there is one, and what is lost is told.

Each test harms a copy of a serverdir, repairs that, and lets a server show what it has then: nobody gets a damaged
file, and nothing that could be had is missing. Everything but files is in `test_fsck_repair_records`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import packages
from harness import BIN, Server, expect_uploaded, tool
from repairs import DEV, MIRROR_DAMAGES, MIRROR_FILES, PROD, STAGE_DAMAGES, STAGE_FILES, Place, made, place, repairs
from serverdirs import DAMAGES, DATABASE, changes, content_file, contents, damage, fatal, fsck, listing, sound
from takeover import state
from takeover.places import index_of
from takeover.reference import succeeds

pytestmark = pytest.mark.ours


# Nothing is done without need, or without being asked for


def test_nothing_to_repair(place: Place) -> None:
    before = listing(place.serverdir), sound(place.serverdir)
    assert place.repaired() == []
    assert changes(before[0], listing(place.serverdir)) in ([], [DATABASE])
    assert sound(place.serverdir) == before[1]
    assert place.repaired("--remove-lost", "--from", place.made.backup) == []
    place.serves_all()


def test_refused_while_a_server_works_on_it(place: Place) -> None:
    place.server.start()
    place.harm("wheel", "wrong byte")
    stray = content_file(place.serverdir, b"stray")
    stray.write_bytes(b"stray")
    before = listing(place.serverdir)
    done = place.repair("--remove-lost")
    assert fatal(done) == f"The path '{place.serverdir}' is in use by another process."
    assert changes(before, listing(place.serverdir)) == []


@pytest.mark.parametrize("options", [["--remove-lost"], ["--from", "{backup}"]], ids=" ".join)
def test_options_that_need_repair(place: Place, options: list[str]) -> None:
    place.harm("wheel", "missing")
    before = listing(place.serverdir)
    done = fsck(place.serverdir, *(option.format(backup=place.made.backup) for option in options))
    assert done.returncode == 2
    assert "--repair" in done.stderr
    assert changes(before, listing(place.serverdir)) == []


def test_nothing_to_check(tmp_path: Path) -> None:
    expected = f"The path '{tmp_path}' contains no devpi-server data, use devpi-init to initialize."
    assert fatal(fsck(tmp_path, "--repair")) == expected
    assert list(tmp_path.iterdir()) == []


# Files of stages


@pytest.mark.parametrize(("name", "how"), STAGE_DAMAGES)
def test_lost(place: Place, name: str, how: str) -> None:
    """It is named, and not served any more; what was in its place is kept for whoever can read something out of it."""
    harmed = place.harm(name, how)
    done = place.repair()
    assert "lost" in next(line for line in done.stdout.splitlines() if place.files[name].key in line and "lost" in line)
    assert "could not be repaired" in fatal(done)
    assert place.kept_aside() == ({place.where(name).name: harmed} if harmed else {})
    assert not place.where(name).exists()
    assert fsck(place.serverdir).returncode == 1, "it is still lost"
    assert place.repair().returncode == 1
    place.serves_all({name: 500})


@pytest.mark.parametrize(("name", "how"), STAGE_DAMAGES)
def test_lost_and_removed(place: Place, name: str, how: str) -> None:
    """As if somebody had deleted it, with its results of test runs; and nothing else."""
    harmed = place.harm(name, how)
    serial, count = sound(place.made.serverdir)
    [removed] = [line for line in place.repaired("--remove-lost") if "was removed" in line]
    assert place.files[name].key in removed
    gone = {"wheel": ["wheel", "result"]}.get(name, [name])
    assert sound(place.serverdir) == (serial + 1, count - len(gone))
    assert place.kept_aside() == ({place.where(name).name: harmed} if harmed else {})
    place.serves_all(dict.fromkeys(gone, 410))
    listed = place.server.files(DEV, "demo")
    file_names = {label: place.files[label].path.rpartition("/")[2] for label in ("wheel", "sdist")}
    assert listed.keys() == {file for label, file in file_names.items() if label not in gone}
    assert "1.0" in place.server.api("GET", f"/{DEV}/demo", auth=None), "the release itself is there"


@pytest.mark.parametrize("index", [DEV, PROD])
def test_uploaded_again(place: Place, index: str, tmp_path: Path) -> None:
    """What was lost and removed may be uploaded again, also where nothing may be overwritten."""
    place.harm("shared", "cut")
    assert len([line for line in place.repaired("--remove-lost") if "was removed" in line]) == 2
    place.serves_all({"shared": 410, "shared again": 410})
    path = packages.wheel(tmp_path, "shared", "1.0")
    expect_uploaded(place.server.upload(index_of(place.server, index), path, "shared", "1.0"))
    assert place.server.files(index, "shared") == {path.name: packages.sha256(path)}
    assert place.status("shared" if index == DEV else "shared again") == 200
    place.server.stop()
    sound(place.serverdir)


def test_lost_and_uploaded_again(place: Place, tmp_path: Path) -> None:
    """Whoever has the same content brings it back for all files that have it."""
    place.harm("shared", "wrong byte")
    assert place.repair().returncode == 1
    place.server.start()
    path = packages.wheel(tmp_path, "shared", "1.0")
    expect_uploaded(place.server.upload(index_of(place.server, DEV), path, "shared", "1.0"))
    place.server.stop()
    sound(place.serverdir)
    place.serves_all()


def test_all_is_lost(place: Place) -> None:
    """As after a file system was repaired by others: what is recorded is removed file by file, and the rest goes on."""
    for path in contents(place.serverdir).values():
        path.unlink()
    done = place.repair()
    assert fatal(done)
    assert [name for name in STAGE_FILES if f"{place.files[name].key} is lost" not in done.stdout] == []
    place.repaired("--remove-lost")
    place.serves_all({name: 502 if name in MIRROR_FILES else 410 for name in place.files})
    for index, project in ((DEV, "demo"), (DEV, "shared"), (PROD, "shared")):
        assert place.server.files(index, project) == {}
        assert "1.0" in place.server.api("GET", f"/{index}/{project}", auth=None)


# Taken from elsewhere


def from_backup(place: Place, _: Path) -> Path:
    return place.made.backup


def from_serverdir(place: Place, _: Path) -> Path:
    return place.made.serverdir


def from_anywhere(place: Place, directory: Path) -> Path:
    """Whatever the files are called, and wherever they lie."""
    for number, file in enumerate(place.files.values()):
        path = directory / "tree" / ("deep/" * number) / f"{number}.some"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    (directory / "tree/nowhere").symlink_to("/nonexistent")
    (directory / "tree/around").symlink_to("..")
    return directory / "tree"


SOURCES = {"backup": from_backup, "serverdir": from_serverdir, "tree": from_anywhere}


@pytest.mark.parametrize(("name", "how"), [*STAGE_DAMAGES, *MIRROR_DAMAGES])
def test_taken_from_a_backup(place: Place, name: str, how: str) -> None:
    """Then nothing is lost; the upstream, which is dead, is not needed either."""
    harmed = place.harm(name, how)
    done = place.repaired("--from", place.made.backup)
    assert [line for line in done if str(place.made.backup) in line and place.where(name).name in line]
    assert place.where(name).read_bytes() == place.files[name].content
    assert place.kept_aside() == ({place.where(name).name: harmed} if harmed else {})
    place.serves_all()
    assert len(place.server.files(DEV, "demo")) == len(place.server.files(place.made.mirror, "mirrored")) == 2


def test_a_directory_that_cannot_be_read(place: Place, tmp_path: Path) -> None:
    """Such as `lost+found`, where the backup has a file system of its own. It is in nobody's way."""
    backup = state.copy(place.made.backup, tmp_path / "backup")
    (backup / "lost+found").mkdir(mode=0)
    place.harm("wheel", "wrong byte")
    # Otherwise root may read everything.
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else ["env"]
    command = [BIN / "devpi-fsck", "--serverdir", place.serverdir, "--repair", "--from", backup]
    done = tool(f"/usr/bin/{unprivileged[0]}", *unprivileged[1:], *command)
    assert f"'{backup}/lost+found' cannot be read" in succeeds(done)
    place.serves_all()


@pytest.mark.parametrize("source", SOURCES)
def test_all_taken_from_elsewhere(place: Place, tmp_path: Path, source: str) -> None:
    """Everything at once, in all ways; and the source is only read."""
    directory = SOURCES[source](place, tmp_path)
    before = listing(directory)
    for number, name in enumerate(name for name in place.files if name != "shared again"):
        place.harm(name, DAMAGES[number % len(DAMAGES)])
    place.repaired("--from", directory)
    assert changes(before, listing(directory)) == []
    place.serves_all()


def test_taken_contents_are_apart(place: Place, tmp_path: Path) -> None:
    """What becomes of a directory of somebody's later harms nobody."""
    directory = from_anywhere(place, tmp_path)
    place.harm("wheel", "missing")
    place.repaired("--from", directory)
    for path in directory.rglob("*.some"):
        path.write_bytes(b"x")
    sound(place.serverdir)


def test_taken_from_a_running_server(place: Place, new_server: Callable[..., Server]) -> None:
    """From one that happens to have the same content."""
    other = new_server(init=False)
    state.copy(place.made.serverdir, other.serverdir)
    other.start()
    place.harm("wheel", "cut")
    place.repaired("--from", other.serverdir)
    place.serves_all()


def test_several_sources(place: Place, tmp_path: Path) -> None:
    """The first that has the right content counts: not one that is damaged as well, or only called so."""
    damaged = state.copy(place.made.backup, tmp_path / "damaged")
    damage(content_file(damaged, place.files["wheel"].content), "wrong byte")
    names = tmp_path / "names"
    names.mkdir()
    wheel = place.files["wheel"]
    (names / place.where("wheel").name).write_bytes(wheel.content[:-1] + b"?")
    (names / wheel.path.rpartition("/")[2]).write_bytes(wheel.content[1:] + wheel.content[:1])
    (names / "sdist").write_bytes(place.files["sdist"].content)
    for name in ("wheel", "sdist"):
        place.harm(name, "wrong byte")
    sources = ["--from", names, "--from", damaged]
    done = place.repair(*sources)
    assert fatal(done)
    assert len([line for line in repairs(done) if str(names) in line]) == 1
    place.repaired(*sources, "--from", place.made.backup)
    place.serves_all()


def test_only_what_no_source_has_is_removed(place: Place, tmp_path: Path) -> None:
    """All options together."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some/wheel").write_bytes(place.files["wheel"].content)
    for name in ("wheel", "sdist", "mirrored sdist"):
        place.harm(name, "wrong byte")
    place.repaired("--remove-lost", "--from", tmp_path / "some")
    place.serves_all({"sdist": 410, "mirrored sdist": 502})


def test_no_such_source(place: Place, tmp_path: Path) -> None:
    """A mistyped name is no reason to give up files, or to begin at all."""
    place.harm("wheel", "wrong byte")
    before = listing(place.serverdir)
    for options in (["--from", tmp_path / "none"], ["--remove-lost", "--from", tmp_path / "none"]):
        assert str(tmp_path / "none") in fatal(place.repair(*options))
        assert changes(before, listing(place.serverdir)) == []


# Files of mirrors


@pytest.mark.parametrize(("name", "how"), MIRROR_DAMAGES)
def test_fetched_again(place: Place, name: str, how: str) -> None:
    """Nothing is lost: the mirror forgets what it has not any more, and fetches it when somebody asks."""
    harmed = place.harm(name, how)
    file = place.files[name]
    [line] = [line for line in place.repaired() if "fetched again" in line]
    assert file.key in line
    assert place.kept_aside() == ({place.where(name).name: harmed} if harmed else {})
    place.serves_all({name: 502})
    place.server.stop()
    upstream = place.made.upstream
    upstream.start()
    try:
        upstream.forget()
        place.serves_all()
        assert upstream.count(f"/files/{file.path.rpartition('/')[2]}") == 1
        assert place.status(name) == 200
        assert len(place.server.files(place.made.mirror, "mirrored")) == 2
    finally:
        upstream.stop()
    assert place.status(name) == 200
    place.server.stop()
    sound(place.serverdir)


# Without reading contents


@pytest.mark.parametrize("how", DAMAGES)
def test_without_checksums(place: Place, how: str) -> None:
    """What only the hash tells is not found, and so not touched; the rest is repaired, by its hash."""
    place.harm("wheel", how)
    before = listing(place.serverdir)
    done = place.repair("--no-checksum", "--from", place.made.backup)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bool(repairs(done)) == (how != "wrong byte")
    if how == "wrong byte":
        assert changes(before, listing(place.serverdir)) in ([], [DATABASE])
        place.repaired("--from", place.made.backup)
    sound(place.serverdir)
    place.serves_all()
