"""A real nginx before the server, set up by the files of ``devpi-gen-config``, and real clients before that."""

import http.client
import http.server
import os
import random
import re
import shutil
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
import requests

import packages
from certificates import make_certificate
from clients import Shell
from harness import DEADLINE, Index, Server, expect_uploaded, free_port, wait_until
from mirrors import JSON_PAGE, User, mirror_of, publish, released, upstream, user
from nginx import CACHING, HTML_PAGE, PIP, SDIST, STORED, WHEEL, Nginx, Site, fill, generate, new_site, stopped
from upstream import FakeUpstream

MIB = 1024 * 1024
MAX_BODY = 40 * MIB


@dataclass(frozen=True)
class Setup:
    """One way to have nginx before the server."""

    path: str
    socket: bool
    stored: bool

    def __str__(self) -> str:
        parts = ("unix" if self.socket else "tcp", self.path.strip("/"), "stored" if self.stored else "")
        return "-".join(filter(None, parts))


# Every pair of choices once.
SETUPS = [
    Setup("", socket=False, stored=False),
    pytest.param(Setup("", socket=True, stored=True), marks=pytest.mark.ours),
    pytest.param(Setup("/devpi", socket=False, stored=True), marks=pytest.mark.ours),
    pytest.param(Setup("/devpi", socket=True, stored=False), marks=pytest.mark.ours),
]


@pytest.fixture(scope="module", params=SETUPS, ids=str)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that tests share; each makes users and indexes of its own, by way of nginx."""
    directory = tmp_path_factory.mktemp("site")
    options = ["--max-request-body-size", MAX_BODY]
    options += ["--unix-socket", directory / "socket"] if request.param.socket else []
    options += STORED if request.param.stored else []
    site = Site(directory, *options, path=request.param.path)
    try:
        yield site.init().start()
    finally:
        site.close()


# What clients do


def test_urls(server: Site, index: Index) -> None:
    """All that the server tells of itself is below the URL under which nginx is seen."""
    urls = [value for value in server.get(f"/{index.name}/+api").values() if str(value).startswith("http")]
    assert len(urls) >= 4
    assert all(url.startswith(f"{server.url}/") for url in urls)
    assert server.request("GET", f"/{index.name}/+simple", headers=HTML_PAGE).url == index.simple_url
    assert server.request("GET", server.url).status_code == 200


def test_links(server: Site, index: Index, tmp_path: Path) -> None:
    """Those on HTML and JSON pages lead to the files, through nginx."""
    hashes = fill(server, index, tmp_path)
    assert server.files(index, "hello-world") == hashes
    projects = server.request("GET", index.simple_url, headers=HTML_PAGE)
    [link] = re.findall(r'href="([^"]+)"', projects.text)
    page = server.request("GET", urljoin(projects.url, link), headers=HTML_PAGE)
    links = [urldefrag(urljoin(page.url, link)) for link in re.findall(r'href="([^"]+)"', page.text)]
    assert {url.rpartition("/")[2]: fragment for url, fragment in links} == {
        name: f"sha256={digest}" for name, digest in hashes.items()
    }
    for url, _ in links:
        assert url.startswith(f"{index.url}/+f/")
        assert server.request("GET", url).content == (tmp_path / url.rpartition("/")[2]).read_bytes()


def test_devpi_client(server: Site, shell: Shell, tmp_path: Path) -> None:
    user, password = server.new_user()
    shell.devpi("use", server.url)
    shell.devpi("login", user, "--password", password)
    shell.devpi("index", "-c", "dev")
    shell.devpi("index", "-c", "prod", "volatile=True")
    assert f"{server.url}/{user}/dev" in shell.devpi("use", f"{user}/dev")
    path = packages.wheel(tmp_path, "hello-world", "1.0")
    shell.devpi("upload", path)
    assert f"{server.url}/{user}/dev/+f/" in shell.devpi("list", "hello-world")
    shell.devpi("push", "hello-world==1.0", f"{user}/prod")
    shell.devpi("remove", "-y", "hello-world")
    assert server.get(f"/{user}/dev")["projects"] == []
    assert server.files(f"{user}/prod", "hello-world") == {path.name: packages.sha256(path)}


def test_twine(server: Site, index: Index, shell: Shell, tmp_path: Path) -> None:
    paths = [make(tmp_path, "hello-world", "1.0") for make in (packages.wheel, packages.sdist)]
    shell.twine("upload", "--repository-url", index.upload_url, "-u", index.user, "-p", index.password, *paths)
    assert server.files(index, "hello-world") == {path.name: packages.sha256(path) for path in paths}


def test_install(server: Site, index: Index, user: User, tmp_path: Path) -> None:
    fill(server, index, tmp_path)
    venv, _ = user.install(index.simple_url, "hello-world")
    assert user.shell.installed(venv, "hello_world") == "1.0"


# Uploads


def test_large_upload(server: Site, index: Index, tmp_path: Path) -> None:
    """nginx takes no more than 1 MiB by itself."""
    path = packages.wheel(tmp_path, "hello", "1.0", padding=random.Random(0).randbytes(30 * MIB))
    expect_uploaded(server.upload(index, path, "hello", "1.0"))
    assert server.files(index, "hello") == {path.name: packages.sha256(path)}


@pytest.mark.ours
def test_too_large_an_upload(server: Site, index: Index, tmp_path: Path) -> None:
    """The refusal reaches a client that is still sending."""
    path = packages.wheel(tmp_path, "hello", "1.0", padding=bytes(MAX_BODY))
    answer = server.upload(index, path, "hello", "1.0")
    assert (answer.status_code, answer.reason) == (413, "Request Entity Too Large")
    assert server.simple(index, "hello") == {}


def test_reason_phrase(server: Site, tmp_path: Path) -> None:
    """Old clients show nothing else of a refusal."""
    index = server.new_index("prod", volatile=False)
    fill(server, index, tmp_path)
    changed = packages.wheel(tmp_path, "hello-world", "1.0", summary="changed")
    answer = server.upload(index, changed, "hello-world", "1.0")
    assert answer.status_code == 409
    assert answer.reason == f"{WHEEL} already exists in non-volatile index"


@pytest.mark.ours
@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_are_passed_on_as_they_come(server: Site, index: Index, tmp_path: Path, chunked: bool) -> None:
    """nginx does not wait for the end, with or without a length that is known before."""
    path = packages.wheel(tmp_path, "hello", "1.0", padding=random.Random(0).randbytes(MIB))
    form = {":action": "file_upload", "name": "hello", "version": "1.0"}
    request = requests.Request("POST", index.upload_url, data=form, files={"content": (path.name, path.read_bytes())})
    prepared = request.prepare()
    headers = {
        "Content-Type": prepared.headers["Content-Type"],
        "Authorization": f"Basic {b64encode(':'.join(index.auth).encode()).decode()}",
        **({"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(prepared.body))}),
    }

    def body() -> Iterator[bytes]:
        yield prepared.body[: MIB // 2]
        wait_until(lambda: any((server.serverdir / "incoming").iterdir()), "the upload to begin")
        yield prepared.body[MIB // 2 :]

    connection = http.client.HTTPConnection("127.0.0.1", server.nginx_port, timeout=DEADLINE)
    connection.request("POST", urlsplit(index.upload_url).path, body(), headers, encode_chunked=chunked)
    assert connection.getresponse().status == 200
    connection.close()
    assert server.files(index, "hello") == {path.name: packages.sha256(path)}


def test_the_server_is_stopped_and_started(server: Site, index: Index) -> None:
    """Connections that nginx keeps do not outlive it, and nobody waits until it is found again."""
    for _ in range(2):
        with requests.Session() as session:
            assert session.get(f"{server.url}/+api", timeout=DEADLINE).status_code == 200
            server.stop()
            assert session.get(f"{server.url}/+api", timeout=DEADLINE).status_code == 502
            server.start()
            assert session.get(f"{server.url}/+api", timeout=DEADLINE).status_code == 200
            assert session.put(f"{index.url}2", json={}, auth=index.auth, timeout=DEADLINE).status_code == 200
            assert session.delete(f"{index.url}2", auth=index.auth, timeout=DEADLINE).status_code in (200, 201)


@pytest.mark.ours
def test_a_name_with_two_addresses(new_site: Callable[..., Site]) -> None:
    """As ``localhost`` mostly is. Nothing listens at the second one, and after a restart all is well at once."""

    def with_another(text: str) -> str:
        text, count = re.subn(r"(server 127\.0\.0\.1:)\d+(.*;)", r"\g<0> \g<1>1\2", text)
        assert count == 1
        return text

    site = new_site(change=with_another).start()
    for _ in range(2):
        # Each address is the first to be tried for some of them.
        for number in range(4):
            assert site.request("POST", "/+login", json={"user": "root", "password": "x"}).status_code == 401, number
        with stopped(site):
            for _ in range(4):
                assert site.request("GET", "/+api").status_code == 502


# The same answers as without nginx


@dataclass(frozen=True)
class Filled:
    """A wheel and an sdist of ``hello-world`` in an index, and in a copy of the data, which is served without nginx."""

    site: Site
    twin: Server
    index: Index
    # Their paths.
    wheel: str
    sdist: str

    def compare(self, method: str, path: str, headers: dict[str, str], *, but: str = "") -> requests.Response:
        """Sends one request to both, whose answers must be the same; gives one.

        Headers that concern the connection are left aside, and those whose names begin with ``but``.
        """
        ours, theirs = (
            # requests would ask for compression.
            server.request(
                method, path, headers={"Accept-Encoding": "identity"} | headers, stream=True, allow_redirects=False
            )
            for server in (self.site, self.twin)
        )
        left_aside = tuple(filter(None, ("connection", "date", "server", but)))

        def compared(answer: requests.Response) -> dict[str, str]:
            shown = {name.lower(): value for name, value in answer.headers.items()}
            return {name: value for name, value in shown.items() if not name.startswith(left_aside)}

        assert (ours.status_code, ours.reason) == (theirs.status_code, theirs.reason)
        assert compared(ours) == compared(theirs)
        assert ours.raw.read() == theirs.raw.read()
        return ours


@pytest.fixture(scope="module")
def filled(server: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    index = server.new_index()
    fill(server, index, tmp_path_factory.mktemp("dist"))
    options = ("--outside-url", server.url, "--max-request-body-size", MAX_BODY)
    twin = Server(tmp_path_factory.mktemp("twin"), *options)
    server.stop()
    shutil.copytree(server.serverdir, twin.serverdir)
    # What the file system says of its files is nobody's business.
    for path in (server.serverdir / "files").rglob("*"):
        os.utime(path, (1e9, 1e9))
    server.start()
    try:
        urls = {name: file["url"] for name, file in twin.start().simple(index, "hello-world").items()}
        yield Filled(server, twin, index, *(urls[name].removeprefix(twin.url) for name in (WHEEL, SDIST)))
    finally:
        twin.close()


@pytest.mark.ours
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("GET", {"Accept-Encoding": "gzip, zstd"}, 200),
        ("GET", {"Accept": "application/json"}, 200),
        ("GET", {"Range": "bytes=0-9"}, 206),
        ("GET", {"Range": "bytes=10-"}, 206),
        ("GET", {"Range": "bytes=-5"}, 206),
        ("GET", {"Range": "bytes=-100000000"}, 206),
        ("GET", {"Range": "bytes=5-100000000"}, 206),
        ("GET", {"Range": "bytes=100000000-"}, 416),
        ("GET", {"Range": "bytes=0-1,4-5"}, None),
        ("GET", {"Range": "bytes=9-0"}, None),
        ("GET", {"Range": "lines=1-2"}, 200),
        ("GET", {"Range": "bytes=0-9", "If-Range": "{etag}"}, 206),
        ("GET", {"Range": "bytes=0-9", "If-Range": '"other"'}, 200),
        ("GET", {"Range": "bytes=0-9", "If-Range": "{modified}"}, 206),
        ("GET", {"Range": "bytes=0-9", "If-Range": "Thu, 01 Jan 2015 00:00:00 GMT"}, 200),
        ("GET", {"If-None-Match": "{etag}"}, 304),
        ("GET", {"If-None-Match": 'W/"x", {etag}'}, 304),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"If-None-Match": '"other"'}, 200),
        ("GET", {"If-None-Match": '"other"', "Range": "bytes=0-9"}, 206),
        ("GET", {"If-Modified-Since": "{modified}"}, None),
        ("GET", {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}, None),
        ("GET", {"If-Match": "{etag}"}, 200),
        ("GET", {"If-Match": '"other"'}, None),
        ("GET", {"If-Unmodified-Since": "{modified}"}, 200),
        ("GET", {"If-Unmodified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}, None),
        ("HEAD", {}, 200),
        ("HEAD", {"Range": "bytes=0-9"}, None),
        ("HEAD", {"Range": "bytes=100000000-"}, None),
        ("HEAD", {"If-None-Match": "{etag}"}, 304),
        ("OPTIONS", {}, None),
        ("PUT", {}, None),
        ("DELETE", {}, 403),
    ],
    ids=str,
)
def test_files(filled: Filled, method: str, headers: dict[str, str], status: int | None) -> None:
    """As the server itself sends them, also when nginx does, which then knows nothing of the server's own headers.

    No ``status`` means whatever the server gives.
    """
    for path in (filled.wheel, filled.sdist):
        known = filled.twin.request("HEAD", path).headers
        sent = {
            name: value.replace("{etag}", known["ETag"]).replace("{modified}", known["Last-Modified"])
            for name, value in headers.items()
        }
        answer = filled.compare(method, path, sent)
        assert status in (None, answer.status_code)


@pytest.mark.ours
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/+api",
        "/+nothing",
        "/nobody",
        "/{index}",
        "/{index}/",
        "/{index}/+simple",
        "/{index}/+simple/",
        "/{index}/+simple/hello-world",
        "/{index}/+simple/hello-world/",
        "/{index}/+simple/nothere/",
        "/{index}/hello-world",
        "/{index}/hello-world/1.0",
        "/{index}/+f/123/4567890123456/nothere-1.0.tar.gz",
        "{wheel}.metadata",
        "/{index}/%2Bsimple/hello-world/",
        "//{index}",
        "/{index}/a%2Fb%20c?d=%2F",
    ],
)
def test_pages(filled: Filled, path: str) -> None:
    """Whatever a path answers to whom, nginx adds nothing and takes nothing away."""
    path = path.replace("{index}", filled.index.name).replace("{wheel}", filled.wheel)
    for headers in ({}, HTML_PAGE, PIP, PIP | JSON_PAGE, {"Accept": "application/json"}):
        for coding in ("identity", "zstd, br, gzip"):
            filled.compare("GET", path, headers | {"Accept-Encoding": coding})


# Files that nginx sends


@pytest.fixture
def stored(new_site: Callable[..., Site]) -> Site:
    """A site on which nginx sends stored files."""
    return new_site(*STORED).start()


def stored_file(site: Site) -> Path:
    """The only stored file."""
    [path] = [path for path in (site.serverdir / "files").rglob("*") if path.is_file()]
    return path


@pytest.mark.ours
def test_the_server_only_names_the_file(stored: Site, tmp_path: Path) -> None:
    index = stored.new_index()
    path = packages.wheel(tmp_path, "hello-world", "1.0")
    expect_uploaded(stored.upload(index, path, "hello-world", "1.0"))
    url = stored.simple(index, "hello-world")[WHEEL]["url"]
    asked = url.replace(stored.url, f"http://127.0.0.1:{stored.port}")
    answer = stored.request("GET", asked)
    digest = packages.sha256(path)
    assert answer.content == b""
    assert answer.headers["X-Accel-Redirect"] == f"/+stored/{digest[:2]}/{digest}"
    assert stored_file(stored) == stored.serverdir / "files" / digest[:2] / digest
    assert "X-Accel-Redirect" not in stored.request("GET", url).headers
    assert stored.request("GET", url).content == path.read_bytes()


@pytest.mark.ours
def test_nobody_else_gets_at_stored_files(stored: Site, tmp_path: Path) -> None:
    """Not by their place on the disk."""
    index = stored.new_index()
    expect_uploaded(stored.upload(index, packages.wheel(tmp_path, "hello", "1.0"), "hello", "1.0"))
    path = "/+stored/" + str(stored_file(stored).relative_to(stored.serverdir / "files"))
    for asked in (path, path.replace("/+stored/", "/%2Bstored/"), path.replace("/+stored/", "/+api/../+stored/")):
        assert stored.request("GET", asked).status_code == 404


@pytest.mark.ours
def test_a_stored_file_is_missing(stored: Site, tmp_path: Path) -> None:
    """Then the server says so, in its answer and in its log, and not nginx."""
    index = stored.new_index()
    expect_uploaded(stored.upload(index, packages.wheel(tmp_path, "hello", "1.0"), "hello", "1.0"))
    stored_file(stored).unlink()
    answer = stored.request("GET", stored.simple(index, "hello")["hello-1.0-py3-none-any.whl"]["url"])
    assert answer.status_code == 500
    assert "nginx" not in answer.text
    wait_until(lambda: "is missing" in stored.tail(), "the log says nothing")


@pytest.mark.ours
@pytest.mark.parametrize("options", [(), STORED], ids=["plain", "stored"])
def test_files_of_a_mirror(
    new_site: Callable[..., Site], upstream: FakeUpstream, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The first client gets a file while it arrives, later ones get it from the disk; both see the same."""
    site = new_site(*options).start()
    file = released(tmp_path, "hello", "1.0", padding=4 * MIB)
    publish(upstream, "hello", file)
    mirror = mirror_of(site, upstream)
    url = site.simple(mirror, "hello")[file.filename]["url"]
    with upstream.hold(file.path, body_after=2 * MIB) as gate:
        first = site.request("GET", url, stream=True)
        pieces = first.iter_content(64 * 1024)
        begin = b""
        # Less than what the upstream has sent, as buffers on the way may keep some.
        while len(begin) < MIB:
            begin += next(pieces)
        gate.release()
    assert begin + b"".join(pieces) == file.content
    upstream.stop()
    wait_until(lambda: any((site.serverdir / "files").rglob(file.sha256)), "the file is not kept")
    again = site.request("GET", url)
    assert again.content == file.content
    for name in ("ETag", "Cache-Control", "Content-Type", "Content-Length", "Accept-Ranges"):
        assert again.headers[name] == first.headers[name]
    part = site.request("GET", url, headers={"Range": "bytes=-10", "If-Range": first.headers["ETag"]})
    assert (part.status_code, part.content) == (206, file.content[-10:])


@pytest.mark.ours
def test_odd_paths(new_site: Callable[..., Site], tmp_path: Path) -> None:
    """What nginx would take for its own in the place of the data and of the socket."""
    odd = "a b;{'\\x\" ü#%"
    socket = tmp_path / f"{odd}$uri"
    socket.mkdir()
    site = new_site("--unix-socket", socket / "s", *STORED, serverdir=tmp_path / odd / "data").start()
    index = site.new_index()
    assert fill(site, index, tmp_path) == site.files(index, "hello-world")


# What nginx says to the server


@dataclass
class Asked:
    """A request that came to the stub."""

    client_port: int
    path: str
    headers: dict[str, str]


@pytest.fixture
def stub() -> Iterator[tuple[int, list[Asked]]]:
    """A server on a port that notes what it is asked."""
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.client_address[1], self.path, headers))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "path", ["", pytest.param("/devpi", marks=pytest.mark.ours), pytest.param("/a/b.c", marks=pytest.mark.ours)]
)
def test_what_the_server_is_told(stub: tuple[int, list[Asked]], tmp_path: Path, path: str) -> None:
    """Under which URL it is seen, which a client cannot make up, and the path as it was sent."""
    server_port, asked = stub
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", server_port, "--outside-url", f"http://127.0.0.1:{port}{path}")
    # devpi's file names another host.
    text = (generate(tmp_path, *options) / "nginx-devpi.conf").read_text().replace("localhost:", "127.0.0.1:")
    nginx = Nginx(tmp_path / "nginx", text)
    lies = {"X-Outside-Url": "http://evil.example", "X-Real-IP": "6.6.6.6"}
    try:
        nginx.start(port)
        with requests.Session() as session:
            for headers in ({}, {"Host": "pkg.example:81"}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "x"}):
                url = f"http://127.0.0.1:{port}{path}/a%2Bb//%20?c=%2F"
                assert session.get(url, headers=lies | headers, timeout=DEADLINE).status_code == 200
    finally:
        nginx.close()
    assert [request.headers["x-outside-url"] for request in asked] == [
        f"http://127.0.0.1:{port}{path}",
        f"http://pkg.example:81{path}",
        f"https://127.0.0.1:{port}{path}",
        f"http://127.0.0.1:{port}{path}",
    ]
    assert {request.headers["x-real-ip"] for request in asked} == {"127.0.0.1"}
    assert {request.path for request in asked} == {f"{path}/a%2Bb//%20?c=%2F"}
    if not Server.reference:
        assert [request.headers["host"] for request in asked][:2] == [f"127.0.0.1:{port}", "pkg.example:81"]
        assert len({request.client_port for request in asked}) == 1, "the connection is not kept"


@pytest.mark.ours
def test_only_the_path_goes_to_the_server(stub: tuple[int, list[Asked]], tmp_path: Path) -> None:
    """The rest of the host is for others."""
    server_port, asked = stub
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", server_port, "--outside-url", f"http://127.0.0.1:{port}/devpi/")
    nginx = Nginx(tmp_path / "nginx", (generate(tmp_path, *options) / "nginx-devpi.conf").read_text())
    try:
        nginx.start(port)
        for path in ("/", "/other", "/devpi2/"):
            assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE).status_code == 404
        assert asked == []
        assert requests.get(f"http://127.0.0.1:{port}/devpi", timeout=DEADLINE).status_code == 200
        assert [request.path for request in asked] == ["/devpi/"]
    finally:
        nginx.close()


@pytest.mark.ours
def test_tls(new_site: Callable[..., Site], tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    certificate = make_certificate(tmp_path, authority)

    def change(text: str) -> str:
        text, count = re.subn(r"(ssl_certificate(?:_key)?) \S+;", rf"\1 {certificate};", text)
        assert count == 2
        return text

    site = new_site(scheme="https", path="/devpi", change=change).start()
    answer = site.request("GET", "/+api", verify=str(authority))
    assert answer.json()["result"]["login"] == f"{site.url}/+login"
    assert site.url.startswith("https://")


# Other options


@pytest.mark.parametrize("file", ["nginx-devpi.conf", CACHING])
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--port", "4711"],
        ["--host", "0.0.0.0"],
        ["--outside-url", "http://pkg.example"],
        ["--outside-url", "http://pkg.example:8080"],
        *(
            pytest.param(options, marks=pytest.mark.ours)
            for options in (
                ["--host", "*"],
                ["--host", "::1"],
                ["--listen", "[::1]:3141", "--listen", "*:3142"],
                ["--listen", "[::]:3141"],
                ["--unix-socket", "socket"],
                ["--outside-url", "http://pkg.example:8080/a/b.c+d/"],
                ["--outside-url", "http://[::1]:8080/"],
                ["--outside-url", "http://b\u00fccher.example/"],
                ["--x-accel-redirect", "/+stored"],
                ["--x-accel-redirect", "/a/b", "--outside-url", "http://pkg.example/a"],
                ["--max-request-body-size", "1"],
            )
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_nginx_understands_the_file(tmp_path: Path, options: list[str], file: str) -> None:
    """The port is taken from 127.0.0.1 only, and only for the check."""
    text = (generate(tmp_path, "--serverdir", "data", *options) / file).read_text()
    Nginx(tmp_path / "nginx", re.sub(r"listen \S+?(\d+);", f"listen 127.0.0.1:{free_port()};", text)).check()


# Who may read


def uncommented(text: str) -> str:
    """A file with the example of an authentication in force."""
    begin, marker, rest = text.partition("remove the comment signs:\n")
    example, gap, rest = rest.partition("\n\n")
    assert "auth_request" in example
    return begin + marker + re.sub(r"(?m)^( *)# ", r"\1", example) + gap + rest


@pytest.mark.ours
@pytest.mark.parametrize(("file", "path"), [("nginx-devpi.conf", ""), (CACHING, "/devpi")])
def test_authentication_by_the_server(
    new_site: Callable[..., Site], shell: Shell, tmp_path: Path, file: str, path: str
) -> None:
    """The commented example, in force: what ``+authcheck`` forbids is forbidden, and all else goes on."""
    site = new_site(*STORED, file=file, path=path, change=uncommented).start()
    index = site.new_index()
    hashes = fill(site, index, tmp_path)
    assert site.files(index, "hello-world") == hashes
    assert site.request("GET", "/nobody/dev/+f/123/4567890123456/x-1.0.tar.gz").status_code == 403
    venv = shell.venv()
    shell.pip("--python", venv, "install", "--index-url", index.simple_url, "hello-world")
    assert shell.installed(venv, "hello_world") == "1.0"
    shell.use(index)
    shell.devpi("upload", packages.wheel(tmp_path, "hello-world", "2.0"))
    assert len(site.files(index, "hello-world")) == 3
