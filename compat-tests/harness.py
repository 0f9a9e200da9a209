"""The two sides of every test: a server of ours on a directory of its own, and a user's shell with the real clients."""

import base64
import contextlib
import fcntl
import hashlib
import hmac
import itertools
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import requests

REPOSITORY = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("WHEELHOUSE_BIN", REPOSITORY / "target/debug")).absolute()
VENVS = REPOSITORY / ".venvs"

ROOT_PASSWORD = "root-pw-1"
SECRET = "compat-tests know this secret, so they can forge login tokens."
# What deriving the token key costs; the default takes half a gigabyte at every start.
CHEAP_KEY = ("--argon2-memory-cost", "8", "--argon2-parallelism", "1", "--argon2-time-cost", "1")

DEADLINE = 60.0
numbers = itertools.count(1)


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what: str, deadline: float = DEADLINE):
    """Polls until ``condition()`` gives something true, and returns that."""
    end = time.monotonic() + deadline
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {deadline:.0f} s in vain: {what}"
        time.sleep(0.02)
    return value


def server_environment(**extra: str) -> dict[str, str]:
    """The environment of a server: the caller's PATH, and nothing of the caller's settings."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **extra}


def tool(name: str, *arguments: object, env: Mapping[str, str] = {}, **options) -> subprocess.CompletedProcess[str]:
    """Runs one of our command line programs to its end."""
    return subprocess.run(
        [BIN / name, *map(str, arguments)],
        env=server_environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        **options,
    )


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

    def new_user(self, prefix: str = "user") -> tuple[str, str]:
        """Adds a user whose name no other test uses."""
        name, password = f"{prefix}{next(numbers)}", "user-pw-1"
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
    from argon2.low_level import Type, hash_secret_raw

    key = hash_secret_raw(SECRET.encode(), b"devpi-server-auth", 1, 8, 1, 16, Type.ID)
    stamp = int(issued_at).to_bytes(8, "big").lstrip(b"\0")
    signed = f'["{user}", [], true].{_base64url(stamp)}'
    mac = hmac.digest(hashlib.sha1(b"itsdangerous" + b"signer" + key).digest(), signed.encode(), "sha1")
    return f"{signed}.{_base64url(mac)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Shell:
    """A user at a terminal: a home directory of its own, and the clients with nobody's settings but that home's."""

    def __init__(self, home: Path):
        self.home = home
        self.home.mkdir(parents=True, exist_ok=True)
        self.env = {
            "PATH": f"{VENVS / 'clients/bin'}:/usr/bin:/bin",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_DATA_HOME": str(home / ".data"),
            "DEVPI_CLIENTDIR": str(home / ".devpi/client"),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "400",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PYTHONNOUSERSITE": "1",
            "UV_PYTHON": str(VENVS / "clients/bin/python"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
        }

    def run(
        self,
        program: str | Path,
        *arguments: object,
        code: int = 0,
        input: str = "",
        cwd: Path | None = None,
        env: Mapping[str, str] = {},
    ) -> str:
        """Runs a program without a terminal; it must end with ``code``. Gives what it printed."""
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            env=self.env | dict(env),
            cwd=cwd or self.home,
            input=input,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=300,
        )
        shown = f"$ {Path(program).name} {' '.join(map(str, arguments))}\n{done.stdout}"
        print(shown)
        assert done.returncode == code, f"exit status {done.returncode}, not {code}:\n{shown}"
        return done.stdout

    def devpi(self, *arguments: object, **options) -> str:
        return self.run("devpi", *arguments, **options)

    def pip(self, *arguments: object, **options) -> str:
        return self.run("pip", *arguments, **options)

    def uv(self, *arguments: object, **options) -> str:
        return self.run("uv", *arguments, **options)

    def twine(self, *arguments: object, **options) -> str:
        return self.run("twine", *arguments, **options)

    def use(self, index: Index) -> None:
        """``devpi use`` and ``devpi login`` as the owner of an index."""
        self.devpi("use", index.url)
        self.devpi("login", index.user, "--password", index.password)

    def venv(self, *, with_pip: bool = False) -> Path:
        """A fresh virtual environment."""
        path = self.home / f"venv-{next(numbers)}"
        if with_pip:
            self.run("python", "-m", "venv", path)
        else:
            self.uv("venv", "--no-config", path)
        return path

    def installed(self, venv: Path, module: str) -> str:
        """The version of a sample that is installed in a virtual environment."""
        return self.run(venv / "bin/python", "-c", f"import {module}; print({module}.__version__)").strip()


class Hidden(str):
    """A line to type only when the terminal does not show what is typed."""


def interact(command: list[object], *dialogue: tuple[str, str], env: Mapping[str, str]) -> tuple[int, str]:
    """Runs a program on a terminal of its own and answers its prompts: pairs of the text awaited and the line typed.

    Gives its exit status and all that stood on the terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(part) for part in command],
        env=dict(env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown, answered = "", 0
    try:
        for chunk in _terminal_output(ours):
            shown += chunk
            if answered < len(dialogue) and dialogue[answered][0] in shown.rpartition("\n")[2]:
                line = dialogue[answered][1]
                if isinstance(line, Hidden):
                    wait_until(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO, "a password would be shown", 10)
                os.write(ours, line.encode() + b"\n")
                shown += "\n"
                answered += 1
        status = process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert answered == len(dialogue), f"never asked for {dialogue[answered][0]!r}:\n{shown}"
    return status, shown


def _terminal_output(terminal: int) -> Iterator[str]:
    """What a program writes to its terminal, until it lets go of it."""
    while select.select([terminal], [], [], DEADLINE)[0]:
        with contextlib.suppress(OSError):
            if data := os.read(terminal, 4096):
                yield data.decode(errors="replace")
                continue
        return
    raise AssertionError("the program neither says anything nor ends")
