"""All that a server has, as its clients see it: to be compared with what it had, or should have."""

from __future__ import annotations

import hashlib
import posixpath
from urllib.parse import unquote

from harness import Server

Release = dict[str, object]
Projects = dict[str, dict[str, Release]]


def projects(server: Server, name: str) -> Projects:
    """What an index has, by project and version: the summary, and the digests of files, documentation and test results.

    Each of them is downloaded, and must be what it is said to be; and the simple page must show the same files.
    """
    seen: Projects = {}
    for project in server.get(f"/{name}")["projects"]:
        releases = server.get(f"/{name}/{project}")
        seen[project] = {version: release(server, releases[version]) for version in releases}
        shown = {file: details["hashes"]["sha256"] for file, details in server.simple(name, project).items()}
        files = [file for release in seen[project].values() for file in release["files"].items()]
        assert shown == dict(files), f"the page of {name}/{project}"
    return seen


def release(server: Server, data: dict) -> Release:
    """One of them."""
    links: dict[str, list[tuple[str, str]]] = {"releasefile": [], "doczip": [], "toxresult": []}
    for link in data.get("+links", []):
        links[link["rel"]].append((unquote(posixpath.basename(link["href"])), content(server, link)))
    return {
        "summary": data["summary"],
        "files": dict(links["releasefile"]),
        "docs": [digest for _, digest in links["doczip"]],
        # Their names tell the time.
        "results": sorted(digest for _, digest in links["toxresult"]),
    }


def content(server: Server, link: dict) -> str:
    """The digest of what a link leads to."""
    answer = server.request("GET", link["href"])
    assert answer.status_code == 200, f"{link['href']}: {answer.status_code} {answer.text[:200]}"
    digest = hashlib.sha256(answer.content).hexdigest()
    assert digest == link["hashes"]["sha256"], link["href"]
    return digest


def everything(server: Server) -> tuple[dict, dict[str, Projects]]:
    """Users with the settings of their indexes, and what the indexes have."""
    users = server.get("/")
    stages = [
        f"{user}/{index}"
        for user, data in users.items()
        for index, settings in data.get("indexes", {}).items()
        if settings["type"] == "stage"
    ]
    return users, {name: projects(server, name) for name in stages}
