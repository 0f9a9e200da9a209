"""The fake upstream itself: what is published, what goes wrong, and what was asked."""

from __future__ import annotations

import base64
import gzip
import hashlib
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import unquote

from . import pages
from .faults import Fault, Gate, Scheduled
from .messages import Response, accepts_gzip, cut_to_range, is_unchanged, wanted_format
from .model import AUTOMATIC, HTML, OMITTED, SIMPLE_JSON, Catalogue, Content, File, Project, Resource, hash_of
from .recording import Recorded, Recording
from .server import HOST, HttpServer

NO_FAULT = Fault()
LIST = "/simple/"
HTML_UTF8 = f"{HTML}; charset=utf-8"


class FakeUpstream:
    """A package index on the loopback address; usable from any thread, and as a `with` block."""

    def __init__(self, *projects: Project, port: int = 0, keep_requests: bool = True) -> None:
        """Reserve the port (any free one for 0) and publish the projects; `start` or `with` makes it listen.

        Without `keep_requests` only their numbers are kept, for load tests.
        """
        self.projects: dict[str, Project] = {}
        self.resources: dict[str, Resource] = {}
        """By path as it stands in the request; they go before projects and files."""
        self.catalogue: Catalogue | None = None
        self.list_format: Literal["html", "json", "negotiated"] = "html"
        """Of the project list."""
        self.list_etag: str | None | Any = AUTOMATIC
        self.list_gzip = False
        self._credentials: str | None = None
        self._protected = "*"
        self._faults: dict[str, list[Scheduled]] = {}
        self._catalogue_lists: dict[tuple[str, bool], bytes] = {}
        self._recording = Recording(keep=keep_requests)
        self._server = HttpServer(port, self._recording, self._find_fault, self._answer)
        self.add(*projects)

    # Where it is

    @property
    def port(self) -> int:
        """The port, also while it is stopped."""
        return self._server.port

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"{HOST}:{self.port}"

    @property
    def other_host(self) -> str:
        """`localhost:PORT`: the same server as another origin."""
        return f"localhost:{self.port}"

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{self.host}"

    @property
    def other_origin(self) -> str:
        """`http://localhost:PORT`."""
        return f"http://{self.other_host}"

    @property
    def url(self) -> str:
        """What to write into `mirror_url`: `http://127.0.0.1:PORT/simple/`."""
        return f"{self.origin}{LIST}"

    def url_with(self, user: str, password: str) -> str:
        """The same with credentials, which are written as they are given (percent-encode them yourself)."""
        return f"http://{user}:{password}@{self.host}{LIST}"

    # Life

    def start(self) -> FakeUpstream:
        """Listen (again)."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Play dead: cut all connections and refuse new ones. What is published and recorded stays."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good."""
        self._server.close()

    def __enter__(self) -> FakeUpstream:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What it publishes

    def add(self, *projects: Project) -> None:
        """Publish projects; one of the same name is replaced."""
        for project in projects:
            self.projects[project.name] = project

    def remove(self, name: str) -> None:
        """Withdraw a project with its page and files."""
        self.projects.pop(name, None)

    def project(self, name: str) -> Project:
        """A published project, to change it."""
        return self.projects[name]

    def file(self, filename: str) -> File:
        """A published file, to change it."""
        found = self._find_file(filename)
        if found is None:
            raise KeyError(filename)
        return found

    def put(self, path: str, body: Resource | bytes | str, content_type: str = HTML, **details: Any) -> None:
        """Answer this at a path, such as a page written by hand; details are those of `Resource`."""
        self.resources[path] = body if isinstance(body, Resource) else Resource(body, content_type, **details)

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        """Redirect a path; `{host}` and `{other}` may stand in the location."""
        self.put(path, Resource("", None, status, {"Location": location}))

    def unput(self, path: str) -> None:
        """Take back what `put` or `redirect` did."""
        self.resources.pop(path, None)

    def require(self, user: str, password: str, paths: str = "*") -> None:
        """Answer 401 to whoever does not send these as Basic credentials, at paths that match the pattern."""
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._credentials, self._protected = f"Basic {encoded}", paths

    def require_nothing(self) -> None:
        """Let everybody in again."""
        self._credentials = None

    def resource(self, target: str) -> Resource | None:
        """What is answered at a path by itself, whatever projects and files there are."""
        return self.resources.get(target.partition("?")[0])

    def prepare(self) -> None:
        """Make the lists of the catalogue now, rather than when they are first asked for."""
        for form in ("html", "json") if self.list_format == "negotiated" else (self.list_format,):
            if self.catalogue is not None:
                self._catalogue_list(self.catalogue, form, compress=self.list_gzip)

    # What goes wrong

    def fault(self, path: str, *faults: Fault, **details: Any) -> None:
        """Let something go wrong at a path from the next request on: given as `Fault`s, or as the details of one.

        Several come one after another, each as often as its `times` says. They replace those that the path had. The
        path is as it stands in requests, without the query, or a pattern such as `/files/*`; the exact one goes first.
        """
        given = faults or (Fault(**details),)
        self._faults[path] = [Scheduled.of(fault) for fault in given]

    def heal(self, path: str | None = None) -> None:
        """Let nothing go wrong any more, at one path or anywhere."""
        if path is None:
            self._faults.clear()
        else:
            self._faults.pop(path, None)

    def hold(self, path: str, *, body_after: int | None = None, times: int | None = None) -> Gate:
        """Hold back the answers of a path until the gate is released; their heads too unless `body_after` is given.

        This is a fault of the path: `with upstream.hold(path) as gate: …; gate.wait(3); …` and then `heal(path)`.
        """
        gate = Gate()
        self.fault(path, Fault(gate=gate, gate_after=body_after, times=times))
        return gate

    # What was asked

    @property
    def requests(self) -> list[Recorded]:
        """All requests so far, in order of their arrival (unless they are not kept)."""
        return self._recording.requests()

    def requests_for(self, path: str) -> list[Recorded]:
        """Those for a path, whatever the query."""
        return [request for request in self.requests if request.path == path]

    def take(self) -> list[Recorded]:
        """All requests so far, which are then forgotten; so are the numbers."""
        return self._recording.take()

    def forget(self) -> None:
        """Forget the requests and their numbers."""
        self._recording.take()

    def count(self, path: str | None = None) -> int:
        """How many requests came for a path, or in all."""
        return self._recording.count(path)

    def counts(self) -> dict[str, int]:
        """How many requests came for each path."""
        return self._recording.counts()

    def most_at_once(self, path: str) -> int:
        """The largest number of requests for a path that were under way at the same time."""
        return self._recording.most_at_once(path)

    def wait_for(self, path: str, count: int = 1, timeout: float = 30) -> None:
        """Wait until so many requests have come for a path; raise `TimeoutError` if they do not come."""
        self._recording.wait_until(lambda: self.count(path) >= count, f"{count} requests for {path}", timeout)

    def wait_until_idle(self, timeout: float = 30) -> None:
        """Wait until nothing is under way."""
        self._recording.wait_until(self._recording.is_idle, "no request under way", timeout)

    # Answers

    def _find_fault(self, request: Recorded) -> Fault:
        keys = [request.path, *(key for key in list(self._faults) if fnmatchcase(request.path, key))]
        for key in dict.fromkeys(keys):
            for scheduled in self._faults.get(key, ()):
                fault = scheduled.take(request.method)
                if fault is not None:
                    return fault
                if scheduled.left != 0:
                    break
        return NO_FAULT

    def _answer(self, request: Recorded) -> Response:
        path = request.path
        if request.method not in {"GET", "HEAD"}:
            return _text(405)
        if self._credentials and fnmatchcase(path, self._protected):
            if request.header("authorization") != self._credentials:
                return _text(401, **{"WWW-Authenticate": 'Basic realm="upstream"'})
        resource = self.resource(request.target)
        if resource is not None:
            return self._resource(request, resource)
        if path == LIST:
            return self._list(request)
        if path.startswith(LIST) and path.endswith("/"):
            name = path.removeprefix(LIST)[:-1]
            project = self.projects.get(name) or (self.catalogue and self.catalogue.project(name))
            return self._page(request, project) if project and project.has_page else _text(404)
        return self._download(request, unquote(path.removeprefix("/files/"))) or _text(404)

    def _resource(self, request: Recorded, resource: Resource) -> Response:
        body = resource.body
        headers = {name: self._filled(value) for name, value in resource.headers.items()}
        if isinstance(body, str):
            body = self._filled(body).encode()
        if resource.content_type is not None:
            headers["Content-Type"] = resource.content_type
        response = Response(resource.status, headers, body, chunked=resource.chunked)
        return _finished(
            request, response, resource.etag, resource.last_modified, compress=resource.gzip, ranges=resource.ranges
        )

    def _list(self, request: Recorded) -> Response:
        form = wanted_format(request) if self.list_format == "negotiated" else self.list_format
        compress = self.list_gzip and accepts_gzip(request)
        if self.catalogue is not None:
            body = self._catalogue_list(self.catalogue, form, compress=compress)
        else:
            names = [project.name for project in self.projects.values() if project.listed]
            body = pages.list_json(names) if form == "json" else pages.list_html(names)
            body = gzip.compress(body, mtime=0) if compress else body
        headers = {"Content-Type": SIMPLE_JSON if form == "json" else HTML_UTF8}
        if compress:
            headers["Content-Encoding"] = "gzip"
        return _finished(request, Response(200, headers, body), _tag(body, self.list_etag), None)

    def _catalogue_list(self, catalogue: Catalogue, form: str, *, compress: bool) -> bytes:
        """The list of all names, those of single projects first; made once for each form."""
        key = form, compress
        if key not in self._catalogue_lists:
            if compress:
                body = gzip.compress(self._catalogue_list(catalogue, form, compress=False), 1, mtime=0)
            else:
                names = [project.name for project in self.projects.values() if project.listed] + catalogue.names()
                body = pages.list_json(names) if form == "json" else pages.list_html(names)
            self._catalogue_lists[key] = body
        return self._catalogue_lists[key]

    def _page(self, request: Recorded, project: Project) -> Response:
        form = wanted_format(request) if project.format == "negotiated" else project.format
        render = pages.project_json if form == "json" else pages.project_html
        body = render(project, self.origin, self.other_origin)
        headers = {"Content-Type": project.content_type or (SIMPLE_JSON if form == "json" else HTML_UTF8)}
        if project.serial is not None:
            headers["X-PyPI-Last-Serial"] = str(project.serial)
        headers |= project.headers
        etag = _tag(body, project.etag)
        return _finished(request, Response(200, headers, body), etag, project.last_modified, compress=project.gzip)

    def _find_file(self, filename: str) -> File | None:
        for project in list(self.projects.values()):
            for file in project.files:
                if file.filename == filename:
                    return file
        return self.catalogue.file(filename) if self.catalogue else None

    def _download(self, request: Recorded, filename: str) -> Response | None:
        file = self._find_file(filename)
        if file is None:
            for suffix in ("metadata", "provenance"):
                whole = self._find_file(filename.removesuffix(f".{suffix}"))
                beside = getattr(whole, suffix) if whole and filename.endswith(f".{suffix}") else None
                if beside is not None:
                    content_type = "application/octet-stream" if suffix == "metadata" else "application/json"
                    return _finished(request, Response(200, {"Content-Type": content_type}, beside), None, None)
            return None
        headers = {} if file.content_type is None else {"Content-Type": file.content_type}
        response = Response(200, headers, file.content, chunked=file.chunked)
        etag = _tag(file.content, file.etag)
        return _finished(request, response, etag, file.last_modified, ranges=file.ranges)

    def _filled(self, text: str) -> str:
        return text.replace("{host}", self.host).replace("{other}", self.other_host)


def _finished(
    request: Recorded,
    response: Response,
    etag: str | None,
    last_modified: str | None,
    *,
    compress: bool = False,
    ranges: bool = False,
) -> Response:
    """The answer with its validators: 304 if the client has it, else compressed or cut to a range if so wished."""
    if response.status == 200 and is_unchanged(request, etag, last_modified):
        return Response(304, {"ETag": etag} if etag else {})
    if etag is not None:
        response.headers["ETag"] = etag
    if last_modified is not None:
        response.headers["Last-Modified"] = last_modified
    if ranges and response.status == 200:
        return cut_to_range(request, response, etag, last_modified)
    if compress:
        response.headers["Vary"] = "Accept-Encoding"
        if accepts_gzip(request):
            response.body = gzip.compress(bytes(response.body), mtime=0)
            response.headers["Content-Encoding"] = "gzip"
    return response


def _tag(content: Content, given: str | None | Any) -> str | None:
    """The validator: as given, or one that changes with the content."""
    if given is AUTOMATIC:
        if isinstance(content, bytes):
            return f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return f'"{hash_of(content, "sha256")[:32]}"'
    return None if given is OMITTED else given


def _text(status: int, **headers: str) -> Response:
    return Response(status, {"Content-Type": "text/plain", **headers}, f"upstream says {status}\n".encode())


