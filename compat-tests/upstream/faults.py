"""What goes wrong at a path, and gates that hold requests back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """How the answers of a path differ from what they ought to be; everything that is not said stays right."""

    status: int | None = None
    """Answer this instead, with a short text unless there is a `body`, and without validators."""
    body: bytes | None = None
    """Send this instead: broken JSON, or other bytes than the hash promises. `Content-Length` fits it; neither `Range`
    nor `If-None-Match` is honoured."""
    content_type: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Further headers, or other values; `None` takes one away."""
    delay: float = 0
    """Seconds before the head is sent."""
    chunk_delay: float = 0
    """Seconds before each chunk of the body, hence also before the first."""
    chunk_size: int = 1 << 16
    cut_after: int | None = None
    """The connection is closed after so many bytes of the body; the head announces all of it."""
    content_length: int | None = None
    """Announce this length, and send what there is."""
    drop: bool = False
    """Close the connection without any answer."""
    encoding: Literal["gzip"] | None = None
    """Send the body in this content coding whether the client accepts it or not."""
    no_ranges: bool = False
    """`Range` is not honoured: 200 with everything."""
    no_validators: bool = False
    """No 304, and neither `ETag` nor `Last-Modified`."""
    methods: tuple[str, ...] = ("GET", "HEAD")
    after: int = 0
    """So many requests are answered rightly first."""
    times: int | None = None
    """Then it is gone again; for ever if there is none."""
    gate: Gate | None = None
    """Hold the answer back until the gate opens."""
    gate_after: int | None = None
    """Send the head and so many bytes of the body before that."""


class Gate:
    """Holds requests back until it is opened: made by `FakeUpstream.hold`."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._arrived = threading.Condition()
        self._waiting = 0
        self._sleepers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def release(self) -> None:
        """Open it for good."""
        with self._arrived:
            self._open.set()
            sleepers, self._sleepers = self._sleepers, []
        for loop, future in sleepers:
            loop.call_soon_threadsafe(_finish, future)

    def wait(self, count: int = 1, timeout: float = 30) -> None:
        """Wait until so many requests have come to it; raise `TimeoutError` if they do not come."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._waiting >= count, timeout):
                raise TimeoutError(f"{self._waiting} of {count} requests came to the gate")

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    async def passage(self) -> None:
        """Return when it is open; for the server."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._arrived:
            self._waiting += 1
            self._arrived.notify_all()
            if self._open.is_set():
                return
            self._sleepers.append((loop, future))
        await future


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@dataclass
class Scheduled:
    """A fault with what it has left to do."""

    fault: Fault
    to_come: int
    left: int | None

    @classmethod
    def of(cls, fault: Fault) -> Scheduled:
        """The fault with all of it ahead."""
        return cls(fault, fault.after, fault.times)

    def take(self, method: str) -> Fault | None:
        """The fault if it applies to the next request of that method."""
        if method not in self.fault.methods or self.left == 0:
            return None
        if self.to_come:
            self.to_come -= 1
            return None
        if self.left is not None:
            self.left -= 1
        return self.fault
