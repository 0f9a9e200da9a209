"""docs/benchmarks.md and its plot, made by a run. What people wrote there of limits is kept."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from harness import REPOSITORY, server_environment

from . import load, plot, table
from .installs import PROGRAMS
from .rows import SERVERS
from .stage import Stage

DOCUMENT = REPOSITORY / "docs/benchmarks.md"
PLOT = REPOSITORY / "docs/benchmarks-growth.svg"
LIMITS = "## What limits each row"
CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
"""One that spaces what it sends (BBR) makes long answers slower, whoever sends them."""

HEAD = """# Benchmarks

Wheelhouse beside pypiron, pypiserver, devpi-server with and without devpi-web, and nginx that sends the same bytes from
disk, with the same fields in the heads: what can be had at the most in practice. All run on one machine, the load
generator included, and are loaded with the same data in the same run, in rounds in which each has its turn while the
others are halted; a number is the median of its rounds. Only the ratios mean something.

Written by `make bench`; `make bench-quick` takes some minutes and writes nothing. Both install what they need.

- Pages and files are loaded by wrk on keep-alive connections, without a content coding. Each answer's status and every
  byte of its body are compared with what they must be; of the 100 MB file, each length, and every byte of one in four.
- Uploads come over keep-alive connections from forms that were made before, each a file of its own; the page must show
  all of them afterwards. "The machine" does only what cannot be left out: write a file, sync it, rename it, sync the
  directory; for large files, hash and write and sync.
- Installers check the hashes of what they install. Each has an empty cache and an empty target, both in memory if there is
  enough: on ext4 each new file costs more the more files were removed in the last minutes.
- Large uploads and installs find a disk that has nothing to do, and as much memory as they need that was in use just
  before: in a virtual machine, other memory may take six times as long at its first use.
- devpi-server and Wheelhouse get login tokens, as devpi's client sends them, and not a password each time. devpi-server
  may have 900 connections instead of 100, and offers core metadata. pypiserver runs with waitress and watchdog, and
  without passwords; it takes at most 1 GiB in a request.
- A ratio is how many times as good Wheelhouse is: above 1 it is better, for times and memory, too.
"""


def write(stage: Stage) -> None:
    """Writes both files."""
    kept = _kept_limits()
    parts = [HEAD, _machine(stage), _versions(stage), _durability(stage)]
    parts.append("## Results\n\n" + table.markdown(stage.rows.values()))
    if stage.wrong:
        parts.append("## Wrong\n\n" + "".join(f"- {line}\n" for line in stage.wrong))
    if len(stage.growth) > 1:
        PLOT.write_text(plot.svg(stage.growth))
        parts.append(_growth(stage))
    parts.append(kept)
    DOCUMENT.write_text("\n".join(parts))


def _kept_limits() -> str:
    if DOCUMENT.exists():
        _, found, rest = DOCUMENT.read_text().partition(f"\n{LIMITS}\n")
        if found:
            return f"{LIMITS}\n{rest}"
    return f"{LIMITS}\n\nNot said yet.\n"


def _machine(stage: Stage) -> str:
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    described = subprocess.run(
        ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(stage.settings.work)],
        env=server_environment(),
        capture_output=True,
        text=True,
        timeout=10,
    )
    lines = [
        f"- {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {stage.settings.rounds} rounds"
        + (", quick" if stage.settings.quick else ""),
        f"- {os.cpu_count()} cores{f' ({model[1]})' if model else ''}, {int(memory[1]) / 1024**2:.0f} GiB of memory",
        f"- Linux {platform.release()}, TCP with {CONGESTION_CONTROL.read_text().strip()},"
        f" data on {described.stdout.strip() or 'an unknown file system'}",
        *(f"- {note}" for note in stage.notes),
    ]
    return "## Machine\n\n" + "\n".join(lines) + "\n"


def _versions(stage: Stage) -> str:
    names = [name for name in SERVERS if name in stage.subjects]
    lines = [f"- {name}: {stage.subjects[name].version()}" for name in names]
    wrk = subprocess.run([load.program(), "-v"], capture_output=True, text=True, timeout=10).stdout.splitlines()
    lines.append(f"- {' '.join(wrk[0].split()[:2])}" if wrk else "- wrk")
    for name in ("uv", "pip"):
        said = subprocess.run([PROGRAMS / name, "--version"], capture_output=True, text=True, timeout=60).stdout
        lines.append(f"- {' '.join(said.split()[:2])}")
    return "## Versions\n\n" + "\n".join(lines) + "\n"


def _durability(stage: Stage) -> str:
    lines = [
        f"- {name}: {subject.durability}" for name, subject in stage.subjects.items() if subject.durability
    ]
    return "What is on disk when an upload is answered, as found with strace:\n\n" + "\n".join(lines) + "\n"


def _growth(stage: Stage) -> str:
    lines = ["| files | page, first time, ms | upload, ms | delete, ms | list, ms |", "| --: | --: | --: | --: | --: |"]
    for point in stage.growth:
        values = (f"{point[kind]:.2f}" for kind in plot.LINES)
        lines.append(f"| {point['files']:,.0f} | {' | '.join(values)} |")
    return (
        "## How costs grow\n\nOne request after the other, medians. A project has ten files, so the list has a tenth as "
        f"many projects.\n\n![Milliseconds by the number of files]({PLOT.name})\n\n" + "\n".join(lines) + "\n"
    )
