"""Two servers, a user with a home for each, and the steps of a scenario done on both sides at once."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from clients import VENVS, Shell, interact
from judge import servers

from . import normalise
from .elsewhere import Elsewhere
from .starter import Starter
from .steps import Api, Put, Received, Run, Scenario, Show, Step

CLIENTS = VENVS / "clients/bin"
SECONDS = 120
ROOT = ("root", "")
JSON = {"Accept": "application/json"}
Result = TypeVar("Result")

_PLACEHOLDER = re.compile(r"\{(server|other|elsewhere|nowhere|home|venvs|url:[^{}]+)\}")
_URL = re.compile(r"http://[^\s\"'<>,#]+")


@dataclass
class Side:
    """One server, and what belongs to it."""

    url: str
    other: str
    nowhere: str
    elsewhere: Elsewhere
    starter: Starter
    wheels: Path
    """Where virtualenv unpacks the pip that it carries, once for all homes."""
    home: Path = Path()
    env: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    """The addresses of files that were printed, by file name."""

    def move_in(self, home: Path) -> None:
        """Begins with an empty home."""
        self.home = home
        shell = Shell(home)
        path = shell.env["PATH"].replace("/clients/bin:", f"/clients/bin:{VENVS / 'tools/bin'}:")
        # Where pip looks when nobody tells it: nothing may come from a public index.
        unless_told = {"PIP_INDEX_URL": f"{self.nowhere}/simple/", "VIRTUALENV_OVERRIDE_APP_DATA": str(self.wheels)}
        self.env = shell.env | unless_told | {"PATH": path}
        self.seen = {}

    def fill(self, text: str) -> str:
        """The text with what this side has for each placeholder."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("url:"):
                return self.seen[name.removeprefix("url:")]
            known = {"server": self.url, "other": self.other, "nowhere": self.nowhere}
            known |= {"elsewhere": self.elsewhere.url, "home": str(self.home), "venvs": str(VENVS)}
            return known[name]

        return _PLACEHOLDER.sub(value, text)

    def plain(self, text: str, scenario: Scenario) -> str:
        """The text without what is this side's alone."""
        names = {str(self.home): "{home}", str(self.wheels): "{wheels}", str(VENVS): "{venvs}"}
        for url, name in (
            (self.url, "server"),
            (self.other, "other"),
            (self.elsewhere.url, "elsewhere"),
            (self.nowhere, "nowhere"),
        ):
            port = url.rpartition(":")[2]
            names |= {url: f"{{{name}}}", f"127.0.0.1:{port}": f"{{{name}:address}}", port: f"{{{name}:port}}"}
        return normalise.normalise(text, names, hashes=not scenario.builds)

    # The steps

    def perform(self, step: Step) -> str:
        """Does a step; gives what came out of it."""
        match step:
            case Run():
                return self._run(step)
            case Put():
                directory = self.home / step.into
                directory.mkdir(parents=True, exist_ok=True)
                arguments = [self.fill(item) if isinstance(item, str) else item for item in step.arguments]
                step.make(directory, *arguments, **step.options)
                return ""
            case Show():
                return (self.home / step.path).read_text()
            case Received():
                return self.elsewhere.take()
            case Api():
                return f"status {self.request(step.method, step.path, json=step.body).status_code}"
        raise TypeError(step)

    def _run(self, step: Run) -> str:
        command = [self.fill(part) for part in (step.program, *step.arguments)]
        env = self.env | {name: self.fill(value) for name, value in step.env.items()}
        if step.dialogue:
            command[0] = str(CLIENTS / command[0])
            status, shown = interact(command, *step.dialogue, env=env)
        elif step.program == "devpi":
            given = self.fill(step.input)
            status, shown = self.starter.run(command[1:], env=env, cwd=self.home / step.cwd, input=given)
        else:
            done = subprocess.run(
                command,
                env=env,
                cwd=self.home / step.cwd,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                timeout=SECONDS,
            )
            status, shown = done.returncode, done.stdout
        self.seen |= {url.rpartition("/")[2]: url for url in _URL.findall(shown)}
        return f"{shown}(exit status {status})"

    # The state of the server

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request as root that must succeed."""
        answer = requests.request(
            method, f"{self.url}/{path.lstrip('/')}", auth=ROOT, headers=JSON, timeout=SECONDS, **options
        )
        assert answer.status_code in (200, 201), f"{method} {answer.url}: {answer.status_code} {answer.text}"
        return answer

    def result(self, path: str) -> Any:
        return self.request("GET", path).json()["result"]

    def indexes(self) -> dict[str, dict[str, Any]]:
        """All indexes, with their configuration."""
        users = self.result("/")
        return {f"{user}/{name}": config for user in users for name, config in users[user]["indexes"].items()}

    def state(self) -> str:
        """All that the server has: users, indexes, releases, links."""
        found: dict[str, Any] = {"/": self.result("/")}
        for index in self.indexes():
            found[index] = self.result(index)
            for project in found[index]["projects"]:
                found[f"{index}/{project}"] = self.result(f"{index}/{project}?ignore_bases=")
        return json.dumps(found, indent=2, sort_keys=True)

    def prepare(self, scenario: Scenario) -> None:
        """Makes the users and indexes that a scenario begins with."""
        for user in scenario.users:
            self.request("PUT", user, json={"password": f"{user}-pw-1"})
        for index, config in scenario.indexes.items():
            self.request("PUT", index, json=dict(config))

    def clean(self) -> None:
        """Removes everybody but root, and all that is theirs."""
        for index, config in self.indexes().items():
            if not config["volatile"]:
                self.request("PATCH", index, json=["volatile=True"])
        for user in self.result("/"):
            if user != "root":
                self.request("DELETE", user)
        self.elsewhere.take()


class Pair:
    """Both sides: devpi-server first, then ours."""

    def __init__(self, sides: tuple[Side, Side], pool: ThreadPoolExecutor):
        self.sides = sides
        self._pool = pool

    def both(self, do: Callable[[Side], Result], *, in_turn: bool = False) -> tuple[Result, Result]:
        """Does something on both sides, at once unless told otherwise."""
        first, second = self.sides
        if in_turn:
            return do(first), do(second)
        theirs, ours = (self._pool.submit(do, side) for side in (first, second))
        return theirs.result(), ours.result()


@contextlib.contextmanager
def running(programs: tuple[servers.Program, servers.Program], directory: Path) -> Iterator[Pair]:
    """A pair of fresh servers; what is shared by all homes of a side goes to the directory."""
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(servers.running(programs, [()] * len(programs)))
        urls = ["http://{}:{}".format(*server.address) for server in started]
        # Bound, so that nobody else takes the port, and not listening, so that nobody answers.
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        sides = []
        for url, other in zip(urls, reversed(urls), strict=True):
            elsewhere = stack.enter_context(Elsewhere())
            own = directory / f"side-{len(sides)}"
            shell = Shell(own)
            starter = Starter(CLIENTS / "python", CLIENTS / "devpi", shell.env, SECONDS)
            sides.append(Side(url, other, nowhere, elsewhere, stack.enter_context(starter), own / "wheels"))
        pool = stack.enter_context(ThreadPoolExecutor(len(sides)))
        yield Pair((sides[0], sides[1]), pool)
