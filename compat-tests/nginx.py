"""A devpi-server with an nginx before it, which is set up by the files of ``devpi-gen-config``."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import packages
from harness import DEADLINE, Index, Server, expect_uploaded, free_port, server_environment, tool, wait_until

STORED = ("--x-accel-redirect", "/+stored/")
CACHING = "nginx-devpi-caching.conf"

PIP = {"User-Agent": "pip/26.3 {}"}
HTML_PAGE = {"Accept": "text/html"}

WHEEL, SDIST = "hello_world-1.0-py3-none-any.whl", "hello_world-1.0.tar.gz"

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

# The directories of one that is started here, with everything below one of its own.
TEMPORARY = "\n    ".join(
    f"{kind}_temp_path {{directory}}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)

# As Debian has it, but for the paths; and a type that no answer should have.
CONFIGURATION = """daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    {temporary}
    log_format short "$request_method $request_uri $status from server: $upstream_status cache: $upstream_cache_status";
    access_log {directory}/access.log short;
    default_type text/x-of-nginx;
    sendfile on;
    tcp_nopush on;
    gzip on;
    include "{directory}/site.conf";
}}
"""


def generate(directory: Path, *options: object, env: Mapping[str, str] = {}) -> Path:
    """Runs ``devpi-gen-config`` in a directory; gives the one with the files."""
    directory.mkdir(parents=True, exist_ok=True)
    done = tool("devpi-gen-config", *options, cwd=directory, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "gen-config"


def is_open(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """An nginx that includes one file, with everything it writes in a directory of its own."""

    def __init__(self, directory: Path, site: str):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        # The rest of the file is used as it is.
        site = re.sub(r"(proxy_cache_path) \S+", rf"\1 {directory}/cache", site)
        (directory / "site.conf").write_text(re.sub(r"listen (\d+)(?=[ ;])", r"listen 127.0.0.1:\1", site))
        # Its workers must be able to look into the directories of the tests.
        user = "user root;" if os.getuid() == 0 else ""
        self.configuration = directory / "nginx.conf"
        self.configuration.write_text(CONFIGURATION.format(directory=directory, user=user, temporary=TEMPORARY.format(directory=directory)))

    def command(self, *options: str) -> list[str]:
        return [NGINX, "-p", str(self.directory), "-c", str(self.configuration), *options]

    def check(self) -> None:
        """Lets nginx read its configuration, of which it must not even warn."""
        done = subprocess.run(
            self.command("-t"), env=server_environment(), capture_output=True, text=True, timeout=DEADLINE
        )
        assert done.returncode == 0, done.stderr
        assert not re.search(r"\[(warn|error|crit|alert)\]", done.stderr), done.stderr

    def start(self, port: int) -> "Nginx":
        """Starts the process and waits until it listens."""
        self.check()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, env=server_environment())

        def listening() -> bool:
            assert self.process.poll() is None, f"nginx ended with {self.process.returncode}:\n{self.log('error')}"
            return is_open(port)

        wait_until(listening, "nginx does not listen")
        return self

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self.process:
            self.process.terminate()
            self.process.wait(DEADLINE)

    def log(self, name: str) -> str:
        """The log ``access`` or ``error``."""
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


class Site(Server):
    """A server that is only spoken to through nginx, below ``path``; ``change`` edits the file that nginx reads."""

    def __init__(
        self,
        directory: Path,
        *options: object,
        serverdir: Path | None = None,
        scheme: str = "http",
        path: str = "",
        file: str = "nginx-devpi.conf",
        change: Callable[[str], str] = str,
    ):
        self.nginx_port = free_port()
        self.outside_url = f"{scheme}://127.0.0.1:{self.nginx_port}{path}"
        super().__init__(directory, "--outside-url", self.outside_url, *options)
        self.serverdir = serverdir or self.serverdir
        self.port = free_port()
        self.file = file
        self.change = change
        self.nginx: Nginx | None = None

    def start(self, command: list[str] | None = None) -> "Site":
        """Starts the server, and at the first time nginx."""
        super().start(command)
        if not self.nginx:
            generated = generate(self.directory, *self.command()[1:]) / self.file
            self.nginx = Nginx(self.directory / "nginx", self.change(generated.read_text()))
            self.nginx.start(self.nginx_port)
        return self

    def close(self) -> None:
        super().close()
        if self.nginx:
            self.nginx.close()

    def tail(self, lines: int = 40) -> str:
        """The end of the log, and that of nginx."""
        return super().tail(lines) + ("\n" + self.nginx.log("error") if self.nginx else "")

    @property
    def url(self) -> str:
        return self.outside_url


@pytest.fixture
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Makes sites for one test alone, initialised but not started."""
    sites: list[Site] = []

    def make(*options: object, **keywords) -> Site:
        sites.append(Site(tmp_path_factory.mktemp("site"), *options, **keywords))
        return sites[-1].init()

    yield make
    for site in sites:
        site.close()


def fill(server: Server, index: Index, directory: Path) -> dict[str, str]:
    """Uploads a wheel and an sdist of ``hello-world``; gives their hashes by name."""
    paths = [make(directory, "hello-world", "1.0") for make in (packages.wheel, packages.sdist)]
    for path in paths:
        expect_uploaded(server.upload(index, path, "hello-world", "1.0"))
    return {path.name: packages.sha256(path) for path in paths}


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """While the server is down."""
    server.stop()
    try:
        yield
    finally:
        server.start()
