"""What tests of backups share: how one is made, and a small server to make them of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import packages
from harness import Server, expect_uploaded, tool
from takeover import state
from takeover.places import index_of
from takeover.reference import succeeds

DEV = "alice/dev"


def backup(serverdir: Path, directory: Path, *options: object) -> CompletedProcess[str]:
    return tool("devpi-server", "backup", directory, "--serverdir", serverdir, *options)


@dataclass(frozen=True)
class Summary:
    """What a backup says at its end."""

    serial: int
    files: int
    new_files: int
    new_bytes: int

    @classmethod
    def of(cls, shown: str) -> Summary:
        pattern = r"state of serial (\d+): (\d+) files with \d+ bytes, (\d+) of them with (\d+) bytes new"
        return cls(*map(int, re.search(pattern, shown).groups()))


def backed_up(serverdir: Path, directory: Path, *options: object) -> Summary:
    """Makes a backup, which must succeed."""
    return Summary.of(succeeds(backup(serverdir, directory, *options)))


@pytest.fixture(scope="module")
def built_serverdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A serverdir at rest: a volatile index with a wheel and an sdist."""
    directory = tmp_path_factory.mktemp("built")
    server = Server(directory).init().start()
    try:
        server.api("PUT", "/alice", body={"password": "pw-1"})
        server.api("PUT", f"/{DEV}", body={})
        for make in (packages.wheel, packages.sdist):
            path = make(directory, "demo", "1.0")
            expect_uploaded(server.upload(index_of(server, DEV), path, "demo", "1.0"))
        server.stop()
    finally:
        server.close()
    return server.serverdir


@pytest.fixture
def server(new_server: Callable[..., Server], built_serverdir: Path) -> Server:
    """A server on a copy of it, which does not run."""
    server = new_server(init=False)
    state.copy(built_serverdir, server.serverdir)
    return server


@pytest.fixture
def other(new_server: Callable[..., Server]) -> Server:
    """A server, not running, in whose directory backups are made: nothing is there yet."""
    return new_server(init=False)
