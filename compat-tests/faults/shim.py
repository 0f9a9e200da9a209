"""Calls of the C library that fail in a running server, through a preloaded library (see shim.c)."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shim.c")
RULES = 8
RULE = struct.Struct("16s104s4i")
HITS = struct.Struct("i")
FOREVER = -1


def build(directory: Path) -> Path:
    """Compiles the library."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("cc is not here, with which the library for faults is compiled")
    library = directory / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return library


@dataclass(frozen=True)
class Fault:
    """A kind of call that fails: `create` and `open` (for writing, and for reading only), `write`, `read`, `fsync`,
    `truncate`, `rename`, `unlink`, `mkdir`; or `sleep`, for a thread of this name, which then takes no time."""

    call: str
    path: str
    """Part of the paths in question; their end, if a dollar sign comes last."""
    error: int = errno.EIO
    skip: int = 0
    """How many calls go well first."""
    count: int = FOREVER
    """How many fail then."""

    def __str__(self) -> str:
        return f"{self.call} {self.path} {errno.errorcode[self.error]}"


class Shim:
    """The faults of one server, which starts with this environment."""

    def __init__(self, library: Path, table: Path):
        self.environment = {"LD_PRELOAD": str(library), "FAULTS_TABLE": str(table)}
        table.write_bytes(bytes(RULE.size * RULES))
        with table.open("r+b") as file:
            self._table = mmap.mmap(file.fileno(), 0)

    @contextmanager
    def failing(self, *faults: Fault, unused: bool = False) -> Iterator[None]:
        """The faults are there meanwhile, and each of them must be met by a call, else nothing was tested."""
        for number, fault in enumerate(faults):
            call, path = fault.call.encode(), os.fsencode(fault.path)
            assert len(call) < 16 and len(path) < 104
            packed = RULE.pack(b"", path, fault.error, fault.skip, fault.count, 0)
            self._table[number * RULE.size : (number + 1) * RULE.size] = packed
            # Only now it counts.
            self._table[number * RULE.size : number * RULE.size + len(call)] = call
        try:
            yield
            missed = [str(fault) for number, fault in enumerate(faults) if not self.hits(number)]
            assert unused or not missed, f"nothing failed: {missed}"
        finally:
            self._table[:] = bytes(RULE.size * RULES)

    def hits(self, number: int = 0) -> int:
        """How many calls have failed."""
        return HITS.unpack_from(self._table, number * RULE.size + RULE.size - HITS.size)[0]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Shim:
    return Shim(library, tmp_path / "faults.table")
