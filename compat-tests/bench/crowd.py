"""Figures of many connections, most of which do nothing, and of memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from . import load
from .processes import Failed
from .rows import DEVPI, DEVPI_WEB, NGINX, OURS, PYPIRON, SERVERS, Below, Row
from .stage import SMALL, Stage
from .subjects import Subject

IDLE, ACTIVE = 10_000, 200
AT_ONCE = 200


def connections(stage: Stage) -> None:
    """Many idle connections and some that work."""
    title = f"{IDLE:,} idle connections, {ACTIVE} active, page of one file"
    stage.row("crowd", Row(title, "1/s"))
    stage.row("crowd p99", Row(f"{title}: p99", "ms", [Below(50)], more_is_better=False))
    stage.row("crowd refused", Row(f"{title}: refused", "connections", [Below(1)], more_is_better=False))
    stage.row("crowd memory", Row(f"{title}: memory", "MiB", more_is_better=False))

    def measure(subject: Subject) -> dict[str, float]:
        target = subject.page(SMALL, "json")
        if subject.name == NGINX:
            subject.put(target.path, (subject.tree / subject.simple_path().strip("/") / SMALL / "index.json").read_bytes())
        with idle_connections(subject, target.path) as idle:
            body = load.get(subject.port, target.path, target.headers).body
            rate = load.run(
                subject.port,
                target.path,
                connections=ACTIVE,
                seconds=2 * stage.settings.seconds,
                headers=target.headers,
                body=body,
            )
            refused = IDLE - len(idle) + sum(1 for connection in idle if ended(connection))
            memory = subject.process.memory_mib()
        return {"crowd": rate.per_second, "crowd p99": rate.p99, "crowd refused": refused, "crowd memory": memory}

    stage.rounds(title, (OURS, NGINX, PYPIRON), measure, rounds=min(3, stage.settings.rounds))


@contextmanager
def idle_connections(subject: Subject, path: str) -> Iterator[list[socket.socket]]:
    """Connections that have each asked for something once and then stay."""
    request = f"GET {path} HTTP/1.1\r\nHost: {load.HOST}\r\n\r\n".encode()
    opened: list[socket.socket] = []

    def one() -> None:
        connection = socket.create_connection((load.HOST, subject.port), 10)
        opened.append(connection)
        connection.sendall(request)

    try:
        for start in range(0, IDLE, AT_ONCE):
            try:
                for _ in range(AT_ONCE):
                    one()
                for connection in opened[start:]:
                    if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                        raise Failed(f"{path}: no page on one of {len(opened)} connections")
            except OSError:
                break
        for connection in opened:
            connection.setblocking(False)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def ended(connection: socket.socket) -> bool:
    """Whether the server has closed it."""
    try:
        while piece := connection.recv(65536):
            del piece
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def idle_memory(stage: Stage) -> None:
    """What each occupied before it had anything to serve."""
    stage.row("memory idle", Row("memory, idle", "MiB", [Below(25)], more_is_better=False))
    stage.row("memory login", Row("memory, idle after a login with a password", "MiB", more_is_better=False))
    for (when, name), value in stage.memory.items():
        if when == "idle" or name in (OURS, DEVPI, DEVPI_WEB):
            stage.rows[f"memory {when}"].add(name, value)


def final_memory(stage: Stage) -> None:
    """What each occupies after all of this."""
    stage.row("memory after", Row("memory, after all of this", "MiB", [Below(150)], more_is_better=False))
    for name in SERVERS:
        subject = stage.subjects.get(name)
        if subject and subject.process:
            stage.rows["memory after"].add(name, subject.process.memory_mib())


