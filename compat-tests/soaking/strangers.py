"""Plain HTTP: clients that look often, stop in the middle, know no password or vanish, and an upstream that fails."""

from __future__ import annotations

import hashlib
import json
import random

import requests

import packages
from faults.clients import Connection, Raw, upload
from harness import expect_uploaded, wait_until
from mirrors import JSON_PAGE

from .place import LARGE, PROJECTS, UNSTEADY, Place, Worker

STALE = "X-Wheelhouse-Stale-Since"
PACE = 0.05
"""Seconds between two of these, which cost so little that they would leave the processors to nobody else."""
PATIENCE = 30
"""Seconds after which an upstream that is well again must be noticed."""


class Stranger(Worker):
    """Somebody of whom nothing is known but what comes over the wire."""

    def __init__(self, place: Place, name: str):
        super().__init__(place, name)
        self.index = self.server.new_index("wire")
        self.session = requests.Session()
        self.session.trust_env = False
        for project in place.unsteady_files:
            assert len(self.server.simple(place.unsteady, project)) == 1

    def round(self) -> None:
        often = (self.conditional, self.lists, self.part_of_a_file, self.unread_file, self.broken_upload, self.vanish)
        self.any_of(*often, *often, self.wrong_password, self.publish, self.nonsense, self.trouble)
        self.place.stopped.wait(PACE)

    def get(self, path: str, status: int, **headers: str) -> requests.Response:
        answer = self.session.get(self.server.url + path, headers=headers, timeout=60)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer

    # Readers

    def conditional(self) -> None:
        """A page, and again if it has changed, which it has not: of the stage, and of the mirror below it."""
        path = f"/{self.place.stage.name}/+simple/{self.noise.choice([*PROJECTS, 'small'])}/"
        form = self.noise.choice((JSON_PAGE, {"Accept": "text/html"}))
        first = self.get(path, 200, **form)
        self.get(path, 304, **form, **{"If-None-Match": first.headers["ETag"]})
        self.place.did("HTTP conditional page")

    def lists(self) -> None:
        """All projects, an index, a release, all users, and what is not there."""
        stage = self.place.stage.name
        names = {entry["name"] for entry in self.get(f"/{stage}/+simple/", 200, **JSON_PAGE).json()["projects"]}
        assert names >= {"small", "large", *PROJECTS}
        for path in (f"/{stage}", f"/{stage}/small/1.0", "/", "/+api"):
            self.get(path, 200, Accept="application/json")
        self.get(f"/{stage}/+simple/nowhere-{self.noise.randrange(10)}/", 404)
        self.place.did("HTTP lists")

    def large(self) -> str:
        path = self.server.simple(self.place.stage, "large")[self.place.large.name]["url"]
        return path.removeprefix(self.server.url)

    def part_of_a_file(self) -> None:
        """The range that was asked for, and one that cannot be."""
        content = self.place.large.read_bytes()
        begin = self.noise.randrange(LARGE)
        end = self.noise.randrange(begin, LARGE)
        answer = self.get(self.large(), 206, Range=f"bytes={begin}-{end}")
        assert answer.content == content[begin : end + 1]
        self.get(self.large(), 416, Range=f"bytes={2 * LARGE}-")
        self.place.did("HTTP range")

    def unread_file(self) -> None:
        """A download, or a part of one, of which only the beginning is read."""
        headers = self.noise.choice(((), (("Range", "bytes=1000-2000000"),)))
        connection = Connection(self.server)
        connection.send(Raw("GET", self.large(), headers=headers).whole)
        while len(connection.received) < 10_000:
            connection.received += connection.socket.recv(4096)
        assert connection.status == (206 if headers else 200)
        self.noise.choice((connection.close, connection.vanish))()
        self.place.did("HTTP download broken off")

    # Senders

    def broken_upload(self) -> None:
        """A part of an upload: nothing of it must be there afterwards."""
        content = self.noise.randbytes(self.noise.choice((1_000, 300_000, 2_000_000)))
        chunked = self.noise.random() < 0.5
        request = upload(self.index, "broken-1.0.tar.gz", content, chunked=chunked)
        connection = Connection(self.server)
        connection.send(request.begun(self.noise.randrange(len(request.body))))
        self.noise.choice((connection.close, connection.vanish))()
        self.get(f"/{self.index.name}/+simple/broken/", 404)
        self.place.did("HTTP upload broken off")

    def vanish(self) -> None:
        """A connection on which nothing comes, or only a part of a request, or of which nobody reads the answer."""
        whole = Raw("GET", f"/{self.place.stage.name}/+simple/").whole
        connection = Connection(self.server)
        connection.send(self.noise.choice((b"", whole[:30], whole, 3 * whole)))
        self.noise.choice((connection.close, connection.vanish))()
        self.place.did("connection gone")

    def wrong_password(self) -> None:
        index = self.index
        login = {"user": index.user, "password": f"wrong-{self.noise.randrange(10)}"}
        assert self.server.request("POST", "/+login", json=login).status_code == 401
        with self.place.small.open("rb") as file:
            fields = {":action": "file_upload", "name": "small", "version": "1.0"}
            files = {"content": (self.place.small.name, file)}
            auth = (index.user, login["password"])
            answer = self.server.request("POST", f"/{index.name}/", auth=auth, data=fields, files=files)
        assert answer.status_code == 401, answer.text
        answer = self.server.request("PUT", f"/{self.place.stage.user}/taken", auth=index.auth, json={})
        assert answer.status_code == 403, answer.text
        self.place.did("HTTP wrong password")

    def publish(self) -> None:
        """A file, a test result and documentation, which go with the release."""
        index = self.index
        project = f"wired-{self.noise.randrange(4)}"
        noise = random.Random(f"{project} {self.noise.randrange(4)}")
        path = packages.wheel(self.directory, project, "1.0", padding=noise.randbytes(20_000))
        expect_uploaded(self.server.upload(index, path, project, "1.0"))
        self.expect_files(index, project, path)
        digest = packages.sha256(path)
        place = f"/{index.name}/+f/{digest[:3]}/{digest[3:16]}/{path.name}"
        result = json.dumps({"run": self.noise.randrange(10)})
        assert self.server.request("POST", place, data=result, auth=index.auth).status_code == 200
        if self.noise.random() < 0.5:
            self.server.api("DELETE", place, auth=index.auth)
        else:
            self.server.api("DELETE", f"/{index.name}/{project}", auth=index.auth)
        self.expect_files(index, project)
        self.place.did("HTTP upload, test result and removal")

    def nonsense(self) -> None:
        """Requests that nobody can mean."""
        url = f"/{self.index.name}"
        for method, path, body, status in (
            ("PUT", f"/{self.index.user}/other", b"{", 400),
            ("POST", f"{url}/", b"no form", 400),
            ("GET", f"{url}/+f/abc/0123456789abc/nothing-1.0.tar.gz", b"", 404),
            ("DELETE", f"{url}/nothing", b"", 404),
        ):
            answer = self.server.request(method, path, data=body, auth=self.index.auth)
            assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        self.place.did("HTTP nonsense")

    # The upstream that fails

    def trouble(self) -> None:
        """For a while something is wrong with the upstream of one project; then all is well again."""
        project = f"unsteady-{self.noise.randrange(UNSTEADY)}"
        self.any_of(lambda: self.page_fails(project), lambda: self.file_fails(project), lambda: self.dead(project))

    def page_fails(self, project: str) -> None:
        """The page stays as it was, and says so. The server here waits two seconds for an upstream."""
        upstream = self.place.unsteady_upstream
        fault = self.noise.choice(
            ({"status": 500}, {"drop": True}, {"delay": 4}, {"delay": 0.5, "status": 503}, {"cut_after": 50})
        )
        upstream.fault(f"/simple/{project}/", no_validators=True, **fault)
        for _ in range(3):
            assert len(self.page(project).json()["files"]) == 1
        wait_until(lambda: STALE in self.page(project).headers, f"{fault} goes unnoticed", PATIENCE)
        upstream.heal(f"/simple/{project}/")
        self.well(project)
        self.place.did("upstream with a broken page")

    def file_fails(self, project: str) -> None:
        """A file that is cut off once comes whole; one that is cut off again and again comes later."""
        upstream, file = self.place.unsteady_upstream, self.place.unsteady_files[project]
        self.server.api("DELETE", f"/{self.place.unsteady.name}/{project}", auth=self.place.unsteady.auth)
        for_ever = self.noise.random() < 0.5
        upstream.fault(file.path, cut_after=200_000, no_ranges=for_ever, times=None if for_ever else 1)
        url = self.page(project).json()["files"][0]["url"]
        url = requests.compat.urljoin(f"{self.place.unsteady.simple_url}{project}/", url)
        assert not for_ever or not self.comes(url, file.sha256), "all of a file of which there was only a half"
        if for_ever:
            upstream.heal(file.path)
        wait_until(lambda: self.comes(url, file.sha256), f"{url} does not come", PATIENCE)
        upstream.heal(file.path)
        self.place.did(f"upstream that cuts a file off {'for a while' if for_ever else 'once'}")

    def comes(self, url: str, digest: str) -> bool:
        """Whether a file comes whole; if not, the answer must end too early, or be an error that says why."""
        try:
            answer = self.server.request("GET", url)
        except (requests.exceptions.ChunkedEncodingError, requests.ConnectionError):
            return False
        if answer.status_code != 200:
            assert answer.status_code == 502, f"{url}: {answer.status_code} {answer.text}"
            return False
        assert hashlib.sha256(answer.content).hexdigest() == digest, f"{url} came whole and wrong"
        return True

    def dead(self, project: str) -> None:
        """Nobody listens at the upstream any more."""
        self.place.unsteady_upstream.stop()
        for _ in range(3):
            assert len(self.page(project).json()["files"]) == 1
        wait_until(lambda: STALE in self.page(project).headers, "a dead upstream goes unnoticed", PATIENCE)
        self.place.unsteady_upstream.start()
        self.well(project)
        self.place.did("upstream dead for a while")

    def page(self, project: str) -> requests.Response:
        return self.get(f"/{self.place.unsteady.name}/+simple/{project}/", 200, **JSON_PAGE)

    def well(self, project: str) -> None:
        wait_until(lambda: STALE not in self.page(project).headers, f"{project} is well and shown stale", PATIENCE)
