"""Archives and names that are made to do harm: bombs, members in wrong places, names that lead elsewhere.

Nothing is unpacked, so little can happen; what is read of them is bounded in memory and time.
"""

import hashlib
import http.client
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from faults import archives
from faults.archives import ACCEPTED, METADATA, SDIST, TEXT, WHEEL, WHEELS, wheel
from faults.clients import Connection, Raw, authorization, upload
from faults.held import MIB, Held, does_not_add_up, gives_back
from faults.place import Place
from harness import DEADLINE, Server, wait_until
from memory import Growth
from serverdirs import sound

pytestmark = pytest.mark.ours

MEMORY_MIB = 64
"""By how much the server may grow: a METADATA file of 16 MiB, the list of a hundred thousand members, the index that is
made of it."""
SECONDS = 10
LIMIT = 100_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that takes less metadata than others."""
    directory = tmp_path_factory.mktemp("place")
    server = Server(directory, "--max-core-metadata-size", LIMIT)
    try:
        yield Place.made(server.init().start(), directory / "dist")
    finally:
        server.close()


@contextmanager
def bounded(place: Place) -> Iterator[None]:
    """Neither memory nor time grow with what an archive says of itself, and nothing is left on its way."""
    held, growth, started = Held.by(place.server), Growth(place.server), time.monotonic()
    yield
    seconds, grown = time.monotonic() - started, growth.most()
    assert seconds < SECONDS
    assert grown < MEMORY_MIB
    after = Held.by(place.server)
    assert (after.incoming, after.unconfirmed) == (held.incoming, held.unconfirmed) == ([], [])


def sent(place: Place, filename: str, content: bytes, **fields: str) -> tuple[int, str]:
    """Uploads it; gives the status and the reason."""
    request = upload(place.dev, filename, content, **{"name": "bomb", "version": "1.0"} | fields)
    with Connection(place.server) as connection:
        connection.send_what_it_takes(request.whole)
        connection.answer()
        return connection.status, connection.received.split(b"\r\n", 1)[0].decode().split(" ", 2)[2]


@pytest.mark.parametrize("name", WHEELS)
def test_wheels_that_are_refused(place: Place, name: str) -> None:
    """With a reason, and at once."""
    content = WHEELS[name]()
    before, held = place.everything(), Held.by(place.server)
    with bounded(place):
        status, reason = sent(place, WHEEL, content)
    assert (status, WHEEL in reason) == (400, True), reason
    assert place.everything() == before
    gives_back(place.server, held)


def test_metadata_up_to_the_limit(place: Place) -> None:
    """However well they are compressed."""
    metadata = TEXT.ljust(LIMIT, b"\n")
    content = wheel(metadata=metadata, level=9)
    assert len(content) < LIMIT / 50
    try:
        assert sent(place, WHEEL, content)[0] == 200
        [file] = place.server.simple(place.dev, "bomb").values()
        assert place.server.request("GET", f"{file['url']}.metadata").content == metadata
        assert sent(place, WHEEL, wheel(metadata=metadata + b"\n", level=9))[0] == 400
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/bomb", auth=place.dev.auth)


@pytest.mark.parametrize("name", ACCEPTED)
def test_archives_that_are_kept_as_they_come(place: Place, name: str) -> None:
    """They come out byte for byte, and nothing else of the disk comes out with them."""
    filename, make, fields = ACCEPTED[name]
    content = make()
    try:
        with bounded(place):
            assert sent(place, filename, content, **fields) == (200, "OK")
        links = place.server.get(f"/{place.dev.name}/bomb")["1.0"]["+links"]
        [link] = links
        answer = place.server.request("GET", link["href"])
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
        metadata = place.server.request("GET", f"{link['href']}.metadata")
        assert "root:" not in metadata.text
        for path in ("/+doc/index.html", "/+doc/../index.html", "/bomb/1.0/+doc/index.html"):
            assert "root:" not in place.server.request("GET", f"/{place.dev.name}{path}").text
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/bomb", auth=place.dev.auth)


def test_metadata_that_stand_twice(place: Place) -> None:
    """What is published is what an installer finds in the wheel, which is the last one."""
    content = wheel((METADATA, b"Metadata-Version: 2.1\nName: bomb\nVersion: 1.0\nRequires-Dist: evil\n"))
    path = place.directory / WHEEL
    path.write_bytes(content)
    try:
        assert sent(place, WHEEL, content)[0] == 200
        [file] = place.server.simple(place.dev, "bomb").values()
        if file["core-metadata"]:
            published = place.server.request("GET", f"{file['url']}.metadata").content
            assert published == zipfile.ZipFile(path).read(METADATA) == TEXT
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/bomb", auth=place.dev.auth)


def test_many_bombs_at_once(place: Place) -> None:
    """They do not add up, and others are served meanwhile."""
    bombs = [archives.overlapping(1_000, 20 * MIB), archives.many_members(100_001), WHEELS["too many extra fields"]()] * 4
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda bomb=bomb: statuses.append(sent(place, WHEEL, bomb)[0])) for bomb in bombs
    ]
    growth = Growth(place.server)
    for thread in threads:
        thread.start()
    slowest = 0.0
    while any(thread.is_alive() for thread in threads):
        started = time.monotonic()
        assert place.server.simple(place.dev, "sample")
        slowest = max(slowest, time.monotonic() - started)
    for thread in threads:
        thread.join(DEADLINE)
    assert statuses == [400] * len(bombs)
    assert slowest < 2
    assert growth.most() < 3 * MEMORY_MIB


def test_bombs_do_not_add_up(place: Place) -> None:
    """What one of them needed is there for the next one. None is accepted, as each change makes the database larger, and
    what its connections remember of it, up to their bound."""
    bombs = [WHEELS[name]() for name in ("huge metadata", "overlapping members", "64 bits: too many members")]

    def send_them() -> None:
        assert [sent(place, WHEEL, bomb)[0] for bomb in bombs * 3] == [400] * 3 * len(bombs)

    does_not_add_up(place.server, send_them)


# Names


OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}"
FILE_NAMES = {
    "above": "../../bomb-1.0.tar.gz",
    "above, escaped": "%2e%2e%2fbomb-1.0.tar.gz",
    "above in the version": "bomb-1.0/../../x.tar.gz",
    "absolute": "/etc/bomb-1.0.tar.gz",
    # Doubled, as urllib3 sends them.
    "backslashes": r"..\\..\\bomb-1.0.tar.gz",
    "backslashes in the middle": r"bomb-1.0\\..\\..\\x.tar.gz",
    "drive": "c:bomb-1.0.tar.gz",
    "NUL": "bomb-1.0\0.tar.gz",
    "NUL in the ending": "bomb-1.0.tar.gz\0.html",
    "line end": "bomb-1.0\n.tar.gz",
    "line end in a header": 'bomb-1.0.tar.gz\r\nX-Injected: "x',
    "escape": "bomb-1.0\x1b[31m.tar.gz",
    "reads backwards": f"bomb-1.0{OVERRIDE}gpj.tar.gz",
    "other letters": "b\N{CYRILLIC SMALL LETTER O}mb-1.0.tar.gz",
    "full width": "bomb-\N{FULLWIDTH DIGIT ONE}.0.tar.gz",
    "joined": "bo\N{ZERO WIDTH JOINER}mb-1.0.tar.gz",
    "quote": "bomb-1.0\".tar.gz",
    "dots": "..",
    "dot": ".",
    "nothing": "",
    "only the ending": ".tar.gz",
    "very long": f"bomb-1.0{'.0' * 2000}.tar.gz",
    "as long as a name may be": f"bomb-1.0+{'x' * 300}.tar.gz",
    "metadata": "bomb-1.0-py3-none-any.whl.metadata",
    "not UTF-8": "bomb-1.0\udcff.tar.gz",
}


PLAIN_NAMES = {
    "markup": "bomb-1.0<script>alert(1)<script>.tar.gz",
    "space": "bomb-1.0 x.tar.gz",
    "query": "bomb-1.0?x.tar.gz",
    "fragment": "bomb-1.0#x.tar.gz",
    "percent": "bomb-1.0%2e%2e%00.tar.gz",
}


def sent_as(place: Place, filename: str, content: bytes) -> tuple[int, bytes]:
    """Uploads a file under a name as it stands; gives the status and the head of the answer."""
    request = upload(place.dev, "placeholder-1.0.tar.gz", content, name="bomb", version="1.0")
    body = request.body.replace(b"placeholder-1.0.tar.gz", filename.encode("utf-8", "surrogateescape"))
    with Connection(place.server) as connection:
        connection.send(Raw(request.method, request.path, body, request.headers).whole)
        return connection.status_of_answer(), connection.received.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("name", FILE_NAMES)
def test_file_names(place: Place, name: str) -> None:
    """None of them leads anywhere or pretends to be another: they are refused."""
    before, held = place.everything(), Held.by(place.server)
    status, head = sent_as(place, FILE_NAMES[name], archives.tarred(archives.PKG_INFO))
    try:
        assert b"\r\nX-Injected" not in head
        assert [str(path) for path in place.server.serverdir.rglob("*bomb*")] == []
        assert 400 <= status < 500, head
        assert place.everything() == before
        gives_back(place.server, held)
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/bomb", auth=place.dev.auth)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_file_names_that_must_be_escaped(place: Place, name: str) -> None:
    """devpi-server takes them. Pages show them, links lead to them, and neither takes them for anything else."""
    filename, content = PLAIN_NAMES[name], archives.tarred(archives.PKG_INFO)
    try:
        assert sent_as(place, filename, content)[0] == 200
        assert place.server.files(place.dev, "bomb") == {filename: hashlib.sha256(content).hexdigest()}
        page = place.server.request("GET", f"{place.dev.simple_url}bomb/", headers={"Accept": "text/html"})
        assert "<script" not in page.text
        assert [str(path) for path in place.server.serverdir.rglob("*bomb*")] == []
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/bomb", auth=place.dev.auth)


PROJECTS = ["con", "nul", "prn.txt", "aux", "com1", "index.html", "simple", "refresh", "files", "robots.txt"]


@pytest.mark.parametrize("project", PROJECTS)
def test_projects_with_names_of_other_things(place: Place, project: str) -> None:
    """Names that mean something to some system or server are as good as others."""
    try:
        path = f"{project.replace('.', '_')}-1.0.tar.gz"
        content = archives.tarred(archives.PKG_INFO)
        assert sent(place, path, content, name=project) == (200, "OK")
        normal = project.replace(".", "-")
        [(name, digest)] = place.server.files(place.dev, normal).items()
        assert (name, digest) == (path, hashlib.sha256(content).hexdigest())
        assert normal in place.server.get(f"/{place.dev.name}")["projects"]
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/{project.replace('.', '-')}", auth=place.dev.auth)


UPWARDS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "..%2f..",
    "..%5c..",
    "..\\..",
    "%c0%ae%c0%ae",
    "%2e%2e%00",
    "..;",
    "....//....",
    "%u002e%u002e",
]
PLACES = [
    "/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/+f/{up}/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/+f/abc/{up}/{up}/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/+f/{up}/{up}/{up}/.secret",
    "/{index}/+f/{up}/{up}/wheelhouse.sqlite",
    "/{index}/+e/{up}/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/+simple/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/sample/1.0/+doc/{up}/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/{index}/sample/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
    "/+static/{up}/{up}/{up}/{up}/{up}/{up}/etc/passwd",
]


@pytest.mark.parametrize("up", UPWARDS)
def test_paths_upwards(place: Place, up: str) -> None:
    """Sent as they are, which no client library would do: no file of the disk comes out, and none is changed."""
    before = place.everything()
    answered: dict[str, int] = {}
    for pattern in PLACES:
        path = pattern.format(index=place.dev.name, up=up)
        for method in ("GET", "POST", "DELETE", "PUT"):
            status, body = raw(place, method, path)
            answered[f"{method} {path}"] = status
            assert b"root:" not in body and b"SQLite format" not in body, f"{method} {path}"
    assert [line for line in answered.items() if not 400 <= line[1] < 500] == []
    assert place.everything() == before
    assert Path("/etc/passwd").exists()


def raw(place: Place, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", place.server.port, timeout=DEADLINE)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("Authorization", authorization(place.dev))
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.getheader("X-Injected") is None
        return answer.status, answer.read()
    finally:
        connection.close()


SEGMENTS = {
    "NUL": "a%00b",
    "line end": "a%0d%0aX-Injected:%20x",
    "escape": "%1b[31m",
    "not UTF-8": "%ff%fe",
    "cut escape": "%e4%b8",
    "half a percent": "a%2",
    "no percent": "a%zz",
    "very long": "a" * 60_000,
    "very many": "/".join("a" * 20_000),
    "slashes": "/" * 10_000,
    "reads backwards": quote(OVERRIDE + "cod.x"),
    "emoji": quote("\N{PILE OF POO}"),
    "surrogate": "%ed%a0%80",
    "overlong slash": "..%c0%af..",
    "plus signs": "+" * 1000,
    "star": "*",
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_odd_segments(place: Place, name: str) -> None:
    """Anywhere in a path, by any method: an answer for the client, and nothing that stays."""
    before, held = place.everything(), Held.by(place.server)
    answered: dict[str, int] = {}
    for pattern in ("/{x}", "/{x}/dev", "/alice/{x}", "/alice/dev/{x}", "/alice/dev/+f/{x}", "/alice/dev/+simple/{x}/"):
        for method in ("GET", "HEAD", "PATCH", "DELETE", "POST", "PUSH"):
            status, _ = raw(place, method, pattern.format(x=SEGMENTS[name]))
            answered[f"{method} {pattern}"] = status
    # Many slashes are one, which is the page of all users.
    allowed = range(200, 500) if name == "slashes" else range(300, 500)
    assert [line for line in answered.items() if line[1] not in allowed] == []
    assert place.everything() == before
    gives_back(place.server, held)


USER_NAMES = [
    "..",
    ".",
    "a/b",
    "a%2fb",
    "a%5cb",
    "%00",
    "a%0ab",
    "con",
    "a" * 5000,
    quote(f"{OVERRIDE}toor"),
    quote("r\N{CYRILLIC SMALL LETTER O}ot"),
]


@pytest.mark.parametrize("where", ["user", "index"])
@pytest.mark.parametrize("name", USER_NAMES)
def test_names_of_users_and_indexes(place: Place, name: str, where: str) -> None:
    """What cannot be a part of a URL is refused; the rest is no name of a file."""
    path = f"/{name}" if where == "user" else f"/{place.dev.user}/{name}"
    connection = http.client.HTTPConnection("127.0.0.1", place.server.port, timeout=DEADLINE)
    headers = {"Authorization": authorization(place.dev), "Content-Type": "application/json"}
    connection.request("PUT", path, b'{"password": "pw-12345"}' if where == "user" else b"{}", headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status in (200, 201):
        assert [str(path) for path in place.server.serverdir.rglob("*") if path.name == unquote(name)] == []
        place.server.api("DELETE", path)
    else:
        assert 400 <= answer.status < 500


def test_all_is_sound_after_all(place: Place) -> None:
    """After the other tests of this file, or some of them."""
    wait_until(lambda: Held.by(place.server).incoming == [], "nothing is on its way")
    place.server.restart()
    place.everything()
    sound(place.server.serverdir)
