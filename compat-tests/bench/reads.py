"""Figures of reading: pages, conditional requests, metadata, small files and large ones."""

from __future__ import annotations

import signal
import time

from . import downloads, load
from .processes import Failed
from .rows import DEVPI, DEVPI_WEB, NGINX, OURS, PYPIRON, SERVERS, Ratio, Row
from .stage import DEEP, HUGE, HUGE_BYTES, LARGE, SMALL, Stage
from .subjects import DevpiLike, Nginx, Subject, Target

CONNECTIONS = (16, 64, 256)
USUAL_CONNECTIONS = 64
DOWNLOADERS = 4


def load_target(stage: Stage, subject: Subject, target: Target, key: str, connections: int) -> dict[str, float]:
    """Loads an address, whose answers must all be what it was before."""
    body = load.get(subject.port, target.path, target.headers).body
    before = subject.process.processor_seconds()
    rate = load.run(
        subject.port,
        target.path,
        connections=connections,
        seconds=stage.settings.seconds,
        headers=target.headers,
        body=body,
    )
    used = subject.process.processor_seconds() - before
    found = {key: rate.per_second, f"{key} p50": rate.p50, f"{key} p99": rate.p99, f"{key} cpu": 1e6 * used / rate.requests}
    return {name: value for name, value in found.items() if name in stage.rows}


def pages(stage: Stage) -> None:
    """The page of a project with many files, in both forms."""
    for form in ("json", "html"):
        for connections in CONNECTIONS:
            key = f"page {form} {connections}"
            title = f"warm page, 300 files, {form.upper()}, {connections} connections"
            stage.row(key, Row(title, "1/s", [Ratio(NGINX, 1), Ratio(PYPIRON, 1), Ratio(DEVPI, 150)]))
            goals = [Ratio(NGINX, 1), Ratio(PYPIRON, 1)]
            stage.row(f"{key} p50", Row(f"{title}: p50", "ms", more_is_better=False))
            stage.row(f"{key} p99", Row(f"{title}: p99", "ms", goals, more_is_better=False))
            if connections == USUAL_CONNECTIONS:
                stage.row(f"{key} cpu", Row(f"{title}: processor time of the server", "µs each", more_is_better=False))

            def measure(subject: Subject, key=key, form=form, connections=connections) -> dict[str, float]:
                return load_target(stage, subject, subject.page(LARGE, form), key, connections)

            names = [name for name in SERVERS if name in stage.subjects and form in stage.subjects[name].formats]
            stage.rounds(title, names, measure)


def unchanged(stage: Stage) -> None:
    """The answer to somebody who has the page already."""
    title = f"304 on the page, {USUAL_CONNECTIONS} connections"
    stage.row("304", Row(title, "1/s", [Ratio(NGINX, 1)]))
    stage.row("304 p99", Row(f"{title}: p99", "ms", more_is_better=False))
    stage.row("304 cpu", Row(f"{title}: processor time of the server", "µs each", more_is_better=False))

    def measure(subject: Subject) -> dict[str, float]:
        target = subject.page(LARGE, "json")
        etag = load.get(subject.port, target.path, target.headers).headers["ETag"]
        if not etag:
            raise Failed("the page has no ETag")
        headers = {**target.headers, "If-None-Match": etag}
        before = subject.process.processor_seconds()
        rate = load.run(
            subject.port,
            target.path,
            connections=USUAL_CONNECTIONS,
            seconds=stage.settings.seconds,
            headers=headers,
            status=304,
            body=b"",
        )
        used = subject.process.processor_seconds() - before
        return {"304": rate.per_second, "304 p99": rate.p99, "304 cpu": 1e6 * used / rate.requests}

    stage.rounds(title, (OURS, NGINX, PYPIRON), measure)


def metadata(stage: Stage) -> None:
    """The metadata beside a wheel."""
    title = f".metadata, {USUAL_CONNECTIONS} connections"
    stage.row("metadata", Row(title, "1/s", [Ratio(NGINX, 1)]))
    stage.row("metadata p99", Row(f"{title}: p99", "ms", more_is_better=False))

    def measure(subject: Subject) -> dict[str, float]:
        target = Target(f"{file_path(stage, subject, SMALL)}.metadata")
        return load_target(stage, subject, target, "metadata", USUAL_CONNECTIONS)

    stage.rounds(title, (OURS, NGINX, PYPIRON, DEVPI, DEVPI_WEB), measure)


def inherited(stage: Stage) -> None:
    """The page of an index that has five levels of bases, each with files of the project."""
    title = f"page over 5 levels of bases, 300 files, {USUAL_CONNECTIONS} connections"
    stage.row("bases", Row(title, "1/s", [Ratio(NGINX, 1)]))
    stage.row("bases p99", Row(f"{title}: p99", "ms", more_is_better=False))

    def measure(subject: Subject) -> dict[str, float]:
        assert isinstance(subject, DevpiLike | Nginx)
        return load_target(stage, subject, subject.deep_page(DEEP, "json"), "bases", USUAL_CONNECTIONS)

    stage.rounds(title, (OURS, NGINX, DEVPI, DEVPI_WEB), measure)


def small_file(stage: Stage) -> None:
    """A small wheel."""
    title = f"small file (17 kB), {USUAL_CONNECTIONS} connections"
    stage.row("small", Row(title, "1/s", [Ratio(NGINX, 0.9)]))
    stage.row("small p99", Row(f"{title}: p99", "ms", more_is_better=False))
    stage.row("small cpu", Row(f"{title}: processor time of the server", "µs each", [Ratio(NGINX, 0.9)], False))

    def measure(subject: Subject) -> dict[str, float]:
        return load_target(stage, subject, Target(file_path(stage, subject, SMALL)), "small", USUAL_CONNECTIONS)

    stage.rounds(title, SERVERS, measure)


def large_file(stage: Stage) -> None:
    """A large wheel."""
    title = f"100 MB file, {DOWNLOADERS} connections"
    stage.row("huge", Row(title, "MB/s", [Ratio(NGINX, 0.9)]))
    stage.row("huge cpu", Row(f"{title}: processor time of the server", "s per GB", [Ratio(NGINX, 0.9)], False))
    content = next((stage.settings.work / "files").glob(f"{HUGE}-*"))
    each = 2 if stage.settings.quick else 4

    def measure(subject: Subject) -> dict[str, float]:
        path = file_path(stage, subject, HUGE)
        before, started = subject.process.processor_seconds(), time.perf_counter()
        length = downloads.download(subject.port, path, content, connections=DOWNLOADERS, each=each)
        seconds = time.perf_counter() - started
        used = subject.process.processor_seconds() - before
        return {"huge": length / 1e6 / seconds, "huge cpu": used / (length / 1e9)}

    assert content.stat().st_size > HUGE_BYTES
    stage.rounds(title, SERVERS, measure)


def file_path(stage: Stage, subject: Subject, project: str) -> str:
    """The path of the only file of a project; nginx has it where ours has it."""
    asked = stage.ours if isinstance(subject, Nginx) else subject
    if (asked.name, project) not in _paths:
        asked.process.signal(signal.SIGCONT)
        [_paths[asked.name, project]] = asked.files(project).values()
    return _paths[asked.name, project]


_paths: dict[tuple[str, str], str] = {}
"""What was found once, by server and project."""
