"""Figures of installing with real clients: many at once, each into an empty directory and with an empty cache."""

from __future__ import annotations

import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import REPOSITORY, server_environment

from . import data, load
from .processes import Failed, TooSlow
from .rows import DEVPI, NGINX, PYPIRON, SERVERS, Ratio, Row
from .stage import FAST, INSTALLED, Stage
from .subjects import Subject

PROGRAMS = REPOSITORY / ".venvs/clients/bin"
UV_CLIENTS, PIP_CLIENTS = 32, 4
PIP_PROJECTS = 20
MEMORY = Path("/dev/shm")
INSTALLS_BYTES = 1000 * data.MEGABYTE
"""At least what all clients write at once."""
PATIENCE = 60
"""Seconds that an installer may take; a server on which it takes longer is too slow for this."""

Install = Callable[[Subject, Path], None]


def requirements(directory: Path, projects: Sequence[str]) -> Path:
    """A file with the projects and the hashes of their wheels, which the installers check."""
    lines = []
    for project in projects:
        digest = hashlib.sha256(data.wheel(project, "1.0", size=2000).content).hexdigest()
        lines.append(f"{project}==1.0 --hash=sha256:{digest}\n")
    path = directory / f"requirements-{len(projects)}.txt"
    path.write_text("".join(lines))
    return path


def run(command: Sequence[object], environment: dict[str, str]) -> None:
    """Runs an installer, which must succeed."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command, env=server_environment(**environment), capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise TooSlow(f"{Path(command[0]).name} took more than {PATIENCE} s") from None
    if done.returncode:
        raise Failed(f"{Path(command[0]).name}: {done.stdout[-300:]}{done.stderr[-500:]}")


def with_uv(stage: Stage) -> None:
    """Many clients of uv."""
    directory = stage.settings.work / "installs"
    directory.mkdir(exist_ok=True)
    wanted = requirements(directory, INSTALLED)
    # What uv knows of the interpreter is given to each, so that asking it is not what is measured.
    known = directory / "uv-cache"
    run([PROGRAMS / "uv", "pip", "list", "--python", sys.executable, "--cache-dir", known], {})

    def install(subject: Subject, place: Path) -> None:
        cache = place / "cache"
        shutil.copytree(known, cache)
        command = [PROGRAMS / "uv", "pip", "install", "--no-config", "--python", sys.executable]
        command += ["--cache-dir", cache, "--require-hashes", "--index-url", index_url(subject)]
        run([*command, "--target", place / "target", "--requirement", wanted], {"HOME": str(place)})
        expect_installed(place / "target", len(INSTALLED))

    title = f"uv pip install, {UV_CLIENTS} clients, {len(INSTALLED)} projects"
    measure_all(stage, "uv", title, install, UV_CLIENTS, [Ratio(NGINX, 1)])


def with_pip(stage: Stage) -> None:
    """A few clients of pip."""
    directory = stage.settings.work / "installs"
    directory.mkdir(exist_ok=True)
    wanted = requirements(directory, INSTALLED[:PIP_PROJECTS])

    def install(subject: Subject, place: Path) -> None:
        command = [PROGRAMS / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile"]
        command += ["--disable-pip-version-check", "--require-hashes", "--index-url", index_url(subject)]
        run([*command, "--target", place / "target", "--requirement", wanted], {"HOME": str(place)})
        expect_installed(place / "target", PIP_PROJECTS)

    title = f"pip install, {PIP_CLIENTS} clients, {PIP_PROJECTS} projects"
    goals = [Ratio(NGINX, 0), Ratio(PYPIRON, 0), Ratio(DEVPI, 0)]
    measure_all(stage, "pip", title, install, PIP_CLIENTS, goals)


def measure_all(
    stage: Stage,
    key: str,
    title: str,
    install: Install,
    clients: int,
    goals: Sequence[Ratio],
) -> None:
    """All clients install at the same time, into memory if there is enough.

    For each new file ext4 goes through those that were removed in the last minutes, which took the clients five times as
    long as all else, and each server another time.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > INSTALLS_BYTES
    around = MEMORY if roomy else stage.settings.work
    stage.say(f"what is installed goes into {'memory' if roomy else 'files on the disk'}")
    stage.row(key, Row(title, "1/min", goals))
    stage.row(f"{key} p50", Row(f"{title}: p50", "s", goals, more_is_better=False))
    stage.row(f"{key} cpu", Row(f"{title}: processor time of the server", "s each", more_is_better=False))

    def measure(subject: Subject) -> dict[str, float]:
        def once(number: int) -> float:
            place = Path(directory) / str(number)
            place.mkdir()
            started = time.perf_counter()
            install(subject, place)
            return time.perf_counter() - started

        with tempfile.TemporaryDirectory(prefix="bench-", dir=around) as directory:
            stage.settle(INSTALLS_BYTES)
            before, started = subject.process.processor_seconds(), time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                taken = list(pool.map(once, range(clients)))
            seconds = time.perf_counter() - started
            used = subject.process.processor_seconds() - before
        return {key: 60 * clients / seconds, f"{key} p50": statistics.median(taken), f"{key} cpu": used / clients}

    # Minutes for each of the others are too many for a first look.
    names = [name for name in SERVERS if name in FAST or not stage.settings.quick]
    stage.rounds(title, names, measure, rounds=2 * stage.settings.rounds, slow_rounds=1)


def index_url(subject: Subject) -> str:
    return f"http://{load.HOST}:{subject.port}{subject.simple_path()}"


def expect_installed(target: Path, count: int) -> None:
    """All projects must be there."""
    found = len(list(target.glob("*.dist-info")))
    if found != count:
        raise Failed(f"{found} of {count} distributions were installed")
