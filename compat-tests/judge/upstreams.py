"""The fake upstreams, one for each server, and what was asked of them.

In scenarios and in facts an upstream is called `upstream.example`, and `other.example` by its other name: the addresses
take their places in requests, and they those of the addresses in answers.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upstream import FakeUpstream, Recorded

from .exchange import Answer
from .steps import Act

Facts = dict[str, Any]

UPSTREAM, OTHER = "upstream.example", "other.example"
LIST = "upstream:GET /simple/"
IDLE_SECONDS = 30.0

COMPARED = ("accept", "authorization", "range")
"""Headers of requests to the upstream whose values are compared."""
PRESENT = ("if-none-match",)
"""Those that are there or not."""
EXPECTED = {
    *COMPARED, *PRESENT, "host", "user-agent", "accept-encoding", "connection", "if-range", "if-modified-since",
}  # fmt: skip
"""Those that may be there; others would come from the clients."""


@dataclass
class Upstream:
    """The upstream of one server."""

    fake: FakeUpstream

    def inward(self, text: str) -> str:
        """What is written in a scenario, with the addresses."""
        for name, host, port in self._names():
            # Mirrors also write a host into the paths of files without a hash.
            text = text.replace(f"_{name}_", f"_{host}_{port}_").replace(name, f"{host}:{port}")
        return text

    def answer(self, answer: Answer) -> Answer:
        """The answer without the addresses, and with what was asked until everything was quiet again."""
        self.fake.wait_until_idle(IDLE_SECONDS)
        headers = tuple((name, self._outward(value.encode()).decode()) for name, value in answer.headers)
        return replace(answer, headers=headers, body=self._outward(answer.body), asked=tuple(self.fake.take()))

    def _outward(self, content: bytes) -> bytes:
        for name, host, port in self._names():
            for address in (f"{host}:{port}", f"{host}_{port}"):
                content = content.replace(address.encode(), name.encode())
        return content

    def _names(self) -> Iterator[tuple[str, str, int]]:
        yield UPSTREAM, "127.0.0.1", self.fake.port
        yield OTHER, "localhost", self.fake.port


@contextlib.contextmanager
def prepared(acts: Sequence[Act]) -> Iterator[Upstream]:
    """An upstream that listens, after what the acts say."""
    with FakeUpstream() as fake:
        # devpi forgets what is in a list that has not changed.
        fake.list_etag = None
        for act in acts:
            if act.upstream is not None:
                act.upstream(fake)
        yield Upstream(fake)


def facts(requests: Sequence[Recorded]) -> Facts:
    """How often each path was asked for, and with which headers; of several requests with all values there were."""
    found: Facts = dict(Counter(_key(request) for request in requests))
    if LIST in found:
        # devpi reads the list as often as its threads happen to find it expired.
        found[LIST] = "asked"
    values: dict[str, dict[Any, None]] = {}
    for request in requests:
        for name, value in _headers(request).items():
            values.setdefault(f"{_key(request)}:{name}", {})[value] = None
    return found | {key: _one_or_all(tuple(different)) for key, different in values.items()}


def is_list(key: str) -> bool:
    """Whether a fact is about the project list."""
    return key == LIST or key.startswith(f"{LIST}:")


def asks_less(theirs: Any, ours: Any) -> bool:
    """Whether ours asked for something too, but not as often; devpi asks again and again for one answer.

    Then theirs are also all the values that a header had.
    """
    if isinstance(theirs, tuple):
        return ours in theirs
    return isinstance(theirs, int) and isinstance(ours, int) and 0 < ours < theirs


def _key(request: Recorded) -> str:
    return f"upstream:{request.method} {request.target}"


def _headers(request: Recorded) -> Facts:
    found: Facts = {name: request.header(name) for name in COMPARED}
    found |= {name: "present" if request.header(name) else None for name in PRESENT}
    return found | {"others": tuple(sorted({name for name, _ in request.headers} - EXPECTED))}


def _one_or_all(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values
