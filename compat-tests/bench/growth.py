"""How costs grow with the number of files: ours, on data that `devpi-import` made of generated dumps."""

from __future__ import annotations

import dataclasses
import http.client
import json
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import BIN, ROOT_PASSWORD, server_environment
from upstream import Catalogue, FakeUpstream

from . import data, dump, load, uploads
from .processes import Failed
from .rows import NGINX, OURS, Below, Ratio, Row
from .stage import Stage, remove
from .subjects import Nginx, Ours, Subject

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 10_000)
RELEASES = 10_000
REPEATS = 15
PAGES, UPLOADS, LISTS = 200, 100, 5
LIST_CONNECTIONS = 8
STARTS = 3
NAMES, QUICK_NAMES = 800_000, 50_000


class Grown(Ours):
    """Ours on data that were made beforehand."""

    def __init__(self, directory: Path, work: Path):
        super().__init__(work)
        self.made = directory

    @property
    def serverdir(self) -> Path:
        return self.made

    def ready(self) -> bool:
        try:
            return load.request(self.port, "GET", "/+api").status == 200
        except OSError:
            return False


def place(stage: Stage, size: dump.Size) -> Path:
    """The serverdir with that many files, which is made unless it is there."""
    root = stage.settings.data or stage.settings.work
    serverdir = root / f"grown-{size.projects}-{size.files_each}"
    if not serverdir.exists():
        made = stage.settings.work / "dump"
        started = time.perf_counter()
        dump.write(made, size)
        written = time.perf_counter()
        new = serverdir.with_suffix(".new")
        remove(new)
        _tool("devpi-import", "--serverdir", new, "--no-root-pypi", "--no-events", made)
        # The dump's root has no password that anybody knows.
        _tool("devpi-passwd", "--serverdir", new, "root", given=f"{ROOT_PASSWORD}\n{ROOT_PASSWORD}\n")
        new.rename(serverdir)
        imported = time.perf_counter()
        stage.notes.append(
            f"{size.files:,} files in {size.projects:,} projects: generated in {written - started:.0f} s, "
            f"imported by devpi-import in {imported - written:.0f} s"
        )
        stage.say(stage.notes[-1])
        remove(made)
    return serverdir


def _tool(name: str, *arguments: object, given: str = "") -> None:
    command = [str(BIN / name), *map(str, arguments)]
    done = subprocess.run(
        command, env=server_environment(), input=given, capture_output=True, text=True, timeout=1800
    )
    if done.returncode:
        raise Failed(f"{name}: {done.stdout[-500:]}{done.stderr[-500:]}")


@contextmanager
def grown(stage: Stage, size: dump.Size) -> Iterator[Grown]:
    """A server with that many files, alone on the stage but for nginx."""
    subject = Grown(place(stage, size), stage.settings.work / f"grown-server-{size.files}")
    try:
        yield subject
    finally:
        subject.close()


def alone(stage: Stage, *subjects: Subject) -> Stage:
    """The same stage with other servers."""
    return dataclasses.replace(stage, subjects={subject.name: subject for subject in subjects})


def figures(stage: Stage) -> None:
    """Everything that needs many files, from the smallest to the largest number of them."""
    sizes = QUICK_SIZES if stage.settings.quick else SIZES
    for subject in stage.subjects.values():
        if subject.process:
            subject.process.signal(signal.SIGSTOP)
    try:
        for count in sizes:
            with grown(stage, dump.Size(count // 10)) as subject:
                last = count == sizes[-1]
                starts = [_start(subject) for _ in range(STARTS if last else 1)]
                grow(stage, subject, dump.Size(count // 10))
                if last:
                    title = f"start with {count:,} files until the first answer"
                    stage.row("start", Row(title, "ms", [Below(200)], more_is_better=False))
                    for seconds in starts:
                        stage.rows["start"].add(OURS, 1000 * seconds)
                    project_list(stage, subject, count // 10)
                    memory(stage, subject, count)
        many_releases(stage)
    finally:
        for subject in stage.subjects.values():
            if subject.process:
                subject.process.signal(signal.SIGCONT)


def _start(subject: Grown) -> float:
    subject.close()
    return subject.start()


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that something takes."""
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def grow(stage: Stage, subject: Grown, size: dump.Size) -> None:
    """The times of single requests, one after the other: median milliseconds, by kind."""
    stage.say(f"page, upload, delete and list with {size.files:,} files")
    connection = http.client.HTTPConnection(load.HOST, subject.port, timeout=load.TIMEOUT)

    def read(path: str, expected: str) -> None:
        connection.request("GET", path, headers={**load.IDENTITY, **subject.page("", "json").headers})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or expected.encode() not in body:
            raise Failed(f"GET {path}: {answer.status}, without {expected}")

    chosen = random.Random(size.files).sample(range(size.projects), min(PAGES, size.projects))
    first = [timed(lambda n=n: read(subject.page(size.name(n), "json").path, "-1.9-py3")) for n in chosen]
    stamp = f"{time.time():.0f}"
    new = [data.wheel(f"new-{stamp}-{number}", "1.0") for number in range(UPLOADS)]
    uploaded = uploads.upload(subject, new, clients=1)
    lists = []
    every = subject.project_list("json").path
    for _ in range(LISTS):
        lists.append(timed(lambda: read(every, new[-1].project)))
    deleted = uploads.delete(subject, [f"/{_index(subject)}/{file.project}/1.0" for file in new])
    after = subject.project_list("json")
    left = json.loads(load.get(subject.port, after.path, after.headers).body)["projects"]
    if len(left) < size.projects:
        raise Failed(f"{len(left)} of {size.projects} projects are listed")
    connection.close()
    stage.growth.append(
        {
            "files": size.files,
            "page": statistics.median(first),
            "upload": uploaded.percentile_ms(0.5),
            "delete": deleted.percentile_ms(0.5),
            "list": statistics.median(lists),
        }
    )


def _index(subject: Grown) -> str:
    return subject.upload_path.strip("/")


def project_list(stage: Stage, subject: Grown, projects: int) -> None:
    """The list of all projects, beside nginx."""
    title = f"list of {projects:,} projects, JSON, {LIST_CONNECTIONS} connections"
    stage.row("list", Row(title, "1/s", [Ratio(NGINX, 0.9)]))
    stage.row("list p99", Row(f"{title}: p99", "ms", more_is_better=False))
    if not isinstance(stage.subjects.get(NGINX), Nginx):
        return
    stage.nginx.process.signal(signal.SIGCONT)
    target = subject.project_list("json")
    body = load.get(subject.port, target.path, target.headers).body
    stage.nginx.put(stage.nginx.project_list("json").path, body)

    def measure(measured: Subject) -> dict[str, float]:
        target = measured.project_list("json")
        rate = load.run(
            measured.port,
            target.path,
            connections=LIST_CONNECTIONS,
            seconds=2 * stage.settings.seconds,
            headers=target.headers,
            body=body,
        )
        return {"list": rate.per_second, "list p99": rate.p99}

    alone(stage, subject, stage.nginx).rounds(title, (OURS, NGINX), measure)


def memory(stage: Stage, subject: Grown, files: int) -> None:
    """What it occupies with all these files, and with the names of a large mirror."""
    names = QUICK_NAMES if stage.settings.quick else NAMES
    title = f"memory with {files:,} files and {names:,} names of a mirror"
    stage.row("memory full", Row(title, "MiB", [Below(250)], more_is_better=False))
    stage.say(title)
    with FakeUpstream() as upstream:
        upstream.catalogue = Catalogue(names)
        upstream.list_format, upstream.list_gzip = "negotiated", True
        upstream.prepare()
        mirror = f"/root/mirror{time.time():.0f}"
        subject.call("PUT", mirror, {"type": "mirror", "mirror_url": upstream.url})
        headers = subject.page("", "json").headers
        answer = load.get(subject.port, f"{mirror}/+simple/", headers)
        if len(json.loads(answer.body)["projects"]) != names:
            raise Failed("the list of the mirror is not whole")
    stage.rows["memory full"].add(OURS, subject.process.memory_mib())


def many_releases(stage: Stage) -> None:
    """From an upload's first byte until the page shows it: in a project with very many releases, and in a new one."""
    releases = RELEASES // 10 if stage.settings.quick else RELEASES
    title = f"upload until the page shows it: with {releases:,} releases"
    stage.row("shown", Row(title, "ms", more_is_better=False))
    stage.row("shown new", Row("upload until the page shows it: new project", "ms", more_is_better=False))
    stage.row("shown more", Row("upload until the page shows it: difference", "ms", [Below(20)], more_is_better=False))
    size = dump.Size(1, releases)
    stage.say(title)
    with grown(stage, size) as subject:
        subject.start()
        stamp = f"{time.time():.0f}"
        for number in range(REPEATS):
            many = shown(subject, data.wheel(size.name(0), f"2.{stamp}.{number}"))
            new = shown(subject, data.wheel(f"new-{stamp}-{number}", "1.0"))
            stage.rows["shown"].add(OURS, many)
            stage.rows["shown new"].add(OURS, new)
            stage.rows["shown more"].add(OURS, many - new)


def shown(subject: Ours, file: data.Distribution) -> float:
    """Milliseconds from the begin of an upload until its project's page has it."""
    [message] = uploads.messages(subject, [file])
    target = subject.page(file.project, "json")

    def act() -> None:
        uploads.send_all(subject.port, [iter([message])])
        while file.filename.encode() not in load.request(subject.port, "GET", target.path, target.headers).body:
            pass

    return timed(act)
