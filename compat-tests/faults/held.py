"""What a server holds: descriptors, files that are on their way, and memory that does not add up."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import Server
from memory import memory_mib

MIB = 1024 * 1024
PATIENCE = 2.0
ROUNDS = 50
WITHOUT_RECORD = 4


def does_not_add_up(server: Server, work: Callable[[], None]) -> None:
    """Repeats some work that may leak, until the process takes no more memory for it: what was needed may be kept, and
    each thread may need some of its own, but a leak makes a new record in nearly every round."""
    work()
    held, seen = Held.by(server), [memory_mib(server.process.pid)]
    while len(seen) < ROUNDS and seen.index(max(seen)) >= len(seen) - WITHOUT_RECORD:
        work()
        seen.append(memory_mib(server.process.pid))
    gives_back(server, held)
    assert len(seen) < ROUNDS, f"MiB after each round: {seen}"


def descriptors(server: Server) -> list[str]:
    """What the process has open, but for the connections to its database, which are made as they are needed."""
    directory = Path(f"/proc/{server.process.pid}/fd")
    found = []
    for entry in directory.iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if "wheelhouse.sqlite" not in target:
            # Sockets have numbers, and come and go.
            found.append(re.sub(r"\[\d+\]$", "", target))
    return sorted(found)


def below(directory: Path) -> list[str]:
    """The names of all files in a directory, which may be in the mount namespace of a server."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def seen_by(server: Server, path: Path) -> Path:
    """A path as the server sees it, which may have mounted something there."""
    return Path(f"/proc/{server.process.pid}/root{path}")


@dataclass(frozen=True)
class Held:
    """What a server holds at one time."""

    descriptors: list[str]
    incoming: list[str]
    unconfirmed: list[str]
    contents: list[str]

    @classmethod
    def by(cls, server: Server) -> Held:
        serverdir = seen_by(server, server.serverdir)
        return cls(
            descriptors(server), *(below(serverdir / name) for name in ("incoming", "unconfirmed", "files"))
        )


    def beyond(self, before: Held) -> dict[str, object]:
        """What is held in addition, or else than before."""
        more = list((Counter(self.descriptors) - Counter(before.descriptors)).elements())
        names = ("incoming", "unconfirmed", "contents")
        files = {name: set(getattr(self, name)) ^ set(getattr(before, name)) for name in names}
        return {name: found for name, found in {"descriptors": more, **files}.items() if found}


def gives_back(server: Server, before: Held) -> None:
    """Waits until the server holds no more than before: it may still be at it when the answer is there."""
    end = time.monotonic() + PATIENCE
    while (beyond := Held.by(server).beyond(before)) and time.monotonic() < end:
        time.sleep(0.02)
    assert beyond == {}, f"the server still holds {beyond}"
