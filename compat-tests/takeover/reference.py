"""The real devpi-server and its tools, whatever WHEELHOUSE_BIN says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import harness
from harness import REPOSITORY, ROOT_PASSWORD, Server, free_port

BIN = Path(os.environ.get("DEVPI_REFERENCE_BIN") or REPOSITORY / ".venvs/reference/bin").absolute()
PORT_ATTEMPTS = 5


class DevpiServer(Server):
    """A `devpi-server` from PyPI. One made on the directory of a `Server` of ours works on the same serverdir, with
    the same secret."""

    def init(self, root_password: str = ROOT_PASSWORD) -> DevpiServer:
        options = ("--serverdir", self.serverdir, "--no-root-pypi", "--root-passwd", root_password, *self.options)
        succeeds(tool("devpi-init", *options))
        return self

    def start(self, command: list[str] | None = None) -> DevpiServer:
        """Starts the process; at another port when somebody took the first one between the choice and its use."""
        for attempt in range(PORT_ATTEMPTS):
            try:
                super().start(command)
                break
            except AssertionError:
                if attempt + 1 == PORT_ATTEMPTS or "Address already in use" not in self.tail():
                    raise
                self.port = 0
        return self

    def command(self) -> list[str]:
        self.port = self.port or free_port()
        return [str(BIN / "devpi-server"), *super().command()[1:]]


def tool(name: str, *arguments: object, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """Runs one of devpi's command line programs to its end."""
    return harness.tool(str(BIN / name), *arguments, env=env)


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    """Asserts that a program ended well; gives all that it said."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
