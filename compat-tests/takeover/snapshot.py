"""All that a server answers about what it has, and where two such pictures differ.

Nothing is left out for being awkward: times, serials, logs and hashes must be the same after a takeover. Where
docs/differences.md says that ours answers otherwise, the judge's own check of that row decides (see
`judge.differences`); everything else that differs is a line of the result.

The upstream of the mirrors should be dead meanwhile: what is compared is what the server has, and an upstream that
answers makes it fetch more.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from harness import Server
from judge import exchange, normalise, pages
from judge.differences import ABSENT, DIFFERENCES, Mismatch, Pair
from judge.steps import HOST, HTML, JSON, SIMPLE_JSON, Step

from .build import Built

THREADS = 8
BASE = f"http://{HOST}"
FILE_HEADERS = ("last-modified", "content-length", "cache-control", "location")
STATUS_KEYS = ("uuid", "serial", "role")

STAGE_PAGE = ("simple-1.4", "requires-python-empty", "links-encoded")
MIRROR_PAGE = (*STAGE_PAGE, "mirror-refresh-form", "mirror-yanked-empty")

Facts = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """One request with its answer, and the differences that may show in it."""

    step: Step
    answer: exchange.Answer

    def facts(self, *, ordered: bool = True) -> Facts:
        """What is compared of the answer; unless `ordered`, files of a release may come in any order."""
        answer = self.answer
        found: Facts = {"status": answer.status, "header:content-type": answer.header("content-type")}
        if normalise.is_framework_inside(answer.text()):
            return found
        if self.step.page and answer.status == 200:
            return found | pages.facts(answer, for_people=self.step.page == "human")
        if (answer.header("content-type") or "").startswith(JSON):
            value = _without_machine(json.loads(answer.body))
            return found | flatten(value if ordered else _links_by_address(value))
        if "/+f/" in self.step.path or "/+e/" in self.step.path:
            found |= {f"header:{name}": answer.header(name) for name in FILE_HEADERS}
        if answer.status == 200:
            return found | {"sha256": hashlib.sha256(answer.body).hexdigest()}
        return found | {"body": answer.text()}


@dataclass(frozen=True)
class Snapshot:
    """All answers of a server, by what was asked."""

    looks: Mapping[str, Look]

    def files(self) -> dict[str, str]:
        """The paths of all files that the server gives out, with the digests of their contents."""
        found = {name.removeprefix("file "): look for name, look in self.looks.items() if name.startswith("file ")}
        return {
            path: hashlib.sha256(look.answer.body).hexdigest()
            for path, look in found.items()
            if look.answer.status == 200
        }

    def statuses(self) -> dict[str, int]:
        """The status of every answer."""
        return {name: look.answer.status for name, look in self.looks.items()}


def _without_machine(value: Any) -> Any:
    """Of +status only what is about the data."""
    if isinstance(value, dict) and value.get("type") == "status":
        return {"result": {key: value["result"].get(key) for key in STATUS_KEYS}}
    return value


def _links_by_address(value: Any) -> Any:
    """The same with each list of links made a mapping."""
    if isinstance(value, dict):
        return {key: _links_by_address(item) for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) and "href" in item for item in value):
        return {item["href"]: item for item in value}
    return [_links_by_address(item) for item in value] if isinstance(value, list) else value


def flatten(value: Any, pointer: str = "json:") -> Facts:
    """JSON as a mapping from pointers to leaves; empty containers are leaves."""
    if isinstance(value, dict) and value:
        pairs: Iterable[tuple[str, Any]] = ((str(key), item) for key, item in value.items())
    elif isinstance(value, list) and value:
        pairs = ((str(number), item) for number, item in enumerate(value))
    else:
        return {pointer: value}
    return {key: leaf for name, item in pairs for key, leaf in flatten(item, f"{pointer}/{name}").items()}


class Photographer:
    """Somebody who asks a server for everything it has."""

    def __init__(self, server: Server, passwords: Mapping[str, str | None] = {}, paths: Iterable[str] = ()):
        self.server = server
        self.passwords = passwords
        self.paths = tuple(paths)
        self.looks: dict[str, Look] = {}
        self.indexes: dict[str, dict[str, Any]] = {}

    def take(self) -> Snapshot:
        """Asks for everything, and for the given paths."""
        with ThreadPoolExecutor(THREADS) as pool:
            self.pool = pool
            self._ask_all([self._json("/"), self._json("/+api"), self._json("/+status", ("status-fields",))])
            self._ask_all(
                self._login(user, password) for user, password in self.passwords.items() if password is not None
            )
            users = self.result("json /")
            self._ask_all(self._json(f"/{user}") for user in users)
            for user, data in users.items():
                self.indexes |= {f"{user}/{name}": config for name, config in data["indexes"].items()}
            self._ask_all(step for index in self.indexes for step in self._index(index))
            projects = [(index, name) for index in self.indexes for name in self._projects(index)]
            self._ask_all(step for index, name in projects for step in self._project(index, name))
            versions = [(index, name, version) for index, name in projects for version in self._versions(index, name)]
            self._ask_all(self._json(f"/{index}/{name}/{version}") for index, name, version in versions)
            self._ask_all(step for path in sorted(self._files()) for step in self._file(path))
        return Snapshot(dict(sorted(self.looks.items())))

    # What is asked

    def _index(self, index: str) -> list[Step]:
        difference, mirrored = self._page_differences(index)
        details = {"difference": difference, "mirrored": mirrored}
        return [
            self._json(f"/{index}", ("mirror-credentials",)),
            self._json(f"/{index}/+api"),
            _step("list", f"/{index}/+simple/", HTML, page="human", **details),
            _step("json list", f"/{index}/+simple/", SIMPLE_JSON, page="installer", **details),
        ]

    def _project(self, index: str, name: str) -> list[Step]:
        difference, mirrored = self._page_differences(index)
        details = {"difference": difference, "mirrored": mirrored}
        return [
            _step("page", f"/{index}/+simple/{name}/", HTML, page="human", **details),
            _step("json page", f"/{index}/+simple/{name}/", SIMPLE_JSON, page="installer", **details),
            self._json(f"/{index}/{name}"),
            self._json(f"/{index}/{name}?ignore_bases="),
        ]

    def _file(self, path: str) -> list[Step]:
        return [_step("file", path, "*/*"), _step("entry", path, JSON)]

    def _json(self, path: str, difference: tuple[str, ...] = ()) -> Step:
        return _step("json", path, JSON, difference=difference)

    def _login(self, user: str, password: str) -> Step:
        """A request whose answer tells whether the password is good; it gives out no token, which would differ."""
        encoded = b64encode(f"{user}:{password}".encode()).decode()
        return Step(f"login {user}", "GET", "/+api", 200, (("Accept", JSON), ("X-Devpi-Auth", encoded)))

    def _ask_all(self, steps: Iterable[Step]) -> None:
        steps = [step for step in steps if step.name not in self.looks]
        for step, answer in zip(steps, self.pool.map(self._ask, steps), strict=True):
            self.looks[step.name] = Look(step, answer)

    def _ask(self, step: Step) -> exchange.Answer:
        headers = (("Host", HOST), *step.headers, ("Connection", "close"))
        target = quote(step.path, safe="/+?=!:@,;~%") if "%" in step.path else quote(step.path, safe="/+?=!:@,;~")
        return exchange.send(("127.0.0.1", self.server.port), exchange.Request(step.method, target, headers))

    # What was found

    def result(self, name: str) -> Any:
        answer = self.looks[name].answer
        assert answer.status == 200, f"{name}: {answer.status} {answer.text()[:500]}"
        return answer.json()["result"]

    def _page_differences(self, index: str) -> tuple[tuple[str, ...], bool]:
        mirrored = self._reaches_mirror(index, set())
        return (MIRROR_PAGE if mirrored else STAGE_PAGE), mirrored

    def _reaches_mirror(self, index: str, seen: set[str]) -> bool:
        config = self.indexes.get(index)
        if config is None or index in seen:
            return False
        if config["type"] == "mirror":
            return True
        return any(self._reaches_mirror(base, seen | {index}) for base in config["bases"])

    def _projects(self, index: str) -> set[str]:
        answer = self.looks[f"json list /{index}/+simple/"].answer
        inherited = {project["name"] for project in answer.json()["projects"]} if answer.status == 200 else set()
        return inherited | set(self.result(f"json /{index}")["projects"])

    def _versions(self, index: str, name: str) -> set[str]:
        answer = self.looks[f"json /{index}/{name}"].answer
        return set(answer.json()["result"]) if answer.status == 200 else set()

    def _files(self) -> set[str]:
        found = set(self.paths)
        for look in self.looks.values():
            if look.answer.status == 200 and look.step.page and look.step.name.startswith("json page"):
                urls = [urljoin(BASE + look.step.path, file["url"]) for file in look.answer.json()["files"]]
                found |= {unquote(urlsplit(url).path) for url in urls}
        for name, look in self.looks.items():
            if name.startswith("json /") and look.answer.status == 200:
                found |= {unquote(urlsplit(href).path) for href in _hrefs(look.answer.json())}
        return found


def _hrefs(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("href", "for_href"):
                yield item
            else:
                yield from _hrefs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _hrefs(item)


def _step(kind: str, path: str, accept: str, **details: Any) -> Step:
    return Step(f"{kind} {path}", "GET", path, 200, (("Accept", accept),), **details)


def take(server: Server, built: Built) -> Snapshot:
    """Everything that a server on a built serverdir has, or on a copy of one."""
    return Photographer(server, built.passwords, [*built.gone, *built.hidden]).take()


# Comparing


@dataclass(frozen=True)
class Allowed:
    """A difference that is expected besides those between the servers, such as what an export does not keep."""

    names: str
    """A pattern of what was asked."""
    facts: str = "*"
    """A pattern of facts."""
    why: str = ""

    def covers(self, name: str, mismatch: Mismatch) -> bool:
        return fnmatchcase(name, self.names) and fnmatchcase(mismatch.key, self.facts)


@dataclass(frozen=True)
class StrongerHash:
    """Where an upstream gave a weak hash or none, ours shows also the SHA-256 of a file that it has."""

    digests: frozenset[str]
    """Of all files that were served before."""

    def covers(self, name: str, mismatch: Mismatch) -> bool:
        theirs, ours = mismatch.theirs, mismatch.ours
        if mismatch.key.endswith("/hash_spec"):
            return not str(theirs).startswith("sha256=") and self._is_one(ours)
        if mismatch.key.endswith("/hashes/sha256"):
            return theirs is ABSENT and ours in self.digests
        if mismatch.key.endswith("/hashes"):
            return theirs == {} and ours is ABSENT
        if mismatch.key.endswith(":hashes") and ABSENT not in (theirs, ours):
            return theirs.items() < ours.items() and ours.get("sha256") in self.digests and "sha256" not in theirs
        if mismatch.key.endswith(":href") and ABSENT not in (theirs, ours):
            (path, _, old), (our_path, _, new) = theirs.partition("#"), ours.partition("#")
            return unquote(our_path) == path and not old.startswith("sha256=") and self._is_one(new)
        return False

    def _is_one(self, spec: Any) -> bool:
        algorithm, _, digest = str(spec).partition("=")
        return algorithm == "sha256" and digest in self.digests


def compare(
    before: Snapshot, after: Snapshot, allowed: Iterable[Allowed | StrongerHash] = (), *, ordered: bool = True
) -> list[str]:
    """Where ours answers otherwise than devpi-server did and must not; one line each."""
    allowed = (*allowed, StrongerHash(frozenset(before.files().values())))
    lines: list[str] = []
    for name in [*before.looks, *(name for name in after.looks if name not in before.looks)]:
        if name in before.looks and name in after.looks:
            lines += _differences(name, before.looks[name], after.looks[name], allowed, ordered)
            continue
        theirs, ours = ((side.looks[name].answer.status if name in side.looks else ABSENT) for side in (before, after))
        mismatch = Mismatch("asked", theirs, ours)
        if not any(one.covers(name, mismatch) for one in allowed):
            lines.append(f"{name}: {mismatch}")
    return lines


def _differences(
    name: str, theirs: Look, ours: Look, allowed: tuple[Allowed | StrongerHash, ...], ordered: bool
) -> list[str]:
    pair = Pair(theirs.answer, ours.answer, theirs.step)
    explained: dict[str, dict[str, Mismatch]] = {}
    lines = []
    for mismatch in mismatches(theirs.facts(ordered=ordered), ours.facts(ordered=ordered)):
        if any(one.covers(name, mismatch) for one in allowed):
            continue
        ids = [id for id in theirs.step.difference if DIFFERENCES[id].explains(mismatch)]
        for id in ids:
            explained.setdefault(id, {})[mismatch.key] = mismatch
        if not ids:
            lines.append(f"{name}: {_short(str(mismatch))}")
    for id, covered in explained.items():
        check = DIFFERENCES[id].check
        if check and (wrong := check(pair, covered)):
            lines.append(f"{name}: {id}: {_short(wrong)}")
    return lines


def mismatches(theirs: Facts, ours: Facts) -> Iterable[Mismatch]:
    """The facts that are not the same, of the same type."""
    for key in [*theirs, *(key for key in ours if key not in theirs)]:
        mismatch = Mismatch(key, theirs.get(key, ABSENT), ours.get(key, ABSENT))
        if type(mismatch.theirs) is not type(mismatch.ours) or mismatch.theirs != mismatch.ours:
            yield mismatch


def _short(text: str) -> str:
    return re.sub(r"(.{300}).*(.{100})", r"\1 ... \2", text, flags=re.DOTALL)
