"""`devpi-server backup`: a directory that a server can start on, with everything as it was at one moment.

What is in a backup is told by servers that are started on it, and by `devpi-fsck`, which reads all contents. That it is
whole whatever happens while it is made is the subject of `test_backup_trouble`.
"""

import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import packages
from backups import DEV, Summary, backed_up, backup, built_serverdir, other, server
from harness import BIN, ROOT_PASSWORD, Server, expect_uploaded, tool
from serverdirs import DATABASE, changes, content_file, contents, listing, sound
from takeover import snapshot, state
from takeover.build import Built
from takeover.places import IMPATIENT, Builds, builds, index_of, upload
from takeover.reference import succeeds
from takeover.snapshot import Photographer, Snapshot

OTHER_FILE_SYSTEM = Path("/dev/shm")

pytestmark = pytest.mark.ours


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory of another file system, to which no links lead."""
    if not OTHER_FILE_SYSTEM.is_dir() or OTHER_FILE_SYSTEM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"{OTHER_FILE_SYSTEM} is no other file system than that of the tests")
    with tempfile.TemporaryDirectory(dir=OTHER_FILE_SYSTEM) as name:
        yield Path(name)


# Everything is in it


@dataclass
class Full:
    """A running server with something of everything, and all its answers."""

    server: Server
    built: Built
    gone: list[str]
    before: Snapshot

    def take(self, server: Server) -> Snapshot:
        passwords = self.built.passwords | {"erin": "pw-1"}
        return Photographer(server, passwords, [*self.built.gone, *self.built.hidden, *self.gone]).take()

    def same_on(self, server: Server) -> None:
        """Another server gives all the same answers, to the letter."""
        after = self.take(server).looks
        assert after.keys() == self.before.looks.keys()
        differences = [
            f"{name}: {mismatch}"
            for name, look in self.before.looks.items()
            for mismatch in snapshot.mismatches(look.facts(), after[name].facts())
        ]
        assert not differences, "\n".join(differences[:100])


@pytest.fixture(scope="module")
def full(builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    """Data that were taken over, and then changed: uploads, overwritten and removed files, fetched ones."""
    built = builds.get("sqlite")
    directory = tmp_path_factory.mktemp("full")
    state.copy(built.serverdir, directory / "data")
    server = Server(directory, *IMPATIENT)
    try:
        server.start()
        full = Full(server, built, list(live_on(server, built, directory / "dist")), Snapshot({}))
        full.before = full.take(server)
        yield full
    finally:
        server.close()


def live_on(server: Server, built: Built, directory: Path) -> Iterator[str]:
    """Some days in the life of a server; gives the paths of files that are gone then."""
    server.api("PUT", "/erin", body={"password": "pw-1"})
    for name in ("erin/first", "erin/second"):
        server.api("PUT", f"/{name}", body={})
    first = index_of(server, "erin/first")
    paths = {}
    for project, padding in itertools.product(("kept", "removed"), (b"one", b"two")):
        path = packages.wheel(directory, project, "1.0", padding=padding)
        expect_uploaded(server.upload(first, path, project, "1.0"))
        [link] = server.get(f"/erin/first/{project}/1.0")["+links"]
        paths[project, padding] = link["href"].removeprefix(server.url)
    yield paths["kept", b"one"]
    result = server.api("POST", paths["kept", b"two"], body={"a": 1}, auth=None)
    push = {"name": "kept", "version": "1.0", "targetindex": "erin/second"}
    server.api("PUSH", "/erin/first", body=push, auth=first.auth)
    server.api("DELETE", "/erin/first/removed", auth=first.auth)
    yield from (paths["removed", padding] for padding in (b"one", b"two"))
    server.api("DELETE", f"/{result.partition('#')[0]}", auth=first.auth)
    yield "/" + result.partition("#")[0]
    fetched = [f"/root/seen/+simple/{project}/" for project in ("hashed", "html")]
    built.upstream.start()
    try:
        for page in fetched:
            name = page.removeprefix("/root/seen/+simple/").strip("/")
            assert server.files("root/seen", name)
    finally:
        built.upstream.stop()


@pytest.mark.parametrize("way", ["as it is", "copied"])
def test_everything_is_there(full: Full, other: Server, tmp_path: Path, way: str) -> None:
    """A server that starts on a backup, or on a copy of one, answers as the first one did, which worked meanwhile."""
    directory = other.serverdir if way == "as it is" else tmp_path / "backup"
    backed_up(full.server.serverdir, directory)
    if way == "copied":
        subprocess.run(["cp", "-a", directory, other.serverdir], check=True)
    other.options += IMPATIENT
    full.same_on(other.start())
    if way == "as it is":
        full.same_on(full.server)
        other.restart()
        assert other.files("alice/dev", "demo") == full.server.files("alice/dev", "demo")
    assert not (other.serverdir / ".sqlite").exists(), "the old server's data are no part of it"


def test_everything_is_there_on_another_file_system(full: Full, other: Server, elsewhere: Path) -> None:
    other.serverdir = elsewhere / "backup"
    summary = backed_up(full.server.serverdir, other.serverdir)
    copied = contents(other.serverdir)
    assert len(copied) == summary.files == summary.new_files > 40
    assert summary.new_bytes == sum(path.stat().st_size for path in copied.values())
    assert [name for name, path in copied.items() if packages.sha256(path) != name] == []
    assert {path.stat().st_nlink for path in copied.values()} == {1}
    again = backed_up(full.server.serverdir, other.serverdir)
    assert (again.files, again.new_files, again.new_bytes) == (summary.files, 0, 0)
    other.options += IMPATIENT
    full.same_on(other.start())
    other.stop()


def test_what_lies_in_it(server: Server, tmp_path: Path) -> None:
    """It is a serverdir that nobody else can read, with a mark that tells whose state it has and of when."""
    tool("devpi-gen-secret", "--secretfile", server.serverdir / ".secret")
    directory = tmp_path / "with umask" / "backup"
    before = datetime.now(UTC) - timedelta(seconds=1)
    command = [BIN / "devpi-server", "backup", directory, "--serverdir", server.serverdir]
    shown = succeeds(tool("/bin/sh", "-c", 'umask 0; exec "$@"', "sh", *command))
    assert directory.stat().st_mode & 0o777 == 0o700
    private = [directory / ".secret", directory / DATABASE, *server.serverdir.glob(f"{DATABASE}*")]
    assert len(private) > 3, "the server's database has a log beside it"
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    for name in (".secret", ".nodeinfo"):
        assert (directory / name).read_bytes() == (server.serverdir / name).read_bytes()
    mark = json.loads((directory / "backup.json").read_text())
    assert mark.keys() == {"uuid", "serial", "time"}
    assert mark["uuid"] == json.loads((server.serverdir / ".nodeinfo").read_text())["uuid"]
    assert mark["serial"] == Summary.of(shown).serial == sound(server.serverdir)[0]
    assert before <= datetime.fromisoformat(mark["time"]) <= datetime.now(UTC)
    names = {path.name for path in directory.iterdir()} - {".lock", "incoming", "unconfirmed"}
    assert names == {".nodeinfo", ".secret", "backup.json", "files", DATABASE}
    assert sound(directory) == sound(server.serverdir)
    assert contents(directory).keys() == contents(server.serverdir).keys()


def test_an_empty_directory_becomes_private(server: Server, tmp_path: Path) -> None:
    """Whoever made it for the backup need not think of that."""
    directory = tmp_path / "backup"
    directory.mkdir()
    directory.chmod(0o755)
    backed_up(server.serverdir, directory)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_logins_go_on(server: Server, other: Server) -> None:
    """With a secret in the serverdir; and the uuid is the same, so that clients and replicas see the same server."""
    own = server.serverdir / ".secret"
    assert tool("devpi-gen-secret", "--secretfile", own).returncode == 0

    def without_option(server: Server) -> list[str]:
        return [part for part in server.command() if part not in ("--secretfile", str(server.secretfile))]

    server.start(without_option(server))
    login = {"user": "root", "password": ROOT_PASSWORD}
    token = server.api("POST", "/+login", body=login, auth=None)["password"]
    backed_up(server.serverdir, other.serverdir)
    other.start(without_option(other))
    answers = [each.request("GET", "/+api", auth=("root", token)) for each in (server, other)]
    assert [answer.json()["result"]["authstatus"] for answer in answers] == [["ok", "root", []]] * 2
    assert len({answer.headers["X-Devpi-UUID"] for answer in answers}) == 1
    other.stop()

    # A new one in its place, as after a leak, takes that of the backup as well.
    again = other.directory / "again"
    backed_up(server.serverdir, again)
    own.unlink()
    tool("devpi-gen-secret", "--secretfile", own)
    backed_up(server.serverdir, again)
    assert (again / ".secret").read_text() == own.read_text()


def test_a_secret_outside_is_not_part_of_it(server: Server, tmp_path: Path) -> None:
    """Whoever restores the backup must have it from somewhere else, so a line of the log says it."""
    shown = succeeds(backup(server.serverdir, tmp_path / "backup", "--secretfile", server.secretfile))
    [line] = [line for line in shown.splitlines() if str(server.secretfile) in line]
    assert "is not part of the backup" in line
    assert not (tmp_path / "backup/.secret").exists()


def test_a_secret_inside_is_part_of_it(server: Server, tmp_path: Path) -> None:
    """Also where an option names it."""
    own = server.serverdir / ".secret"
    assert tool("devpi-gen-secret", "--secretfile", own).returncode == 0
    shown = succeeds(backup(server.serverdir, tmp_path / "backup", "--secretfile", own))
    assert "is not part of the backup" not in shown
    assert (tmp_path / "backup/.secret").read_text() == own.read_text()


def test_life_goes_on_apart(server: Server, other: Server, tmp_path: Path) -> None:
    """A server on a backup and the one it is of have contents in common, and do not notice."""
    serial = backed_up(server.serverdir, other.serverdir).serial
    files = server.start().files(DEV, "demo")
    assert other.start().files(DEV, "demo") == files
    assert upload(other, DEV, "only-here", tmp_path / "here") == serial + 1
    assert upload(server, DEV, "only-there", tmp_path / "there") == serial + 1
    other.api("DELETE", f"/{DEV}/demo", auth=index_of(other, DEV).auth)
    assert server.files(DEV, "demo") == files
    for each in (server, other):
        each.stop()
        sound(each.serverdir)
        each.start()
    assert (other.files(DEV, "demo"), server.files(DEV, "demo")) == ({}, files)
    assert server.simple(DEV, "only-here") == other.simple(DEV, "only-there") == {}


@pytest.mark.parametrize("end", ["running", "stopped", "killed"])
def test_the_server_is_not_touched(server: Server, tmp_path: Path, end: str) -> None:
    """Whether it works on its directory or not, or was cut off when it did."""
    server.start()
    upload(server, DEV, "last-one", tmp_path)
    if end == "stopped":
        server.stop()
    elif end == "killed":
        server.kill()
    before = listing(server.serverdir)
    summary = backed_up(server.serverdir, tmp_path / "backup")
    assert changes(before, listing(server.serverdir)) == []
    assert sound(tmp_path / "backup") == sound(server.serverdir) == (summary.serial, 3)


def test_uploads_under_way_are_no_part_of_it(server: Server, tmp_path: Path) -> None:
    """Contents that are kept but not committed yet stay where they are, and are not in the backup."""
    content = b"not yet"
    kept = content_file(server.serverdir, content)
    kept.write_bytes(content)
    mark = server.serverdir / "unconfirmed" / kept.name
    mark.touch()
    backed_up(server.serverdir, tmp_path / "backup")
    assert kept.exists() and mark.exists()
    assert sound(tmp_path / "backup")[1] == 2
    assert kept.name not in contents(tmp_path / "backup")


@pytest.mark.parametrize("what", ["files", "one shard", "one content"])
def test_contents_that_lie_elsewhere(server: Server, other: Server, tmp_path: Path, what: str) -> None:
    """Where a link leads to them, as when a disk was too small, the backup has them itself."""
    content = min(contents(server.serverdir).values())
    moved = {"files": server.serverdir / "files", "one shard": content.parent, "one content": content}[what]
    moved.symlink_to(moved.rename(tmp_path / "moved"))
    summary = backed_up(server.serverdir, other.serverdir)
    assert (summary.files, summary.new_files) == (2, 2)
    assert [path for path in (other.serverdir / "files").rglob("*") if path.is_symlink()] == []
    assert (tmp_path / "moved").exists()
    assert len(other.start().files(DEV, "demo")) == 2


# Again and again


def inodes(directory: Path) -> dict[str, tuple[int, int]]:
    """Which file each content is, and when something about it changed last, were it only the number of its names."""
    return {name: (path.stat().st_ino, path.stat().st_ctime_ns) for name, path in contents(directory).items()}


def test_contents_are_links(server: Server, tmp_path: Path) -> None:
    """They need no space, and the next backup touches only what is new."""
    directory = tmp_path / "backup"
    first = backed_up(server.serverdir, directory)
    assert (first.files, first.new_files) == (2, 2)
    assert first.new_bytes == sum(path.stat().st_size for path in contents(directory).values())
    linked = inodes(directory)
    assert linked == inodes(server.serverdir)
    assert backed_up(server.serverdir, directory) == Summary(first.serial, 2, 0, 0)
    assert inodes(directory) == linked

    upload(server.start(), DEV, "more", tmp_path)
    size = (tmp_path / "more-1.0-py3-none-any.whl").stat().st_size
    assert backed_up(server.serverdir, directory) == Summary(first.serial + 1, 3, 1, size)
    assert inodes(directory) == inodes(server.serverdir)
    assert linked.items() < inodes(directory).items()


def test_removed_files_are_kept(server: Server, other: Server) -> None:
    """The server keeps their contents, since they can be brought back; so does a backup."""
    server.start()
    links = [server.request("GET", file["url"]).url for file in server.simple(DEV, "demo").values()]
    server.api("DELETE", f"/{DEV}/demo", auth=index_of(server, DEV).auth)
    assert backed_up(server.serverdir, other.serverdir).files == 2
    other.start()
    for url in links:
        assert other.request("GET", url.removeprefix(server.url)).status_code == 410
    assert len(contents(other.serverdir)) == 2


def test_what_nobody_needs_any_more_goes(server: Server, tmp_path: Path) -> None:
    """Contents of the backup that the new state does not name."""
    directory = tmp_path / "backup"
    backed_up(server.serverdir, directory)
    stray = content_file(directory, b"of nobody")
    stray.write_bytes(b"of nobody")
    backed_up(server.serverdir, directory)
    assert not stray.exists()
    assert sound(directory)[1] == 2
