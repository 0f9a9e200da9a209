"""A long run: real clients of every kind at work at once on one server, which must hold no more at the end than before.

    SOAK_MINUTES=60 SOAK_REPORT=soak.csv ../.venvs/clients/bin/pytest -s test_soak.py

SOAK_MINUTES is the length, 1 by default, after which each client ends what it has begun. SOAK_REPORT names a file for
the samples, as CSV.

Whatever is added is removed again in the same round, and comes from a small set, so from the second quarter of the time
on everything that the server holds has to stay about as it is. That does not go for the database and the contents below
`files`, which keep what was removed, each content once: these are printed, and devpi-fsck must find none that is not
named.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.held import MIB, below, descriptors
from harness import Server, wait_until
from serverdirs import contents, sound
from soaking.people import Developer, Installer, Publisher
from soaking.place import Place, run_for
from soaking.samples import Sample, Watch
from soaking.strangers import Stranger
from upstream import FakeUpstream

MINUTES = float(os.environ.get("SOAK_MINUTES", "1"))
REPORT = os.environ.get("SOAK_REPORT")
INTERVAL = min(5.0, 60 * MINUTES / 24)
"""Seconds between samples: six in each quarter at the least."""

SMALL_CACHES = {
    "--database-readers": 2,
    "--page-cache-size": MIB,
    "--core-metadata-cache-size": MIB,
    "--small-file-cache-size": MIB,
    "--file-cache-items": 200,
    "--upstream-projects-remembered": 200,
}
"""What is kept to be fast, up to a bound, must have reached that in the first quarter: else it hides what adds up."""
MEMORY_SHARE, MEMORY_MIB = 0.1, 4
"""By how much the median of the memory may be larger in the last quarter than in the second. What the allocator keeps for
each of two dozen threads differs by so much between runs; the database's own cache grows with the database, up to two
MiB for a connection. Of what there are thousands in an hour, a kilobyte that leaks each time is found."""
THREADS = DESCRIPTORS = 16
"""What may come and go with the number of requests just now: connections, threads that read the database or files."""
BLOCKING_THREADS = 64
"""How many threads there may be more than at the start: the 50 of ``--threads``, which are kept, and a few besides."""
LEFT_OVER = 4
"""Descriptors that may be there when all clients are gone, and were not before they came."""
LOG_MIB = 16
"""Of the database: it is emptied once it has four MiB, or when nobody reads."""

LINE = re.compile(r"\d{4}-\d\d-\d\dT\S+ +(INFO|WARN|ERROR) ")
FAILED = re.compile(r" status=5\d\d ")

pytestmark = pytest.mark.ours


@pytest.fixture
def upstreams() -> Iterator[tuple[FakeUpstream, FakeUpstream]]:
    """One upstream that always works, and one that often does not."""
    with FakeUpstream(keep_requests=False) as steady, FakeUpstream(keep_requests=False) as unsteady:
        steady.list_format = unsteady.list_format = "negotiated"
        yield steady, unsteady


def unexpected(log: Path, *expected: str) -> Counter[str]:
    """Lines of warnings, of errors, and of requests that failed for the server's part, and such as are no lines of the
    log at all, but for those in which one of the expected patterns is found; without their numbers, to count them."""
    fine = re.compile("|".join(expected))
    found: Counter[str] = Counter()
    with log.open(errors="replace") as lines:
        for line in lines:
            match = LINE.match(line)
            if (not match or match[1] != "INFO" or FAILED.search(line)) and not fine.search(line):
                found[re.sub(r"[\d.]+", "N", line.rstrip())] += 1
    return found


def troubles(place: Place) -> list[str]:
    """What the log may say of the mirror that fails and of its upstream, and of nothing else."""
    index, upstream = re.escape(place.unsteady.name), re.escape(place.unsteady_upstream.origin)
    return [
        f" WARN .*({index}|{upstream})",
        f" INFO GET /{index}/.* status=502 ",
        # The framework's own line when a download breaks off because its upstream did.
        f"ERROR Response payload stream error: Fetch.*{upstream}/files/",
    ]


def test_soak(
    new_server: Callable[..., Server], upstreams: tuple[FakeUpstream, FakeUpstream], tmp_path: Path
) -> None:
    """Nothing adds up: neither memory, descriptors, threads nor files; and the log has nothing to complain of."""
    caches = [word for option in SMALL_CACHES.items() for word in option]
    server = new_server("--request-timeout", 2, *caches).start()
    place = Place(server, *upstreams, tmp_path)
    workers = [kind(place, kind.__name__.lower()) for kind in (Developer, Publisher, Installer, Stranger)]
    before, open_before = Sample.of(server, 0), descriptors(server)
    with Watch(place, 60 * MINUTES, INTERVAL) as watch:
        run_for(place, workers, 60 * MINUTES)
    failures = [worker.failure for worker in workers if worker.failure] + watch.failures
    print(f"\n{MINUTES:g} minutes, {place.actions()} actions:")
    print("\n".join(f"{count:7} {what}" for what, count in sorted(place.done.items())))
    if REPORT:
        watch.write(Path(REPORT))
    if failures:
        raise failures[0]

    for upstream in upstreams:
        upstream.stop()
    left_over(server, open_before)
    end = Sample.of(server, 60 * MINUTES)
    print(watch.summary(end))
    stays(watch)
    assert end.threads <= before.threads + BLOCKING_THREADS
    stored = contents(server.serverdir)
    _, files = sound(server.serverdir)
    print(f"{len(stored)} contents for {files} files, serial {server.serial()}")
    assert server.stop(signal.SIGTERM) == 0
    assert unexpected(server.log, *troubles(place)) == {}


def left_over(server: Server, before: list[str]) -> None:
    """When nobody is there any more, nothing arrives, and what was open for somebody is closed."""
    for name in ("incoming", "unconfirmed"):
        wait_until(lambda name=name: not below(server.serverdir / name), f"files in {name} are left over", 30)
    wait_until(
        lambda: (Counter(descriptors(server)) - Counter(before)).total() <= LEFT_OVER,
        f"more is open than before: {before}",
        30,
    )


def stays(watch: Watch) -> None:
    """The last quarter is as the second was."""
    allowed = {
        "anon": MEMORY_MIB + MEMORY_SHARE * watch.median("anon", 2),
        "descriptors": DESCRIPTORS,
        "threads": THREADS,
    }
    grown = {name: watch.median(name, 4) - watch.median(name, 2) for name in allowed}
    assert {name: more for name, more in grown.items() if more > allowed[name]} == {}, f"{grown} of {allowed}"
    assert max(sample.log for sample in watch.samples) <= LOG_MIB
