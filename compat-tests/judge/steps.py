"""What is asked: steps, scenarios, and short functions to write them down.

The scenarios are data. What only exists while the servers run stands in them as something else: a login token as a
`Token`, the address of the upload endpoint as an `External`, the time in the name of a tox result as `*` in the path,
the upstream of the mirrors as `upstream.example` (see `upstreams`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from upstream import FakeUpstream, Fault, Project

JSON = "application/json"
HTML = "text/html"
ANYTHING = "*/*"
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
PIP_ACCEPT = f"{SIMPLE_JSON}, {SIMPLE_HTML}; q=0.1, {HTML}; q=0.01"
PIP = 'pip/23.0 {"x":1}'

HOST = "devpi.example"
"""The `Host` of all requests, so that no port appears in an answer."""


@dataclass(frozen=True)
class Token:
    """A login token: fetched by logging in as the user, or signed by the judge if any detail is given."""

    user: str
    groups: tuple[str, ...] = ()
    age_seconds: int = 0
    from_user_record: bool = True

    @property
    def is_forged(self) -> bool:
        """Whether it has to be signed by the judge since no login gives it."""
        return bool(self.groups or self.age_seconds or not self.from_user_record)


@dataclass(frozen=True)
class External:
    """The URL of a path at the upload endpoint (see `endpoint`); where nobody listens unless it is `alive`."""

    path: str
    alive: bool = True


@dataclass(frozen=True)
class Credentials:
    """A user name and a secret in one of the two headers; a secret can be a password or a token."""

    user: str
    secret: str | Token
    header: Literal["X-Devpi-Auth", "Authorization"] = "X-Devpi-Auth"
    scheme: str = "Basic"


@dataclass(frozen=True)
class Form:
    """A multipart form: fields in order, then files as (field, file name, content)."""

    fields: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str, bytes], ...] = ()


@dataclass(frozen=True)
class Act:
    """What happens to each of the two servers, or to its upstream, before a request is sent."""

    about: str
    upstream: Callable[[FakeUpstream], object] | None = None
    seconds: float = 0
    """How long nothing happens."""
    restart: tuple[str, ...] | None = None
    """The server is started again with these options besides those of the scenario."""


@dataclass(frozen=True)
class Step:
    """One request, and what is known about the answers beforehand."""

    name: str
    """The number of the captured pair it re-creates, or a few words."""
    method: str
    path: str
    status: int
    """What devpi-server answers; guards the scenario itself against rotting."""
    headers: tuple[tuple[str, str], ...] = ()
    body: Any = None
    """Nothing, `bytes` sent as they are, a `Form`, or anything else as JSON."""
    credentials: tuple[Credentials, ...] = ()
    page: Literal["human", "installer"] | None = None
    """The answer is a page of the simple index, made for people or for installers."""
    also: tuple[str, ...] = ()
    """Further response headers to compare."""
    difference: tuple[str, ...] = ()
    """Rows of docs/differences.md that explain why the answers differ."""
    our_status: int | None = None
    """What ours answers, where a difference leaves it open."""
    ours: Mapping[str, Any] = field(default_factory=dict)
    """Facts of our answer (see `normalise`), where a difference leaves them open; `None` for those it does not have."""
    before: tuple[Act, ...] = ()
    """What happens first."""
    mirrored: bool = False
    """The page shows files of an upstream, which may not say as much of them as we do of our own."""


@dataclass(frozen=True)
class Scenario:
    """Steps on a fresh pair of servers, in order."""

    name: str
    about: str
    steps: Sequence[Step]
    passwords: Mapping[str, str] = field(default_factory=dict)
    """By which the judge logs in when a step is done `as_user`; root has none."""
    options: tuple[str, ...] = ()
    """Command line options for both servers."""
    our_options: tuple[str, ...] = ()
    """Further ones for ours."""
    upstream: tuple[Act, ...] | None = None
    """Each server has an upstream of its own, prepared by these; what is asked of it is compared as well. Serials are
    not, since mirrors write when it suits them."""


def call(
    name: str,
    method: str,
    path: str,
    status: int,
    *,
    body: Any = None,
    accept: str | None = None,
    agent: str | None = None,
    headers: Mapping[str, str] | None = None,
    as_user: str | None = None,
    credentials: Credentials | Sequence[Credentials] = (),
    page: Literal["human", "installer"] | None = None,
    also: Sequence[str] = (),
    difference: str | Sequence[str] = (),
    our_status: int | None = None,
    ours: Mapping[str, Any] | None = None,
    before: Act | Sequence[Act] = (),
    mirrored: bool = False,
) -> Step:
    """A step with any method; the other functions here are short for this one."""
    sent = dict(headers or {})
    if accept is not None:
        sent["Accept"] = accept
    if agent is not None:
        sent["User-Agent"] = agent
    given = [credentials] if isinstance(credentials, Credentials) else list(credentials)
    if as_user is not None:
        given.append(Credentials(as_user, Token(as_user)))
    ids = (difference,) if isinstance(difference, str) else tuple(difference)
    return Step(
        name,
        method,
        path,
        status,
        tuple(sent.items()),
        body,
        tuple(given),
        page,
        tuple(also),
        ids,
        our_status,
        ours or {},
        (before,) if isinstance(before, Act) else tuple(before),
        mirrored,
    )


def get(name: str, path: str, status: int = 200, **details: Any) -> Step:
    """`GET`, without `Accept` unless given."""
    return call(name, "GET", path, status, **details)


def head(name: str, path: str, status: int = 200, **details: Any) -> Step:
    """`HEAD`."""
    return call(name, "HEAD", path, status, **details)


def put(name: str, path: str, status: int, body: Any, **details: Any) -> Step:
    """`PUT` as devpi-client sends it: JSON accepted."""
    return call(name, "PUT", path, status, **{"body": body, "accept": JSON, **details})


def patch(name: str, path: str, status: int, body: Any, **details: Any) -> Step:
    """`PATCH` as devpi-client sends it."""
    return call(name, "PATCH", path, status, **{"body": body, "accept": JSON, **details})


def post(name: str, path: str, status: int, body: Any = None, **details: Any) -> Step:
    """`POST`, without `Accept` unless given."""
    return call(name, "POST", path, status, body=body, **details)


def delete(name: str, path: str, status: int, **details: Any) -> Step:
    """`DELETE` as devpi-client sends it."""
    return call(name, "DELETE", path, status, **{"accept": JSON, **details})


def read_json(name: str, path: str, status: int = 200, **details: Any) -> Step:
    """`GET` that accepts JSON."""
    return get(name, path, status, **{"accept": JSON, **details})


def login(name: str, user: Any, password: Any, status: int, **details: Any) -> Step:
    """`POST /+login`."""
    return post(name, "/+login", status, {"user": user, "password": password}, **{"accept": JSON, **details})


def user(name: str, password: str = "pw", **config: Any) -> Step:
    """Create a user beforehand."""
    return put(f"prepare user {name}", f"/{name}", 201, {"password": password, **config})


def index(path: str, *, difference: str | Sequence[str] = (), **config: Any) -> Step:
    """Create an index beforehand, as its owner."""
    return put(f"prepare index {path}", path, 200, config, as_user=path.split("/")[1], difference=difference)


def configure(path: str, *changes: str, **config: Any) -> Step:
    """Change an index in between, as its owner: by `key=value` strings or by values."""
    body = list(changes) or config
    return patch(f"configure {path}", path, 200, body, as_user=path.split("/")[1])


def release_form(project: str, version: str, filename: str, content: bytes, *extra: tuple[str, str]) -> Form:
    """The form of a file upload."""
    fields = ((":action", "file_upload"), ("name", project), ("version", version), *extra)
    return Form(fields, (("content", filename, content),))


def metadata_form(action: str, *fields: tuple[str, str]) -> Form:
    """A form without a file."""
    return Form(((":action", action), *fields))


def upload(
    name: str,
    path: str,
    status: int,
    project: str,
    version: str,
    filename: str,
    content: bytes,
    *extra: tuple[str, str],
    as_user: str | None = "alice",
    **details: Any,
) -> Step:
    """Upload a file, as alice unless said otherwise."""
    form = release_form(project, version, filename, content, *extra)
    return post(name, path, status, form, as_user=as_user, **details)


def push(name: str, path: str, status: int, body: Any, **details: Any) -> Step:
    """`PUSH` as devpi-client sends it, as alice unless said otherwise."""
    return call(name, "PUSH", path, status, **{"body": body, "accept": JSON, "as_user": "alice", **details})


def documentation(
    name: str,
    path: str,
    status: int,
    project: str,
    version: str | None,
    content: bytes,
    filename: str = "whatever.zip",
    **details: Any,
) -> Step:
    """Upload a documentation zip, as alice unless said otherwise; without a version field for `None`."""
    fields = ((":action", "doc_upload"), ("name", project), *((("version", version),) if version is not None else ()))
    return post(name, path, status, Form(fields, (("content", filename, content),)), **{"as_user": "alice", **details})


def tox_result(name: str, path: str, status: int, body: Any, **details: Any) -> Step:
    """Post a test result to a file, as `devpi test` does."""
    return post(name, path, status, body, **{"accept": JSON, **details})


def page(
    name: str,
    path: str,
    *,
    method: str = "GET",
    agent: str | None = None,
    accept: str | None = None,
    audience: Literal["human", "installer"] = "human",
    unmarked: bool = True,
    difference: str | Sequence[str] = (),
    **details: Any,
) -> Step:
    """A page of the simple index; `unmarked` if it lists files that require no Python version.

    Every such page differs in what newer standards and caching add to it.
    """
    ids = ["page-caching", *([difference] if isinstance(difference, str) else difference)]
    if method != "HEAD":
        ids.append("simple-1.4")
        if unmarked:
            ids.append("requires-python-empty")
    return call(name, method, path, 200, agent=agent, accept=accept, page=audience, difference=ids, **details)


def project_list(name: str, path: str, **details: Any) -> Step:
    """A project list of the simple index."""
    return page(name, path, unmarked=False, **details)


def pip_page(name: str, path: str, **details: Any) -> Step:
    """A page as pip gets it."""
    return page(name, path, **{"agent": PIP, "audience": "installer", **details})


def json_page(name: str, path: str, **details: Any) -> Step:
    """A page in JSON."""
    return page(name, path, **{"accept": SIMPLE_JSON, "audience": "installer", **details})


def change(about: str, what: Callable[[FakeUpstream], object]) -> Act:
    """Do something to the upstream for which there is no function below."""
    return Act(about, what)


def publish(*projects: Project) -> Act:
    """The upstream publishes projects, or other contents of them; each server's gets copies."""
    names = ", ".join(project.name for project in projects)
    return change(f"publish {names}", lambda upstream: upstream.add(*copy.deepcopy(projects)))


def answer_at(path: str, body: bytes | str, content_type: str = HTML, **details: Any) -> Act:
    """The upstream answers this at a path; `{host}` and `{other}` stand for its two names."""
    return change(f"put {path}", lambda upstream: upstream.put(path, body, content_type, **details))


def redirect(path: str, location: str) -> Act:
    """The upstream redirects a path."""
    return change(f"redirect {path}", lambda upstream: upstream.redirect(path, location))


def fault(path: str, *faults: Fault, **details: Any) -> Act:
    """Something goes wrong at a path of the upstream until it is healed (see `upstream.Fault`)."""
    return change(f"fault at {path}", lambda upstream: upstream.fault(path, *faults, **details))


def heal(path: str | None = None) -> Act:
    """Nothing goes wrong at a path any more, or anywhere."""
    return change(f"heal {path or 'all'}", lambda upstream: upstream.heal(path))


def die() -> Act:
    """The upstream refuses connections."""
    return change("the upstream dies", lambda upstream: upstream.stop())


def revive() -> Act:
    """The upstream is back, and nothing goes wrong."""
    return change("the upstream is back", lambda upstream: (upstream.heal(), upstream.start()))


def wait(seconds: float) -> Act:
    """Nothing happens for a while."""
    return Act(f"wait {seconds:g} s", seconds=seconds)


def restart(*options: str) -> Act:
    """The server is started again, with these options besides those of the scenario."""
    return Act(f"restart {' '.join(options)}".rstrip(), restart=options)


def mirrored_page(name: str, path: str, *, form: bool = True, note: bool = False, **details: Any) -> Step:
    """A page with files of an upstream, for people; devpi shows a form to refresh it, or a note why it is not there."""
    return page(name, path, **_mirrored(details, *(("mirror-refresh-form",) if form or note else ())))


def mirrored_list(name: str, path: str, **details: Any) -> Step:
    """A project list with projects of an upstream."""
    return project_list(name, path, **{"mirrored": True, **details})


def mirrored_pip_page(name: str, path: str, **details: Any) -> Step:
    """The same as pip gets it."""
    return pip_page(name, path, **_mirrored(details))


def mirrored_json_page(name: str, path: str, **details: Any) -> Step:
    """The same in JSON."""
    return json_page(name, path, **_mirrored(details))


def _mirrored(details: dict[str, Any], *ids: str) -> dict[str, Any]:
    """The details of a page with those that all pages of mirrors have; stale ones say so."""
    given = details.pop("difference", ())
    stale = ("mirror-stale-header",) if details.pop("stale", False) else ()
    difference = [*((given,) if isinstance(given, str) else given), *ids, *stale]
    return {"unmarked": False, "mirrored": True, "also": ["X-PyPI-Last-Serial"], **details, "difference": difference}


def encode_json(value: Any) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()
