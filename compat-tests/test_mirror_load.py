"""A mirror under load: one upstream request whatever the number of clients, memory that stays small, and power cuts.

Everything runs on this machine against a fake upstream. MIRROR_FILE_MIB sets the size of the file that two hundred
clients ask for at once (24 by default), MIRROR_NAMES the number of projects in the long list (800,000 by default).
Times are printed and not asserted: run with ``-s`` to see them.
"""

import hashlib
import http.client
import os
import re
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from harness import DEADLINE, Index, Server, wait_until
from memory import Growth
from upstream import Catalogue, FakeUpstream, File, Generated, Project

KIB, MIB = 1024, 1024 * 1024
FILE_MIB = int(os.environ.get("MIRROR_FILE_MIB", "24"))
NAMES = int(os.environ.get("MIRROR_NAMES", "800000"))

CLIENTS_OF_A_FILE = 200
FILE_MEMORY_MIB = 50
NAMES_MEMORY_MIB = 120 * max(NAMES, 200_000) / 800_000
HASHED = 4
"""How many of the clients also hash what they get."""

JSON_PAGE = "application/vnd.pypi.simple.v1+json"

pytestmark = pytest.mark.ours


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """An upstream of the test's own."""
    with FakeUpstream() as upstream:
        yield upstream


def mirror_of(server: Server, upstream: FakeUpstream, **settings: object) -> Index:
    """A new mirror of the upstream, of a new user."""
    return server.new_index("mirror", type="mirror", mirror_url=upstream.url, **settings)


# Many clients in one process


@dataclass
class Client:
    """One client with a connection of its own, its request, and what has come back."""

    path: str
    expected: bytes | None = field(default=None, repr=False)
    """What the body must be; it is then compared as it comes, and not kept."""
    hashed: bool = False

    connection: socket.socket = field(init=False, repr=False)
    head: bytes = field(default=b"", repr=False)
    status: int = 0
    announced: int = -1
    received: int = 0
    right: bool = True
    """Whether all that came so far is what was expected."""
    body: bytearray = field(default_factory=bytearray, repr=False)
    digest: object = field(default_factory=hashlib.sha256, repr=False)

    def ask(self, port: int) -> None:
        """Connects and sends the request."""
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.connection.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: pip/26.3\r\n"
            f"Accept: {JSON_PAGE}, */*;q=0.1\r\nConnection: close\r\n\r\n".encode()
        )
        self.connection.setblocking(False)

    def take(self, buffer: memoryview) -> bool:
        """Takes what has arrived; false when that was the end."""
        try:
            count = self.connection.recv_into(buffer)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        data = buffer[:count]
        if count and not self.status:
            self.head += data
            head, separator, rest = self.head.partition(b"\r\n\r\n")
            if not separator:
                return True
            self._read_head(head)
            data = memoryview(rest)
        if len(data):
            self._take_body(data)
        return count > 0

    def _read_head(self, head: bytes) -> None:
        self.head = head
        self.status = int(head.split(maxsplit=2)[1])
        if length := re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE):
            self.announced = int(length[1])

    def _take_body(self, data: memoryview) -> None:
        if self.expected is None:
            self.body += data
        else:
            # This compares memory with memory, which costs less than any checksum.
            self.right = self.right and self.expected.startswith(data, self.received)
        if self.hashed:
            self.digest.update(data)
        self.received += len(data)

    @property
    def whole(self) -> bool:
        """Whether the answer is a success with the length that it announced, and with the expected bytes."""
        length = self.announced if self.expected is None else len(self.expected)
        return self.status == 200 and self.right and self.received == self.announced == length


def ask_all(port: int, clients: Sequence[Client], *, asked: Callable[[], None] = lambda: None) -> None:
    """Lets all clients ask, calls ``asked``, and only then reads all answers to their ends."""
    buffer = memoryview(bytearray(256 * KIB))
    end = time.monotonic() + 4 * DEADLINE
    with selectors.DefaultSelector() as selector:
        try:
            for client in clients:
                client.ask(port)
                selector.register(client.connection, selectors.EVENT_READ, client)
            asked()
            while selector.get_map():
                assert time.monotonic() < end, f"{len(selector.get_map())} clients still wait for the end of an answer"
                for key, _ in selector.select(1):
                    if not key.data.take(buffer):
                        selector.unregister(key.fileobj)
                        key.data.connection.close()
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()


# One large file, many clients


def large_file(mib: int) -> tuple[File, bytes]:
    """A source archive of that size, and its content."""
    content = Generated(mib * MIB + 12_345)
    return File("large-1.0.tar.gz", content), bytes(content)


@dataclass
class LargeDownload:
    """What came of many downloads of one file that nobody had yet."""

    seconds: float
    growth_mib: float
    clients: list[Client]
    upstream_requests: int


def download_by_all(server: Server, upstream: FakeUpstream, clients: int, mib: int) -> LargeDownload:
    """Has many clients download one file at once, which the upstream begins to send when all of them have asked."""
    file, content = large_file(mib)
    upstream.add(Project("large", [file]))
    upstream.add(Project("small", [File("small-1.0.tar.gz", b"small")]))
    mirror = mirror_of(server, upstream)
    # A process that has done each thing once is what has to stay small.
    server.restart()
    server.files(mirror, "small")
    path = server.simple(mirror, "large")[file.filename]["url"].removeprefix(server.url)

    crowd = [Client(path, content, hashed=number < HASHED) for number in range(clients)]
    growth = Growth(server)
    with upstream.hold(file.path) as gate:

        def all_asked() -> None:
            gate.wait()
            gate.release()

        started = time.monotonic()
        ask_all(server.port, crowd, asked=all_asked)
        seconds = time.monotonic() - started
    return LargeDownload(seconds, growth.most(), crowd, upstream.count(file.path))


def test_many_clients_of_one_new_file(new_server: Callable[..., Server], upstream: FakeUpstream) -> None:
    """Two hundred clients ask at once for a file that is not there yet: one upstream request, and all get all of it.

    Every byte of every client is compared with the content; a few clients hash what they got, too. The server's memory
    is the peak of its resident set over that before the first of them asked.
    """
    server = new_server().start()
    done = download_by_all(server, upstream, CLIENTS_OF_A_FILE, FILE_MIB)
    print(
        f"{CLIENTS_OF_A_FILE} clients, {FILE_MIB} MiB each: {done.seconds:.1f} s, "
        f"{CLIENTS_OF_A_FILE * FILE_MIB / done.seconds:.0f} MiB/s, memory +{done.growth_mib:.1f} MiB"
    )
    assert [client for client in done.clients if not client.whole][:3] == []
    expected = hashlib.sha256(done.clients[0].expected).hexdigest()
    assert {client.digest.hexdigest() for client in done.clients[:HASHED]} == {expected}
    assert done.upstream_requests == 1
    assert done.growth_mib < FILE_MEMORY_MIB


# Very many names


@dataclass
class Names:
    """What a long list of projects costs."""

    list_seconds: float
    """From the upstream's last byte to the end of the first answer."""
    again_seconds: float
    has_project_ms: float
    """The median of one question for a project that is not there."""
    peak_mib: float
    growth_mib: float


def listed_names(server: Server, index: Index, *, stale: bool | None = None) -> set[str]:
    """All names on the list of projects."""
    answer = server.request("GET", f"/{index.name}/+simple/", headers={"Accept": JSON_PAGE})
    assert answer.status_code == 200, answer.text[:1000]
    if stale is not None:
        assert ("X-Wheelhouse-Stale-Since" in answer.headers) == stale, answer.headers
    projects = answer.json()["projects"]
    names = {project["name"] for project in projects}
    assert len(names) == len(projects)
    return names


def expect_all(names: set[str], catalogue: Catalogue) -> None:
    """All names of the catalogue and no others; says which, but not all of them."""
    expected = set(catalogue.names())
    assert (sorted(expected - names)[:3], sorted(names - expected)[:3]) == ([], [])


def questions(server: Server, index: Index, count: int) -> list[float]:
    """Asks for so many pages of projects that are not there, and gives how long each answer took, in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    taken = []
    for number in range(count):
        started = time.perf_counter()
        connection.request("GET", f"/{index.name}/+simple/nobody-has-{number}/", headers={"Accept": JSON_PAGE})
        answer = connection.getresponse()
        answer.read()
        taken.append(time.perf_counter() - started)
        assert answer.status == 404
    connection.close()
    return taken


def warm_up(server: Server) -> None:
    """Has the server list a small mirror, so that the memory of the program itself does not count."""
    with FakeUpstream(Project("small", [File("small-1.0.tar.gz", b"small")])) as upstream:
        mirror = mirror_of(server, upstream)
        server.restart()
        assert listed_names(server, mirror) == {"small"}
        assert server.files(mirror, "small")
        questions(server, mirror, 10)


def list_all_names(server: Server, upstream: FakeUpstream, mirror: Index, catalogue: Catalogue) -> Names:
    """Reads the long list for the first time and once more, and asks for single names."""
    warm_up(server)
    growth = Growth(server)
    answer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=4 * DEADLINE)
    answer.request("GET", f"/{mirror.name}/+simple/", headers={"Accept": JSON_PAGE})
    response = answer.getresponse()
    length = len(response.read())
    ended = time.monotonic()
    answer.close()
    assert response.status == 200
    assert length > 10 * catalogue.projects
    [request] = upstream.requests_for("/simple/")
    list_seconds = ended - request.ended
    started = time.monotonic()
    names = listed_names(server, mirror)
    again_seconds = time.monotonic() - started
    expect_all(names, catalogue)
    asked = upstream.count(None)
    taken = questions(server, mirror, 500)
    assert upstream.count(None) == asked
    return Names(list_seconds, again_seconds, 1000 * statistics.median(taken), growth.most(), growth.now())


def publish_names(upstream: FakeUpstream, count: int) -> Catalogue:
    """Gives the upstream so many projects, and has it make their list."""
    catalogue = upstream.catalogue = Catalogue(count)
    upstream.list_format, upstream.list_gzip = "negotiated", True
    upstream.prepare()
    return catalogue


def test_very_many_names(new_server: Callable[..., Server], upstream: FakeUpstream) -> None:
    """The list fits into little memory, names are looked up without a request, and a restart forgets nothing."""
    catalogue = publish_names(upstream, NAMES)
    server = new_server("--request-timeout", 30).start()
    mirror = mirror_of(server, upstream)
    stage = server.new_index("stage", owner=mirror, bases=[mirror.name])

    done = list_all_names(server, upstream, mirror, catalogue)
    print(
        f"{NAMES:,} names: list {done.list_seconds:.2f} s after the upstream's last byte, "
        f"again {done.again_seconds:.2f} s (with reading it), a question {done.has_project_ms:.2f} ms, "
        f"memory +{done.growth_mib:.1f} MiB, at most +{done.peak_mib:.1f} MiB"
    )
    assert done.growth_mib < NAMES_MEMORY_MIB
    for name in (catalogue.name(0), catalogue.name(NAMES // 2), catalogue.name(NAMES - 1)):
        assert len(server.simple(stage, name)) == catalogue.files_per_project
        assert upstream.count(f"/simple/{name}/") == 1

    upstream.stop()
    server.restart()
    growth = Growth(server)
    expect_all(listed_names(server, mirror), catalogue)
    # Neither the list nor what it says of names has expired.
    questions(server, mirror, 10)
    for name in (catalogue.name(0), catalogue.name(NAMES - 1)):
        assert len(server.simple(stage, name)) == catalogue.files_per_project
    listed = growth.most()
    server.api("PATCH", f"/{mirror.name}", body=["mirror_cache_expiry=0"])
    expect_all(listed_names(server, mirror, stale=True), catalogue)
    print(
        f"after a restart without upstream: memory at most +{listed:.1f} MiB, "
        f"with a change of the index at most +{growth.most():.1f} MiB"
    )


# Power cuts


@dataclass
class Downloads:
    """Downloaders at work, and what they got: digests by file name."""

    server: Server
    paths: dict[str, str]
    got: dict[str, str] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def run_until_killed(self, goal: int) -> None:
        """Lets downloaders run through all files, and kills the server after so many are complete."""
        self.got.clear()
        left = list(self.paths)
        threads = [threading.Thread(target=self.download_until_refused, args=(left,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        with self.changed:
            reached = self.changed.wait_for(lambda: len(self.got) >= goal, DEADLINE)
        self.server.kill()
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert reached, "too few downloads were complete in time"

    def download_until_refused(self, left: list[str]) -> None:
        """One downloader: takes the next file until there is none, or nobody answers."""
        while True:
            with self.changed:
                if not left:
                    return
                name = left.pop()
            try:
                answer = self.server.request("GET", self.paths[name])
                assert answer.status_code == 200, answer.text
            except requests.RequestException:
                return
            with self.changed:
                self.got[name] = hashlib.sha256(answer.content).hexdigest()
                self.changed.notify_all()


def leftovers(server: Server) -> list[Path]:
    """Contents that are still arriving or whose commit is not known."""
    folders = [path for name in ("incoming", "unconfirmed") for path in server.serverdir.rglob(name)]
    assert len(folders) == 2, folders
    return [path for folder in folders for path in folder.iterdir()]


def test_killed_while_first_downloads_run(new_server: Callable[..., Server], upstream: FakeUpstream) -> None:
    """Killed again and again while a hundred files arrive: no part of a file is served, and nothing is left over."""
    sizes = (1_000, 100_000, 1_000_000)
    files = [File(f"many-1.{number}.tar.gz", Generated(sizes[number % 3], str(number))) for number in range(100)]
    upstream.add(Project("many", files))
    expected = {file.filename: file.sha256 for file in files}
    server = new_server("--request-timeout", 30).start()
    mirror = mirror_of(server, upstream)
    for file in files:
        # Slow enough that the kill finds some of them half done.
        upstream.fault(file.path, chunk_delay=0.01, chunk_size=50_000)
    server.simple(mirror, "many")
    for goal in (1, 10, 40):
        paths = {name: file["url"] for name, file in server.simple(mirror, "many").items()}
        downloads = Downloads(server, paths)
        downloads.run_until_killed(goal)
        assert downloads.got == {name: expected[name] for name in downloads.got}
        print(f"killed after {len(downloads.got)} downloads, with {len(leftovers(server))} files half here")
        server.start()
        assert leftovers(server) == []

    with ThreadPoolExecutor(10) as pool:
        answers = dict(zip(paths, pool.map(lambda path: server.request("GET", path), paths.values()), strict=True))
    assert {name: hashlib.sha256(answer.content).hexdigest() for name, answer in answers.items()} == expected
    # All is stored now, and complete: the upstream is not needed again.
    upstream.stop()
    assert server.files(mirror, "many") == expected
    wait_until(lambda: leftovers(server) == [], "marks of unconfirmed files remain")


# One page, many clients


def stages_above(server: Server, mirror: Index) -> list[Index]:
    """Ten stages that inherit from a mirror."""
    return [server.new_index(f"stage{number}", owner=mirror, bases=[mirror.name]) for number in range(10)]


def test_first_page_for_many_clients(new_server: Callable[..., Server], upstream: FakeUpstream) -> None:
    """A hundred clients of ten stages ask at once for a project that nobody asked for before: all get its page.

    This is done for a hundred projects, since the moments at which a page is asked for, comes and is kept are short.
    """
    server = new_server("--request-timeout", 30).start()
    stages = stages_above(server, mirror_of(server, upstream))
    projects = [f"new-{number}" for number in range(100)]
    for project in projects:
        upstream.add(Project(project, [File(f"{project}-1.0.tar.gz", b"new")], format="negotiated"))
    upstream.fault("/simple/new-*", delay=0.01)
    statuses = {}
    for project in projects:
        crowd = [Client(f"/{stages[number % 10].name}/+simple/{project}/") for number in range(100)]
        ask_all(server.port, crowd)
        without = [client.status for client in crowd if f"{project}-1.0.tar.gz".encode() not in client.body]
        statuses |= {project: without} if without else {}
    assert {project: (len(without), set(without)) for project, without in statuses.items()} == {}
    assert {upstream.count(f"/simple/{project}/") for project in projects} == {1}


def test_one_check_of_a_page_at_a_time(new_server: Callable[..., Server], upstream: FakeUpstream) -> None:
    """Three hundred clients of ten stages and no expiry at all: a page is never asked for twice at the same time."""
    file = File("busy-1.0.tar.gz", b"busy")
    upstream.add(Project("busy", [file], format="negotiated"))
    server = new_server("--request-timeout", 30).start()
    mirror = mirror_of(server, upstream, mirror_cache_expiry=0)
    stages = stages_above(server, mirror)
    upstream.fault("/simple/busy/", delay=0.05)
    for _ in range(3):
        crowd = [Client(f"/{stages[number % 10].name}/+simple/busy/") for number in range(300)]
        started = time.monotonic()
        ask_all(server.port, crowd)
        asked = upstream.count("/simple/busy/")
        print(f"300 clients of a page: {time.monotonic() - started:.2f} s, {asked} requests so far")
        assert [client for client in crowd if not client.whole or file.sha256.encode() not in client.body][:3] == []
    assert upstream.most_at_once("/simple/busy/") == 1
    assert upstream.count("/simple/busy/") <= 900
    # An answer still tells what the upstream has at the time of asking.
    project = Project("busy", [file, File("busy-1.1.tar.gz", b"busier")], format="negotiated")
    upstream.add(project)
    for stage in stages:
        assert server.simple(stage, "busy").keys() == {"busy-1.0.tar.gz", "busy-1.1.tar.gz"}
