"""The users' side of every test: a shell with the real clients in it, and a terminal for those that ask."""

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import DEADLINE, REPOSITORY, Index, numbers, wait_until

VENVS = REPOSITORY / ".venvs"


class Shell:
    """A user at a terminal: a home directory of its own, and the clients with nobody's settings but that home's.

    What the clients say is printed, unless there is to be so much of it that it is to be seen on failure only.
    """

    def __init__(self, home: Path, *, silent: bool = False):
        self.home = home
        self.silent = silent
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
        if not self.silent:
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
