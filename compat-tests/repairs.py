"""What tests of `devpi-fsck --repair` share: a serverdir with files of every kind, made once, and copies that come to
harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import requests

import packages
from harness import Server, expect_uploaded, tool
from mirrors import mirror_of, publish, released
from serverdirs import DAMAGES, content_file, damage, fsck, sound
from takeover import state
from takeover.places import IMPATIENT, index_of
from takeover.reference import succeeds
from upstream import FakeUpstream, File

DEV, PROD = "alice/dev", "alice/prod"


@dataclass(frozen=True)
class Stored:
    """A file that the server has."""

    path: str
    content: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """How messages name it."""
        return self.path.strip("/")


@dataclass
class Made:
    """A serverdir at rest with files of every kind, a backup of it, and the upstream of its mirror, which is dead."""

    serverdir: Path
    backup: Path
    upstream: FakeUpstream
    mirror: str
    files: dict[str, Stored]
    only_looked_at: Stored
    """A wheel of the upstream, of which the mirror has the core metadata alone."""


STAGE_FILES = ("wheel", "sdist", "documentation", "result")
MIRROR_FILES = ("mirrored wheel", "mirrored sdist")
STAGE_DAMAGES = [*((name, "wrong byte") for name in STAGE_FILES), *(("wheel", how) for how in DAMAGES[1:])]
MIRROR_DAMAGES = [("mirrored sdist", "wrong byte"), *(("mirrored wheel", how) for how in DAMAGES)]


def fill(server: Server, upstream: FakeUpstream, directory: Path) -> tuple[str, dict[str, Stored], Stored]:
    """Uploads one file of each kind and fetches some; gives the last three fields of `Made`."""
    dev = index_of(server, DEV)
    server.api("PUT", "/alice", body={"password": "pw-1"})
    server.api("PUT", f"/{DEV}", body={}, auth=dev.auth)
    server.api("PUT", f"/{PROD}", body={"volatile": False}, auth=dev.auth)
    for project in ("demo", "shared"):
        expect_uploaded(server.upload(dev, packages.wheel(directory, project, "1.0"), project, "1.0"))
    expect_uploaded(server.upload(dev, packages.sdist(directory, "demo", "1.0"), "demo", "1.0"))
    pages = packages.wheel(directory, "pages", "1.0").rename(directory / "pages.zip")
    expect_uploaded(server.upload(dev, pages, "demo", "1.0", **{":action": "doc_upload"}))

    def stored(href: str) -> Stored:
        path = requests.compat.urlsplit(href).path
        answer = server.request("GET", path)
        assert answer.status_code == 200, path
        return Stored(path, answer.content)

    def linked(index: str, project: str, suffix: str) -> Stored:
        links = server.get(f"/{index}/{project}/1.0")["+links"]
        [href] = [link["href"] for link in links if re.search(suffix, link["href"])]
        return stored(href)

    wheel = linked(DEV, "demo", r"\.whl$")
    server.api("POST", wheel.path, body={"testenvs": {}}, auth=None)
    push = {"name": "shared", "version": "1.0", "targetindex": PROD}
    server.api("PUSH", f"/{DEV}", body=push, auth=dev.auth)

    theirs = released(directory, "mirrored", "1.0")
    sdist = packages.sdist(directory, "mirrored", "1.0")
    publish(upstream, "mirrored", theirs, File(sdist.name, sdist.read_bytes()))
    mirror = mirror_of(server, upstream)
    fetched = server.simple(mirror, "mirrored")
    other = released(directory, "looked-at", "1.0")
    publish(upstream, "looked-at", other)
    [looked_at] = [file["url"] for file in server.simple(mirror, "looked-at").values()]
    for url, file in ((fetched[theirs.filename]["url"], theirs), (looked_at, other)):
        assert server.request("GET", f"{url}.metadata").content == file.metadata
    files = {
        "wheel": wheel,
        "sdist": linked(DEV, "demo", r"\.tar\.gz$"),
        "documentation": linked(DEV, "demo", r"\.doc\.zip$"),
        "result": linked(DEV, "demo", r"\.toxresult"),
        "shared": linked(DEV, "shared", ""),
        "shared again": linked(PROD, "shared", ""),
        "mirrored wheel": stored(fetched[theirs.filename]["url"]),
        "mirrored sdist": stored(fetched[sdist.name]["url"]),
    }
    return mirror.name, files, Stored(requests.compat.urlsplit(looked_at).path, other.content)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    directory = tmp_path_factory.mktemp("made")
    with FakeUpstream() as upstream:
        upstream.list_format = "negotiated"
        server = Server(directory).init().start()
        try:
            filled = fill(server, upstream, directory / "dist")
            server.stop()
        finally:
            server.close()
        upstream.stop()
        backup = directory / "backup"
        succeeds(tool("devpi-server", "backup", backup, "--serverdir", server.serverdir))
        yield Made(server.serverdir, backup, upstream, *filled)


@dataclass
class Place:
    """A copy of it that comes to harm, and a server on that which does not run at first."""

    made: Made
    server: Server

    @property
    def serverdir(self) -> Path:
        return self.server.serverdir

    @property
    def files(self) -> dict[str, Stored]:
        return self.made.files

    def where(self, name: str) -> Path:
        """Where the content of a file lies."""
        return content_file(self.serverdir, self.files[name].content)

    def harm(self, name: str, how: str) -> bytes | None:
        """Damages the content of a file; gives what is there instead."""
        path = self.where(name)
        damage(path, how)
        return path.read_bytes() if path.exists() else None

    def repair(self, *options: object) -> CompletedProcess[str]:
        return fsck(self.serverdir, "--repair", *options)

    def repaired(self, *options: object) -> list[str]:
        """Repairs, which leaves nothing that is not as it should be; gives what was done."""
        done = self.repair(*options)
        assert done.returncode == 0, done.stdout + done.stderr
        sound(self.serverdir)
        assert repairs(self.repair()) == []
        return repairs(done)

    def status(self, name: str) -> int:
        """How the running server answers to a download, whose content is the right one if there is one at all."""
        answer = self.server.request("GET", self.files[name].path)
        if answer.status_code == 200:
            assert answer.content == self.files[name].content, name
        return answer.status_code

    def serves_all(self, others: Mapping[str, int] = {}) -> None:
        """Starts the server, which gives out all files but for these, whose statuses are given."""
        self.server.start()
        assert {name: self.status(name) for name in self.files} == {**dict.fromkeys(self.files, 200), **others}

    def kept_aside(self) -> dict[str, bytes]:
        """The damaged contents that were taken out, by their names."""
        return {path.name: path.read_bytes() for path in (self.serverdir / "damaged").glob("*")}


def repairs(done: CompletedProcess[str]) -> list[str]:
    """What was done, line by line."""
    return re.findall(r"INFO repaired: (.*)", done.stdout)


@pytest.fixture
def place(made: Made, new_server: Callable[..., Server]) -> Place:
    server = new_server(*IMPATIENT, init=False)
    state.copy(made.serverdir, server.serverdir)
    return Place(made, server)
