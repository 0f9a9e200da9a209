"""Makes a sequence from a seed, and from nothing else.

An operation is drawn at random, again and again, until the picture says that it will be accepted or refused, whichever
is wanted just then. What devpi would refuse and yet keep half of is not drawn: the two states would differ from there
on, as docs/differences.md says (no-half-changes), and nothing after it could be compared. The same goes for what makes
devpi's pages stale, and for what devpi answers by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from .indexes import INHERITANCE, LISTS, TEXTS, TRUTH
from .names import CONTENTS, INDEXES, KINDS, PROJECTS, ROOT, USERS, VERSIONS, Operation, normal
from .picture import Picture

LENGTHS = (14, 26)
REFUSED_SHARE = 0.2
ATTEMPTS = 40

METADATA: Sequence[dict[str, Any]] = (
    {},
    {},
    {},
    {"summary": "one"},
    {"summary": "two", "requires_python": ">=3.9"},
    {"classifiers": ["A", "B", ""], "license": "UNKNOWN", "requires_python": ""},
)
ACLS: Sequence[list[str]] = (
    [],
    ["@ada"],
    ["@ada", "@bob"],
    ["@bob", ":AUTHENTICATED:"],
    [":ANONYMOUS:"],
    [":anonymous:", "@cyd", ":group"],
)


def sequence(seed: int) -> list[Operation]:
    """The sequence of a seed."""
    return _Author(Random(seed)).write()


class _Author:
    """Writes one sequence."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.picture = Picture()

    def write(self) -> list[Operation]:
        written: list[Operation] = []
        # Something to work with first; the rest is chance.
        for kind in ["create_user"] * self.random.randint(2, 3) + ["create_index"] * self.random.randint(2, 4):
            written.append(self._next(kind, accepted=True))
        length = self.random.randint(*LENGTHS)
        kinds, weights = list(_DRAWN), [weight for weight, _ in _DRAWN.values()]
        while len(written) < length:
            kind = self.random.choices(kinds, weights)[0]
            operation = self._next(kind, accepted=self.random.random() >= REFUSED_SHARE)
            if operation is not None:
                written.append(operation)
        return [operation for operation in written if operation is not None]

    def _next(self, kind: str, *, accepted: bool) -> Operation | None:
        for _ in range(ATTEMPTS):
            operation = {"do": kind, **_DRAWN[kind][1](self)}
            if kind in _READING and self.chance(0.3):
                # Nobody is kept from reading.
                operation |= self.caller(self.any(USERS))
            if self.picture.accepts(operation) is accepted and not self.picture.is_unfit(operation):
                if accepted:
                    self.picture.apply(operation)
                return operation
        return None

    # Choices

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def any(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def user(self) -> str:
        there = sorted(self.picture.users)
        return self.any(there if there and self.chance(0.7) else USERS)

    def caller(self, owner: str) -> dict[str, str]:
        """Mostly the owner; nobody in particular is left out."""
        caller = self.random.choices([owner, self.any(USERS), ROOT, None], [7, 2, 1, 1])[0]
        return {"as": caller} if caller else {}

    def index(self) -> dict[str, str]:
        there = sorted(self.picture.indexes)
        return {"index": self.any(there if there and self.chance(0.9) else INDEXES)}

    def own(self, index: dict[str, str]) -> dict[str, str]:
        return index | self.caller(index["index"].partition("/")[0])

    def upload_rights(self, index: dict[str, str]) -> dict[str, str]:
        """Somebody who may upload to the index, or the owner, or anybody."""
        found = self.picture.indexes.get(index["index"])
        listed = [name for name in found.settings["acl_upload"] if name in USERS] if found else []
        return index | ({"as": self.any(listed)} if listed and self.chance(0.5) else self.caller(self.any(USERS)))

    def release(self, index: str) -> dict[str, str]:
        """A project and a version, often of those that are there, in any spelling."""
        found = self.picture.indexes.get(index)
        there = sorted(found.releases) if found else []
        if there and self.chance(0.6):
            project, version = self.any(there)
            return {"project": self.any([name for name in PROJECTS if normal(name) == project]), "version": version}
        return {"project": self.any(PROJECTS), "version": self.any(VERSIONS)}

    def new_file(self, index: str) -> dict[str, Any]:
        return self.release(index) | {"kind": self.any(KINDS), "content": self.any(CONTENTS)}

    def known_file(self, index: dict[str, str]) -> dict[str, Any]:
        """An index and a file that is or was there."""
        if not self.picture.once or self.chance(0.1):
            return index | {"file": self.new_file(index["index"])}
        name, file = self.any(self.picture.once)
        return {"index": name, "file": file}

    def result_of(self, file: dict[str, Any]) -> dict[str, Any]:
        """Sometimes the last test result of a file. Deleting an earlier one would make devpi give a name twice if the
        next result came within the same second."""
        return file | {"result": "last"} if file["kind"] != "docs" and self.chance(0.25) else file

    def forced(self) -> dict[str, bool]:
        return {"force": True} if self.chance(0.3) else {}

    def as_list(self, items: list[str]) -> list[str] | str:
        return items if self.chance(0.7) else ",".join(items)

    def bases(self) -> list[str]:
        """Other indexes or the same, in loops, twice, gone or never there."""
        there = sorted(self.picture.indexes)
        count = self.random.randint(0, 2)
        return [self.any(there if there and self.chance(0.95) else INDEXES) for _ in range(count)]

    def setting(self, key: str) -> Any:
        """A value for a key of an index, seldom a wrong one."""
        if key == "bases":
            return "zzz" if self.chance(0.03) else self.as_list(self.bases())
        if key == "mirror_whitelist":
            return self.as_list(self.any([[], ["*"], ["alpha", "gam-ma"]]))
        if key in LISTS:
            return self.as_list(self.any(ACLS))
        if key == "volatile":
            return "maybe" if self.chance(0.05) else self.any(list(TRUTH))
        if key == "mirror_whitelist_inheritance":
            return "both" if self.chance(0.1) else self.any(INHERITANCE)
        return self.any(["one", "two", ""])

    def settings(self, most: int) -> dict[str, Any]:
        keys = ["acl_upload", "bases", "volatile", *LISTS, *TEXTS, "mirror_whitelist_inheritance"]
        chosen = {self.any(keys) for _ in range(self.random.randint(0, most))}
        unknown = {"colour": "red"} if self.chance(0.05) else {}
        return {key: self.setting(key) for key in sorted(chosen)} | unknown

    def change(self, key: str) -> str:
        """One change in the form that devpi-client sends; lists can grow and shrink."""
        if key in LISTS and self.chance(0.6):
            items = self.bases() if key == "bases" else self.any(ACLS)
            return f"{key}{self.any('+-')}={self.any(items or ['@ada'])}" if items else f"{key}="
        if self.chance(0.1):
            return f"{key}-="
        value = self.setting(key)
        return f"{key}={','.join(value) if isinstance(value, list) else value}"


def _create_user(author: _Author) -> Operation:
    # Without a password, since hashing one takes devpi longer than all the rest of a sequence. Logging in is by token.
    body = author.any([{"password": None}] * 4 + [{"password": None, "email": "a@b"}, {"email": "a@b"}])
    body = body | ({"colour": "red"} if author.chance(0.05) else {})
    return {"user": author.any(USERS), "body": body} | author.caller(ROOT)


def _modify_user(author: _Author) -> Operation:
    user = author.user()
    body = author.any([{"title": "one"}, {"title": ""}, {"email": "c@d", "modified": "x"}, {"password": None}, {}])
    return {"user": user, "body": body} | author.caller(user)


def _delete_user(author: _Author) -> Operation:
    user = author.user()
    return {"user": user} | author.caller(user)


def _log_in(author: _Author) -> Operation:
    return {"body": author.any([{"user": ROOT, "password": ""}, {"user": author.user(), "password": ""}])}


def _create_index(author: _Author) -> Operation:
    missing = [name for name in INDEXES if name.partition("/")[0] in author.picture.users]
    index = author.any(missing if missing and author.chance(0.9) else INDEXES)
    return author.own({"index": index}) | {"body": author.settings(2)}


def _modify_index(author: _Author) -> Operation:
    index = author.own(author.index())
    if author.chance(0.5):
        return index | {"body": author.settings(2) if author.chance(0.95) else {"type": "mirror"}}
    keys = author.random.sample([*LISTS, *TEXTS, "volatile", "mirror_whitelist_inheritance"], author.any([1, 1, 2]))
    return index | {"body": [author.change(key) for key in keys]}


def _delete_index(author: _Author) -> Operation:
    return author.own(author.index())


def _upload(author: _Author) -> Operation:
    index = author.upload_rights(author.index())
    operation = index | {"file": author.new_file(index["index"]), "metadata": author.any(METADATA)}
    if author.chance(0.05):
        # The file of one project as another's.
        operation["project"] = author.any(PROJECTS)
    if author.chance(0.05):
        operation["version"] = author.any(VERSIONS)
    return operation


def _register(author: _Author) -> Operation:
    index = author.upload_rights(author.index())
    return index | author.release(index["index"]) | {"metadata": author.any(METADATA)}


def _upload_docs(author: _Author) -> Operation:
    index = author.upload_rights(author.index())
    file = author.release(index["index"]) | {"kind": "docs", "content": author.any(CONTENTS)}
    return index | {"file": file | ({"version": None} if author.chance(0.2) else {})}


def _report_test(author: _Author) -> Operation:
    known = author.known_file(author.index())
    return known | author.caller(author.any(USERS)) | {"run": author.any(CONTENTS)}


def _push(author: _Author) -> Operation:
    index = author.index()
    options = author.any([{}] * 5 + [{"no_docs": True}, {"only_docs": True}, {"no_docs": True, "only_docs": True}])
    target = author.upload_rights(author.index())
    caller = {"as": target["as"]} if "as" in target else {}
    return index | author.release(index["index"]) | {"to": target["index"], "options": options} | caller


def _delete_file(author: _Author) -> Operation:
    known = author.known_file(author.index())
    return author.own(known) | {"file": author.result_of(known["file"])} | author.forced()


def _delete_version(author: _Author) -> Operation:
    index = author.own(author.index())
    return index | author.release(index["index"]) | author.forced()


def _delete_project(author: _Author) -> Operation:
    index = author.own(author.index())
    return index | {"project": author.release(index["index"])["project"]} | author.forced()


def _read_project(author: _Author) -> Operation:
    index = author.index()
    project = author.release(index["index"])["project"]
    return index | {"project": project} | ({"ignore_bases": True} if author.chance(0.5) else {})


def _read_version(author: _Author) -> Operation:
    index = author.index()
    return index | author.release(index["index"])


def _read_list(author: _Author) -> Operation:
    return author.index() | {"format": author.any(["html", "json"])}


def _read_page(author: _Author) -> Operation:
    index = author.index()
    return index | {"project": author.release(index["index"])["project"], "format": author.any(["html", "json"])}


def _download(author: _Author) -> Operation:
    known = author.known_file(author.index())
    accept = author.any([None, "*/*", "application/json"])
    head = {"method": "HEAD"} if accept != "application/json" and author.chance(0.2) else {}
    return known | {"file": author.result_of(known["file"]), "accept": accept} | head


_DRAWN: dict[str, tuple[float, Callable[[_Author], Operation]]] = {
    "create_user": (2, _create_user),
    "modify_user": (2, _modify_user),
    "delete_user": (1, _delete_user),
    "log_in": (0.2, _log_in),
    "create_index": (4, _create_index),
    "modify_index": (9, _modify_index),
    "delete_index": (2, _delete_index),
    "upload": (24, _upload),
    "register": (4, _register),
    "upload_docs": (5, _upload_docs),
    "report_test": (6, _report_test),
    "push": (10, _push),
    "delete_file": (6, _delete_file),
    "delete_version": (3, _delete_version),
    "delete_project": (3, _delete_project),
    "read_user": (0.5, lambda author: {"user": author.user()}),
    "read_index": (1, lambda author: author.index()),
    "read_project": (2, _read_project),
    "read_version": (2, _read_version),
    "read_list": (1, _read_list),
    "read_page": (4, _read_page),
    "download": (3, _download),
    "look": (2, lambda author: {}),
}
"""How each kind of operation is drawn, and how often."""

_READING = frozenset(kind for kind in _DRAWN if kind.startswith("read_")) | {"download"}
