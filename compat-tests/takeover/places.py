"""Copies of built serverdirs, on which servers of both kinds are started in turn; as fixtures.

Whoever uses them imports `builds` with them, so that each serverdir is built once for a test file.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import packages
from harness import CHEAP_KEY, SECRET, Index, Server, expect_uploaded, forge_token, numbers, tool

from . import snapshot, state
from .build import Built, built
from .reference import DevpiServer
from .snapshot import Allowed, Snapshot

# While an upstream is dead, devpi-server lets requests for the same project wait for this long, one after the other.
IMPATIENT = ("--request-timeout", "1")
PATIENT = ("--request-timeout", "30")


TOLERATED = (
    # Of two releases that have one file, of two files that have one name, and of equal versions either may go first.
    Allowed("entry /bob/strange/*/shared-1.0.zip", "json:/result/version"),
    Allowed("*page /bob/strange/+simple/unlike/", "page:file:unlike-1.0.zip:*"),
    Allowed("page /alice/odd/+simple/same/", "page:order"),
    # Pushed from a mirror whose upstream gave another hash: ours keeps only the one by which it knows the file.
    Allowed("* /alice/pushed/*weak*", "json:*/hashes/md5"),
    # After a project of a mirror was deleted, devpi-server may still have a file of it, and may not.
    Allowed("* /bob/mirror/*/forgotten-1.0.zip"),
    # A mirror's file that was deleted with its release, so that nothing is left of it but the link.
    Allowed("entry /bob/mirror/*/lost-1.1.zip", "json:/result/last_modified"),
)


class Builds:
    """Each serverdir is built and photographed once, when it is first needed."""

    def __init__(self, directory: Path, stack: ExitStack):
        self.directory = directory
        self.stack = stack
        self.builds: dict[str, Built] = {}
        self.snapshots: dict[str, Snapshot] = {}

    def get(self, storage: str) -> Built:
        if storage not in self.builds:
            made = self.stack.enter_context(built(self.directory / f"build{next(numbers)}", storage))
            made.upstream.stop()
            self.builds[storage] = made
        return self.builds[storage]

    def before(self, storage: str) -> Snapshot:
        """What devpi-server answers, on a copy."""
        if storage not in self.snapshots:
            made = self.get(storage)
            place = self.directory / f"before{next(numbers)}"
            state.copy(made.serverdir, place / "data")
            server = DevpiServer(place, *made.options, *IMPATIENT)
            try:
                self.snapshots[storage] = snapshot.take(server.start(), made)
            finally:
                server.close()
        return self.snapshots[storage]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    with ExitStack() as stack:
        yield Builds(tmp_path_factory.mktemp("builds"), stack)


class Place:
    """A copy of a built serverdir, on which servers of both kinds can be started in turn."""

    def __init__(self, directory: Path, made: Built, before: Snapshot):
        self.directory = directory
        self.built = made
        self.before = before
        self.serverdir = state.copy(made.serverdir, directory / "data")
        self.servers: list[Server] = []

    def ours(self, *options: object, patience: tuple[str, str] = IMPATIENT) -> Server:
        return self._new(Server, *patience, *options)

    def theirs(self) -> Server:
        return self._new(DevpiServer, *IMPATIENT)

    def _new(self, kind: type[Server], *options: object) -> Server:
        server = kind(self.directory, *self.built.options, *options)
        self.servers.append(server)
        return server

    def run(self, *options: object) -> subprocess.CompletedProcess[str]:
        """Our `devpi-server` where it should end by itself."""
        secretfile = self.directory / "secret"
        secretfile.touch(0o600)
        secretfile.write_text(SECRET)
        where = ("--serverdir", self.serverdir, "--host", "127.0.0.1", "--port", Server.any_port())
        return tool("devpi-server", *where, "--secretfile", secretfile, *CHEAP_KEY, *self.built.options, *options)

    def refuses(self, *options: object) -> str:
        """All that ours says when it gives up, at last in one line; it leaves the old data as it was."""
        before = state.listing(self.serverdir)
        done = self.run(*options)
        assert done.returncode == 1, done.stdout + done.stderr
        changes = state.changed(before, state.listing(self.serverdir))
        assert not changes, changes
        assert len(re.findall(r"^fatal: ", done.stderr, re.MULTILINE)) == 1, done.stderr
        assert not re.search("panicked|Traceback", done.stderr)
        return done.stdout + done.stderr

    def same_as_before(self, server: Server, *allowed: Allowed) -> None:
        differences = snapshot.compare(self.before, snapshot.take(server, self.built), (*TOLERATED, *allowed))
        assert not differences, "\n".join(differences[:100])

    def old_server_works(self) -> None:
        """devpi-server starts and answers as it did before there was a takeover."""
        server = self.theirs().start()
        self.same_as_before(server)
        server.stop()

    def close(self) -> None:
        for server in self.servers:
            server.close()


@pytest.fixture
def places(builds: Builds, tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Makes copies of the serverdir with a storage."""
    made: list[Place] = []

    def make(storage: str = "sqlite") -> Place:
        made.append(Place(tmp_path / f"place{len(made)}", builds.get(storage), builds.before(storage)))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def plain(places: Callable[[str], Place]) -> Place:
    """A copy with the usual storage."""
    return places("sqlite")


def index_of(server: Server, name: str) -> Index:
    """An existing index, with a login of its owner."""
    user, _, short_name = name.partition("/")
    return Index(server.url, user, forge_token(user, time.time()), short_name)


def upload(server: Server, name: str, project: str, directory: Path) -> int:
    """Uploads a new release; gives the serial."""
    path = packages.wheel(directory, project, "1.0")
    answer = server.upload(index_of(server, name), path, project, "1.0")
    expect_uploaded(answer)
    return int(answer.headers["X-Devpi-Serial"])
