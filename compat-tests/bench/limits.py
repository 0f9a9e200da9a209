"""What this machine allows at the most, found by bare programs that do only what cannot be left out."""

from __future__ import annotations

import hashlib
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PIECE = 1024 * 1024


def synced_files_per_second(directory: Path, size: int, writers: int, seconds: float) -> float:
    """Files that are written, synced, renamed, and their directory synced; each writer has a directory of its own."""
    content = os.urandom(size)
    end = time.perf_counter() + seconds

    def write(number: int) -> int:
        place = directory / str(number)
        place.mkdir(parents=True, exist_ok=True)
        folder = os.open(place, os.O_RDONLY)
        written = 0
        while time.perf_counter() < end:
            file = os.open(place / "new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(file, content)
            os.fsync(file)
            os.close(file)
            os.rename(place / "new", place / str(written))
            os.fsync(folder)
            written += 1
        os.close(folder)
        return written

    started = time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        total = sum(pool.map(write, range(writers)))
    return total / (time.perf_counter() - started)


def commits_per_second(directory: Path, seconds: float) -> float:
    """Commits of one small row by SQLite with a write-ahead log that is synced each time."""
    directory.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(directory / "limit.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE IF NOT EXISTS row (key INTEGER PRIMARY KEY, value BLOB)")
    value = os.urandom(1000)
    done, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        database.execute("INSERT INTO row (value) VALUES (?)", (value,))
        done += 1
    seconds = time.perf_counter() - started
    database.close()
    return done / seconds


def hash_and_store(source: Path, target: Path) -> float:
    """Seconds for hashing a file and writing it elsewhere at the same time, until it is synced."""
    pieces: queue.Queue[bytes | None] = queue.Queue(8)
    digest = hashlib.sha256()

    def work() -> None:
        while (piece := pieces.get()) is not None:
            digest.update(piece)

    target.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    hasher = threading.Thread(target=work)
    hasher.start()
    with source.open("rb", buffering=0) as read, target.open("wb", buffering=0) as write:
        while piece := read.read(PIECE):
            pieces.put(piece)
            write.write(piece)
        os.fsync(write.fileno())
    pieces.put(None)
    hasher.join()
    folder = os.open(target.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds
