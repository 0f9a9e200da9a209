"""pip and uv install real projects through a mirror of the index that pip itself uses, and again when that is gone.

These tests need that index: where it cannot be reached they fail. They ask it for a handful of pages and files, and
never for its list of projects. Its address is pip's own, found at run time.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from clients import VENVS, Shell
from harness import Index, Server, free_port, numbers, wait_until

PROJECTS = ("attrs", "jinja2", "requests")
"""What is installed; with what they need in turn it is a handful of small wheels."""

INSTALLERS = ("pip", "uv")
JSON_PAGE = {"Accept": "application/vnd.pypi.simple.v1+json"}
STALE_SINCE = "X-Wheelhouse-Stale-Since"

# What the machine needs to reach the index, of the caller's settings.
REACH = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


def upstream_url() -> str:
    """The index that pip uses on this machine: what it is configured to, else its default."""
    pip = [VENVS / "clients/bin/python", "-m", "pip"]
    if url := os.environ.get("PIP_INDEX_URL"):
        return url.rstrip("/") + "/"
    configured = subprocess.run([*pip, "config", "get", "global.index-url"], capture_output=True, text=True, timeout=60)
    if configured.returncode == 0:
        return configured.stdout.strip().rstrip("/") + "/"
    default = [pip[0], "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"]
    return subprocess.run(default, capture_output=True, text=True, timeout=60, check=True).stdout.strip() + "/"


def reach() -> dict[str, str]:
    """The variables by which a program on this machine reaches the index, in either spelling."""
    names = [*REACH, *(name.lower() for name in REACH if name.endswith("_PROXY"))]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def out_of_reach() -> dict[str, str]:
    """Variables with which no program reaches anything beyond this machine: a proxy that nobody is."""
    proxy = f"http://127.0.0.1:{free_port()}"
    without_proxy = {name: value for name, value in reach().items() if "proxy" not in name.lower()}
    return without_proxy | {name: proxy for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}


@dataclass(frozen=True)
class Mirror:
    """A mirror of the index, a stage above it, and the server that has both."""

    server: Server
    mirror: Index
    stage: Index

    def set_expiry(self, seconds: int) -> None:
        """After how long the mirror checks a page again."""
        self.server.api("PATCH", f"/{self.mirror.name}", body=[f"mirror_cache_expiry={seconds}"])

    def page(self, index: Index, project: str) -> requests.Response:
        """A project's page as an installer asks for it."""
        answer = self.server.request("GET", f"/{index.name}/+simple/{project}/", headers=JSON_PAGE)
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def mirrored(new_server: Callable[..., Server]) -> Iterator[Mirror]:
    """A server of its own with a mirror that has seen nothing yet; what it learns is good for an hour."""
    server = new_server("--request-timeout", 30, env=reach()).start()
    mirror = server.new_index(
        "mirror",
        type="mirror",
        mirror_url=upstream_url(),
        mirror_no_project_list=True,
        mirror_cache_expiry=3600,
    )
    yield Mirror(server, mirror, server.new_index("stage", owner=mirror, bases=[mirror.name]))


def install(
    installer: str, home: Path, index: Index, *requirements: str, env: Mapping[str, str] = {}
) -> dict[str, str]:
    """Installs wheels from an index alone as a user who has nothing cached, and gives the versions now there."""
    shell = Shell(home / f"{installer}-{next(numbers)}")
    venv = shell.venv()
    # Nothing but the index may help; a source archive would want a backend from it.
    options = ("--index-url", index.simple_url, "--only-binary", ":all:")
    if installer == "pip":
        shell.pip("--python", venv, "install", *options, *requirements, env=env)
    else:
        shell.uv("pip", "install", "--python", venv, "--no-config", *options, *requirements, env=env)
    shown = shell.uv("pip", "list", "--quiet", "--python", venv, "--format", "json")
    found = {entry["name"].lower(): entry["version"] for entry in json.loads(shown)}
    imports = "import attr, jinja2, requests; print(attr.__name__, jinja2.__name__, requests.__name__)"
    assert shell.run(venv / "bin/python", "-c", imports).split() == ["attr", "jinja2", "requests"]
    return found


def complete(found: dict[str, str]) -> bool:
    """Whether the projects and what they need are there."""
    return found.keys() >= {*PROJECTS, "markupsafe", "certifi", "idna", "urllib3", "charset-normalizer"}


@pytest.mark.parametrize("installer", INSTALLERS)
def test_installed_cold_and_warm(mirrored: Mirror, tmp_path: Path, installer: str) -> None:
    """The second user gets the same, and nothing is stored for it a second time."""
    cold = install(installer, tmp_path, mirrored.stage, *PROJECTS)
    assert complete(cold)
    serial = mirrored.server.serial()
    assert install(installer, tmp_path, mirrored.mirror, *PROJECTS) == cold
    assert mirrored.server.serial() == serial


def test_installed_when_the_index_is_gone(mirrored: Mirror, tmp_path: Path) -> None:
    """What pip and uv installed once, they install again from the mirror alone, with empty caches of their own."""
    server = mirrored.server
    first = {installer: install(installer, tmp_path, mirrored.mirror, *PROJECTS) for installer in INSTALLERS}
    assert all(map(complete, first.values()))
    files = {project: mirrored.page(mirrored.mirror, project).json()["files"] for project in first["uv"]}

    mirrored.set_expiry(1)
    server.stop()
    server.env = out_of_reach()
    server.start()
    for index in (mirrored.mirror, mirrored.stage):
        for installer in INSTALLERS:
            assert install(installer, tmp_path, index, *PROJECTS) == first[installer]
    for project, listed in files.items():
        assert mirrored.page(mirrored.mirror, project).json()["files"] == listed


@pytest.mark.ours
def test_stale_pages_say_so(mirrored: Mirror) -> None:
    """Pages that could not be checked again carry the date since which they may be out of date, others do not."""
    server = mirrored.server
    fresh = mirrored.page(mirrored.mirror, "attrs")
    assert STALE_SINCE not in fresh.headers

    server.stop()
    server.env = out_of_reach()
    server.start()
    # What is not yet due to be checked is as good as it was.
    assert STALE_SINCE not in mirrored.page(mirrored.mirror, "attrs").headers
    mirrored.set_expiry(1)

    def stale_page(index: Index) -> requests.Response | None:
        answer = mirrored.page(index, "attrs")
        return answer if STALE_SINCE in answer.headers else None

    for index in (mirrored.mirror, mirrored.stage):
        stale = wait_until(lambda index=index: stale_page(index), f"no page of {index.name} is stale")
        names = [[file["filename"] for file in answer.json()["files"]] for answer in (fresh, stale)]
        assert names[0] == names[1]


@pytest.mark.ours
def test_uv_leaves_out_what_is_too_new(mirrored: Mirror, tmp_path: Path) -> None:
    """The dates of the index come through: a cool-down chooses as it would straight from there."""
    found = install("uv", tmp_path, mirrored.stage, *PROJECTS, env={"UV_EXCLUDE_NEWER": "2025-01-01T00:00:00Z"})
    files = mirrored.page(mirrored.mirror, "attrs").json()["files"]
    by_date = sorted((file["upload-time"], file["filename"]) for file in files if file["filename"].endswith(".whl"))
    newest_of_then = [name for date, name in by_date if date < "2025-01-01"][-1]
    assert newest_of_then == f"attrs-{found['attrs']}-py3-none-any.whl"
    assert newest_of_then != by_date[-1][1]


@pytest.mark.ours
def test_nothing_but_metadata_is_fetched_to_resolve(mirrored: Mirror, tmp_path: Path) -> None:
    """A resolution stores no wheel: dependencies come from metadata files."""
    shell = Shell(tmp_path / "home")
    requirements = shell.home / "requirements.in"
    requirements.write_text("\n".join(PROJECTS))
    options = ("--no-config", "--index-url", mirrored.stage.simple_url, "--only-binary", ":all:")
    shown = shell.uv("pip", "compile", *options, requirements)
    assert "markupsafe==" in shown
    stored = [path for path in (mirrored.server.serverdir / "files").rglob("*") if path.is_file()]
    assert not [path for path in stored if path.read_bytes()[:2] == b"PK"]
