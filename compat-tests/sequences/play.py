"""Runs a sequence on a pair of servers, comparing each pair of answers and at the end all that can be seen."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from judge import servers
from judge.compare import Outcome, Side, Verdict
from judge.exchange import TIMEOUT_SECONDS, Answer, Request
from judge.steps import Step

from . import look, requests, verdict
from .names import Operation, placed

_RESULT = re.compile(r"/?([^/\s\"]+/[^/\s\"]+/\+f/\w{3}/\w{13}/[^/\s\"#]+\.toxresult-)(\d{14})(-\d+)")
_FILE = re.compile(r"(?<![.\w])[a-z]+\d+/\w+/\+f/\w{3}/\w{13}/[^/\s\"'#<>]+(?:<time>-\d+)?")
_LAST = re.compile(r"(.*\.toxresult-<time>-)last(.*)")


@dataclass
class Client:
    """Speaks to one server on one connection that is kept open; what the judge's sides need of a server."""

    server: servers.Server
    serial: int = -1
    connection: socket.socket | None = None

    @property
    def program(self) -> servers.Program:
        """The program that is spoken to."""
        return self.server.program

    def send(self, request: Request) -> tuple[Answer, bool]:
        """Exchange one request; also tells whether the serial rose."""
        answer = self._exchange(request)
        before, serial = self.serial, answer.header("x-devpi-serial")
        self.serial = int(serial) if serial is not None else before
        return answer, self.serial > before

    def _exchange(self, request: Request) -> Answer:
        if self.connection is not None:
            # The server may have closed it in the meantime; it has not seen the request then.
            with contextlib.suppress(ConnectionError, http.client.RemoteDisconnected):
                return self._send(self.connection, request)
            self.close()
        self.connection = socket.create_connection(self.server.address, timeout=TIMEOUT_SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._send(self.connection, request)

    def _send(self, connection: socket.socket, request: Request) -> Answer:
        connection.sendall(request.encode())
        with contextlib.closing(http.client.HTTPResponse(connection, method=request.method)) as response:
            response.begin()
            body = response.read()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            if response.will_close:
                self.close()
            return Answer(response.status, response.reason, headers, body)

    def close(self) -> None:
        """Let go of the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@dataclass
class Disagreement:
    """Where a sequence made the two servers differ."""

    position: int
    """Of the operation in the sequence; its length if the final look found it."""
    outcome: Outcome

    @property
    def signature(self) -> tuple[str, ...]:
        """What kind of disagreement it is."""
        return verdict.signature(self.outcome)


@dataclass
class Played:
    """What came of a sequence."""

    outcomes: list[Outcome] = field(default_factory=list)
    """Of all requests."""
    accepted: list[bool | None] = field(default_factory=list)
    """For each operation whether devpi accepted it; nothing for one that is no request."""
    disagreement: Disagreement | None = None
    parted: bool = False
    """Whether it was left since devpi kept half of a refused operation."""


Alter = Callable[[Operation], Operation]


class Table:
    """A pair of servers to play many sequences on."""

    def __init__(self, pair: Sequence[servers.Server], *, same_program: bool = False) -> None:
        self.same_program = same_program
        self._clients = [Client(server) for server in pair]
        self._sides = [Side(client, {}) for client in self._clients]
        self._pool = ThreadPoolExecutor(len(pair))
        self._numbers = itertools.count(1)

    def play(self, sequence: Sequence[Operation], alter: Alter | None = None) -> Played:
        """Run a sequence under names of its own. `alter` changes what the second server is asked, as a test of us."""
        run = _Run(self, next(self._numbers), alter or (lambda operation: operation))
        return run.play(sequence)

    def ask(self, steps: tuple[Step, Step]) -> tuple[tuple[Answer, bool], tuple[Answer, bool]]:
        """Ask both servers at once."""
        theirs, ours = self._pool.map(lambda pair: pair[0].ask(pair[1]), zip(self._sides, steps, strict=True))
        return theirs, ours

    def close(self) -> None:
        """Let go of the servers."""
        self._pool.shutdown()
        for client in self._clients:
            client.close()


@contextlib.contextmanager
def table(programs: Sequence[servers.Program], *, same_program: bool = False) -> Iterator[Table]:
    """A fresh pair of servers to play on."""
    with servers.running(programs, [()] * len(programs)) as pair, contextlib.closing(Table(pair, same_program=same_program)) as ready:
        yield ready


class _Run:
    """One sequence under way."""

    def __init__(self, table: Table, number: int, alter: Alter) -> None:
        self.table = table
        self.number = number
        self.alter = alter
        self.played = Played()
        # Names of test results have the time in them: for each server, where those lie that it told of.
        self.results: tuple[dict[str, str], dict[str, str]] = ({}, {})
        # The files that devpi ever told of, in that order. They must agree even when they are gone.
        self.files: dict[str, None] = {}

    def play(self, sequence: Sequence[Operation]) -> Played:
        """Run all operations and then look, until something differs."""
        for position, operation in enumerate([*sequence, {"do": "look"}]):
            last = len(self.played.outcomes)
            if operation["do"] == "look":
                look.look(self.number, self.files, self.ask)
                accepted = None
            else:
                steps = [requests.step(placed(asked, self.number)) for asked in (operation, self.alter(operation))]
                accepted = self.ask(*steps).status < 400
            if position < len(sequence):
                self.played.accepted.append(accepted)
            for outcome in self.played.outcomes[last:]:
                if outcome.verdict is Verdict.DISAGREE:
                    self.played.disagreement = Disagreement(position, outcome)
                    return self.played
                if verdict.parted(outcome):
                    self.played.parted = True
                    return self.played
        return self.played

    def ask(self, their_step: Step, our_step: Step | None = None) -> Answer:
        """Ask both and judge; gives devpi's answer."""
        steps = (self._found(their_step, 0), self._found(our_step or their_step, 1))
        (theirs, they_rose), (ours, we_rose) = self.table.ask(steps)
        for answer, results in zip((theirs, ours), self.results, strict=True):
            results |= {f"{found[1]}<time>{found[3]}": found[2] for found in _RESULT.finditer(answer.text())}
        self.files |= dict.fromkeys(_FILE.findall(verdict.without_times(theirs).text()))
        rose = (they_rose, we_rose)
        outcome = verdict.judge(their_step, theirs, ours, rose, same_program=self.table.same_program)
        self.played.outcomes.append(outcome)
        return theirs

    def _found(self, step: Step, side: int) -> Step:
        """The step with the real path of a test result."""
        path = step.path
        if ".toxresult-" not in path:
            return step
        if match := _LAST.fullmatch(path):
            # By what devpi told, so that both are asked for the same one.
            known = [key for key in self.results[0] if f"/{key}".startswith(match[1])]
            path = f"/{known[-1]}{match[2]}" if known else f"{match[1]}0{match[2]}"
        key = path.removeprefix("/").partition("?")[0]
        return replace(step, path=path.replace("<time>", self.results[side].get(key, "0")))
