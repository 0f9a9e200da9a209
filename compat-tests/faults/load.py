"""Clients at work, each on its own part of a server, who know what they were promised.

A client does one thing after the other. It knows its part as it is for sure, and as it is if what it has begun is done
as well: after a crash the server must have one of the two, whole.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import requests

import packages
from harness import Index, Server, expect_uploaded, forge_token
from upstream import FakeUpstream, File, Project

SIZES = (1_000, 60_000, 400_000)


class Progress:
    """How much all clients together have done."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.changed = threading.Condition()

    def note(self, what: str) -> None:
        with self.changed:
            self.done[what] += 1
            self.changed.notify_all()

    def wait_for(self, more: int, deadline: float) -> bool:
        """Waits until so much more is done."""
        with self.changed:
            goal = self.done.total() + more
            return self.changed.wait_for(lambda: self.done.total() >= goal, deadline)


@dataclass
class Client:
    """One of them. Subclasses say what they do, and what it should look like."""

    name: str
    server: Server
    directory: Path
    progress: Progress
    states: list[Any] = field(default_factory=list)
    """What it has for sure; and what it has if the step that is under way is done."""
    under_way: str = ""
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self.noise = random.Random(self.name)
        self.numbers = count()

    def work(self) -> None:
        """Takes steps until nobody answers."""
        try:
            while True:
                self.step()
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            pass
        except BaseException as error:
            self.failure = error

    def step(self) -> None:
        raise NotImplementedError

    def do(self, what: str, state: Any, action: Callable[[], None]) -> None:
        """Takes a step that leads to this state."""
        self.states, self.under_way = [self.states[-1], state], what
        action()
        self.states, self.under_way = [state], ""
        self.progress.note(what)

    def compare(self, found: Any) -> str:
        """Takes what was found for the truth, if it may be; gives what became of the step that was under way."""
        right = [number for number, state in enumerate(self.states) if self.shown(state) == found]
        assert right, self.explain(found)
        step, self.under_way = self.under_way, ""
        self.states = [self.states[right[-1]]]
        if not step:
            return "nothing under way"
        return "done" if right[-1] else "not done"

    def explain(self, found: Any) -> str:
        states = "\n".join(f"or {json.dumps(self.shown(state), sort_keys=True)}" for state in self.states)
        return f"{self.name}, while {self.under_way or 'idle'}: {json.dumps(found, sort_keys=True)}\nis not\n{states}"

    def shown(self, state: Any) -> Any:
        """A state as it is seen."""
        return state

    def call(self, method: str, path: str, body: object = None, *, auth: tuple[str, str]) -> None:
        """A request that must succeed."""
        self.server.api(method, path, body=body, auth=auth)


def root() -> tuple[str, str]:
    """A login of root that costs the server nothing."""
    return "root", forge_token("root", time.time())


@dataclass
class Publisher(Client):
    """Somebody who changes projects of two indexes in every way there is. One of the projects belongs to all."""

    dev: Index | None = None
    prod: Index | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.states = [{"dev": {}, "prod": {}}]

    # A release is {"summary": text, "files": {name: digest}, "docs": [digest], "results": {name: [digest]}}.

    def step(self) -> None:
        state = copy.deepcopy(self.states[-1])
        dev = state["dev"]
        releases = [(project, version) for project in dev for version in dev[project]]
        files = [(*release, name) for release in releases for name in dev[release[0]][release[1]]["files"]]
        pushable = [
            (project, version)
            for project, version, _ in files
            if version not in state["prod"].get(project, {})
        ]
        pushed = [(project, version) for project in state["prod"] for version in state["prod"][project]]
        crowded = len(releases) > 8
        steps: list[tuple[int, Callable[..., None], list]] = [
            (2 if crowded else 12, self.upload, [self.new_release()]),
            (4, self.upload, releases),
            (4, self.overwrite, files),
            (4, self.register, [*releases, self.new_release()]),
            (4, self.upload_docs, releases),
            (4, self.report_test, files),
            (6, self.push, pushable),
            (4, self.delete_file, files),
            (9 if crowded else 3, self.delete_release, [("dev", *release) for release in releases]),
            (9 if len(pushed) > 8 else 1, self.delete_release, [("prod", *release) for release in pushed]),
            (1, self.delete_project, [(project,) for project in dev if project != "common"]),
        ]
        possible = [(weight, action, targets) for weight, action, targets in steps if targets]
        [(_, action, targets)] = self.noise.choices(possible, [weight for weight, _, _ in possible])
        action(state, *self.noise.choice(targets))

    def new_release(self) -> tuple[str, str]:
        project = self.noise.choice([f"{self.name}-a", f"{self.name}-b", f"{self.name}-c", "common"])
        return project, f"{self.name.removeprefix('publisher-')}.{next(self.numbers)}"

    def padding(self) -> bytes:
        return self.noise.randbytes(self.noise.choice(SIZES))

    def upload(self, state: dict, project: str, version: str) -> None:
        """A wheel or an sdist; it may be there already, as it is or otherwise."""
        make = self.noise.choice((packages.wheel, packages.sdist))
        self.send("an upload", state, project, version, make)

    def overwrite(self, state: dict, project: str, version: str, name: str) -> None:
        make = packages.wheel if name.endswith("whl") else packages.sdist
        self.send("an overwriting", state, project, version, make)

    def send(self, what: str, state: dict, project: str, version: str, make: Callable[..., Path]) -> None:
        summary = f"Summary {next(self.numbers)}."
        more = {"padding": self.padding()} if make is packages.wheel else {}
        path = make(self.directory, project, version, summary=summary, **more)
        release = state["dev"].setdefault(project, {}).setdefault(version, new_release(summary))
        release["summary"] = summary
        digest = packages.sha256(path)
        if release["files"].get(path.name) != digest:
            release["files"][path.name] = digest
            release["results"].pop(path.name, None)
        fields = {"summary": summary}
        self.do(
            what, state, lambda: expect_uploaded(self.server.upload(self.dev, path, project, version, **fields))
        )

    def register(self, state: dict, project: str, version: str) -> None:
        summary = f"Summary {next(self.numbers)}."
        release = state["dev"].setdefault(project, {}).setdefault(version, new_release(summary))
        release["summary"] = summary
        form = {":action": "submit", "name": project, "version": version, "summary": summary}
        files = {name: (None, value) for name, value in form.items()}
        self.do(
            "a registration",
            state,
            lambda: expect_uploaded(
                self.server.request("POST", self.dev.upload_url, auth=self.dev.auth, files=files)
            ),
        )

    def upload_docs(self, state: dict, project: str, version: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{project}-{version}.doc.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("index.html", self.padding())
        state["dev"][project][version]["docs"] = [packages.sha256(path)]
        fields = {":action": "doc_upload"}
        self.do(
            "documentation",
            state,
            lambda: expect_uploaded(self.server.upload(self.dev, path, project, version, **fields)),
        )

    def report_test(self, state: dict, project: str, version: str, name: str) -> None:
        release = state["dev"][project][version]
        body = json.dumps({"run": next(self.numbers), "by": self.name}).encode()
        release["results"].setdefault(name, []).append(hashlib.sha256(body).hexdigest())
        self.do("a test result", state, lambda: self.send_result(self.path(release, name), body))

    def send_result(self, path: str, body: bytes) -> None:
        answer = self.server.request("POST", path, data=body, auth=self.dev.auth)
        assert answer.status_code == 200, answer.text

    def path(self, release: dict, name: str) -> str:
        digest = release["files"][name]
        return f"/{self.dev.name}/+f/{digest[:3]}/{digest[3:16]}/{name}"

    def push(self, state: dict, project: str, version: str) -> None:
        release = copy.deepcopy(state["dev"][project][version])
        state["prod"].setdefault(project, {})[version] = release
        body = {"name": project, "version": version, "targetindex": self.prod.name}
        self.do("a push", state, lambda: self.call("PUSH", f"/{self.dev.name}", body, auth=self.dev.auth))

    def delete_file(self, state: dict, project: str, version: str, name: str) -> None:
        """With the last file goes the release, unless it has documentation, and with the last release the project."""
        release = state["dev"][project][version]
        path = self.path(release, name)
        del release["files"][name]
        release["results"].pop(name, None)
        if not release["files"] and not release["docs"]:
            remove_release(state["dev"], project, version)
        self.do("a deletion of a file", state, lambda: self.call("DELETE", path, auth=self.dev.auth))

    def delete_release(self, state: dict, where: str, project: str, version: str) -> None:
        index = {"dev": self.dev, "prod": self.prod}[where]
        remove_release(state[where], project, version)
        path = f"/{index.name}/{project}/{version}"
        self.do("a deletion of a release", state, lambda: self.call("DELETE", path, auth=self.dev.auth))

    def delete_project(self, state: dict, project: str) -> None:
        del state["dev"][project]
        path = f"/{self.dev.name}/{project}"
        self.do("a deletion of a project", state, lambda: self.call("DELETE", path, auth=self.dev.auth))

    def shown(self, state: Any) -> Any:
        return {
            index: {
                project: {
                    version: release | {"results": sorted(sum(release["results"].values(), []))}
                    for version, release in releases.items()
                }
                for project, releases in projects.items()
            }
            for index, projects in state.items()
        }

    def mine(self, indexes: dict[str, dict]) -> Any:
        """What is its own of what the indexes have."""
        number = self.name.removeprefix("publisher-")
        found: dict[str, dict] = {}
        for name, index in (("dev", self.dev), ("prod", self.prod)):
            found[name] = {
                project: releases
                for project, releases in indexes[index.name].items()
                if project.startswith(f"{self.name}-")
            }
            common = indexes[index.name].get("common", {})
            if own := {version: common[version] for version in common if version.startswith(f"{number}.")}:
                found[name]["common"] = own
        return found


def new_release(summary: str) -> dict:
    return {"summary": summary, "files": {}, "docs": [], "results": {}}


def remove_release(projects: dict, project: str, version: str) -> None:
    del projects[project][version]
    if not projects[project]:
        del projects[project]


@dataclass
class Administrator(Client):
    """Somebody who makes, changes and removes users and indexes, also such as have files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.states = [{}]

    # A user is {"title": text, "indexes": {name: {"title": text, "files": {project: {name: digest}}}}}.

    def step(self) -> None:
        state = copy.deepcopy(self.states[-1])
        users = list(state)
        indexes = [(user, index) for user in users for index in state[user]["indexes"]]
        steps: list[tuple[int, Callable[..., None], list]] = [
            (4 if len(users) < 4 else 0, self.create_user, [()]),
            (3, self.change_user, [(user,) for user in users]),
            (1, self.delete_user, [(user,) for user in users]),
            (6 if len(indexes) < 6 else 0, self.create_index, [(user,) for user in users]),
            (3, self.change_index, indexes),
            (6, self.upload, indexes),
            (3, self.delete_index, indexes),
        ]
        possible = [(weight, action, targets) for weight, action, targets in steps if targets and weight]
        [(_, action, targets)] = self.noise.choices(possible, [weight for weight, _, _ in possible])
        action(state, *self.noise.choice(targets))

    def new_title(self) -> str:
        return f"Title {next(self.numbers)}."

    def create_user(self, state: dict) -> None:
        name, title = f"person-{next(self.numbers)}", self.new_title()
        state[name] = {"title": title, "indexes": {}}
        body = {"password": "pw-12345", "title": title}
        self.do("a new user", state, lambda: self.call("PUT", f"/{name}", body, auth=root()))

    def change_user(self, state: dict, user: str) -> None:
        title = state[user]["title"] = self.new_title()
        self.do(
            "a change of a user", state, lambda: self.call("PATCH", f"/{user}", {"title": title}, auth=root())
        )

    def delete_user(self, state: dict, user: str) -> None:
        del state[user]
        self.do("a deletion of a user", state, lambda: self.call("DELETE", f"/{user}", auth=root()))

    def create_index(self, state: dict, user: str) -> None:
        name, title = f"index-{next(self.numbers)}", self.new_title()
        state[user]["indexes"][name] = {"title": title, "files": {}}
        self.do("a new index", state, lambda: self.call("PUT", f"/{user}/{name}", {"title": title}, auth=root()))

    def change_index(self, state: dict, user: str, index: str) -> None:
        title = state[user]["indexes"][index]["title"] = self.new_title()
        self.do(
            "a change of an index",
            state,
            lambda: self.call("PATCH", f"/{user}/{index}", {"title": title}, auth=root()),
        )

    def upload(self, state: dict, user: str, index: str) -> None:
        project = f"administered-{next(self.numbers)}"
        path = packages.wheel(self.directory, project, "1.0", padding=self.noise.randbytes(20_000))
        state[user]["indexes"][index]["files"][project] = {path.name: packages.sha256(path)}
        place = Index(self.server.url, user, forge_token(user, time.time()), index)
        self.do(
            "an upload to a new index",
            state,
            lambda: expect_uploaded(self.server.upload(place, path, project, "1.0")),
        )

    def delete_index(self, state: dict, user: str, index: str) -> None:
        del state[user]["indexes"][index]
        self.do("a deletion of an index", state, lambda: self.call("DELETE", f"/{user}/{index}", auth=root()))

    def mine(self, users: dict, indexes: dict[str, dict]) -> Any:
        """What is its own of users and of what their indexes have."""
        return {
            user: {
                "title": data.get("title"),
                "indexes": {
                    name: {"title": settings.get("title"), "files": files_of(indexes[f"{user}/{name}"])}
                    for name, settings in data.get("indexes", {}).items()
                },
            }
            for user, data in users.items()
            if user.startswith("person-")
        }


def files_of(projects: dict) -> dict:
    return {project: releases["1.0"]["files"] for project, releases in projects.items()}


@dataclass
class Installer(Client):
    """Somebody who downloads files through a mirror: what came is right, and stays when the upstream goes."""

    mirror: Index | None = None
    upstream: FakeUpstream | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.states = [{}]

    def step(self) -> None:
        """Downloads a file that is new."""
        state = dict(self.states[-1])
        project = f"far-{next(self.numbers)}"
        file = File(f"{project}-1.0.tar.gz", self.noise.randbytes(self.noise.choice(SIZES)))
        self.upstream.add(Project(project, [file], format="negotiated"))

        def download() -> None:
            url = self.server.simple(self.mirror, project)[file.filename]["url"]
            answer = self.server.request("GET", url)
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
            assert answer.content == file.content
            state[url] = file.sha256

        self.do("a download", state, download)

    def compare_without_upstream(self) -> None:
        """All that was downloaded is still there, though nobody else has it."""
        self.states, self.under_way = [self.states[0]], ""
        kept = self.states[0]
        newest = list(kept)[-5:]
        for url in {*newest, *self.noise.sample(list(kept), min(len(kept), 5))}:
            answer = self.server.request("GET", url)
            assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text}"
            assert hashlib.sha256(answer.content).hexdigest() == kept[url]
