"""How a mirror gets to its upstream: with whose login, through which proxies, and whom it believes.

The upstream is a fake on this machine (``upstream``), so each test can also tell what the server asked it.
"""

import base64
import http.server
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from certificates import make_certificate
from clients import VENVS, Shell
from harness import BIN, DEADLINE, ROOT_PASSWORD, Server, free_port, server_environment
from mirrors import INSTALLERS, JSON_PAGE, User, mirror_of, page, publish, published, released, stage_above, upstream
from upstream import FakeUpstream

USER, PASSWORD = "mirror-user", "a-password-that-nobody-may-see"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


# Credentials


def keeps_the_secret(text: str) -> bool:
    """Whether a text says nothing of the password, plain or as it is sent."""
    return PASSWORD not in text and BASIC not in text


def shown(answer: requests.Response) -> str:
    """All that a client sees of an answer, and of those that led to it."""
    steps = [*answer.history, answer]
    return "\n".join(f"{step.url}\n{step.status_code} {step.reason}\n{step.headers}\n{step.text}" for step in steps)


@pytest.mark.ours
def test_credentials_are_for_the_upstream_alone(
    new_server: Callable[..., Server], upstream: FakeUpstream, shell: Shell, tmp_path: Path
) -> None:
    """They stand in no answer and no log, and go to no other host, neither by a link nor by a redirect."""
    here = publish(upstream, "here", released(tmp_path, "here", "1.0")).files[0]
    there = publish(upstream, "there", released(tmp_path, "there", "1.0"), links="other").files[0]
    moved = publish(upstream, "moved", released(tmp_path, "moved", "1.0", metadata=False)).files[0]
    upstream.redirect(moved.path, "http://{other}/further")
    upstream.redirect("/further", "/elsewhere.whl")
    upstream.put("/elsewhere.whl", moved.content, "application/octet-stream", ranges=True)
    upstream.require(USER, PASSWORD, "/simple/*")

    server = new_server("--debug").start()
    mirror = mirror_of(server, upstream.url_with(USER, PASSWORD))
    stage = stage_above(server, mirror)
    # The client's own login, too, is nothing for the upstream.
    url = stage.simple_url.replace("://", f"://{stage.user}:{stage.password}@", 1)
    for installer in INSTALLERS:
        User(shell, installer).install(url, "here", "there", "moved")
    headers = {"Cookie": "session=1", "X-Devpi-Auth": base64.b64encode(b"root:secret").decode(), "X-Mine": "1"}
    [file] = server.simple(mirror, "there").values()
    server.request("GET", file["url"] + ".metadata", headers=headers)
    server.request("GET", f"/{mirror.name}/+simple/here/", headers=headers)

    assert upstream.count(here.path) and upstream.count(there.path) and upstream.count("/elsewhere.whl")
    for request in upstream.requests:
        ours = request.header("host") == upstream.host
        assert request.header("authorization") == (f"Basic {BASIC}" if ours else None), request
        assert not any(request.header(name) for name in ("cookie", "x-devpi-auth", "x-mine")), request
    assert {request.header("host") for request in upstream.requests} == {upstream.host, upstream.other_host}

    def look_everywhere() -> None:
        for auth in (None, mirror.auth, ("root", ROOT_PASSWORD)):
            for path in ("", "?no_projects=", "/+api", "/here", "/here/1.0", "/+simple/", "/+simple/here/"):
                for accept in ("application/json", JSON_PAGE["Accept"], "text/html"):
                    answer = server.request("GET", f"/{mirror.name}{path}", auth=auth, headers={"Accept": accept})
                    assert keeps_the_secret(shown(answer))
            for path in ("/", f"/{mirror.user}", f"/{stage.name}", "/+status", f"/{mirror.name}/+simple/nobody/"):
                answer = server.request("GET", path, auth=auth, headers={"Accept": "application/json"})
                assert keeps_the_secret(shown(answer))

    look_everywhere()
    for name in ("here", "there", "moved"):
        for file in server.simple(mirror, name).values():
            for accept in ("application/json", "*/*"):
                assert keeps_the_secret(shown(server.request("GET", file["url"], headers={"Accept": accept})))
    publish(upstream, "external", released(tmp_path, "external", "1.0"))
    changed = server.request("PATCH", f"/{mirror.name}", json=["mirror_use_external_urls=true"], auth=mirror.auth)
    assert changed.status_code == 200
    assert keeps_the_secret(shown(changed))
    [file] = server.simple(mirror, "external").values()
    answer = server.request("GET", file["url"], allow_redirects=False)
    assert answer.status_code == 302
    assert keeps_the_secret(shown(answer))
    # Changing something else does not lose what nobody is shown.
    upstream.take()
    assert page(server, mirror, "here").json()["files"]
    assert upstream.requests[0].header("authorization") == f"Basic {BASIC}"
    upstream.stop()
    look_everywhere()
    server.restart()
    look_everywhere()
    assert keeps_the_secret(server.log.read_text())


@pytest.mark.ours
def test_refused_credentials_are_not_told(
    new_server: Callable[..., Server], upstream: FakeUpstream, tmp_path: Path
) -> None:
    """When the upstream lets nobody in, answer and log say that, and not as whom the server tried."""
    publish(upstream, "lib", released(tmp_path, "lib", "1.0"))
    upstream.require(USER, "another password")
    server = new_server("--debug").start()
    mirror = mirror_of(server, upstream.url_with(USER, PASSWORD), mirror_no_project_list=True)
    answer = page(server, mirror, "lib", 502)
    assert "401" in answer.text
    assert keeps_the_secret(shown(answer))
    assert keeps_the_secret(server.log.read_text())


def login_line(upstream: FakeUpstream) -> str:
    """How a file of credentials names the upstream."""
    return f"http://{USER}:{PASSWORD}@{upstream.host}/\n"


def login_file(tmp_path: Path, text: str) -> Path:
    """A file that only its owner may read."""
    path = tmp_path / "logins"
    path.touch(0o600)
    path.write_text(text)
    return path


def by_credentials_file(upstream: FakeUpstream, tmp_path: Path) -> dict[str, object]:
    """What to make a server with that finds the login in a file of our own kind."""
    other = "https://somebody:else@upstream.example:8443/\n"
    return {"options": ("--mirror-credentials-file", login_file(tmp_path, other + login_line(upstream)))}


def by_credentials_in_the_environment(upstream: FakeUpstream, tmp_path: Path) -> dict[str, object]:
    """The same lines in a variable."""
    return {"env": {"DEVPISERVER_MIRROR_CREDENTIALS": login_line(upstream)}}


def by_netrc(upstream: FakeUpstream, tmp_path: Path) -> dict[str, object]:
    """The file that many programs read."""
    other = "machine upstream.example login somebody password else\n"
    text = f"machine 127.0.0.1\n  login {USER}\n  password {PASSWORD}\n"
    return {"env": {"NETRC": str(login_file(tmp_path, other + text))}}


@pytest.mark.ours
@pytest.mark.parametrize("way", [by_credentials_file, by_credentials_in_the_environment, by_netrc])
def test_login_from_outside_the_index(
    new_server: Callable[..., Server],
    upstream: FakeUpstream,
    shell: Shell,
    tmp_path: Path,
    way: Callable[[FakeUpstream, Path], dict[str, object]],
) -> None:
    """The login lies where only the server's administrator sees it, and is as secret and as local as one in a URL."""
    publish(upstream, "lib", released(tmp_path / "upstream", "lib", "1.0"))
    publish(upstream, "there", released(tmp_path / "upstream", "there", "1.0"), links="other")
    upstream.require(USER, PASSWORD, "/simple/*")
    given = way(upstream, tmp_path)
    server = new_server("--debug", *given.pop("options", ()), **given).start()
    mirror = mirror_of(server, upstream)
    for installer in INSTALLERS:
        assert User(shell, installer).versions(mirror, "lib", "there") == {"lib": "1.0", "there": "1.0"}
    for request in upstream.requests:
        # The first request may find out that a login is needed.
        expected = f"Basic {BASIC}" if request.header("host") == upstream.host and request.status != 401 else None
        assert request.header("authorization") == expected, request
    assert server.get(f"/{mirror.name}")["mirror_url"] == upstream.url
    assert keeps_the_secret(server.log.read_text())


# Ways to the upstream


class RecordingProxy:
    """An HTTP proxy that leads to one upstream whatever host is asked for, and notes what it was asked.

    Without an upstream it leads nowhere. Tunnels end at a port of this machine.
    """

    def __init__(self, upstream: FakeUpstream | None, *, tunnels_to: int | None = None):
        asked = self.asked = []
        logins = self.logins = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append((self.command, self.path))
                logins.add(self.headers.get("Proxy-Authorization"))
                url = urlsplit(self.path)
                if upstream is None or not url.netloc:
                    self.send_error(502)
                    return
                with requests.Session() as session:
                    session.trust_env = False
                    ours = ("proxy-connection", "proxy-authorization")
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in ours}
                    target = upstream.origin + self.path.partition(url.netloc)[2]
                    answer = session.request(
                        self.command, target, headers=headers, allow_redirects=False, timeout=DEADLINE, stream=True
                    )
                    body = answer.raw.read(decode_content=False)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def do_CONNECT(self) -> None:
                asked.append((self.command, self.path))
                if tunnels_to is None:
                    self.send_error(502)
                    return
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(("127.0.0.1", tunnels_to), timeout=DEADLINE) as plain:
                    back = threading.Thread(target=pump, args=(plain, self.connection))
                    back.start()
                    pump(self.connection, plain)
                    back.join(DEADLINE)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "RecordingProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_through_a_proxy(
    new_server: Callable[..., Server], published: FakeUpstream, shell: Shell, variable: str
) -> None:
    """A proxy from the environment is asked for an upstream that no other way leads to."""
    with RecordingProxy(published) as proxy:
        server = new_server(env={variable: proxy.url}).start()
        mirror = mirror_of(server, "http://upstream.example/simple/")
        assert User(shell, "pip").versions(mirror, "app") == {"app": "2.0", "lib": "1.5"}
        assert ("GET", "http://upstream.example/simple/app/") in proxy.asked
        assert ("GET", "http://upstream.example/files/app-2.0-py3-none-any.whl") in proxy.asked


def test_not_through_a_proxy(new_server: Callable[..., Server], published: FakeUpstream) -> None:
    """Hosts in ``NO_PROXY`` are asked without it."""
    with RecordingProxy(None) as proxy:
        server = new_server(env={"HTTP_PROXY": proxy.url, "NO_PROXY": "upstream.example,127.0.0.1"}).start()
        assert len(server.simple(mirror_of(server, published), "app")) == 2
        assert proxy.asked == []


@pytest.mark.ours
def test_a_proxy_that_wants_a_login(new_server: Callable[..., Server], published: FakeUpstream) -> None:
    """It gets what the variable says, and the log does not."""
    with RecordingProxy(published) as proxy:
        address = proxy.url.replace("://", f"://{USER}:{PASSWORD}@")
        server = new_server("--debug", env={"HTTP_PROXY": address}).start()
        assert len(server.simple(mirror_of(server, "http://upstream.example/simple/"), "app")) == 2
        assert proxy.logins == {f"Basic {BASIC}"}
    assert all(request.header("proxy-authorization") is None for request in published.requests)
    assert keeps_the_secret(server.log.read_text())


class TlsFront:
    """The upstream over TLS, with a certificate from an authority that nobody knows."""

    def __init__(self, directory: Path, upstream: FakeUpstream):
        self.authority = directory / "authority.pem"
        directory.mkdir(parents=True, exist_ok=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(make_certificate(directory, self.authority))

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(DEADLINE)
                # A client that does not trust us hangs up.
                with suppress(OSError), context.wrap_socket(self.request, server_side=True) as client:
                    with socket.create_connection(("127.0.0.1", upstream.port), timeout=DEADLINE) as plain:
                        back = threading.Thread(target=pump, args=(plain, client))
                        back.start()
                        pump(client, plain)
                        back.join(DEADLINE)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}/simple/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "TlsFront":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copies what comes from one socket to another one, to its end."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_own_certificate_authority(
    new_server: Callable[..., Server], published: FakeUpstream, shell: Shell, tmp_path: Path, variable: str
) -> None:
    """An upstream whose certificate comes from an authority in a file that the environment names."""
    with TlsFront(tmp_path / "tls", published) as front:
        server = new_server(env={variable: str(front.authority)}).start()
        mirror = mirror_of(server, front.url)
        assert User(shell, "uv").versions(mirror, "app") == {"app": "2.0", "lib": "1.5"}


def test_own_certificate_authority_through_a_proxy(
    new_server: Callable[..., Server], published: FakeUpstream, tmp_path: Path
) -> None:
    """An upstream over TLS is reached through a tunnel."""
    with (
        TlsFront(tmp_path / "tls", published) as front,
        RecordingProxy(None, tunnels_to=front.port) as proxy,
    ):
        server = new_server(env={"REQUESTS_CA_BUNDLE": str(front.authority), "HTTPS_PROXY": proxy.url}).start()
        assert len(server.simple(mirror_of(server, "https://upstream.example/simple/"), "app")) == 2
        assert set(proxy.asked) == {("CONNECT", "upstream.example:443")}


def test_unknown_certificate_authority(
    new_server: Callable[..., Server], published: FakeUpstream, tmp_path: Path
) -> None:
    """Without that, nothing is read from such an upstream."""
    with TlsFront(tmp_path / "tls", published) as front:
        server = new_server().start()
        mirror = mirror_of(server, front.url, mirror_no_project_list=True)
        page(server, mirror, "app", 502)
        assert published.count() == 0


# The mirror that is there from the beginning


@contextmanager
def initialised_by(directory: Path, program: Path, *options: str) -> Iterator[Server]:
    """A server with what its ``devpi-init`` makes, which can reach nobody."""
    directory.mkdir(parents=True)
    with RecordingProxy(None) as proxy:
        ways = {name: proxy.url for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}
        server = Server(directory, "--offline-mode", env=ways)
        try:
            made = subprocess.run(
                [program / "devpi-init", "--serverdir", server.serverdir, "--root-passwd", ROOT_PASSWORD, *options],
                env=server_environment(**ways),
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            assert made.returncode == 0, made.stdout + made.stderr
            server.port = free_port()
            server.start([str(program / "devpi-server"), *server.command()[1:]])
            yield server
        finally:
            server.close()
        assert proxy.asked == []


def test_root_pypi_is_as_devpi_makes_it(tmp_path: Path) -> None:
    """The same index with the same settings."""
    with initialised_by(tmp_path / "theirs", VENVS / "reference/bin") as theirs:
        expected = theirs.get("/root")["indexes"]
    with initialised_by(tmp_path / "ours", BIN) as server:
        assert server.get("/root")["indexes"] == expected
        pypi = server.api("GET", "/root/pypi?no_projects=", auth=None)
    assert pypi == expected["pypi"]
    assert (pypi["type"], pypi["volatile"]) == ("mirror", False)


def test_no_root_pypi(tmp_path: Path) -> None:
    with initialised_by(tmp_path / "ours", BIN, "--no-root-pypi") as server:
        assert server.get("/root")["indexes"] == {}
