"""The server's side of every test: a process of ours on a directory of its own."""

import base64
import hashlib
import hmac
import itertools
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import requests
from argon2.low_level import Type, hash_secret_raw

REPOSITORY = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("WHEELHOUSE_BIN", REPOSITORY / "target/debug")).absolute()

ROOT_PASSWORD = "root-pw-1"
SECRET = "compat-tests know this secret, so they can forge login tokens."
# What deriving the token key costs; the default takes half a gigabyte at every start.
CHEAP_KEY = ("--argon2-memory-cost", "8", "--argon2-parallelism", "1", "--argon2-time-cost", "1")

DEADLINE = 60.0
# For names that no other test has.
numbers = itertools.count(1)
T = TypeVar("T")


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Polls until ``condition()`` gives something true, and returns that."""
    end = time.monotonic() + deadline
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {deadline:.0f} s in vain: {what}"
        time.sleep(0.02)
    return value


def server_environment(**extra: str) -> dict[str, str]:
    """The environment of a server: the caller's PATH, and nothing of the caller's settings."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **extra}


def tool(
    name: str, *arguments: object, env: Mapping[str, str] = {}, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one of our command line programs to its end, or, with a path as its name, any other."""
    return subprocess.run(
        [BIN / name, *map(str, arguments)],
        env=server_environment(**env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def tool_killed_after(seconds: float, name: str, *arguments: object) -> bool:
    """Runs one of our programs and kills it after a while, as a power cut would; false if it was done by then."""
    process = subprocess.Popen(
        [BIN / name, *map(str, arguments)],
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, errors
    return False


@dataclass(frozen=True)
class Index:
    """An index made for one test, with the credentials of its owner."""

    server_url: str
    user: str
    password: str
    short_name: str

    @property
    def name(self) -> str:
        return f"{self.user}/{self.short_name}"

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.name}"

    @property
    def upload_url(self) -> str:
        return f"{self.url}/"

    @property
    def simple_url(self) -> str:
        return f"{self.url}/+simple/"

    @property
    def auth(self) -> tuple[str, str]:
        return self.user, self.password


class Server:
    """A ``devpi-server`` process with its own serverdir, secret file and log."""

    reference: ClassVar[bool] = False
    instances: ClassVar[list["Server"]] = []

    def __init__(self, directory: Path, *options: object, env: Mapping[str, str] = {}):
        self.directory = directory
        self.serverdir = directory / "data"
        self.options = [str(option) for option in options]
        self.env = dict(env)
        self.log = directory / "server.log"
        self.log.touch()
        self.secretfile = directory / "secret"
        self.secretfile.write_text(SECRET)
        self.secretfile.chmod(0o600)
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        Server.instances.append(self)

    # The process

    def init(self, root_password: str = ROOT_PASSWORD) -> "Server":
        """Initialises the serverdir with ``devpi-init``, without the mirror of PyPI."""
        done = tool("devpi-init", "--serverdir", self.serverdir, "--no-root-pypi", "--root-passwd", root_password)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    @classmethod
    def any_port(cls) -> int:
        """What to pass as a port when any will do. Ours takes one that is free for 0, and says which."""
        return free_port() if cls.reference else 0

    def command(self) -> list[str]:
        """The command line; the port is chosen by the system at first and kept over restarts."""
        port = self.port or self.any_port()
        return [
            str(BIN / "devpi-server"),
            "--serverdir",
            str(self.serverdir),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--secretfile",
            str(self.secretfile),
            *CHEAP_KEY,
            *self.options,
        ]

    def start(self, command: list[str] | None = None) -> "Server":
        """Starts the process and waits until it says that it serves."""
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                command or self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=server_environment(**self.env),
            )

        def serving() -> re.Match[str] | None:
            assert self.process.poll() is None, f"devpi-server ended with {self.process.returncode}:\n{self.tail()}"
            text = self.log.read_bytes()[begin:].decode(errors="replace")
            return re.search(r"Serving on http://127\.0\.0\.1:(\d+)", text)

        self.port = int(wait_until(serving, "the server does not say that it serves")[1])
        return self

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Asks the process to end and returns its exit status (negative when it died of the signal)."""
        self.process.send_signal(with_signal)
        status = self.process.wait(DEADLINE)
        self.process = None
        return status

    def kill(self) -> None:
        """Ends the process at once, as a power cut would."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stops in order and starts again on the same data and port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Ends the process, if there is one, whatever the test left behind."""
        Server.instances.remove(self)
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self, lines: int = 40) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # What it serves

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, **options) -> requests.Response:
        """One request on a connection of its own, to a path of this server or to one of its URLs."""
        url = path if path.startswith("http://") else self.url + path
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, url, timeout=DEADLINE, **options)

    def api(self, method: str, path: str, *, body: object = None, auth=("root", ROOT_PASSWORD)) -> object:
        """A call of the JSON interface that must succeed; gives its ``result``."""
        answer = self.request(method, path, json=body, auth=auth, headers={"Accept": "application/json"})
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json().get("result")

    def get(self, path: str) -> object:
        """The ``result`` of a public JSON page."""
        return self.api("GET", path, auth=None)

    def serial(self) -> int:
        """The number of the last change."""
        return int(self.request("GET", "/+api").headers["X-Devpi-Serial"])

    def simple(self, index: Index | str, project: str) -> dict[str, dict]:
        """The files on a project's simple page, by name; empty when there is no such project."""
        name = index if isinstance(index, str) else index.name
        answer = self.request(
            "GET", f"/{name}/+simple/{project}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
        )
        if answer.status_code == 404:
            return {}
        assert answer.status_code == 200, answer.text
        files = {file["filename"]: file for file in answer.json()["files"]}
        for file in files.values():
            file["url"] = requests.compat.urljoin(answer.url, file["url"])
        return files

    def files(self, index: Index | str, project: str) -> dict[str, str]:
        """Downloads everything that a simple page lists; gives the SHA-256 of each, which must be the listed one."""
        found = {}
        for name, file in self.simple(index, project).items():
            answer = self.request("GET", file["url"])
            assert answer.status_code == 200, f"{file['url']}: {answer.status_code}"
            found[name] = hashlib.sha256(answer.content).hexdigest()
            assert found[name] == file["hashes"]["sha256"], name
        return found

    # Making things

    def new_user(self) -> tuple[str, str]:
        """Adds a user whose name no other test uses."""
        name, password = f"user{next(numbers)}", "user-pw-1"
        self.api("PUT", f"/{name}", body={"password": password})
        return name, password

    def new_index(self, short_name: str = "dev", *, owner: Index | None = None, **config: object) -> Index:
        """Adds an index, of a new user or of the owner of another one."""
        user, password = owner.auth if owner else self.new_user()
        index = Index(self.url, user, password, short_name)
        self.api("PUT", f"/{index.name}", body=config)
        return index

    def upload(self, index: Index, path: Path, name: str, version: str, **fields: str) -> requests.Response:
        """Posts a file with the bare form that all uploaders send."""
        form = {":action": "file_upload", "name": name, "version": version, **fields}
        with path.open("rb") as file:
            return self.request(
                "POST", f"/{index.name}/", auth=index.auth, data=form, files={"content": (path.name, file)}
            )


def expect_uploaded(answer: requests.Response) -> None:
    """An upload counts when the answer is exactly 200."""
    assert answer.status_code == 200, f"{answer.status_code} {answer.reason} {answer.text}"


def forge_token(user: str, issued_at: float) -> str:
    """A login token as the server itself would have issued it at that time, made from the secret alone."""
    key = hash_secret_raw(SECRET.encode(), b"devpi-server-auth", 1, 8, 1, 16, Type.ID)
    stamp = int(issued_at).to_bytes(8, "big").lstrip(b"\0")
    signed = f'["{user}", [], true].{_base64url(stamp)}'
    mac = hmac.digest(hashlib.sha1(b"itsdangerous" + b"signer" + key).digest(), signed.encode(), "sha1")
    return f"{signed}.{_base64url(mac)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
