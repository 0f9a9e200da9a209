"""The server is killed while uploads run: what was acknowledged is there, and nothing is half there."""

import http.client
import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest
import requests

import packages
from clients import Shell
from harness import DEADLINE, Index, Server, expect_uploaded, forge_token

UPLOADERS = 4


@dataclass
class Uploads:
    """Uploaders at work, and what they know: which files they sent, and which of them were acknowledged."""

    server: Server
    index: Index
    directory: Path
    sent: dict[str, Path] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    numbers: count = field(default_factory=count)

    def run_until_killed(self, acknowledgements: int) -> None:
        """Lets all uploaders run, and kills the server after so many acknowledgements."""
        goal = len(self.acknowledged) + acknowledgements
        threads = [threading.Thread(target=self.upload_until_refused) for _ in range(UPLOADERS)]
        for thread in threads:
            thread.start()
        with self.changed:
            reached = self.changed.wait_for(lambda: len(self.acknowledged) >= goal, DEADLINE)
        self.server.kill()
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert reached, "too few uploads were acknowledged in time"

    def upload_until_refused(self) -> None:
        """One uploader: sends one wheel after the other, small and large, until nobody answers."""
        while True:
            number = next(self.numbers)
            project = f"sample-{number % 5}"
            size = (1_000, 100_000, 3_000_000)[number % 3]
            padding = random.Random(number).randbytes(size)
            path = packages.wheel(self.directory, project, f"1.{number}", padding=padding)
            self.sent[path.name] = path
            try:
                answer = self.server.upload(self.index, path, project, f"1.{number}")
            except requests.RequestException:
                return
            expect_uploaded(answer)
            with self.changed:
                self.acknowledged.append(path.name)
                self.changed.notify_all()


def stored(server: Server, index: Index) -> dict[str, str]:
    """All files of an index with their hashes, each downloaded and compared with what the pages say."""
    return {
        name: digest
        for project in server.get(f"/{index.name}")["projects"]
        for name, digest in server.files(index, project).items()
    }


def test_killed_while_uploads_run(new_server: Callable[..., Server], shell: Shell, tmp_path: Path) -> None:
    server = new_server().start()
    # The token spares the server the password check at each upload, so that more of them are under way at a time.
    index = server.new_index()
    uploads = Uploads(server, replace(index, password=forge_token(index.user, time.time())), tmp_path / "dist")
    for acknowledgements in (1, 5, 14, 23):
        uploads.run_until_killed(acknowledgements)
        server.start()
        found = stored(server, index)
        assert set(uploads.acknowledged) <= found.keys() <= uploads.sent.keys()
        assert found == {name: packages.sha256(uploads.sent[name]) for name in found}

    last = uploads.acknowledged[-1]
    project, version = last.removesuffix("-py3-none-any.whl").rsplit("-", 1)
    venv = shell.venv()
    shell.pip("--python", venv, "install", "--index-url", index.simple_url, f"{project}=={version}")
    assert shell.installed(venv, project) == version

    missing = [path for name, path in uploads.sent.items() if name not in found]
    for path in missing:
        project, version = path.name.removesuffix("-py3-none-any.whl").rsplit("-", 1)
        expect_uploaded(server.upload(index, path, project.replace("_", "-"), version))
    assert stored(server, index).keys() == uploads.sent.keys()


@pytest.mark.parametrize("end", ["kill", "disconnect"])
def test_half_an_upload_leaves_nothing(new_server: Callable[..., Server], tmp_path: Path, end: str) -> None:
    """Neither a project, nor a release, nor a change; and the whole file goes in afterwards."""
    server = new_server().start()
    index = server.new_index()
    serial = server.serial()
    path = packages.wheel(tmp_path, "hello", "1.0", padding=random.Random(1).randbytes(2_000_000))
    request = requests.Request(
        "POST",
        index.upload_url,
        data={":action": "file_upload", "name": "hello", "version": "1.0"},
        files={"content": (path.name, path.read_bytes())},
    ).prepare()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.putrequest("POST", f"/{index.name}/")
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.putheader("Authorization", f"Basic {b64encode(':'.join(index.auth).encode()).decode()}")
    connection.endheaders(request.body[: len(request.body) // 2])
    if end == "kill":
        server.kill()
        server.start()
    connection.close()

    assert server.get(f"/{index.name}")["projects"] == []
    assert server.serial() == serial
    expect_uploaded(server.upload(index, path, "hello", "1.0"))
    assert server.files(index, "hello") == {path.name: packages.sha256(path)}


def test_killed_again_and_again(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Each start finds what all the runs before acknowledged: users, settings, files."""
    server = new_server().start()
    index = server.new_index()
    for number in range(4):
        path = packages.wheel(tmp_path, "hello", f"1.{number}")
        expect_uploaded(server.upload(index, path, "hello", f"1.{number}"))
        server.api("PATCH", f"/{index.name}", body={"title": f"round {number}"})
        serial = server.serial()
        server.kill()
        server.start()
        assert server.serial() == serial
        assert server.get(f"/{index.name}")["title"] == f"round {number}"
        assert len(server.files(index, "hello")) == number + 1
