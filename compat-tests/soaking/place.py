"""Where the clients of a long run meet: a server with a mirror, a stage above it, and a mirror that often fails.

Projects and versions come from small sets and the same file is always the same, so what the server holds is bounded:
whoever adds something removes it again.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import packages
from clients import Shell
from harness import Index, Server, expect_uploaded
from mirrors import mirror_of, publish, released, stage_above
from upstream import FakeUpstream, File

LIBRARIES, APPLICATIONS, UNSTEADY = 12, 12, 4
VERSIONS = ("1.0", "1.1")
NEWEST = VERSIONS[-1]
LARGE = 3_000_000
PROJECTS = [*(f"lib-{number}" for number in range(LIBRARIES)), *(f"app-{number}" for number in range(APPLICATIONS))]


def needed_by(project: str) -> list[str]:
    """What a project of the mirror needs."""
    kind, number = project.split("-")
    if kind == "lib":
        return []
    return [f"lib-{number}", f"lib-{(int(number) + 5) % LIBRARIES}"]


class Place:
    """The server with its indexes and upstreams, and what clients have done so far."""

    def __init__(self, server: Server, upstream: FakeUpstream, unsteady: FakeUpstream, directory: Path):
        self.server = server
        self.unsteady_upstream = unsteady
        self.directory = directory
        self.done: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._counting = threading.Lock()
        self._fill(upstream)
        self.unsteady_files: dict[str, File] = {}
        for number in range(UNSTEADY):
            project = f"unsteady-{number}"
            # Larger than what a connection holds on its way, so that a file can be cut off.
            file = released(directory / "upstream", project, "1.0", metadata=False, padding=400_000)
            publish(unsteady, project, file)
            self.unsteady_files[project] = file
        self.mirror = mirror_of(server, upstream, mirror_cache_expiry=2)
        self.unsteady = server.new_index(
            "unsteady", owner=self.mirror, type="mirror", mirror_url=unsteady.url, mirror_cache_expiry=0
        )
        self.stage = stage_above(server, self.mirror)
        self.small = packages.wheel(directory / "kept", "small", "1.0")
        self.large = packages.wheel(
            directory / "kept", "large", "1.0", padding=random.Random("large").randbytes(LARGE)
        )
        for path, name in ((self.small, "small"), (self.large, "large")):
            expect_uploaded(server.upload(self.stage, path, name, "1.0"))

    def did(self, what: str) -> None:
        """Counts an action whose outcome was the right one."""
        with self._counting:
            self.done[what] += 1

    def actions(self) -> int:
        """How many there were so far."""
        with self._counting:
            return self.done.total()

    def _fill(self, upstream: FakeUpstream) -> None:
        for number, project in enumerate(PROJECTS):
            fields = {"requires": needed_by(project), "padding": 1000 * (1 + number * 17 % 60)}
            made = [
                released(self.directory / "upstream", project, version, metadata=number % 3 > 0, **fields)
                for version in VERSIONS
            ]
            publish(upstream, project, *made)


class Worker(threading.Thread):
    """One who does one thing after the other until the time is over, or something is wrong anywhere."""

    def __init__(self, place: Place, name: str):
        super().__init__(name=name)
        self.place = place
        self.server = place.server
        self.noise = random.Random(name)
        self.directory = place.directory / name
        self.directory.mkdir()
        self.shell = Shell(self.directory / "home", silent=True)
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.place.stopped.is_set():
                self.round()
        except BaseException as error:
            self.failure = error
            self.place.stopped.set()

    def round(self) -> None:
        raise NotImplementedError

    def any_of(self, *actions: Callable[[], None]) -> None:
        """Does one of them."""
        self.noise.choice(actions)()

    def expect_files(self, index: Index, project: str, *paths: Path) -> None:
        """These are all that the index has of a project, as they are here."""
        found = self.server.files(index, project)
        assert found == {path.name: packages.sha256(path) for path in paths}, f"{index.name} has {found}"


def run_for(place: Place, workers: list[Worker], seconds: float) -> None:
    """Lets them work so long, and then end what they have begun."""
    for worker in workers:
        worker.start()
    try:
        place.stopped.wait(seconds)
    finally:
        place.stopped.set()
        for worker in workers:
            worker.join()
