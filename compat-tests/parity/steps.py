"""What a scenario is made of.

Texts may hold `{server}`, `{other}` (the server of the other side), `{elsewhere}` (an upload endpoint that records what
it gets), `{nowhere}` (an address where nobody listens), `{home}`, `{venvs}` (where the clients are installed) and
`{url:NAME}`, the address of a file that was printed last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GENERIC = ("--debug", "-y", "-v", "--clientdir", "{home}/.devpi/client")
"""The options that every command has, given so that they change nothing else."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something done on both sides, whose outcome is compared."""

    difference: str = ""
    """The id of the row in docs/differences.md because of which the outcomes are not equal."""
    in_turn: bool = False
    """Whether one side waits for the other: devpi-server serves nobody else while it pushes."""


@dataclass(frozen=True, kw_only=True)
class Run(Step):
    """A program that is run; its exit status and all it prints are compared."""

    program: str
    arguments: tuple[str, ...]
    code: int = 0
    """The exit status that is right; a scenario that does something else than it says is no test."""
    says: str = ""
    """What the output must have in it, for the same reason."""
    input: str = ""
    dialogue: Sequence[tuple[str, str]] = ()
    """Prompts and answers; if there are any, the program runs on a terminal."""
    cwd: str = ""
    """Where it is run, below the home."""
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([f"~/{self.cwd}$" if self.cwd else "$", self.program, *self.arguments])


@dataclass(frozen=True, kw_only=True)
class Put(Step):
    """Something made in the home: what a function does that is told a directory."""

    make: Callable[..., object]
    arguments: tuple[Any, ...]
    into: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return f"({self.make.__name__} {' '.join(map(str, self.arguments))})"


@dataclass(frozen=True, kw_only=True)
class Show(Step):
    """A text file in the home, as a client has left it."""

    path: str

    def __str__(self) -> str:
        return f"(what is in {self.path})"


@dataclass(frozen=True, kw_only=True)
class Received(Step):
    """What has come to `{elsewhere}` since this was last asked."""

    def __str__(self) -> str:
        return "(what was received elsewhere)"


@dataclass(frozen=True, kw_only=True)
class Api(Step):
    """A request made without a client, to prepare what the client is to find; it must succeed."""

    method: str
    path: str
    body: Any = None

    def __str__(self) -> str:
        return f"({self.method} {self.path})"


@dataclass(frozen=True)
class Scenario:
    """Commands of one user, or several, that begin with an empty home and leave a server as they found it."""

    name: str
    steps: Sequence[Step]
    users: Sequence[str] = ("alice",)
    """Users that there are, with the password `NAME-pw-1`."""
    indexes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"alice/dev": {}})
    """Indexes that there are, with their configuration."""
    as_user: str = ""
    """Who is logged in at the beginning."""
    use: str = ""
    """The index in use at the beginning; `/` is the server alone."""
    builds: bool = False
    """Whether files are made whose content is another one each time, so that hashes cannot be compared."""
    left_over: str = ""
    """The id of the listed difference because of which the servers are not left in the same state."""


def run(program: str, *arguments: str, **options: Any) -> Run:
    return Run(program=program, arguments=arguments, **options)


def devpi(*arguments: str, **options: Any) -> Run:
    return run("devpi", *arguments, **options)


def put(make: Callable[..., object], *arguments: Any, into: str = "", **options: Any) -> Put:
    return Put(make=make, arguments=arguments, into=into, options=options)


def text(path: str, content: str) -> Put:
    """A text file in the home."""
    return put(write, path, content)


def write(directory: Path, path: str, content: str) -> None:
    """Writes a file, with the directories above it."""
    file = directory / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def show(path: str, **options: Any) -> Show:
    return Show(path=path, **options)


def received(**options: Any) -> Received:
    return Received(**options)


def api(method: str, path: str, body: Any = None) -> Api:
    return Api(method=method, path=path, body=body)
