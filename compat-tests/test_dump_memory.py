"""Imports and takeovers take no more memory for a project with many wheels, whatever is in them."""

import json
import random
from pathlib import Path

import pytest

from bench_takeover import Measured, run
from harness import BIN, Server
from takeover import reference, scale
from takeover.reference import DevpiServer

WHEELS = 400
DESCRIPTION = 512 * 1024
MOST_MIB = 150
"""Some 64 are a password's hash, 26 the mapped program of a debug build. All core metadata together are 200."""


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of one release."""
    directory = tmp_path_factory.mktemp("wheels") / "dump"
    place = directory / "user0/index0/sample/1.0"
    place.mkdir(parents=True)
    noise = random.Random(0)
    files = []
    for number in range(WHEELS):
        fields = scale.metadata("sample", "1.0", noise.randbytes(DESCRIPTION // 2).hex())
        name = f"sample-1.0-{number}-py3-none-any.whl"
        (place / name).write_bytes(scale.wheel("sample", fields, b""))
        entry = {"last_modified": scale.LAST_MODIFIED}
        relpath = f"user0/index0/sample/1.0/{name}"
        kind = {"type": "releasefile", "projectname": "sample", "version": "1.0"}
        files.append(kind | {"relpath": relpath, "entrymapping": entry, "log": []})
    size = scale.Size(files=WHEELS, projects=1, indexes=1)
    index = {
        "indexconfig": scale.index_config("user0/index0"),
        "projects": {"sample": {"1.0": scale.metadata("sample", "1.0", "")}},
        "files": files,
    }
    description = {"users": scale.users(size), "indexes": {"user0/index0": index}, "dumpversion": "2"}
    (directory / "dataindex.json").write_text(json.dumps(description))
    return directory


def metadata_is_there(server: Server) -> None:
    files = server.simple("user0/index0", "sample")
    assert len(files) == WHEELS
    for name in random.Random(1).sample(sorted(files), 20):
        answer = server.request("GET", files[name]["url"] + ".metadata")
        assert answer.status_code == 200 and len(answer.content) > DESCRIPTION, name


@pytest.mark.ours
def test_import(dump: Path, tmp_path: Path) -> None:
    server = Server(tmp_path)
    command = [BIN / "devpi-import", "--serverdir", server.serverdir, "--no-root-pypi", "--hard-links", dump]
    assert run(command, tmp_path / "import.log")["peak_mib"] < MOST_MIB
    metadata_is_there(server.start())
    server.close()


@pytest.mark.ours
def test_takeover(dump: Path, tmp_path: Path) -> None:
    theirs = DevpiServer(tmp_path)
    options = ("--serverdir", theirs.serverdir, "--no-root-pypi", "--no-events", "--hard-links")
    reference.succeeds(reference.tool("devpi-import", *options, dump))
    theirs.close()
    ours = Server(tmp_path)
    measured = Measured(ours.command(), tmp_path / "takeover.log")
    try:
        measured.wait_until_serving()
    finally:
        measured.process.terminate()
        measured.wait()
    assert measured.peak_kib / 1024 < MOST_MIB
    metadata_is_there(ours.start())
    ours.close()
