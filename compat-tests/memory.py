"""The memory of one process, in MiB."""

from __future__ import annotations

import re
from pathlib import Path

from harness import Server

KIB = 1024


def memory_mib(pid: int, what: str = "VmRSS") -> float:
    """What a process has now, or with ``VmHWM`` the most it has had, or ``RssAnon`` without what files lend it."""
    return int(re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / KIB


def forget_peak(pid: int) -> None:
    """Lets ``VmHWM`` begin anew with what the process has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Growth:
    """By how much the process of a server grows from now on."""

    def __init__(self, server: Server):
        self.pid = server.process.pid
        forget_peak(self.pid)
        self.before = memory_mib(self.pid)

    def most(self) -> float:
        return memory_mib(self.pid, "VmHWM") - self.before

    def now(self) -> float:
        return memory_mib(self.pid) - self.before
