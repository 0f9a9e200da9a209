"""Serverdirs of ours from the inside: contents by their hashes, the database, and how both come to harm.

    wheelhouse.sqlite   metadata
    files/ab/ab12…      contents, by SHA-256
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

from harness import tool
from takeover import state

DATABASE = "wheelhouse.sqlite"
DAMAGES = ("wrong byte", "cut", "longer", "missing")


def fsck(serverdir: Path, *options: object) -> CompletedProcess[str]:
    return tool("devpi-fsck", "--serverdir", serverdir, *options)


def sound(serverdir: Path, *, strays: bool = False) -> tuple[int, int]:
    """The serial and the number of files of a serverdir in which devpi-fsck finds nothing at all, or only contents that
    nothing names."""
    done = fsck(serverdir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert strays or not re.search(r"\b(WARN|ERROR)\b", done.stdout), done.stdout
    serial = re.search(r"Checking at serial (\d+)", done.stdout)
    files = re.search(r"Finished with a total of (\d+) files", done.stdout)
    return int(serial[1]), int(files[1])


def fatal(done: CompletedProcess[str]) -> str:
    """The message of a program that gave up."""
    assert done.returncode == 1, done.stdout + done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("fatal: ")]
    return line.removeprefix("fatal: ")


def content_file(serverdir: Path, content: bytes) -> Path:
    """Where a content lies."""
    digest = hashlib.sha256(content).hexdigest()
    return serverdir / "files" / digest[:2] / digest


def contents(serverdir: Path) -> dict[str, Path]:
    """All contents that are there, by their names, which should be their hashes."""
    return {path.name: path for path in (serverdir / "files").rglob("*") if path.is_file()}


def linked_copy(serverdir: Path, target: Path) -> Path:
    """A copy that has contents in common with the first one, as a backup has."""

    def copy(source: str, target: str) -> None:
        if "/files/" in source:
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    return shutil.copytree(serverdir, target, copy_function=copy)


def damage(path: Path, how: str) -> None:
    """Harms one content; other names of the same file, such as those in a backup, lead to what was there."""
    content = path.read_bytes()
    path.unlink()
    harmed = {"wrong byte": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:-1], "longer": content + b"x"}
    if how != "missing":
        path.write_bytes(harmed[how])


@contextmanager
def database(serverdir: Path) -> Iterator[sqlite3.Connection]:
    """The database, in which anything can be done; committed at the end."""
    connection = sqlite3.connect(serverdir / DATABASE)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def listing(directory: Path) -> dict[str, state.Seen]:
    """Everything below a directory, but for the files that SQLite also makes when it only reads, and the times of
    directories, which tell of files that came and went."""
    found = state.listing(directory).items()
    return {
        name: seen if seen.sha256 else replace(seen, modified_ns=0)
        for name, seen in found
        if not name.endswith(("-wal", "-shm"))
    }


def changes(before: dict[str, state.Seen], after: dict[str, state.Seen]) -> list[str]:
    """The names of what came, went, or is not the same."""
    return [name for name in sorted(before | after) if before.get(name) != after.get(name)]
