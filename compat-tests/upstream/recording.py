"""What was asked of the upstream."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Recorded:
    """One request; header names in lower case, in the order they came."""

    method: str
    target: str
    """Path and query as they were sent."""
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    connection: int = 0
    """The number of the connection, counted from 1."""
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    """When the answer had been sent, or the connection was lost."""
    status: int | None = None
    """What was answered; none if the connection was dropped first."""
    sent: int = 0
    """Bytes of the body."""

    @property
    def path(self) -> str:
        """The target without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """All values of a header joined by commas, or nothing."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None


class Recording:
    """Requests in order, and how many were under way at once; to be used by many threads."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._changed = threading.Condition()
        self._requests: list[Recorded] = []
        self._counts: Counter[str] = Counter()
        self._active: Counter[str] = Counter()
        self._most: Counter[str] = Counter()

    def begin(self, request: Recorded) -> None:
        """A request has come in."""
        with self._changed:
            if self._keep:
                self._requests.append(request)
            self._counts[request.path] += 1
            self._active[request.path] += 1
            self._most[request.path] = max(self._most[request.path], self._active[request.path])
            self._changed.notify_all()

    def end(self, request: Recorded) -> None:
        """It has been answered, or is lost."""
        with self._changed:
            request.ended = time.monotonic()
            self._active[request.path] -= 1
            self._changed.notify_all()

    def requests(self) -> list[Recorded]:
        """A copy of all."""
        with self._changed:
            return list(self._requests)

    def take(self) -> list[Recorded]:
        """All, which are then forgotten; what was counted as well."""
        with self._changed:
            taken, self._requests = self._requests, []
            self._counts.clear()
            self._most = Counter({path: active for path, active in self._active.items() if active})
            return taken

    def count(self, path: str | None) -> int:
        """How many came for a path, or in all."""
        with self._changed:
            return self._counts[path] if path is not None else sum(self._counts.values())

    def counts(self) -> dict[str, int]:
        """How many came for each path."""
        with self._changed:
            return dict(self._counts)

    def most_at_once(self, path: str) -> int:
        """The largest number of requests for the path that were under way at the same time."""
        with self._changed:
            return self._most[path]

    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        with self._changed:
            return not any(self._active.values())

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Wait for something that becomes true with a request or an answer."""
        with self._changed:
            # The lock of a Condition is reentrant, hence the condition may ask us.
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"waited {timeout:g} s in vain: {what}")
