"""What a server holds over time: a table of samples, and the medians of its quarters."""

from __future__ import annotations

import csv
import http.client
import os
import re
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from faults.held import MIB, below
from harness import DEADLINE, Server
from memory import memory_mib
from serverdirs import DATABASE

from .place import Place

READINGS, READING_PAUSE = 12, 0.05
"""A password that is hashed takes 64 MiB for some tenths of a second: the lowest of several readings is what stays."""
PAGE_PAUSE = 0.1


@dataclass(frozen=True)
class Sample:
    """What there was at one time. Sizes are in MiB, and times of a page in milliseconds since the sample before."""

    seconds: float
    rss: float
    anon: float
    descriptors: int
    threads: int
    files: int
    incoming: int
    database: float
    log: float
    page_p50: float
    page_p99: float
    actions: int

    @classmethod
    def of(cls, server: Server, seconds: float, pages: Sequence[float] = (), actions: int = 0) -> Sample:
        pid = server.process.pid
        readings = []
        for _ in range(READINGS):
            readings.append((memory_mib(pid, "RssAnon"), memory_mib(pid)))
            time.sleep(READING_PAUSE)
        anon, rss = (min(values) for values in zip(*readings, strict=True))
        database = server.serverdir / DATABASE
        return cls(
            seconds=round(seconds, 1),
            rss=round(rss, 2),
            anon=round(anon, 2),
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=int(re.search(r"Threads:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]),
            files=len(below(server.serverdir / "files")),
            incoming=len(below(server.serverdir / "incoming")),
            database=size_mib(database),
            log=size_mib(database.with_name(f"{database.name}-wal")),
            page_p50=percentile(pages, 50),
            page_p99=percentile(pages, 99),
            actions=actions,
        )


NAMES = tuple(field.name for field in fields(Sample))


def size_mib(path: Path) -> float:
    return round(path.stat().st_size / MIB, 2) if path.exists() else 0


def percentile(values: Sequence[float], hundredths: int) -> float:
    """Of times in seconds, in milliseconds."""
    ordered = sorted(values)
    return round(1000 * ordered[(len(ordered) - 1) * hundredths // 100], 2) if ordered else 0


class Watch:
    """Reads a small page all the time and takes samples, in threads of its own, for so many seconds."""

    def __init__(self, place: Place, seconds: float, interval: float):
        self.place = place
        self.server = place.server
        self.page = f"/{place.stage.name}/+simple/small/"
        self.seconds = seconds
        self.interval = interval
        self.samples: list[Sample] = []
        self.pages: list[tuple[float, float]] = []
        """When each page was asked for, and how long it took, in seconds."""
        self.failures: list[BaseException] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._keep, args=(work,)) for work in (self._read, self._take)]

    def __enter__(self) -> Watch:
        self.started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.failures.append(error)
            self.place.stopped.set()

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE)
        while not self._stopped.wait(PAGE_PAUSE):
            began = time.monotonic()
            connection.request("GET", self.page)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, f"{self.page}: {answer.status}"
            self.pages.append((began - self.started, time.monotonic() - began))
        connection.close()

    def _take(self) -> None:
        seen = 0
        while not self._stopped.wait(max(len(self.samples) * self.interval - (time.monotonic() - self.started), 0)):
            new, seen = self.pages[seen:], len(self.pages)
            seconds = time.monotonic() - self.started
            self.samples.append(Sample.of(self.server, seconds, [taken for _, taken in new], self.place.actions()))

    # What came of it

    def quarter(self, number: int) -> list[Sample]:
        """The samples of one quarter of the time, counted from 1; the clients may end somewhat later."""
        return [sample for sample in self.samples if int(4 * sample.seconds / self.seconds) == number - 1]

    def median(self, name: str, number: int) -> float:
        return round(statistics.median(getattr(sample, name) for sample in self.quarter(number)), 2)

    def page_percentiles(self, number: int) -> tuple[float, float]:
        """p50 and p99 of the page in one quarter, in milliseconds."""
        taken = [taken for began, taken in self.pages if int(4 * began / self.seconds) == number - 1]
        return percentile(taken, 50), percentile(taken, 99)

    def write(self, path: Path) -> None:
        """The whole table, as CSV."""
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([NAMES, *(astuple(sample) for sample in self.samples)])

    def summary(self, end: Sample) -> str:
        """The start, the median of each quarter, and the end, when all clients are gone."""
        quarters = range(1, 5)
        rows = [["", "start", *(f"quarter {number}" for number in quarters), "end"]]
        for name in NAMES:
            if name in ("page_p50", "page_p99"):
                pages = [self.page_percentiles(number) for number in quarters]
                rows.append([f"{name} ms", "", *(page[name == "page_p99"] for page in pages), ""])
            elif name not in ("seconds", "actions"):
                medians = [self.median(name, number) for number in quarters]
                unit = " MiB" if name in ("rss", "anon", "database", "log") else ""
                rows.append([f"{name}{unit}", getattr(self.samples[0], name), *medians, getattr(end, name)])
        return "\n".join("".join([f"{title:14}", *(f"{cell:>11}" for cell in cells)]) for title, *cells in rows)
