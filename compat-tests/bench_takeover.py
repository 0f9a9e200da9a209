"""Moving many small files from devpi-server to Wheelhouse, with devpi's own programs beside: `python -m bench_takeover`.

A dump with very many small distributions is generated, imported and exported by devpi-server; then ours takes over the
serverdir that came of it, and imports and exports the same. Everything happens in the directory given with `--work`,
which also keeps the measured numbers (`results.json`): what was measured once is not run again unless named with
`--again`. So devpi-server's part, which takes long, runs once. Nothing is asserted; only the ratios mean something on
a shared machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import BIN, CHEAP_KEY, REPOSITORY, SECRET, free_port, server_environment

REFERENCE = Path(os.environ.get("DEVPI_REFERENCE_BIN") or REPOSITORY / ".venvs/reference/bin")
KIB = 1024
SERVING = b"Serving on http://"
SAMPLE_SECONDS = 0.02

Result = dict[str, Any]


class Failed(RuntimeError):
    """A program ended otherwise than it should."""


class Measured:
    """A process whose time and memory are watched.

    Its peak is read from /proc while it runs: what `wait4` says would include this process, of which it was forked.
    """

    def __init__(self, command: Sequence[object], log: Path):
        self.log = log
        self.peak_kib = 0
        self.started = time.perf_counter()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=server_environment(PYTHONUNBUFFERED=""),
            )
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _watch(self) -> None:
        status = Path(f"/proc/{self.process.pid}/status")
        while True:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                return
            peak = next((line for line in lines if line.startswith("VmHWM:")), None)
            self.peak_kib = max(self.peak_kib, int(peak.split()[1]) if peak else 0)
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def wait(self) -> tuple[float, resource.struct_rusage]:
        """Waits for the end; gives the time since the start and the used resources."""
        _, status, usage = os.wait4(self.process.pid, 0)
        seconds = time.perf_counter() - self.started
        self._ended.set()
        self._watcher.join()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return seconds, usage

    def wait_until_serving(self) -> float:
        """Waits until the log says that it serves; gives the time since the start."""
        while SERVING not in self.log.read_bytes():
            if self.process.poll() is not None:
                raise Failed(f"the server ended with {self.process.returncode}, see {self.log}")
            time.sleep(SAMPLE_SECONDS)
        return time.perf_counter() - self.started


def run(command: Sequence[object], log: Path) -> Result:
    """Runs a program to its end."""
    measured = Measured(command, log)
    seconds, usage = measured.wait()
    if measured.process.returncode:
        raise Failed(f"{command[0]} ended with {measured.process.returncode}, see {log}")
    processor = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "processor_seconds": processor, "peak_mib": measured.peak_kib / KIB}


class Bench:
    """The steps, each with its directory below the work directory."""

    def __init__(self, work: Path, files: int, projects: int, indexes: int):
        self.work = work
        self.dimensions = {"files": files, "projects": projects, "indexes": indexes}
        self.results = work / "results.json"
        self.done: dict[str, Result] = json.loads(self.results.read_text()) if self.results.exists() else {}

    def step(self, name: str, measure: Callable[[], Result]) -> None:
        """Measures a step unless that was done before."""
        if name in self.done:
            return
        print(f"{name} ...", flush=True)
        self.done[name] = measure()
        self.results.write_text(json.dumps(self.done, indent=2) + "\n")
        print(f"{name}: {self.done[name]['seconds']:.1f} s", flush=True)

    def fresh(self, name: str) -> Path:
        """A directory that is not there."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        return self.work / name

    def log(self, name: str) -> Path:
        return self.work / f"{name}.log"

    # The dump

    def generate(self) -> Result:
        dump = self.fresh("dump")
        dump.mkdir(parents=True)
        options = [part for name, value in self.dimensions.items() for part in (f"--{name}", value)]
        result = run([sys.executable, "-m", "takeover.scale", dump, *options], self.log("generate"))
        return result | {"files": int(self.log("generate").read_text())}

    # devpi-server

    def their_import(self) -> Result:
        options = ["--serverdir", self.fresh("devpi"), "--no-root-pypi", "--no-events"]
        return run([REFERENCE / "devpi-import", *options, self.work / "dump"], self.log("devpi-import"))

    def their_export(self) -> Result:
        options = ["--serverdir", self.work / "devpi"]
        return run([REFERENCE / "devpi-export", *options, self.fresh("devpi-dump")], self.log("devpi-export"))

    def their_start(self) -> Result:
        return self._start(REFERENCE, self.work / "devpi", "devpi-start")

    # Ours

    def takeover(self) -> Result:
        """A start on a copy of devpi's serverdir, in which the contents are hard links and the rest is not."""
        copy = self.fresh("taken")
        subprocess.run(["cp", "-al", self.work / "devpi", copy], check=True)
        for path in copy.iterdir():
            if path.is_file():
                path.unlink()
                shutil.copy2(self.work / "devpi" / path.name, path)
        return self._start(BIN, copy, "takeover")

    def second_start(self) -> Result:
        return self._start(BIN, self.work / "taken", "second-start")

    def our_import(self) -> Result:
        options = ["--serverdir", self.fresh("ours"), "--no-root-pypi", "--no-events"]
        return run([BIN / "devpi-import", *options, self.work / "dump"], self.log("our-import"))

    def our_export(self) -> Result:
        options = ["--serverdir", self.work / "ours"]
        return run([BIN / "devpi-export", *options, self.fresh("our-dump")], self.log("our-export"))

    def _start(self, programs: Path, serverdir: Path, name: str) -> Result:
        secret = self.work / "secret"
        secret.touch(0o600)
        secret.write_text(SECRET)
        options = ["--serverdir", serverdir, "--host", "127.0.0.1", "--secretfile", secret, *CHEAP_KEY]
        # devpi-server takes no port of the system's choice.
        port = "0" if programs == BIN else str(free_port())
        measured = Measured([programs / "devpi-server", *options, "--port", port], self.log(name))
        try:
            seconds = measured.wait_until_serving()
        finally:
            if measured.process.poll() is None:
                measured.process.send_signal(signal.SIGTERM)
                _, usage = measured.wait()
        return {
            "seconds": seconds,
            "processor_seconds": usage.ru_utime + usage.ru_stime,
            "peak_mib": measured.peak_kib / KIB,
        }


THEIRS = {
    "generate": Bench.generate,
    "devpi import": Bench.their_import,
    "devpi export": Bench.their_export,
    "devpi start": Bench.their_start,
}
OURS = {
    "takeover": ("devpi-server", Bench.takeover),
    "second start": ("devpi-server", Bench.second_start),
    "our import": ("devpi-import", Bench.our_import),
    "our export": ("devpi-export", Bench.our_export),
}
COMPARED = {
    "takeover": "devpi import",
    "second start": "devpi start",
    "our import": "devpi import",
    "our export": "devpi export",
}


def print_table(done: dict[str, Result]) -> None:
    """Prints all that was measured, and how ours compares to theirs."""
    files = done["generate"]["files"]
    print(f"{files:,} files")
    print(f"{'':14}{'seconds':>10}{'CPU s':>10}{'files/s':>12}{'peak MiB':>10}   {'ours is'}")
    for name in (*THEIRS, *OURS):
        if name not in done:
            continue
        result = done[name]
        line = f"{name:14}{result['seconds']:10.1f}{result['processor_seconds']:10.1f}"
        rate = "" if "start" in name else f"{files / result['seconds']:,.0f}"
        line += f"{rate:>12}{result['peak_mib']:10.0f}"
        other = done.get(COMPARED.get(name, ""))
        if other:
            faster, smaller = (other[key] / result[key] for key in ("seconds", "peak_mib"))
            line += f"   {faster:.1f}x as fast as {COMPARED[name]}, with 1/{smaller:.1f} of the memory"
        print(line)


def main() -> int:
    """Runs what is wanted and was not run before."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--projects", type=int, default=20_000)
    parser.add_argument("--indexes", type=int, default=20)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="kept; use one for each size")
    parser.add_argument("--skip", action="append", default=[], metavar="STEP", choices=[*THEIRS, *OURS])
    parser.add_argument("--again", action="append", default=[], metavar="STEP", choices=[*THEIRS, *OURS])
    parser.add_argument("--only-devpi", action="store_true", help="leave out all of ours")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.work.absolute(), given.files, given.projects, given.indexes)
    for name in given.again:
        bench.done.pop(name, None)
    steps = dict(THEIRS)
    if not given.only_devpi:
        steps |= {name: step for name, (program, step) in OURS.items() if (BIN / program).exists()}
    for name, measure in steps.items():
        if name not in given.skip:
            bench.step(name, lambda measure=measure: measure(bench))
    print_table(bench.done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
