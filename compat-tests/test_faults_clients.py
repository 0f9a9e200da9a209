"""Clients that are slow, vanish, come by the thousand or send nonsense: they get a clear answer or none, others are
served as ever, and nothing of them stays.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

import packages
from faults.clients import BOUNDARY, Connection, Raw, authorization, crowd, json_request, upload
from faults.held import MIB, Held, does_not_add_up, gives_back
from faults.place import Place
from harness import Index, Server, expect_uploaded, wait_until
from memory import Growth

pytestmark = pytest.mark.ours

TIMEOUT = 1
"""What the server here waits for clients, in seconds."""
SOON = 5.0
"""Until when it has done so: a body may be waited for twice, and connections that are closed stay for a second."""
QUICK = 2.0
"""How long others may take meanwhile, though much else runs on this machine."""

CROWD = 1_000
CROWD_MIB = 512
"""By how much the server may grow for them: each has a buffer where it is read, parsed and gathered."""
CONTENT = random.Random(2).randbytes(2 * MIB)
GATHERED = 64 * 1024
"""So many bytes of a file stay in memory until there are more."""
DOWNLOAD_MIB = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that waits for nobody long."""
    directory = tmp_path_factory.mktemp("place")
    waits = ("--request-head-timeout", "--body-idle-timeout", "--keep-alive-timeout", "--shutdown-timeout")
    server = Server(directory, *chain.from_iterable((option, TIMEOUT) for option in waits))
    try:
        yield made(server.init().start(), directory)
    finally:
        server.close()


def made(server: Server, directory: Path) -> Place:
    """A place in which others have already been served, which does not change it any more."""
    place = Place.made(server, directory / "dist")
    others_are_served(place)
    return place


@contextmanager
def untouched(place: Place) -> Iterator[None]:
    """Nothing changes, and nothing stays."""
    before, held = place.everything(), Held.by(place.server)
    yield
    assert place.everything() == before
    gives_back(place.server, held)


def others_are_served(place: Place) -> None:
    """Soon enough: a page, a file, an upload."""
    path = packages.wheel(place.directory, "quick", "1.0")
    for ask in (
        lambda: place.server.simple(place.dev, "sample"),
        lambda: place.server.request("GET", place.file("sample", "1.0")).raise_for_status(),
        lambda: expect_uploaded(place.server.upload(place.prod, path, "quick", "1.0")),
    ):
        started = time.monotonic()
        ask()
        assert time.monotonic() - started < QUICK


# Slow


GET = b"GET /+api HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SLOW_HEADS = {
    "nothing": repeat(b""),
    "half a line": chain([b"GET /+a"], repeat(b"")),
    "byte by byte": (bytes([byte]) for byte in GET + b"X-Long: " + b"x" * 100_000),
    "header by header": chain([GET], (b"X-%d: x\r\n" % number for number in range(100_000))),
    "no end": chain([GET], repeat(b"")),
    "garbage": chain([b"\x16\x03\x01\x02\x00\x01"], repeat(b"")),
}


@pytest.mark.parametrize("connection", ["a new connection", "one that was used"])
@pytest.mark.parametrize("head", SLOW_HEADS)
def test_slow_head(place: Place, head: str, connection: str) -> None:
    """Whoever does not send a request is sent away, whether something comes now and then or not."""
    pieces = list_of(SLOW_HEADS[head])
    with untouched(place), Connection(place.server) as client:
        if connection == "one that was used":
            client.send(GET + b"\r\n")
            assert b"200 OK" in client.answer()
            client.received = b""
        assert client.trickle(pieces, 0.05, SOON), "the server waits without end"
        client.to_the_end(SOON)
        assert client.status in (0, 400, 408)


def list_of(pieces: Iterator[bytes]) -> list[bytes]:
    """So many of them as can be sent in time."""
    return [piece for piece, _ in zip(pieces, range(1000), strict=False)]


def requests_with_bodies(place: Place) -> dict[str, Raw]:
    """One of each kind, which is fine as a whole."""
    index = place.dev
    wheel = place.wheel("slow", "1.0").read_bytes()
    wheel_name = "slow-1.0-py3-none-any.whl"
    return {
        "upload": upload(index, "slow-1.0.tar.gz", CONTENT),
        "upload in chunks": upload(index, "slow-1.0.tar.gz", CONTENT, chunked=True),
        "wheel": upload(index, wheel_name, wheel, name="slow", version="1.0"),
        "documentation": upload(
            index, "sample.zip", wheel, **{":action": "doc_upload", "name": "sample", "version": "1.0"}
        ),
        "test result": json_request("POST", path_of(place.file("sample", "1.0")), index, b'"%b"' % (b"x" * 600_000)),
        "user": json_request("PUT", "/slow", index, b'{"password": "pw-12345", "x": "%b"}' % (b" " * 50_000)),
        "index": json_request("PATCH", f"/{index.name}", index, b'{"title": "%b"}' % (b"x" * 50_000)),
        "push": json_request("PUSH", f"/{index.name}", index, b'{"name": "sample", "x": "%b"}' % (b" " * 50_000)),
        "refused": upload(Index(index.server_url, "nobody", "x", "dev"), "slow-1.0.tar.gz", CONTENT),
    }


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


KINDS = (
    "upload",
    "upload in chunks",
    "wheel",
    "documentation",
    "test result",
    "user",
    "index",
    "push",
    "refused",
)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_bodies_that_stop(place: Place, part: float) -> None:
    """The clients hear that their bodies are not whole, or of what was wrong before, and nothing is kept."""
    requests = requests_with_bodies(place)
    assert requests.keys() == set(KINDS)
    with untouched(place), ExitStack() as stack:
        # All at once, since each takes a while.
        clients = {kind: stack.enter_context(Connection(place.server)) for kind in KINDS}
        for kind, client in clients.items():
            client.send(requests[kind].begun(int(part * len(requests[kind].body))))
        end = time.monotonic() + SOON
        outcomes = {kind: client.outcome(end - time.monotonic()) for kind, client in clients.items()}
        expected = {kind: (400, "closed") for kind in KINDS} | {"refused": (404, "closed")}
        assert outcomes == expected


@pytest.mark.parametrize("kind", ["upload", "upload in chunks"])
def test_body_byte_by_byte(place: Place, kind: str) -> None:
    """It takes its time, during which others are served, and it counts."""
    request = requests_with_bodies(place)[kind]
    whole = request.whole
    try:
        with Connection(place.server) as client:
            client.send(whole[:-30])
            for byte in whole[-30:-1]:
                client.trickle([bytes([byte])], 0.05, SOON)
            others_are_served(place)
            client.send(whole[-1:])
            client.answer()
            assert client.status == 200
        files = place.server.files(place.dev, "slow")
        assert files.keys() == {"slow-1.0.tar.gz"}
    finally:
        place.server.request("DELETE", f"/{place.dev.name}/slow", auth=place.dev.auth)


def test_answers_that_nobody_reads(place: Place) -> None:
    """Many clients ask for a large file and do not read it: nor does the server, and it can be stopped."""
    path = place.directory / "huge-1.0.tar.gz"
    path.write_bytes(CONTENT * (DOWNLOAD_MIB * MIB // len(CONTENT)))
    expect_uploaded(place.server.upload(place.dev, path, "huge", "1.0"))
    request = Raw("GET", path_of(place.server.simple(place.dev, "huge")[path.name]["url"])).whole
    held, growth = Held.by(place.server), Growth(place.server)
    with crowd(place.server, 100, lambda _: request) as clients:
        for client in clients:
            assert client.socket.recv(9) == b"HTTP/1.1 "
        others_are_served(place)
        assert growth.most() < 60
    gives_back(place.server, held)
    with crowd(place.server, 5, lambda _: request):
        started = time.monotonic()
        assert place.server.stop() == 0
        assert time.monotonic() - started < TIMEOUT + SOON
    place.server.start()
    place.server.api("DELETE", f"/{place.dev.name}/huge", auth=place.dev.auth)


# Vanishing


@pytest.mark.parametrize("how", [Connection.close, Connection.vanish], ids=["closes", "vanishes"])
@pytest.mark.parametrize("kind", KINDS)
def test_client_that_goes(place: Place, kind: str, how: Callable[[Connection], None]) -> None:
    """At any point of its request, some hundred times."""
    request = requests_with_bodies(place)[kind]
    with untouched(place):
        for number in range(30):
            client = Connection(place.server)
            cut = number * len(request.body) // 31
            client.send_what_it_takes(request.head[: 10 * number] if number < 6 else request.begun(cut))
            how(client)
        others_are_served(place)


@pytest.mark.parametrize("how", [Connection.close, Connection.vanish], ids=["closes", "vanishes"])
def test_client_that_does_not_wait_for_the_answer(place: Place, how: Callable[[Connection], None]) -> None:
    """Its upload is whole or not there."""
    held = Held.by(place.server)
    for number in range(40):
        client = Connection(place.server)
        client.send(upload(place.prod, f"gone-1.{number}.tar.gz", CONTENT[: 1000 * number]).whole)
        how(client)
    others_are_served(place)
    wait_until(lambda: Held.by(place.server).incoming == [], "nothing is on its way")
    files = place.server.files(place.prod, "gone")
    assert files.keys() <= {f"gone-1.{number}.tar.gz" for number in range(40)}
    place.server.request("DELETE", f"/{place.prod.name}/gone", auth=place.prod.auth)
    assert Held.by(place.server).unconfirmed == held.unconfirmed == []


def test_clients_that_go_do_not_add_up(place: Place) -> None:
    """Nor do those that send half of a file."""
    begun = upload(place.dev, "half-1.0.tar.gz", CONTENT).begun(len(CONTENT) // 2)

    def come_and_go() -> None:
        for _ in range(100):
            client = Connection(place.server)
            client.send_what_it_takes(begun)
            client.vanish()
        others_are_served(place)
        wait_until(lambda: Held.by(place.server).incoming == [], "nothing is on its way")

    with untouched(place):
        does_not_add_up(place.server, come_and_go)


# Many


@pytest.mark.parametrize("size", [1_000, 200_000, 600_000])
def test_a_thousand_half_uploads(new_server: Callable[..., Server], tmp_path: Path, size: int) -> None:
    """Others are served, memory stays small, and when they are gone nothing is left of them."""
    place = made(new_server("--upload-buffer-size", GATHERED).start(), tmp_path)
    begun = upload(place.dev, "half-1.0.tar.gz", CONTENT).begun(size)
    files = CROWD if size > GATHERED else 0

    def are_there() -> bool:
        held = Held.by(place.server)
        return len(held.incoming) == files and held.descriptors.count("socket:") >= CROWD

    with untouched(place):
        growth = Growth(place.server)
        with crowd(place.server, CROWD, lambda _: begun):
            wait_until(are_there, "all of them are there")
            others_are_served(place)
            print(f"{CROWD} uploads of which {size} bytes have come: {growth.most():.0f} MiB")
            assert growth.most() < CROWD_MIB
        others_are_served(place)


def test_half_forms_of_strangers(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Whoever may not upload does not make the server keep what it sends, whether the index exists or not."""
    place = made(new_server().start(), tmp_path)
    body = b":action=submit&description=" + b"x" * (12 * MIB)
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    begun = [Raw("POST", path, body, (kind,)).begun(10 * MIB) for path in (f"/{place.dev.name}/", "/no/where/")]
    growth = Growth(place.server)
    # What is sent has been read but for what the system keeps.
    with untouched(place), crowd(place.server, 100, lambda number: begun[number % 2]):
        others_are_served(place)
        print(f"100 forms of which 10 MiB have come: {growth.most():.0f} MiB")
        assert growth.most() < 100


def test_half_forms_of_a_member(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """All that is gathered of forms has a bound, beyond which it is said that there is too much to do."""
    place = made(new_server().start(), tmp_path)
    body = b":action=submit&description=" + b"x" * (12 * MIB)
    headers = (("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", authorization(place.dev)))
    begun = Raw("POST", f"/{place.dev.name}/", body, headers).begun(10 * MIB)
    growth = Growth(place.server)
    with untouched(place), crowd(place.server, 100, lambda _: begun):
        others_are_served(place)
        print(f"100 forms of which 10 MiB have come: {growth.most():.0f} MiB")
        assert growth.most() < 450


def test_a_thousand_silent_connections(place: Place) -> None:
    """They are closed when their time is over."""
    with untouched(place):
        growth = Growth(place.server)
        with crowd(place.server, CROWD, lambda number: GET if number % 2 else b"") as connections:
            others_are_served(place)
            for connection in connections:
                connection.to_the_end(SOON)
        others_are_served(place)
        assert growth.most() < 64


def test_more_connections_than_allowed(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Further ones wait until others are gone, which are not kept for ever."""
    options = ("--connection-limit", 20, "--request-head-timeout", TIMEOUT)
    place = made(new_server(*options).start(), tmp_path)
    with crowd(place.server, 60, lambda _: b""):
        started = time.monotonic()
        place.everything()
        assert time.monotonic() - started < 3 * SOON
    others_are_served(place)


def test_fewer_files_than_connections(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Where the system allows few open files, the server takes fewer connections, and can still open its own."""
    server = new_server("--request-head-timeout", TIMEOUT)
    limited = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh"]
    place = made(server.start([*limited, *server.command()]), tmp_path)
    with crowd(place.server, 500, lambda _: b""):
        place.everything()
        expect_uploaded(place.upload("other", "1.0"))
    others_are_served(place)
    assert "Too many open files" not in server.log.read_text()


def test_many_logins(place: Place) -> None:
    """A password takes 64 MiB and much of a processor while it is verified; only some are at a time."""
    requests = [b'{"user": "alice", "password": "wrong-%d"}' % number for number in range(20)]
    growth = Growth(place.server)
    with crowd(place.server, 20, lambda number: Raw("POST", "/+login", requests[number]).whole) as clients:
        others_are_served(place)
        assert {client.status_of_answer() for client in clients} == {401}
    assert growth.most() < 3 * 64


def test_many_logins_with_one_password(place: Place) -> None:
    """All jobs of a build come at once, with the same password: it is verified once."""

    def logins(passwords: list[str]) -> float:
        """The processor time that they take."""
        before = processor_seconds(place.server)
        requests = [json.dumps({"user": "alice", "password": password}).encode() for password in passwords]
        with crowd(place.server, len(requests), lambda number: Raw("POST", "/+login", requests[number]).whole) as clients:
            assert {client.status_of_answer() for client in clients} == {401}
        return processor_seconds(place.server) - before

    assert logins(["the same"] * 40) < logins([f"another-{number}" for number in range(10)])


def processor_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


# Nonsense


def heads() -> dict[str, bytes]:
    """Requests of a size that none has."""
    return {
        "long line": b"GET /" + b"x" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "long query": b"GET /+api?" + b"x" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "long method": b"X" * MIB + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
        "long header": GET + b"X: " + b"x" * MIB + b"\r\n\r\n",
        "long header name": GET + b"X" * MIB + b": x\r\n\r\n",
        "long login": GET + b"X-Devpi-Auth: " + b"x" * MIB + b"\r\n\r\n",
        "many headers": GET + b"".join(b"X-%d: x\r\n" % number for number in range(10_000)) + b"\r\n",
        "many short headers": GET + b"X: x\r\n" * 200 + b"\r\n",
        "no end": GET + b"X: " + b"x" * 4 * MIB,
    }


@pytest.mark.parametrize("name", heads())
def test_huge_head(place: Place, name: str) -> None:
    """It is refused before it is read."""
    with untouched(place):
        growth = Growth(place.server)
        for _ in range(5):
            with Connection(place.server) as client:
                client.send_what_it_takes(heads()[name])
                client.to_the_end(SOON)
                assert client.status in (400, 413, 414, 431)
        assert growth.most() < 32


def framings(place: Place) -> dict[str, bytes]:
    """Bodies whose end can be understood in two ways, or in none."""
    head = f"PATCH /{place.dev.name} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization(place.dev)}\r\n".encode()
    body = b'{"title": "smuggled"}'
    length = b"Content-Length: %d\r\n" % len(body)
    chunked = b"Transfer-Encoding: chunked\r\n"
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return {
        "length and chunks": head + length + chunked + b"\r\n" + chunk,
        "two lengths": head + length + b"Content-Length: 0\r\n\r\n" + body,
        "negative length": head + b"Content-Length: -1\r\n\r\n" + body,
        "signed length": head + b"Content-Length: +%d\r\n\r\n" % len(body) + body,
        "huge length": head + b"Content-Length: 99999999999999999999999\r\n\r\n" + body,
        "length that is none": head + b"Content-Length: abc\r\n\r\n" + body,
        "unknown coding": head + b"Transfer-Encoding: chunky\r\n\r\n" + chunk,
        "chunks of HTTP/1.0": head.replace(b"1.1", b"1.0") + chunked + b"\r\n" + chunk,
        "huge chunk": head + chunked + b"\r\nffffffffffffffffff\r\n" + body,
        "chunk size that is none": head + chunked + b"\r\nxyz\r\n" + body,
        "negative chunk": head + chunked + b"\r\n-1\r\n" + body,
        "header with a space": head + b"Content-Length : %d\r\n\r\n" % len(body) + body,
        "folded header": head + b"X: a\r\n b\r\n" + b"Content-Length:\r\n %d\r\n\r\n" % len(body) + body,
        "NUL in a header": head + b"X: a\0b\r\n" + length + b"\r\n" + body,
        "bare carriage return": head + b"X: a\rb\r\n" + length + b"\r\n" + body,
    }


FRAMINGS = (
    "length and chunks",
    "two lengths",
    "negative length",
    "signed length",
    "huge length",
    "length that is none",
    "unknown coding",
    "chunks of HTTP/1.0",
    "huge chunk",
    "chunk size that is none",
    "negative chunk",
    "header with a space",
    "folded header",
    "NUL in a header",
    "bare carriage return",
)


@pytest.mark.parametrize("name", FRAMINGS)
def test_ambiguous_framing(place: Place, name: str) -> None:
    """A proxy in front may understand it otherwise, so it is refused, and the connection ends."""
    with untouched(place), Connection(place.server) as client:
        client.send_what_it_takes(framings(place)[name])
        client.to_the_end(SOON)
        # Where the head was fine, and an answer may be under way, the connection just ends.
        assert client.status in ((0, 400) if "chunk" in name else (400, 411, 413, 501))
        assert client.received.count(b"HTTP/1.1 ") <= 1


def odd_forms(place: Place) -> dict[str, bytes]:
    """Bodies of uploads that would need much memory."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'.encode()
    end = f"--{BOUNDARY}--\r\n".encode()
    large = b"x" * 30 * MIB
    return {
        "long preamble": large + b"\r\n" + part + b'name"\r\n\r\nx\r\n' + end,
        "long part header": part + large + b'"\r\n\r\nx\r\n' + end,
        "many part headers": part + b'name"\r\n' + b"X: x\r\n" * 2_000_000 + b"\r\nx\r\n" + end,
        "many parts": (part + b'x"\r\n\r\nx\r\n') * 300_000 + end,
        "long field": part + b'description"\r\n\r\n' + large + b"\r\n" + end,
        "long epilogue": part + b'name"\r\n\r\nx\r\n' + end + large,
        "bare line feeds": (part + b'x"\r\n\r\n').replace(b"\r\n", b"\n") + large,
        "bare line feeds, long header": (part + large + b'"\r\n').replace(b"\r\n", b"\n"),
    }


ODD_FORMS = (
    "long preamble",
    "long part header",
    "many part headers",
    "many parts",
    "long field",
    "long epilogue",
    "bare line feeds",
    "bare line feeds, long header",
)


@pytest.mark.parametrize("name", ODD_FORMS)
def test_forms_that_need_much_memory(place: Place, name: str) -> None:
    """They are refused, and do not get it."""
    headers = (
        ("Authorization", authorization(place.dev)),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
    )
    request = Raw("POST", f"/{place.dev.name}/", odd_forms(place)[name], headers)
    with untouched(place):
        growth = Growth(place.server)
        with Connection(place.server) as client:
            client.send_what_it_takes(request.whole)
            client.answer()
            assert client.status in (400, 413)
        assert growth.most() < 48


JSON_BOMBS = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 40_000,
    "many keys": b"{" + b",".join(b'"%d":0' % number for number in range(500_000)) + b"}",
    "long number": b'{"title": 1' + b"0" * 200_000 + b"}",
    "compressed": b"\x1f\x8b\x08" + b"\0" * 1000,
}


@pytest.mark.parametrize("name", JSON_BOMBS)
@pytest.mark.parametrize("target", ["user", "index", "login", "push"])
def test_json_bombs(place: Place, name: str, target: str) -> None:
    """They are refused."""
    method, path = {
        "user": ("PUT", "/newcomer"),
        "index": ("PATCH", f"/{place.dev.name}"),
        "login": ("POST", "/+login"),
        "push": ("PUSH", f"/{place.dev.name}"),
    }[target]
    with untouched(place):
        growth = Growth(place.server)
        headers = {"Content-Encoding": "gzip"} if name == "compressed" else {}
        answer = place.server.request(method, path, data=JSON_BOMBS[name], auth=place.dev.auth, headers=headers)
        assert answer.status_code in (400, 401, 413, 415)
        del answer
        assert growth.most() < 32


@pytest.mark.parametrize("body", ["deep", "long"])
def test_huge_test_results(place: Place, body: str) -> None:
    """They are files, and only looked at to see whether they are JSON: not in memory as a whole."""
    path = path_of(place.file("sample", "2.0"))
    content = {"deep": b"[" * 2_000_000, "long": b'["' + b"x" * 60 * MIB}[body]
    with untouched(place):
        growth = Growth(place.server)
        answer = place.server.request("POST", path, data=content, auth=place.dev.auth)
        assert 400 <= answer.status_code < 500
        del answer
        assert growth.most() < 48


def test_many_requests_at_once_on_a_connection(place: Place) -> None:
    """Pipelined: all are answered in order, and no more is held than goes out."""
    count = 2_000
    growth = Growth(place.server)
    with Connection(place.server) as client:
        client.socket.setblocking(True)
        sent = (GET + b"\r\n") * (count - 1) + GET + b"Connection: close\r\n\r\n"
        client.send_what_it_takes(sent)
        assert client.to_the_end(30).count(b"HTTP/1.1 200 OK") == count
    assert growth.most() < 32
