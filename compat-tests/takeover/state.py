"""What lies in a serverdir of devpi-server: its files as they are, and the changes in its database.

The database's format is that of `changelog` and `kv` in devpi-server 4 to 6: a value for each serial, which is a tuple of
changes and of renamed files, written for a small stack machine. Both directions are here, to damage data on purpose.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OLD_STATE = (".sqlite", "+files", "+h", ".event_serial", ".serverversion", ".nodeinfo")
"""How the names begin of what devpi-server needs."""


@dataclass(frozen=True)
class Seen:
    """What is noted of a file or a directory."""

    mode: int
    modified_ns: int
    size: int
    sha256: str | None


def listing(directory: Path) -> dict[str, Seen]:
    """Everything below a directory. Of the directory itself nothing is noted: new things may appear in it."""
    found = {}
    for path in sorted(directory.rglob("*")):
        info = path.lstat()
        is_file = path.is_file()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else None
        size = info.st_size if is_file else 0
        found[str(path.relative_to(directory))] = Seen(info.st_mode, info.st_mtime_ns, size, digest)
    return found


def changed(before: dict[str, Seen], after: dict[str, Seen]) -> list[str]:
    """What devpi-server needs that was there before and is not, or not the same."""
    return [
        f"{path}: {seen} became {after.get(path, 'nothing')}"
        for path, seen in before.items()
        if path.startswith(OLD_STATE) and after.get(path) != seen
    ]


def contents(listed: dict[str, Seen]) -> dict[str, str | None]:
    """Only what is in the files."""
    return {path: seen.sha256 for path, seen in listed.items() if seen.sha256}


def copy(source: Path, target: Path) -> Path:
    """A copy with all times and modes."""
    shutil.copytree(source, target, symlinks=True)
    shutil.copystat(source, target)
    return target


def inodes(directory: Path) -> dict[int, list[str]]:
    """The paths of each file below a directory, by inode."""
    found: dict[int, list[str]] = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found.setdefault(os.stat(path).st_ino, []).append(str(path.relative_to(directory)))
    return found


# The database


def database_file(serverdir: Path) -> Path:
    """The database, whose name depends on the storage."""
    return next(serverdir / name for name in (".sqlite", ".sqlite_db") if (serverdir / name).exists())


@contextmanager
def database(serverdir: Path) -> Iterator[sqlite3.Connection]:
    """The database, committed at the end."""
    connection = sqlite3.connect(database_file(serverdir))
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def last_serial(serverdir: Path) -> int:
    """The number of the last change."""
    with database(serverdir) as connection:
        return connection.execute("SELECT max(serial) FROM changelog").fetchone()[0]


def current_serial(serverdir: Path, key: str) -> int:
    """The number of the change that holds the current value of a key."""
    with database(serverdir) as connection:
        return connection.execute("SELECT serial FROM kv WHERE key = ?", (key,)).fetchone()[0]


def keys(serverdir: Path, keyname: str) -> dict[str, int]:
    """All keys of a kind, also of deleted things, with the serials of their last changes."""
    with database(serverdir) as connection:
        return dict(connection.execute("SELECT key, serial FROM kv WHERE keyname = ? ORDER BY key", (keyname,)))


def blob(serverdir: Path, serial: int) -> bytes:
    """A change as it is stored."""
    with database(serverdir) as connection:
        return bytes(connection.execute("SELECT data FROM changelog WHERE serial = ?", (serial,)).fetchone()[0])


def set_blob(serverdir: Path, serial: int, data: bytes) -> None:
    """Replaces a change."""
    with database(serverdir) as connection:
        connection.execute("UPDATE changelog SET data = ? WHERE serial = ?", (data, serial))


def value(serverdir: Path, key: str) -> Any:
    """The current value of a key."""
    changes, _ = decode(blob(serverdir, current_serial(serverdir, key)))
    return changes[key][2]


def is_readable(data: bytes) -> bool:
    """Whether a change is one at all: two parts, and of each key its kind, the change before, and the value."""
    try:
        changes, renames = decode(data)
        parts = [(key, *change) for key, change in changes.items()]
        good = [isinstance(key, str) and isinstance(kind, str) for key, kind, _, _ in parts]
        return all(good) and all(isinstance(name, str) for name in renames)
    except (ValueError, TypeError, AttributeError, IndexError):
        return False


def append(serverdir: Path, key: str, keyname: str, new: Any) -> int:
    """Adds a change of one key, as a server with some plugin might have done; gives its serial."""
    serial = last_serial(serverdir) + 1
    with database(serverdir) as connection:
        before = connection.execute("SELECT serial FROM kv WHERE key = ?", (key,)).fetchone()
        data = encode(({key: (keyname, before[0] if before else -1, new)}, []))
        connection.execute("INSERT INTO changelog (serial, data) VALUES (?, ?)", (serial, data))
        connection.execute("INSERT OR REPLACE INTO kv (key, keyname, serial) VALUES (?, ?, ?)", (key, keyname, serial))
    return serial


DIE_IN_THE_MIDDLE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE changelog SET data = data || zeroblob(5000)")
os._exit(0)
"""


def die_in_the_middle(serverdir: Path) -> None:
    """Leaves the database as a server does that dies while it writes."""
    path = database_file(serverdir)
    subprocess.run([sys.executable, "-c", DIE_IN_THE_MIDDLE, path], check=True)
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0


# The values


def decode(data: bytes) -> Any:
    """Reads one value; what is no value is an error."""
    stack: list[Any] = []
    position = 0

    def take(count: int) -> bytes:
        nonlocal position
        position += count
        if not 0 <= count <= len(data) - position + count:
            raise ValueError(f"the value ends too early, at {position - count}")
        return data[position - count : position]

    def number() -> int:
        return struct.unpack(">i", take(4))[0]

    def items() -> list[Any]:
        count = number()
        if not 0 <= count <= len(stack):
            raise ValueError(f"too few items at {position}")
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return taken

    simple = {b"L": None, b"R": True, b"C": False}
    while (code := take(1)) != b"Q":
        if code in simple:
            stack.append(simple[code])
        elif code == b"F":
            stack.append(number())
        elif code == b"H":
            stack.append(int(take(number())))
        elif code == b"D":
            stack.append(struct.unpack(">d", take(8))[0])
        elif code in (b"N", b"S"):
            stack.append(take(number()).decode())
        elif code == b"A":
            stack.append(take(number()))
        elif code == b"J":
            stack.append({})
        elif code == b"K":
            stack.append([None] * number())
        elif code == b"P":
            if len(stack) < 3:
                raise ValueError(f"too few items at {position}")
            item, key = stack.pop(), stack.pop()
            stack[-1][key] = item
        elif code in (b"@", b"O", b"E"):
            stack.append({b"@": tuple, b"O": set, b"E": frozenset}[code](items()))
        else:
            raise ValueError(f"unknown code {code!r} at {position - 1}")
    if len(stack) != 1 or position != len(data):
        raise ValueError(f"the value ends at {position}")
    return stack[0]


def encode(new: Any) -> bytes:
    """Writes one value."""
    return _encoded(new) + b"Q"


def _encoded(new: Any) -> bytes:
    if new is None or new is True or new is False:
        return {None: b"L", True: b"R", False: b"C"}[new]
    if isinstance(new, int):
        return b"F" + struct.pack(">i", new)
    if isinstance(new, float):
        return b"D" + struct.pack(">d", new)
    if isinstance(new, str):
        return b"N" + struct.pack(">i", len(new.encode())) + new.encode()
    if isinstance(new, bytes):
        return b"A" + struct.pack(">i", len(new)) + new
    if isinstance(new, dict):
        return b"J" + b"".join(_encoded(key) + _encoded(item) + b"P" for key, item in new.items())
    if isinstance(new, list):
        pairs = (_encoded(number) + _encoded(item) + b"P" for number, item in enumerate(new))
        return b"K" + struct.pack(">i", len(new)) + b"".join(pairs)
    code = {tuple: b"@", set: b"O", frozenset: b"E"}[type(new)]
    return b"".join(map(_encoded, new)) + code + struct.pack(">i", len(new))
