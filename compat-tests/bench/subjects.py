"""The servers that are compared: how each is started, and where it has what."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from harness import BIN, CHEAP_KEY, REPOSITORY, ROOT_PASSWORD, SECRET, free_port, server_environment
from nginx import NGINX, TEMPORARY

from . import load
from .processes import Failed, Process
from .rows import DEVPI, DEVPI_WEB, LIMIT, OURS, PYPIRON, PYPISERVER
from .rows import NGINX as NGINX_NAME

VENVS = REPOSITORY / ".venvs"
ACCEPT = {
    "json": {"Accept": "application/vnd.pypi.simple.v1+json"},
    "html": {"Accept": "text/html"},
}
MOST_BYTES = 3_000_000_000
"""What an upload may have, where that must be said."""
DEVPI_THREADS = 50
DEVPI_CONNECTIONS = 900
"""As many as its loop can watch, and not the 100 that it allows by default."""
INDEX = "root/dev"
DEEP_INDEX = "root/level0"
LEVELS = 5


@dataclass(frozen=True)
class Target:
    """An address and what to send with a request for it."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Subject:
    """A server with a directory of its own, on a port of its own."""

    name = ""
    formats: tuple[str, ...] = ("json", "html")
    upload_path = "/"
    durability = ""
    """What is on disk when an upload is answered."""
    max_upload: int | None = None
    """More bytes than that it refuses in one request."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "log"
        self.port = free_port()
        self.process: Process | None = None

    # The process

    def command(self) -> list[object]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def prepare(self) -> None:
        """What comes before the first start."""

    def set_up(self) -> None:
        """What comes after the first start."""

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            load.request(self.port, "GET", "/")
        except OSError:
            return False
        return True

    def start(self) -> float:
        """Starts it; gives the seconds until the first answer."""
        self.process = Process(self.command(), self.log, env=self.environment(), cwd=self.directory)
        return self.process.wait_for(self.ready)

    def close(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None

    def version(self) -> str:
        """What it calls itself."""
        raise NotImplementedError

    # What it serves

    def simple_path(self) -> str:
        return "/simple/"

    def page(self, project: str, form: str) -> Target:
        """The page of a project."""
        return Target(f"{self.simple_path()}{project}/", ACCEPT[form])

    def project_list(self, form: str) -> Target:
        """The list of all projects."""
        return Target(self.simple_path(), ACCEPT[form])

    def files(self, project: str) -> dict[str, str]:
        """The paths of a project's files, by name, from its page."""
        target = self.page(project, self.formats[0])
        page = load.get(self.port, target.path, target.headers)
        return links(target.path, page.body, page.headers.get_content_type())

    def authorization(self) -> dict[str, str]:
        """The header that lets upload."""
        return {}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class DevpiLike(Subject):
    """What ours and devpi-server have in common: commands, indexes and logins."""

    upload_path = f"/{INDEX}/"

    def programs(self) -> Path:
        raise NotImplementedError

    def options(self) -> list[object]:
        return []

    @property
    def serverdir(self) -> Path:
        return self.directory / "data"

    def command(self) -> list[object]:
        secret = self.directory / "secret"
        if not secret.exists():
            secret.touch(0o600)
            secret.write_text(SECRET)
        return [
            self.programs() / "devpi-server",
            *("--serverdir", self.serverdir),
            *("--host", load.HOST, "--port", self.port),
            *("--secretfile", secret),
            *CHEAP_KEY,
            *("--max-request-body-size", MOST_BYTES),
            *self.options(),
        ]

    def environment(self) -> dict[str, str]:
        return {"XDG_CONFIG_HOME": str(self.directory), "XDG_CONFIG_DIRS": str(self.directory)}

    def prepare(self) -> None:
        command = [self.programs() / "devpi-init", "--serverdir", self.serverdir, "--no-root-pypi"]
        command += ["--root-passwd", ROOT_PASSWORD]
        done = subprocess.run(
            command, env=server_environment(**self.environment()), capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise Failed(f"{self.name}: {done.stdout}{done.stderr}")

    def set_up(self) -> None:
        """An index, and another that has five levels of bases."""
        self.call("PUT", f"/{INDEX}", {"volatile": True})
        for level in reversed(range(LEVELS + 1)):
            bases = [f"root/level{level + 1}"] if level < LEVELS else []
            self.call("PUT", f"/root/level{level}", {"bases": bases})

    def call(self, method: str, path: str, body: object = None) -> object:
        """A call of the JSON interface that must succeed."""
        headers = self.authorization() | {"Accept": "application/json"}
        answer = load.request(self.port, method, path, headers, None if body is None else json.dumps(body))
        if answer.status not in (200, 201):
            raise Failed(f"{self.name}: {method} {path}: {answer.status} {answer.body[:300]!r}")
        return json.loads(answer.body).get("result")

    def simple_path(self) -> str:
        return f"/{INDEX}/+simple/"

    def deep_page(self, project: str, form: str) -> Target:
        """The page of a project in the index that inherits."""
        return Target(f"/{DEEP_INDEX}/+simple/{project}/", ACCEPT[form])

    def authorization(self) -> dict[str, str]:
        """With a login token, as devpi's client has it: a password would cost devpi-server an argon2 each time."""
        if not hasattr(self, "_token"):
            credentials = json.dumps({"user": "root", "password": ROOT_PASSWORD})
            answer = load.request(self.port, "POST", "/+login", {"Accept": "application/json"}, credentials)
            if answer.status != 200:
                raise Failed(f"{self.name}: login: {answer.status} {answer.body[:300]!r}")
            self._token = json.loads(answer.body)["result"]["password"]
        return basic("root", self._token)

    def version(self) -> str:
        command = [self.programs() / "devpi-server", "--version"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


class Ours(DevpiLike):
    """Wheelhouse."""

    name = OURS
    durability = "the file's bytes, its name and the database synced"

    def programs(self) -> Path:
        return BIN


class Devpi(DevpiLike):
    """devpi-server as its authors ship it."""

    name = DEVPI
    durability = "the database synced; the file's bytes and its name not"
    venv = "reference"

    def programs(self) -> Path:
        given = os.environ.get("DEVPI_REFERENCE_BIN") if self.venv == "reference" else None
        return Path(given) if given else VENVS / self.venv / "bin"

    def options(self) -> list[object]:
        # Without core metadata installers have to read wheels; with its limit of connections most would wait in vain.
        return ["--threads", DEVPI_THREADS, "--connection-limit", DEVPI_CONNECTIONS, "--enable-core-metadata"]


class DevpiWeb(Devpi):
    """devpi-server with its pages for people and their search index."""

    name = DEVPI_WEB
    venv = "bench-devpi-web"

    def version(self) -> str:
        listed = [self.programs() / "python", "-m", "pip", "list", "--format", "json"]
        packages = json.loads(subprocess.run(listed, capture_output=True, text=True, timeout=60).stdout)
        found = next(package["version"] for package in packages if package["name"] == "devpi-web")
        return f"{super().version()}, devpi-web {found}"


class Pypiron(Subject):
    """pypiron on a directory, as its README starts it; without its feed of advisories, which is elsewhere."""

    name = PYPIRON
    upload_path = "/legacy/"
    durability = "the file's bytes synced; its name, records and pages not; pages are made after the answer"
    password = "admin-pw-1"

    @property
    def program(self) -> Path:
        return VENVS / "bench-pypiron/bin/pypiron"

    def command(self) -> list[object]:
        return [
            self.program,
            "serve",
            *("--data-dir", self.directory / "data"),
            *("--spool-dir", self.directory / "spool"),
            *("--bind-addr", f"{load.HOST}:{self.port}"),
            *("--advisory-feed", ""),
        ]

    def prepare(self) -> None:
        for name in ("data", "spool"):
            (self.directory / name).mkdir()

    def environment(self) -> dict[str, str]:
        return {"PYPIRON_ADMIN_PASS": self.password}

    def authorization(self) -> dict[str, str]:
        return basic("admin", self.password)

    def version(self) -> str:
        return subprocess.run([self.program, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()


class Pypiserver(Subject):
    """pypiserver with waitress, without passwords."""

    name = PYPISERVER
    formats = ("html",)
    durability = "not synced"
    max_upload = 1024**3
    """That is waitress's."""

    @property
    def programs(self) -> Path:
        return VENVS / "bench-pypiserver/bin"

    def command(self) -> list[object]:
        return [
            self.programs / "pypi-server",
            "run",
            *("--interface", load.HOST, "--port", self.port),
            *("--authenticate", ".", "--passwords", "."),
            "--disable-fallback",
            self.directory / "data",
        ]

    def prepare(self) -> None:
        (self.directory / "data").mkdir()

    def version(self) -> str:
        command = [self.programs / "pypi-server", "--version"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


class Machine(Subject):
    """No server, but a place for what is tried without any."""

    name = LIMIT


HEAD_FIELDS = {
    "Cache-Control": "$cache_control",
    "Vary": "$vary",
    "X-DEVPI-API-VERSION": "2",
    "X-DEVPI-SERVER-VERSION": "6.20.3",
    "X-DEVPI-SERIAL": "1234",
    "X-DEVPI-UUID": 32 * "0",
    "X-DEVPI-MASTER-UUID": 32 * "0",
    "X-DEVPI-PRIMARY-UUID": 32 * "0",
}
"""What is in our heads and not by itself in those of nginx, which leaves out what is empty. Writing and reading fields takes time, the load
generator's most of all: each goes through its check of the answer."""

NGINX_CONFIGURATION = r"""daemon off;
{user}
worker_processes auto;
worker_rlimit_nofile 65536;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{
    worker_connections 20000;
    multi_accept on;
}}
http {{
    {temporary}
    access_log off;
    sendfile on;
    tcp_nopush on;
    gzip off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    open_file_cache max=20000 inactive=600s;
    open_file_cache_valid 600s;
    open_file_cache_min_uses 1;
    types {{}}
    default_type application/octet-stream;
    map $uri $vary {{
        ~^/(json|html)/|/\+simple/ "Accept, Accept-Encoding, User-Agent";
        default "";
    }}
    map $vary $cache_control {{
        "" "max-age=365000000, immutable, public";
        default no-cache;
    }}
    server {{
        listen {host}:{port} backlog=4096;
        root {directory}/tree;
        {fields}
        location /json/ {{ default_type application/vnd.pypi.simple.v1+json; }}
        location /html/ {{ default_type "text/html; charset=utf-8"; }}
        location /{index}/+simple/ {{
            default_type application/vnd.pypi.simple.v1+json;
            index index.json;
        }}
    }}
}}
"""


class Nginx(Subject):
    """nginx with what ours answered in a directory, heads like ours, bodies byte by byte: the most that can be had."""

    name = NGINX_NAME

    def command(self) -> list[object]:
        return [NGINX, "-p", self.directory, "-c", self.directory / "nginx.conf"]

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    def prepare(self) -> None:
        if not NGINX:
            raise Failed("nginx is missing: run compat-tests/install.sh nginx")
        self.tree.mkdir()
        text = NGINX_CONFIGURATION.format(
            # Its workers must be able to look into this directory.
            user="user root;" if os.getuid() == 0 else "",
            directory=self.directory,
            host=load.HOST,
            port=self.port,
            index=INDEX,
            fields="".join(f'add_header {name} "{value}";' for name, value in HEAD_FIELDS.items()),
            temporary=TEMPORARY.format(directory=self.directory),
        )
        (self.directory / "nginx.conf").write_text(text)

    def put(self, path: str, body: bytes) -> None:
        """Has this to serve at a path."""
        place = self.tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)

    def simple_path(self) -> str:
        return f"/{INDEX}/+simple/"

    def page(self, project: str, form: str) -> Target:
        # Not where installers look: finding an index file would cost it something.
        return Target(f"/{form}/{project}.{form}", ACCEPT[form])

    def deep_page(self, project: str, form: str) -> Target:
        return Target(f"/{form}/deep-{project}.{form}", ACCEPT[form])

    def project_list(self, form: str) -> Target:
        return Target(f"/{form}/+list.{form}", ACCEPT[form])

    def version(self) -> str:
        return subprocess.run([NGINX, "-v"], capture_output=True, text=True, timeout=60).stderr.strip()


ALL: tuple[type[Subject], ...] = (Ours, Nginx, Pypiron, Pypiserver, Devpi, DevpiWeb)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self.found.append((data.strip(), self._href))
            self._href = None


def links(base: str, page: bytes, content_type: str) -> dict[str, str]:
    """The paths of all files of a page, by name."""
    if content_type.endswith("json"):
        found = [(file["filename"], file["url"]) for file in json.loads(page)["files"]]
    else:
        anchors = _Anchors()
        anchors.feed(page.decode())
        found = anchors.found
    joined = ((name, urllib.parse.urljoin(f"http://host{base}", url)) for name, url in found)
    return {name: re.sub(r"#.*", "", url.removeprefix("http://host")) for name, url in joined}
