"""Processes under measurement: started together, stopped while it is not their turn, and asked what they cost.

A server that is not being loaded is halted (SIGSTOP), so that what it still has to do in the background, such as
indexing, is not paid for by the one whose turn it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import server_environment

KIB = 1024
MANY_FILES = 65_536
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.005


class Failed(RuntimeError):
    """A figure that cannot be had: a program ended, or an answer was wrong."""


class TooSlow(Failed):
    """A figure that takes longer than anybody waits."""


class Process:
    """A server's process with those that it started."""

    def __init__(self, command: Sequence[object], log: Path, *, env: Mapping[str, str] = {}, cwd: Path | None = None):
        self.log = log
        with log.open("ab") as output:
            self.begin = output.tell()
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=server_environment(**env),
                cwd=cwd,
            )

    def wait_for(self, ready: Callable[[], bool]) -> float:
        """Polls until it is ready; gives the time since the start in seconds."""
        while not ready():
            if self._process.poll() is not None:
                raise Failed(f"the server ended with {self._process.returncode}:\n{self.tail()}")
            if time.perf_counter() - self.started > START_SECONDS:
                raise Failed(f"the server does not serve:\n{self.tail()}")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - self.started

    def output(self) -> str:
        """What it said since the start."""
        return self.log.read_bytes()[self.begin :].decode(errors="replace")

    def tail(self) -> str:
        """The end of that."""
        return "\n".join(self.output().splitlines()[-20:])

    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def tree(self) -> list[int]:
        """The process and its descendants."""
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += map(int, children.read_text().split())
                except OSError:
                    continue
        return found

    def signal(self, number: int) -> None:
        for pid in self.tree():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def stop(self) -> None:
        """Ends all of them in order, or else at once."""
        self.signal(signal.SIGCONT)
        if not self.alive():
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()

    # What it costs

    def processor_seconds(self) -> float:
        """Processor time that all of them have used so far, in user and system mode."""
        return sum(_processor_ticks(pid) for pid in self.tree()) / TICKS

    def memory_mib(self, what: str = "VmRSS") -> float:
        """Memory of all of them in MiB: what they have now, or with ``VmHWM`` the most that they had."""
        return sum(_memory_kib(pid, what) for pid in self.tree()) / KIB

    def forget_peak(self) -> None:
        """Lets ``VmHWM`` begin anew with what they have now."""
        for pid in self.tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def allow_many_files() -> None:
    """Lets this process and those that it starts have many connections: more than the system's limit if root may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, MANY_FILES), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return


def _processor_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _memory_kib(pid: int, what: str) -> int:
    try:
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


@contextmanager
def turn_of(process: Process | None, others: Sequence[Process]) -> Iterator[None]:
    """Halts the others meanwhile."""
    for other in others:
        if other is not process:
            other.signal(signal.SIGSTOP)
    if process:
        process.signal(signal.SIGCONT)
    try:
        yield
    finally:
        for other in others:
            other.signal(signal.SIGCONT)
