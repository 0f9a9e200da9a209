"""What is asked: steps, scenarios, and short functions to write them down.

The scenarios are data. What only exists while the servers run stands in them as something else: a login token as a
`Token`, the address of the upload endpoint as an `External`, the time in the name of a tox result as `*` in the path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
    return Step(name, method, path, status, tuple(sent.items()), body, tuple(given), page, tuple(also), ids, our_status)


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


def index(path: str, **config: Any) -> Step:
    """Create an index beforehand, as its owner."""
    return put(f"prepare index {path}", path, 200, config, as_user=path.split("/")[1])


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


def encode_json(value: Any) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()
