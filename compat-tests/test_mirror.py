"""Mirrors as those see them who install from them, over an upstream that is slow of speech, closed, or dead.

The upstream is a fake on this machine (``upstream``), so each test can also tell what the server asked it.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

import packages
from clients import Shell
from harness import Index, Server, expect_uploaded, wait_until
from mirrors import (
    INSTALLERS,
    JSON_PAGE,
    User,
    mirror_of,
    page,
    publish,
    published,
    released,
    stage_above,
    upstream,
    user,
)
from upstream import FakeUpstream, Project, Recorded

STALE_SINCE = "X-Wheelhouse-Stale-Since"
STALE_REASON = "X-Wheelhouse-Stale-Reason"


# A dead upstream


@pytest.fixture
def above(server: Server, published: FakeUpstream, tmp_path: Path) -> Index:
    """A stage above a mirror, with a project of its own that needs one from there."""
    stage = stage_above(server, mirror_of(server, published))
    own = packages.wheel(tmp_path / "dist", "own-tool", "3.0", requires=["app"])
    expect_uploaded(server.upload(stage, own, "own-tool", "3.0"))
    return stage


ALL_OF_IT = {"own-tool": "3.0", "app": "2.0", "lib": "1.5"}


def test_installed_again_when_the_upstream_is_dead(
    server: Server, above: Index, published: FakeUpstream, user: User
) -> None:
    """What was installed once can be installed again by anybody, also after a restart."""
    assert user.versions(above, "own-tool") == ALL_OF_IT
    published.stop()
    assert user.versions(above, "own-tool") == ALL_OF_IT
    server.restart()
    assert user.versions(above, "own-tool") == ALL_OF_IT
    published.start()
    assert user.versions(above, "own-tool") == ALL_OF_IT


def test_what_was_never_seen(server: Server, above: Index, published: FakeUpstream, user: User) -> None:
    """A project that nobody asked for while the upstream lived: an installer says that it is not to be had."""
    published.stop()
    _, shown = user.install(above.simple_url, "own-tool", code=1)
    assert "app" in shown


@pytest.mark.ours
def test_stale_pages_carry_date_and_reason(server: Server, published: FakeUpstream) -> None:
    """From when the page is and why there is no newer one; on the mirror and on what inherits from it."""
    mirror = mirror_of(server, published)
    stage = stage_above(server, mirror)
    before = datetime.now(UTC).replace(microsecond=0)
    for index in (mirror, stage):
        fresh = page(server, index, "app")
        assert STALE_SINCE not in fresh.headers
        assert STALE_REASON not in fresh.headers
    after = datetime.now(UTC)

    def expect_stale(reason: str) -> None:
        for index in (mirror, stage):
            stale = page(server, index, "app")
            assert before <= parsedate_to_datetime(stale.headers[STALE_SINCE]) <= after
            assert re.search(reason, stale.headers[STALE_REASON]), stale.headers
            assert len(stale.json()["files"]) == 2

    published.fault("/simple/app/", status=503)
    expect_stale("503")
    published.heal()
    published.stop()
    expect_stale("-1 status")
    server.restart()
    expect_stale("-1 status")
    published.start()
    for index in (mirror, stage):
        assert STALE_SINCE not in page(server, index, "app").headers


@pytest.mark.ours
def test_answers_are_not_held_up_by_a_silent_upstream(
    new_server: Callable[..., Server], published: FakeUpstream
) -> None:
    """A page that is there is served after ``--request-timeout``, and the check goes on behind it."""
    server = new_server("--request-timeout", 1).start()
    mirror = mirror_of(server, published)
    first = page(server, mirror, "lib").json()["files"]
    with published.hold("/simple/lib/") as gate:
        published.project("lib").files.pop()
        stale = page(server, mirror, "lib")
        assert stale.json()["files"] == first
        assert STALE_SINCE in stale.headers
        assert stale.elapsed < timedelta(seconds=10)
        gate.wait()
    published.heal()
    wait_until(lambda: len(server.simple(mirror, "lib")) == 1, "the page that came late is not shown")


# What a stage shows of a mirror


def test_private_projects_hide_those_upstream(
    server: Server, upstream: FakeUpstream, user: User, tmp_path: Path
) -> None:
    """Nobody gets an upstream's release of a private name, unless the whitelist says so; then the newest one wins."""
    publish(upstream, "private", released(tmp_path / "upstream", "private", "99.0"))
    publish(upstream, "public", released(tmp_path / "upstream", "public", "1.0"))
    stage = stage_above(server, mirror_of(server, upstream))
    own = packages.wheel(tmp_path / "dist", "private", "1.0")
    expect_uploaded(server.upload(stage, own, "private", "1.0"))

    assert user.versions(stage, "private", "public") == {"private": "1.0", "public": "1.0"}
    user.install(stage.simple_url, "private==99.0", code=1)
    assert upstream.count("/simple/private/") == 0

    user.shell.use(stage)
    user.shell.devpi("index", "mirror_whitelist=public")
    assert user.versions(stage, "private") == {"private": "1.0"}
    user.shell.devpi("index", "mirror_whitelist=Private")
    assert user.versions(stage, "private") == {"private": "99.0"}
    user.shell.devpi("index", "mirror_whitelist-=private")
    assert user.versions(stage, "private") == {"private": "1.0"}
    user.shell.devpi("index", "mirror_whitelist=*")
    assert user.versions(stage, "private") == {"private": "99.0"}


def test_refresh(server: Server, upstream: FakeUpstream, user: User, tmp_path: Path) -> None:
    """A page is good for an hour, but ``devpi refresh`` brings the new release at once."""
    project = publish(upstream, "lib", released(tmp_path, "lib", "1.0"))
    mirror = mirror_of(server, upstream, mirror_cache_expiry=3600)
    stage = stage_above(server, mirror)
    assert user.versions(stage, "lib") == {"lib": "1.0"}
    project.files.append(released(tmp_path, "lib", "1.1"))
    assert user.versions(stage, "lib") == {"lib": "1.0"}
    assert upstream.count("/simple/lib/") == 1

    user.shell.use(stage)
    assert "Refreshed lib" in user.shell.devpi("refresh", "lib")
    assert upstream.count("/simple/lib/") == 2
    assert user.versions(stage, "lib") == {"lib": "1.1"}
    project.files.append(released(tmp_path, "lib", "1.2"))
    assert "Refreshed Lib" in user.shell.devpi("refresh", "--index", mirror.name, "Lib")
    assert user.versions(stage, "lib") == {"lib": "1.2"}


def test_refresh_that_fails_loses_nothing(server: Server, upstream: FakeUpstream, shell: Shell, tmp_path: Path) -> None:
    """The user is told, and the page stays."""
    publish(upstream, "lib", released(tmp_path, "lib", "1.0"))
    stage = stage_above(server, mirror_of(server, upstream, mirror_cache_expiry=3600))
    assert server.simple(stage, "lib")
    shell.use(stage)
    upstream.stop()
    assert "Couldn't refresh lib" in shell.devpi("refresh", "lib")
    assert server.simple(stage, "lib")


def test_offline_mode(new_server: Callable[..., Server], published: FakeUpstream, shell: Shell, tmp_path: Path) -> None:
    """Only what is here is offered, so that all that is offered can be installed; and nobody asks the upstream."""
    server = new_server().start()
    mirror = mirror_of(server, published)
    stage = stage_above(server, mirror)
    publish(published, "unseen", released(tmp_path, "unseen", "1.0"))
    user = User(shell, "pip")
    assert user.versions(stage, "app==1.0", "lib") == {"app": "1.0", "lib": "1.5"}

    server.options.append("--offline-mode")
    server.restart()
    published.take()
    assert server.simple(mirror, "app").keys() == {"app-1.0-py3-none-any.whl"}
    assert server.simple(stage, "lib").keys() == {"lib-1.5-py3-none-any.whl"}
    for installer in INSTALLERS:
        assert User(shell, installer).versions(stage, "app") == {"app": "1.0", "lib": "1.5"}
        User(shell, installer).install(stage.simple_url, "app==2.0", code=1)
        User(shell, installer).install(stage.simple_url, "unseen", code=1)
    shell.use(stage)
    assert "Couldn't refresh app" in shell.devpi("refresh", "app")
    listed = server.request("GET", f"/{mirror.name}/+simple/", headers=JSON_PAGE)
    assert {project["name"] for project in listed.json()["projects"]} >= {"app", "lib"}
    # What is deleted is not here any more.
    server.api("DELETE", f"/{mirror.name}/app/1.0", auth=mirror.auth)
    for index in (mirror, stage):
        assert server.simple(index, "app") == {}
    assert published.count() == 0

    server.options.remove("--offline-mode")
    server.restart()
    assert user.versions(stage, "app", "unseen") == {"app": "2.0", "lib": "1.5", "unseen": "1.0"}


# Core metadata


SIZE = 1_000_000
"""More than that is in each wheel, and a few ranges are far less."""


def entangled(directory: Path, *, metadata: bool) -> list[Project]:
    """Projects whose newest releases do not go together: an installer has to look at what it will not install."""

    def project(name: str, **releases: list[str]) -> Project:
        files = [
            released(directory, name, version.replace("_", "."), metadata=metadata, padding=SIZE, requires=requires)
            for version, requires in releases.items()
        ]
        return Project(name, files, format="negotiated")

    return [
        project("app", **{"1_0": ["lib"], "2_0": ["lib>=2"]}),
        project("other", **{"1_0": ["lib<2"]}),
        project("lib", **{"1_0": [], "1_5": [], "2_0": []}),
    ]


INSTALLED = {"app": "1.0", "other": "1.0", "lib": "1.5"}
INSTALLED_FILES = {f"/files/{name}-{version}-py3-none-any.whl" for name, version in INSTALLED.items()}


def bytes_sent(recorded: Sequence[Recorded]) -> dict[str, int]:
    """How much of each wheel the upstream sent."""
    sent: dict[str, int] = {}
    for request in recorded:
        if request.path.endswith(".whl"):
            sent[request.path] = sent.get(request.path, 0) + request.sent
    return sent


@pytest.mark.ours
@pytest.mark.parametrize("metadata", [True, False], ids=["upstream-has-metadata", "upstream-has-none"])
def test_resolved_without_downloading_wheels(
    server: Server, upstream: FakeUpstream, user: User, tmp_path: Path, metadata: bool
) -> None:
    """Of wheels that are looked at and not installed the upstream sends nothing, or a few ranges of them."""
    upstream.add(*entangled(tmp_path, metadata=metadata))
    stage = stage_above(server, mirror_of(server, upstream))
    assert user.versions(stage, "app", "other") == INSTALLED
    sent = bytes_sent(upstream.requests)
    assert {path for path, count in sent.items() if count >= SIZE} == INSTALLED_FILES
    for request in upstream.requests:
        if request.path.endswith(".whl") and request.path not in INSTALLED_FILES:
            assert request.method == "HEAD" or request.header("range"), request
            assert request.status in (200, 206) and request.sent < SIZE / 4, request
    if metadata:
        assert sent.keys() == INSTALLED_FILES
    # What was looked at is kept: the next user's installer asks the upstream for pages alone.
    upstream.take()
    assert user.versions(stage, "app", "other") == INSTALLED
    assert {request.path for request in upstream.requests} <= {"/simple/", *(f"/simple/{name}/" for name in INSTALLED)}


@pytest.mark.ours
def test_resolved_though_the_upstream_knows_no_ranges(
    server: Server, upstream: FakeUpstream, user: User, tmp_path: Path
) -> None:
    """Then wheels are downloaded whole, and the installer gets what it asks for all the same."""
    projects = entangled(tmp_path, metadata=False)
    for project in projects:
        for file in project.files:
            file.ranges = False
    upstream.add(*projects)
    stage = stage_above(server, mirror_of(server, upstream))
    assert user.versions(stage, "app", "other") == INSTALLED


@pytest.mark.ours
def test_metadata_is_relayed_as_it_is(server: Server, upstream: FakeUpstream, tmp_path: Path) -> None:
    """Its bytes have the hash that the page promises, whether they come from the upstream or out of the wheel."""
    requires = ["x>=1; extra == 'é'"]
    publish(upstream, "relayed", released(tmp_path, "relayed", "1.0", requires=requires, padding=SIZE))
    publish(upstream, "read", released(tmp_path, "read", "1.0", metadata=False, requires=requires, padding=SIZE))
    mirror = mirror_of(server, upstream)
    for name in ("relayed", "read"):
        [file] = server.simple(mirror, name).values()
        expected = packages.metadata(name, "1.0", requires=requires).encode()
        for _ in range(2):
            answer = server.request("GET", file["url"] + ".metadata")
            assert (answer.status_code, answer.content) == (200, expected)
    assert upstream.count("/files/relayed-1.0-py3-none-any.whl.metadata") == 1
    assert all(count < SIZE / 4 for count in bytes_sent(upstream.requests).values())


# Yanked files and quarantine


def test_yanked_files_are_passed_over(server: Server, upstream: FakeUpstream, user: User, tmp_path: Path) -> None:
    """A yanked release is installed only by those who ask for just that one, who are told why it was yanked."""
    publish(upstream, "lib", released(tmp_path, "lib", "1.0"), released(tmp_path, "lib", "1.1", yanked="eats data"))
    stage = stage_above(server, mirror_of(server, upstream))
    assert user.versions(stage, "lib") == {"lib": "1.0"}
    venv, shown = user.install(stage.simple_url, "lib==1.1")
    assert user.shell.installed(venv, "lib") == "1.1"
    assert "eats data" in shown


@pytest.mark.ours
def test_quarantined_projects_offer_nothing(server: Server, upstream: FakeUpstream, user: User, tmp_path: Path) -> None:
    """Neither on pages nor at the addresses of before, though the files are here; and all is back afterwards."""
    project = publish(upstream, "lib", released(tmp_path, "lib", "1.0"))
    mirror = mirror_of(server, upstream)
    stage = stage_above(server, mirror)
    assert user.versions(stage, "lib") == {"lib": "1.0"}
    [file] = server.simple(mirror, "lib").values()
    assert server.request("GET", file["url"]).status_code == 200

    project.status, project.status_reason = "quarantined", "malware"
    for index in (mirror, stage):
        assert page(server, index, "lib").json()["files"] == []
    assert page(server, mirror, "lib").json()["project-status"] == {"status": "quarantined", "reason": "malware"}
    user.install(stage.simple_url, "lib", code=1)
    for url in (file["url"], file["url"] + ".metadata"):
        assert server.request("GET", url).status_code in (403, 404, 410, 451)

    project.status, project.status_reason = None, None
    assert user.versions(stage, "lib") == {"lib": "1.0"}
    assert server.request("GET", file["url"]).status_code == 200
