"""Starts and stops the two programs, each with a fresh server directory, on the loopback address."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import exchange

REPOSITORY = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
PORT_ATTEMPTS = 3

# Both servers sign their login tokens with this, so that a token of one must be good at the other.
SECRET = "one secret for both servers: 0123456789 abcdefghij"
# The costs of deriving the token key; the defaults take half a GiB.
ARGON2_MEMORY_KIB, ARGON2_PARALLELISM, ARGON2_TIME = 8, 1, 1

_SERVING = re.compile(rb"Serving on http://127\.0\.0\.1:(\d+)")


class StartError(RuntimeError):
    """A program is missing or did not come up."""


@dataclass(frozen=True)
class Program:
    """An installation of a server: a directory with its commands."""

    name: str
    directory: Path
    chooses_port: bool
    """Whether `--port 0` makes it choose a free port itself."""

    def check(self) -> None:
        """Raise when the server command is not there."""
        if not (self.directory / "devpi-server").is_file():
            raise StartError(f"{self.name}: no devpi-server in {self.directory}")

    def command(self, tool: str) -> tuple[Path, str]:
        """The executable of a tool and the name to call it by; a single binary answers to all names."""
        own = self.directory / tool
        return (own if own.is_file() else self.directory / "devpi-server", tool)


def reference() -> Program:
    """The real devpi-server, from DEVPI_REFERENCE_BIN or the repository's virtual environment."""
    directory = os.environ.get("DEVPI_REFERENCE_BIN") or REPOSITORY / ".venvs" / "reference" / "bin"
    return Program("reference", Path(directory), chooses_port=False)


def ours() -> Program:
    """Our server, from WHEELHOUSE_BIN or the debug build."""
    directory = os.environ.get("WHEELHOUSE_BIN") or REPOSITORY / "target" / "debug"
    return Program("ours", Path(directory), chooses_port=True)


@dataclass
class Server:
    """A running server and the serial it last reported."""

    program: Program
    address: tuple[str, int]
    process: subprocess.Popen[bytes]
    log: Path
    arguments: tuple[str, ...] = ()
    serial: int = -1

    def send(self, request: exchange.Request) -> tuple[exchange.Answer, bool]:
        """Exchange one request; also tells whether the serial rose above what was last seen."""
        try:
            answer = exchange.send(self.address, request)
        except OSError as error:
            raise ConnectionError(f"{self.program.name}: {request.method} {request.target}: {error!r}") from error
        before = self.serial
        serial = answer.header("x-devpi-serial")
        if serial is not None:
            self.serial = int(serial)
        return answer, self.serial > before

    def restart(self, options: Sequence[str]) -> None:
        """Stop it and start it again on the same data, with these options besides those it had at first."""
        _end(self.process)
        log = self.log.with_name(f"{self.log.name}-again")
        again = _serve_at_some_port(self.program, log, [*self.arguments, *options], _environment(log.parent))
        self.address, self.process, self.log = again.address, again.process, again.log


@contextlib.contextmanager
def running(programs: Sequence[Program], options: Sequence[Sequence[str]]) -> Iterator[list[Server]]:
    """Servers of the given programs, each with its options, initialised, reachable, and gone again afterwards."""
    for program in programs:
        program.check()
    with tempfile.TemporaryDirectory(prefix="judge-") as folder, contextlib.ExitStack() as stack:
        roots = [Path(folder, f"{number}-{program.name}") for number, program in enumerate(programs)]
        with ThreadPoolExecutor(len(programs)) as pool:
            started = [
                pool.submit(_start, program, root, given)
                for program, root, given in zip(programs, roots, options, strict=True)
            ]
        for future in started:
            if future.exception() is None:
                stack.callback(_stop, future.result())
        yield [future.result() for future in started]


def _start(program: Program, root: Path, options: Sequence[str]) -> Server:
    root.mkdir()
    environment = _environment(root)
    secret = root / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    serverdir = root / "server"
    _initialise(program, root, serverdir, environment)
    arguments = [
        "--serverdir", str(serverdir), "--host", HOST, "--secretfile", str(secret),
        "--argon2-memory-cost", str(ARGON2_MEMORY_KIB), "--argon2-parallelism", str(ARGON2_PARALLELISM),
        "--argon2-time-cost", str(ARGON2_TIME), *options,
    ]  # fmt: skip
    server = _serve_at_some_port(program, root / "log", arguments, environment)
    server.arguments = tuple(arguments)
    return server


def _serve_at_some_port(program: Program, log: Path, arguments: list[str], environment: dict[str, str]) -> Server:
    attempts = 1 if program.chooses_port else PORT_ATTEMPTS
    for attempt in range(attempts):
        try:
            return _serve(program, log.with_name(f"{log.name}-{attempt}"), arguments, environment)
        except StartError:
            # Somebody else may have taken the port between our choosing it and the server's binding it.
            if attempt + 1 == attempts:
                raise
    raise AssertionError("the loop above returns or raises")


def _initialise(program: Program, root: Path, serverdir: Path, environment: dict[str, str]) -> None:
    executable, name = program.command("devpi-init")
    arguments = [name, "--serverdir", str(serverdir), "--no-root-pypi"]
    done = subprocess.run(
        arguments, executable=executable, env=environment, cwd=root, capture_output=True, timeout=START_SECONDS
    )
    if done.returncode != 0:
        raise StartError(f"{program.name}: devpi-init ended with {done.returncode}\n{done.stdout + done.stderr!r}")


def _serve(program: Program, log: Path, arguments: list[str], environment: dict[str, str]) -> Server:
    executable, name = program.command("devpi-server")
    port = 0 if program.chooses_port else _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [name, *arguments, "--port", str(port)],
            executable=executable,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = _SERVING.search(log.read_bytes())
        if found and _accepts(int(found[1])):
            return Server(program, (HOST, int(found[1])), process, log)
        if process.poll() is not None:
            break
        time.sleep(POLL_SECONDS)
    _end(process)
    raise StartError(f"{program.name}: devpi-server did not start\n{log.read_text(errors='replace')[-4000:]}")


def _stop(server: Server) -> None:
    _end(server.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(root: Path) -> dict[str, str]:
    """The caller's environment without anything that configures a server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEVPI")}
    return kept | {"XDG_CONFIG_HOME": str(root), "XDG_CONFIG_DIRS": str(root)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
