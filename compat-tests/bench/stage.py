"""The stage: all servers with the same data, and rounds in which each has its turn."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import data, load, uploads
from .processes import Failed, TooSlow, turn_of
from .rows import LIMIT, NGINX, OURS, PYPIRON, TOO_SLOW, Row
from .subjects import LEVELS, DevpiLike, Machine, Nginx, Subject

LARGE, DEEP, SMALL, HUGE = "large", "deep", "small", "huge"
PAGE_FILES = 300
LEVEL_FILES = 50
SMALL_BYTES = 16_000
HUGE_BYTES = 100 * data.MEGABYTE
INSTALLED = [f"package-{number:03}" for number in range(100)]

Measure = Callable[[Subject], Mapping[str, float]]
"""Measures one server once; gives values by the key of their row."""


@dataclass
class Settings:
    """How thorough a run is."""

    quick: bool
    rounds: int
    work: Path
    data: Path | None = None
    """Where data that take long to make are kept for another run, if at all."""

    @property
    def seconds(self) -> float:
        """How long each load lasts."""
        return 1.0 if self.quick else 2.0


@dataclass
class Stage:
    """Servers, and rows that fill."""

    settings: Settings
    subjects: dict[str, Subject] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    growth: list[dict[str, float]] = field(default_factory=list)
    memory: dict[tuple[str, str], float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:6.0f} s] {text}", file=sys.stderr, flush=True)

    def row(self, key: str, row: Row) -> None:
        self.rows[key] = row

    def rounds(
        self, title: str, names: Sequence[str], measure: Measure, *, rounds: int | None = None, slow_rounds: int = 0
    ) -> None:
        """Measures each in turn, round after round, each time another first. Slow ones may be given fewer rounds."""
        names = [name for name in names if name in self.subjects]
        self.say(title)
        for turn in range(rounds or self.settings.rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                if slow_rounds and turn >= slow_rounds and name not in FAST:
                    continue
                self.once(title, self.subjects[name], measure)

    def once(self, title: str, subject: Subject, measure: Measure) -> None:
        """One measurement. What fails is said loudly and remembered, and the others go on."""
        everybody = [other.process for other in self.subjects.values() if other.process]
        try:
            if subject.process and not subject.process.alive():
                raise Failed(f"it is not running any more:\n{subject.process.tail()}")
            with turn_of(subject.process, everybody):
                values = measure(subject)
        except TooSlow as error:
            self.say(f"{title}: {subject.name}: {error}")
            for row in self.rows.values():
                if row.title.startswith(title):
                    row.failures[subject.name] = TOO_SLOW
            return
        except (Failed, OSError) as error:
            self.wrong.append(f"{title}: {subject.name}: {error}")
            self.say(f"FAILED {self.wrong[-1]}")
            for row in self.rows.values():
                if row.title.startswith(title):
                    row.failures[subject.name] = str(error)
            return
        for key, value in values.items():
            self.rows[key].add(subject.name, value)

    def settle(self, size: int) -> None:
        """Leaves a disk that has nothing to do, and as many bytes of memory that were in use just before.

        Memory that a virtual machine has not used for some seconds may take six times as long at its first use as on a
        server that has run for a while, and whoever comes first would pay for all.
        """
        path = self.settings.work / "settling"
        piece = bytes(data.MEGABYTE)
        with path.open("wb", buffering=0) as file:
            for _ in range(0, size, len(piece)):
                file.write(piece)
        path.unlink()
        os.sync()

    @property
    def ours(self) -> DevpiLike:
        return self.subjects[OURS]

    @property
    def nginx(self) -> Nginx:
        return self.subjects[NGINX]

    # Filling

    def open(self, kinds: Sequence[type[Subject]]) -> None:
        """Starts the servers with the data that all figures share."""
        huge = data.large_wheel(self.settings.work / "files", HUGE, "1.0", HUGE_BYTES)
        made = [kind(self.settings.work / f"{number}-{kind.__name__}") for number, kind in enumerate(kinds)]
        for subject in made:
            self.subjects[subject.name] = subject
        with ThreadPoolExecutor(len(made)) as pool:
            list(pool.map(lambda subject: self._open(subject, huge), made))
        if NGINX in self.subjects and OURS in self.subjects:
            copy_to_nginx(self.ours, self.nginx)
        self.subjects[LIMIT] = Machine(self.settings.work / "machine")
        self.say("all servers have the same data")

    def _open(self, subject: Subject, huge: data.LargeFile) -> None:
        subject.prepare()
        subject.start()
        self.memory["idle", subject.name] = subject.process.memory_mib()
        subject.set_up()
        self.memory["login", subject.name] = subject.process.memory_mib()
        if isinstance(subject, Nginx):
            return
        uploads.upload(subject, distributions())
        uploads.upload_large(subject, huge)
        if isinstance(subject, DevpiLike):
            for level in range(LEVELS + 1):
                files = [data.wheel(DEEP, f"{level}.{number}") for number in range(LEVEL_FILES)]
                subject.upload_path, kept = f"/root/level{level}/", subject.upload_path
                uploads.upload(subject, files)
                subject.upload_path = kept
        wait_until_listed(subject)
        self.say(f"{subject.name} is filled")

    def close(self) -> None:
        for subject in self.subjects.values():
            subject.close()


FAST = (OURS, NGINX, PYPIRON, LIMIT)
"""Those that do not need minutes for what takes the others seconds."""


def distributions() -> list[data.Distribution]:
    """What every server has, but for the huge file."""
    versions = [f"1.{number}" for number in range(PAGE_FILES // 2)]
    return [
        *(make(LARGE, version) for version in versions for make in (data.wheel, data.sdist)),
        data.wheel(SMALL, "1.0", size=SMALL_BYTES),
        *(data.wheel(name, "1.0", size=2000) for name in INSTALLED),
    ]


def wait_until_listed(subject: Subject) -> None:
    """Waits until the pages show everything, which pypiron's do later; fails if one lacks something."""
    wanted = {name: 1 for name in (SMALL, HUGE, *INSTALLED)} | {LARGE: PAGE_FILES}
    end = time.monotonic() + 30
    while True:
        found = {name: len(listed(subject, name)) for name in wanted}
        if found == wanted:
            return
        if time.monotonic() > end:
            lacking = ", ".join(name for name in wanted if found[name] != wanted[name])
            raise Failed(f"{subject.name} does not list what was uploaded of {lacking}")
        time.sleep(0.2)


def listed(subject: Subject, project: str) -> dict[str, str]:
    """The files on a page that may not be there yet."""
    try:
        return subject.files(project)
    except Failed:
        return {}


def copy_to_nginx(ours: DevpiLike, nginx: Nginx) -> None:
    """Saves what ours answers where nginx finds it."""
    for form in ("json", "html"):
        for source, target in (
            (ours.page(LARGE, form), nginx.page(LARGE, form)),
            (ours.deep_page(DEEP, form), nginx.deep_page(DEEP, form)),
        ):
            nginx.put(target.path, load.get(ours.port, source.path, source.headers).body)
    for project in (SMALL, HUGE, *INSTALLED):
        page = ours.page(project, "json")
        nginx.put(f"{page.path}index.json", load.get(ours.port, page.path, page.headers).body)
        for path in ours.files(project).values():
            nginx.put(path, load.get(ours.port, path).body)
            nginx.put(f"{path}.metadata", load.get(ours.port, f"{path}.metadata").body)


def remove(directory: Path) -> None:
    """Removes a directory with all that is in it."""
    shutil.rmtree(directory, ignore_errors=True)
