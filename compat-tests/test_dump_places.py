"""Names for which devpi-export has no place in a dump: ours has one, and both importers find it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import packages
from harness import Index, Server, expect_uploaded, tool
from takeover import reference
from takeover.reference import DevpiServer

RELEASES = (("foo", "1-2"), ("foo-1", "2"))
LONG = ("demo", "1." + "0" * 220)
"""A release whose file names are so long that nothing can be added to them; devpi-server cannot store them."""

USERS = ("alice", "dataindex.json")

Releases = tuple[tuple[str, str], ...]


def release(server: Server, user: str, project: str, version: str) -> dict[str, str]:
    """The contents of a release's files, as digests, by what they are for."""
    links = server.get(f"/{user}/dev/{project}/{version}")["+links"]
    contents = {link["rel"]: server.request("GET", link["href"]) for link in links}
    assert [answer.url for answer in contents.values() if answer.status_code != 200] == []
    return {relation: hashlib.sha256(answer.content).hexdigest() for relation, answer in contents.items()}


def everything(server: Server, releases: Releases) -> list[dict[str, str]]:
    return [release(server, user, *which) for user in USERS for which in releases]


def fill(server: Server, releases: Releases, directory: Path) -> None:
    for user in USERS:
        dev = Index(server.url, user, "pw-1", "dev")
        server.api("PUT", f"/{user}", body={"password": dev.password})
        server.api("PUT", f"/{dev.name}", body={})
        for project, version in releases:
            sdist = packages.sdist(directory / user, project, version, summary=f"{user} {project}")
            sdist = sdist.rename(sdist.with_name(f"{project}-{version}.tar.gz"))
            expect_uploaded(server.upload(dev, sdist, project, version))
            docs = packages.wheel(directory / user, project, "1.0", summary=f"{user} {project} {version}")
            docs = docs.rename(docs.with_suffix(".zip"))
            expect_uploaded(server.upload(dev, docs, project, version, **{":action": "doc_upload"}))
            links = server.get(f"/{dev.name}/{project}/{version}")["+links"]
            [tested] = [link["href"] for link in links if link["rel"] == "releasefile"]
            server.api("POST", tested, body={"testenvs": {project: user}}, auth=None)


@pytest.mark.ours
@pytest.mark.parametrize("options", [(), ("--hard-links",)], ids=["copies", "links"])
@pytest.mark.parametrize(
    ("kind", "run", "releases"),
    [(Server, tool, (*RELEASES, LONG)), (DevpiServer, reference.tool, RELEASES)],
    ids=["ours", "theirs"],
)
def test_every_file_is_found(
    tmp_path: Path, kind: type[Server], run: Callable[..., Any], releases: Releases, options: tuple[str, ...]
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = Server(tmp_path / "first"), kind(tmp_path / "second")
    fill(first.init().start(), releases, tmp_path)
    before = everything(first, releases)
    assert all(found.keys() == {"releasefile", "doczip", "toxresult"} for found in before)
    first.close()
    dump = tmp_path / "dump"
    reference.succeeds(tool("devpi-export", "--serverdir", first.serverdir, *options, dump))
    reference.succeeds(run("devpi-import", "--serverdir", second.serverdir, "--no-root-pypi", dump))
    assert everything(second.start(), releases) == before
    second.close()
