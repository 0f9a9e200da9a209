"""Contents that are there and cannot be read: `devpi-fsck`, its repair and backups name them, and go on with the rest.

Calls fail through a preloaded library (faults/shim.c), as on a disk with a bad sector, or in a directory of somebody else's.
"""

import errno
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from backups import Summary, backup
from faults.shim import Fault, Shim, library, shim
from harness import tool
from repairs import Place, made, place, repairs
from serverdirs import contents, fatal, sound
from test_backup import elsewhere

pytestmark = pytest.mark.ours

CALLS = {"not opened": ("open", errno.EACCES), "not read": ("read", errno.EIO)}


@pytest.fixture(params=CALLS)
def how(request: pytest.FixtureRequest) -> str:
    return request.param


def unreadable(path: Path, how: str) -> Fault:
    """The fault that keeps everybody from reading a file."""
    call, error = CALLS[how]
    # As much of the path as there is room for tells the place, too.
    return Fault(call, "/".join(path.parts[-4:]) + "$", error)


def reason(how: str) -> str:
    return f"cannot be read: {os.strerror(CALLS[how][1])}"


def fsck(place: Place, shim: Shim, *options: object) -> CompletedProcess[str]:
    return tool("devpi-fsck", "--serverdir", place.serverdir, *options, env=shim.environment)


def test_check(place: Place, shim: Shim, how: str) -> None:
    """All others are checked as well."""
    for name in ("sdist", "mirrored wheel"):
        place.harm(name, "wrong byte")
    with shim.failing(unreadable(place.where("shared"), how)):
        done = fsck(place, shim)
    fatal(done)
    errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
    for name in ("shared", "shared again"):
        assert [line for line in errors if f"{place.files[name].key} - {reason(how)}" in line], done.stdout
    for name in ("sdist", "mirrored wheel"):
        assert [line for line in errors if f"{place.files[name].key} - sha256 mismatch" in line], done.stdout
    assert len(errors) == 4
    assert f"Finished with a total of {sound(place.made.serverdir)[1]} files." in done.stdout


def test_a_link_that_leads_nowhere(place: Place) -> None:
    """The same without such a disk, and without reading."""
    path = place.where("wheel")
    path.unlink()
    path.symlink_to(path.name)
    for options in ([], ["--no-checksum"]):
        done = tool("devpi-fsck", "--serverdir", place.serverdir, *options)
        fatal(done)
        assert f"{place.files['wheel'].key} - cannot be read: " in done.stdout
    place.repaired("--from", place.made.backup)
    assert (place.serverdir / "damaged" / path.name).is_symlink()
    place.serves_all()


def test_taken_from_a_backup(place: Place, shim: Shim, how: str) -> None:
    """As if it were damaged, which it is as far as can be told; so are others at the same time."""
    place.harm("sdist", "cut")
    with shim.failing(unreadable(place.where("wheel"), how)):
        done = fsck(place, shim, "--repair", "--from", place.made.backup)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([line for line in repairs(done) if str(place.made.backup) in line]) == 2
    assert place.kept_aside()[place.where("wheel").name] == place.files["wheel"].content
    sound(place.serverdir)
    place.serves_all()


def test_lost(place: Place, shim: Shim, how: str) -> None:
    with shim.failing(unreadable(place.where("wheel"), how)):
        done = fsck(place, shim, "--repair")
    assert "1 fault could not be repaired" in fatal(done)
    assert f"{place.files['wheel'].key} is lost" in done.stdout
    # Another machine may be able to read it.
    assert place.kept_aside() == {place.where("wheel").name: place.files["wheel"].content}
    place.serves_all({"wheel": 500})


def test_unreadable_sources(place: Place, shim: Shim, how: str, tmp_path: Path) -> None:
    """They are passed over; another one may have what is lost."""
    place.harm("wheel", "missing")
    source = tmp_path / "first/of/all/wheel"
    source.parent.mkdir(parents=True)
    source.write_bytes(place.files["wheel"].content)
    with shim.failing(unreadable(source, how)):
        done = fsck(place, shim, "--repair", "--from", tmp_path / "first", "--from", place.made.backup)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"'{source}' {reason(how)}" in done.stdout
    sound(place.serverdir)
    place.serves_all()


def test_backup(place: Place, shim: Shim, how: str, elsewhere: Path) -> None:
    """It has everything else, and what was not there the next time."""
    directory, path = elsewhere / "backup", place.where("wheel")
    arguments = ("backup", directory, "--serverdir", place.serverdir)
    with shim.failing(unreadable(path, how)):
        done = tool("devpi-server", *arguments, env=shim.environment)
    assert fatal(done).startswith("1 file is lost")
    assert f"the content {path.name} {reason(how)}" in done.stdout
    assert contents(directory).keys() == contents(place.serverdir).keys() - {path.name}
    assert Summary.of(backup(place.serverdir, directory).stdout).new_files == 1
    assert sound(directory) == sound(place.serverdir)


def test_a_backup_that_cannot_be_written(place: Place, shim: Shim, elsewhere: Path) -> None:
    """That is no fault of what it would have: there is none."""
    directory = elsewhere / "backup"
    with shim.failing(Fault("write", f"{directory}/incoming/", errno.EIO)):
        done = tool("devpi-server", "backup", directory, "--serverdir", place.serverdir, env=shim.environment)
    assert os.strerror(errno.EIO) in fatal(done)
    assert not (directory / "wheelhouse.sqlite").exists()
