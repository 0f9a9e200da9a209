"""A server with something of everything, and requests that change it, one of each kind."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

import packages
from harness import Index, Server, expect_uploaded
from takeover.places import index_of

from . import picture

CONTENT = random.Random(1).randbytes(300_000)
"""More than is written at once."""


@dataclass
class Place:
    """A running server; two volatile indexes of one user, with a tested and documented release in the first."""

    server: Server
    directory: Path
    dev: Index
    prod: Index

    @classmethod
    def at(cls, server: Server, directory: Path) -> Place:
        """The one that is in the data of a server, with a login that spares it the verifying of passwords."""
        return cls(server, directory, index_of(server, "alice/dev"), index_of(server, "alice/prod"))

    @classmethod
    def made(cls, server: Server, directory: Path) -> Place:
        server.api("PUT", "/alice", body={"password": "pw-1"})
        place = cls.at(server, directory)
        for index in (place.dev, place.prod):
            assert place.api("PUT", f"/{index.name}", {}).status_code == 200
        expect_uploaded(place.upload("sample", "1.0"))
        expect_uploaded(place.upload("sample", "2.0"))
        expect_uploaded(place.upload_docs("sample", "1.0"))
        assert place.upload_result("sample", "1.0").status_code == 200
        return place

    def api(self, method: str, path: str, body: object = None) -> requests.Response:
        return self.server.request(method, path, json=body, auth=self.dev.auth)

    def wheel(self, project: str, version: str) -> Path:
        return packages.wheel(self.directory, project, version, padding=CONTENT)

    def upload(self, project: str, version: str) -> requests.Response:
        return self.server.upload(self.dev, self.wheel(project, version), project, version, summary="As it was.")

    def upload_docs(self, project: str, version: str) -> requests.Response:
        self.directory.mkdir(exist_ok=True)
        path = self.directory / f"{project}-{version}.doc.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("index.html", CONTENT)
        return self.server.upload(self.dev, path, project, version, **{":action": "doc_upload"})

    def upload_result(self, project: str, version: str) -> requests.Response:
        return self.api("POST", self.file(project, version), {"passed": version, "padding": "x" * 200_000})

    def file(self, project: str, version: str) -> str:
        """The URL of a release's wheel."""
        [url] = [file["url"] for name, file in self.server.simple(self.dev, project).items() if f"-{version}-" in name]
        return url

    def register(self, project: str, version: str, **fields: str) -> requests.Response:
        form = {":action": "submit", "name": project, "version": version, **fields}
        files = {name: (None, value) for name, value in form.items()}
        return self.server.request("POST", self.dev.upload_url, auth=self.dev.auth, files=files)

    def push(self, project: str, version: str) -> requests.Response:
        body = {"name": project, "version": version, "targetindex": self.prod.name}
        return self.api("PUSH", f"/{self.dev.name}", body)

    def everything(self) -> object:
        return picture.everything(self.server)


CHANGES: dict[str, Callable[[Place], requests.Response]] = {
    "upload": lambda place: place.upload("other", "1.0"),
    "overwriting": lambda place: place.server.upload(
        place.dev, packages.wheel(place.directory, "sample", "1.0", summary="Another."), "sample", "1.0", summary="New."
    ),
    "documentation": lambda place: place.upload_docs("sample", "2.0"),
    "test result": lambda place: place.upload_result("sample", "2.0"),
    "registration": lambda place: place.register("sample", "1.0", summary="New."),
    "push": lambda place: place.push("sample", "1.0"),
    "new user": lambda place: place.server.request("PUT", "/newcomer", json={"password": "pw-12345"}),
    "changed user": lambda place: place.api("PATCH", f"/{place.dev.user}", {"title": "New."}),
    "new index": lambda place: place.api("PUT", f"/{place.dev.user}/test", {"bases": [place.dev.name]}),
    "changed index": lambda place: place.api("PATCH", f"/{place.dev.name}", {"title": "New."}),
    "deleted file": lambda place: place.api("DELETE", place.file("sample", "1.0")),
    "deleted release": lambda place: place.api("DELETE", f"/{place.dev.name}/sample/1.0"),
    "deleted project": lambda place: place.api("DELETE", f"/{place.dev.name}/sample"),
    "deleted index": lambda place: place.api("DELETE", f"/{place.dev.name}"),
    "deleted user": lambda place: place.api("DELETE", f"/{place.dev.user}"),
}
"""One request of each kind, which succeeds unless something else fails."""
