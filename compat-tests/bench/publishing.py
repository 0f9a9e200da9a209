"""Figures of uploading: many small files by one and by many clients, and large ones."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from . import data, limits, load, uploads
from .processes import Failed
from .rows import DEVPI, LIMIT, NGINX, PYPIRON, SERVERS, Below, Ratio, Row
from .stage import Stage, listed
from .subjects import Subject

CLIENTS = {1: 3, 8: 20, 64: 20}
"""Numbers of clients, and how much faster than devpi-server ours is to be with so many."""
MOST_PER_SECOND = {1: 1500, 8: 4000, 64: 6000}
"""More than that are not made, so anybody faster than that has to wait for nothing to do."""
SMALL_FORM = 2000
FLAT_MIB = 20
FEW_BYTES, MANY_BYTES = 100 * data.MEGABYTE, 2_000 * data.MEGABYTE
WITHOUT_NGINX = [name for name in SERVERS if name != NGINX]


class Queue(Iterator[bytes]):
    """The requests of one client, and how many it has taken."""

    def __init__(self, requests: list[bytes]):
        self.requests = requests
        self.taken = 0

    def __next__(self) -> bytes:
        if self.taken == len(self.requests):
            raise StopIteration
        self.taken += 1
        return self.requests[self.taken - 1]


def small(stage: Stage) -> None:
    """Uploads of small files, each another version of its client's project."""
    for clients, factor in CLIENTS.items():
        title = f"uploads, {clients} client{'s' if clients > 1 else ''}"
        key = f"upload {clients}"
        goals = [Ratio(PYPIRON, 1.2), Ratio(DEVPI, factor), Ratio(LIMIT, 0)]
        stage.row(key, Row(title, "1/s", goals))
        stage.row(f"{key} p50", Row(f"{title}: p50", "ms", more_is_better=False))
        stage.row(f"{key} p99", Row(f"{title}: p99", "ms", more_is_better=False))
        _small(stage, title, key, clients)
    stage.row("commit", Row("commits of SQLite, one after the other, synced", "1/s"))
    place = stage.settings.work / "limit"
    stage.rows["commit"].add(LIMIT, limits.commits_per_second(place, stage.settings.seconds))


def _small(stage: Stage, title: str, key: str, clients: int) -> None:
    seconds = 1.5 * stage.settings.seconds
    counts: dict[str, int] = {}
    made: dict[int, list[list[data.Distribution]]] = {}

    def measure(subject: Subject) -> dict[str, float]:
        turn = counts[subject.name] = counts.get(subject.name, -1) + 1
        if subject.name == LIMIT:
            rate = limits.synced_files_per_second(subject.directory / f"{key}-{turn}", SMALL_FORM, clients, seconds)
            return {key: rate}
        if turn not in made:
            made.clear()
            each = int(MOST_PER_SECOND[clients] * seconds / clients)
            made[turn] = [
                [data.wheel(f"up-{clients}-{turn}-{client}", f"1.{number}") for number in range(each)]
                for client in range(clients)
            ]
        queues = [Queue(uploads.messages(subject, files)) for files in made[turn]]
        done = uploads.send_all(subject.port, queues, seconds=seconds)
        check(subject, made[turn][0][: queues[0].taken])
        return {key: done.per_second, f"{key} p50": done.percentile_ms(0.5), f"{key} p99": done.percentile_ms(0.99)}

    stage.rounds(title, [*WITHOUT_NGINX, LIMIT], measure)


def check(subject: Subject, files: list[data.Distribution]) -> None:
    """The page must list all that was answered with 200, and a file must be what was sent."""
    end = time.monotonic() + 20
    wanted = {file.filename for file in files}
    while wanted - set(found := listed(subject, files[0].project)):
        if time.monotonic() > end:
            raise Failed(f"{files[0].project}: {len(wanted - set(found))} of {len(wanted)} uploads are not listed")
        time.sleep(0.2)
    for file in (files[0], files[-1]):
        answer = load.get(subject.port, found[file.filename])
        if hashlib.sha256(answer.body).digest() != hashlib.sha256(file.content).digest():
            raise Failed(f"{file.filename} is not what was uploaded")


def large(stage: Stage) -> None:
    """One large upload at a time."""
    quick, rounds = stage.settings.quick, stage.settings.rounds
    # The disk is another within minutes, and one of these takes a tenth of a second.
    _large(stage, "one upload of 100 MB", "upload 100 MB", FEW_BYTES, rounds if quick else 3 * rounds)
    if not quick:
        _large(stage, "one upload of 2 GB", "upload 2 GB", MANY_BYTES, 3)


def _large(stage: Stage, title: str, key: str, size: int, rounds: int) -> None:
    stage.row(key, Row(title, "MB/s", [Ratio(PYPIRON, 1.2), Ratio(LIMIT, 0.8)]))
    stage.row(f"{key} memory", Row(f"{title}: memory at most, growth", "MiB", [Below(FLAT_MIB)], more_is_better=False))
    project = key.replace(" ", "-").lower()
    counts: dict[str, int] = {}
    made: dict[int, data.LargeFile] = {}

    def measure(subject: Subject) -> dict[str, float]:
        turn = counts[subject.name] = counts.get(subject.name, -1) + 1
        if turn not in made:
            for old in made.values():
                old.path.unlink()
            made.clear()
            made[turn] = data.large_wheel(stage.settings.work / "files", project, f"1.{turn}", size)
        stage.settle(size)
        if subject.name == LIMIT:
            return {key: size / 1e6 / limits.hash_and_store(made[turn].path, subject.directory / "large")}
        subject.process.forget_peak()
        before = subject.process.memory_mib()
        seconds = uploads.upload_large(subject, made[turn])
        growth = subject.process.memory_mib("VmHWM") - before
        return {key: size / 1e6 / seconds, f"{key} memory": growth}

    refusing = {name for name, subject in stage.subjects.items() if subject.max_upload and subject.max_upload < size}
    names = [name for name in [*WITHOUT_NGINX, LIMIT] if name not in refusing]
    stage.rounds(title, names, measure, rounds=rounds, slow_rounds=max(1, min(rounds, stage.settings.rounds) // 2))
    for old in made.values():
        old.path.unlink()


