"""Starts devpi-client again and again without loading its libraries each time, which takes most of its time.

A process that has loaded them forks for each command. What runs is the installed script in a process of its own, with
environment, directory and standard files of its own; only modules that read none of these when they are loaded are
there before. Commands on a terminal are started in the usual way, so that both ways are used.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

MESSAGE_BYTES = 1 << 17


class Starter:
    """The process that forks; a context manager."""

    def __init__(self, python: Path, script: Path, env: Mapping[str, str], seconds: int):
        self._command = [str(python), __file__, str(script), str(seconds)]
        self._env = dict(env)

    def __enter__(self) -> Starter:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [*self._command, str(theirs.fileno())]
            self._process = subprocess.Popen(command, env=self._env, pass_fds=[theirs.fileno()])
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.wait()

    def run(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, input: str) -> tuple[int, str]:
        """Runs the script to its end; gives its exit status and what it printed."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
            given.write(input.encode())
            given.seek(0)
            message = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}).encode()
            socket.send_fds(self._channel, [message], [given.fileno(), printed.fileno()])
            status = self._channel.recv(MESSAGE_BYTES)
            assert status, "the starter has ended"
            printed.seek(0)
            return int(status), printed.read().decode(errors="replace")


def _serve(script: Path, seconds: int, channel: socket.socket) -> None:
    """Forks for each message, until there are no more."""
    for library in ("requests", "devpi_common.metadata", "devpi_common.request", "devpi_common.terminal", "pluggy"):
        importlib.import_module(library)
    # What is there before the fork is not to be looked at again by the garbage collectors of all children.
    gc.collect()
    gc.freeze()
    while True:
        message, files, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
        if not message:
            return
        if process := os.fork():
            for file in files:
                os.close(file)
            channel.send(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())
            continue
        channel.close()
        # Ends a command that does not end by itself.
        signal.alarm(seconds)
        _become(script, files, **json.loads(message))
        return


def _become(script: Path, files: list[int], arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """Runs the script as a shell would have started it."""
    os.setsid()
    for target, file in enumerate((files[0], files[1], files[1])):
        os.dup2(file, target)
    for file in files:
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [str(script), *arguments]
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])))
