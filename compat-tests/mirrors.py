"""What tests of mirrors share: an upstream on this machine, and somebody who installs through a mirror of it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import packages
from clients import Shell
from harness import Index, Server
from upstream import FakeUpstream, File, Project

INSTALLERS = ("pip", "uv")
JSON_PAGE = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """An upstream of the test's own, which has nothing yet."""
    with FakeUpstream() as upstream:
        upstream.list_format = "negotiated"
        if Server.reference:
            # devpi-server takes "not modified" for "no projects".
            upstream.list_etag = None
        yield upstream


def mirror_of(server: Server, upstream: FakeUpstream | str, **settings: object) -> Index:
    """A new mirror, of a new user, which checks what it knows at each request unless told otherwise."""
    url = upstream if isinstance(upstream, str) else upstream.url
    return server.new_index("mirror", **{"type": "mirror", "mirror_url": url, "mirror_cache_expiry": 0} | settings)


def stage_above(server: Server, mirror: Index, **settings: object) -> Index:
    """A stage of the mirror's owner that inherits from it."""
    return server.new_index("dev", owner=mirror, bases=[mirror.name], **settings)


def released(
    directory: Path,
    name: str,
    version: str,
    *,
    metadata: bool = True,
    padding: int = 0,
    yanked: bool | str = False,
    **fields,
) -> File:
    """A wheel as an upstream has it, with a metadata file beside it or without; with so many random bytes in it."""
    noise = random.Random(name + version).randbytes(padding)
    path = packages.wheel(directory, name, version, padding=noise, **fields)
    beside = packages.metadata(name, version, **fields).encode() if metadata else None
    requires_python = fields.get("requires_python")
    return File(path.name, path.read_bytes(), metadata=beside, yanked=yanked, requires_python=requires_python)


def publish(upstream: FakeUpstream, name: str, *files: File, **details: object) -> Project:
    """Publishes a project, in HTML or JSON as the mirror wishes."""
    project = Project(name, list(files), **{"format": "negotiated"} | details)
    upstream.add(project)
    return project


def page(server: Server, index: Index, project: str, status: int = 200) -> requests.Response:
    """A project's page as an installer asks for it."""
    answer = server.request("GET", f"/{index.name}/+simple/{project}/", headers=JSON_PAGE)
    assert answer.status_code == status, f"{answer.status_code} {answer.reason} {answer.text}"
    return answer


class User:
    """Somebody who installs from an index: by pip or uv, and with nothing cached."""

    def __init__(self, shell: Shell, installer: str):
        self.shell = shell
        self.installer = installer

    def install(self, url: str, *requirements: str, code: int = 0) -> tuple[Path, str]:
        """Installs into a fresh environment; gives that and what the installer said."""
        venv = self.shell.venv()
        if self.installer == "pip":
            options = ("--no-cache-dir", "--index-url", url)
            return venv, self.shell.pip("--python", venv, "install", *options, *requirements, code=code)
        options = ("--no-config", "--no-cache", "--index-url", url)
        return venv, self.shell.uv("pip", "install", "--python", venv, *options, *requirements, code=code)

    def versions(self, index: Index, *requirements: str) -> dict[str, str]:
        """Installs, and gives the versions of all that is then there."""
        venv, _ = self.install(index.simple_url, *requirements)
        shown = self.shell.uv("pip", "list", "--quiet", "--python", venv, "--format", "json")
        return {entry["name"]: entry["version"] for entry in json.loads(shown)}


@pytest.fixture(params=INSTALLERS)
def user(request: pytest.FixtureRequest, shell: Shell) -> User:
    """A user of pip, and one of uv."""
    return User(shell, request.param)


@pytest.fixture
def published(upstream: FakeUpstream, tmp_path: Path) -> FakeUpstream:
    """An upstream with two projects, one of which needs the other."""
    directory = tmp_path / "upstream"
    apps = [released(directory, "app", version, requires=["lib>=1.0"]) for version in ("1.0", "2.0")]
    publish(upstream, "app", *apps)
    publish(upstream, "lib", *(released(directory, "lib", version) for version in ("1.0", "1.5")))
    return upstream
