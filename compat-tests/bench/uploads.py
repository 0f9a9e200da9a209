"""Uploads over keep-alive connections: bodies made beforehand, one loop over all sockets, each answer looked at."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from . import data, load
from .processes import Failed
from .subjects import Subject

PATIENCE = 120.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def whole(received: bytes) -> bool:
    """Whether this is a whole answer."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    head = b"\r\n" + head
    if length := _LENGTH.search(head):
        return len(body) >= int(length[1])
    if _CHUNKED.search(head):
        return body.endswith(b"0\r\n\r\n")
    # Only the end of the connection is the end of the answer.
    return b" 204 " in head or b" 304 " in head


@dataclass
class Done:
    """What a run of requests found, in seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile_ms(self, part: float) -> float:
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class _Connection:
    """One client: sends a request, reads the answer, sends the next."""

    def __init__(self, port: int, selector: selectors.BaseSelector):
        self.port = port
        self.selector = selector
        self.socket: socket.socket | None = None

    def send(self, message: bytes) -> None:
        if self.socket is None:
            self.socket = socket.create_connection((load.HOST, self.port), PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(self.socket, selectors.EVENT_READ, self)
        self.received = b""
        self.message = message
        self.sent_at = time.perf_counter()
        self.socket.sendall(message)

    def receive(self) -> bytes | None:
        """A whole answer, if it has arrived."""
        piece = self.socket.recv(65536)
        self.received += piece
        done = whole(self.received)
        if not piece and not done:
            head = self.received.partition(b"\r\n\r\n")[0]
            if not self.received or _LENGTH.search(b"\r\n" + head):
                raise Failed(f"the connection ended within an answer: {self.received[:200]!r}")
            done = True
        if not done:
            return None
        if not piece or _CLOSE.search(self.received.partition(b"\r\n\r\n")[0]):
            self.close()
        return self.received

    def close(self) -> None:
        if self.socket is not None:
            self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


def send_all(
    port: int, queues: Sequence[Iterator[bytes]], *, seconds: float = PATIENCE, statuses: Sequence[int] = (200,)
) -> Done:
    """Each connection sends the requests of its queue one after the other, until they or the time are at an end."""
    done = Done(0)
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        end = started + seconds
        busy = 0
        for queue in queues:
            message = next(queue, None)
            if message is not None:
                connection = _Connection(port, selector)
                connection.queue = queue
                connection.send(message)
                busy += 1
        last = started
        while busy:
            events = selector.select(PATIENCE)
            if not events:
                raise Failed(f"no answer in {PATIENCE:.0f} s")
            for key, _ in events:
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                last = time.perf_counter()
                status = _STATUS.match(answer)
                if not status or int(status[1]) not in statuses:
                    raise Failed(f"{connection.message[:60]!r}: {answer[:300]!r}")
                done.latencies.append(last - connection.sent_at)
                message = next(connection.queue, None) if last < end else None
                if message is None:
                    connection.close()
                    busy -= 1
                else:
                    connection.send(message)
        done.seconds = last - started
    return done


def messages(subject: Subject, distributions: Sequence[data.Distribution]) -> list[bytes]:
    """Whole upload requests."""
    authorization = subject.authorization()
    found = []
    for distribution in distributions:
        body = distribution.form()
        found.append(data.upload_head(subject.upload_path, authorization, len(body)) + body)
    return found


def upload(subject: Subject, distributions: Sequence[data.Distribution], clients: int = 8) -> Done:
    """Uploads all of these."""
    ready = messages(subject, distributions)
    return send_all(subject.port, [iter(ready[number::clients]) for number in range(clients)])


def upload_large(subject: Subject, file: data.LargeFile) -> float:
    """Uploads a file from disk without copying it through this process; gives the seconds until the answer."""
    head, tail = file.form_around()
    length = len(head) + file.path.stat().st_size + len(tail)
    first = data.upload_head(subject.upload_path, subject.authorization(), length) + head
    with socket.create_connection((load.HOST, subject.port), 600) as connection, file.path.open("rb") as content:
        started = time.perf_counter()
        connection.sendall(first)
        connection.sendfile(content)
        connection.sendall(tail)
        received = b""
        while not whole(received):
            piece = connection.recv(65536)
            received += piece
            if not piece:
                break
        seconds = time.perf_counter() - started
    status = _STATUS.match(received)
    if not status or status[1] != b"200":
        raise Failed(f"{subject.name}: upload of {file.path.name}: {received[:300]!r}")
    return seconds


def delete(subject: Subject, paths: Sequence[str]) -> Done:
    """Deletes these one after the other, on one connection."""
    lines = [f"{name}: {value}\r\n" for name, value in subject.authorization().items()]
    head = "".join(["HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Length: 0\r\n", *lines, "\r\n"])
    requests = [f"DELETE {path} {head}".encode() for path in paths]
    return send_all(subject.port, [iter(requests)], statuses=(200, 201))
