"""A light picture of what exists while a sequence is made up, to tell which operations will probably be accepted.

It only steers the choice; nothing is judged by it. So it knows the rules roughly, and a wrong guess does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .indexes import Settings, is_faulty_twice, modified
from .names import ROOT, Operation, file_name, normal


@dataclass
class Release:
    """A version of a project on one index."""

    spelling: str
    metadata: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name, the distributions and the documentation."""
    results: dict[str, int] = field(default_factory=dict)
    """How many test results a file has."""

    @property
    def requires_python(self) -> str:
        """As it is in the metadata."""
        return self.metadata.get("requires_python", "")


@dataclass
class Index:
    """An index, with what was uploaded to it."""

    settings: Settings
    releases: dict[tuple[str, str], Release] = field(default_factory=dict)
    """By normal name and version."""


@dataclass
class Picture:
    """What exists."""

    users: set[str] = field(default_factory=set)
    indexes: dict[str, Index] = field(default_factory=dict)
    once: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Files that are or were there, each with its index."""

    def accepts(self, operation: Operation) -> bool:
        """Whether the operation will probably be accepted."""
        return getattr(self, f"_accepts_{operation['do']}")(operation)

    def apply(self, operation: Operation) -> None:
        """Note what an accepted operation changes."""
        change = getattr(self, f"_apply_{operation['do']}", None)
        if change is not None:
            change(operation)

    def is_unfit(self, operation: Operation) -> bool:
        """Whether the operation must not be drawn: what devpi does is chance, or will differ from ours as is accepted,
        so that nothing can be compared afterwards."""
        if operation["do"] in {"create_index", "modify_index"}:
            is_new = operation["do"] == "create_index"
            index = None if is_new else self.indexes.get(operation["index"])
            settings = index.settings if index else None
            return (is_new or index is not None) and is_faulty_twice(settings, operation, self.indexes)
        if operation["do"] not in {"upload", "upload_docs", "register", "push"}:
            return False
        if operation["do"] == "push" and operation["index"] == operation["to"] and self._has_results(operation):
            # devpi fails over the results that it has just removed (the difference push-onto-itself).
            return True
        return self._outdates(operation) if self.accepts(operation) else self._parts(operation)

    def _has_results(self, operation: Operation) -> bool:
        """Whether the release that a push takes was tested."""
        pushed = self._pushed(operation)
        return bool(pushed and any(pushed[0].results.values()))

    def _outdates(self, operation: Operation) -> bool:
        """Whether devpi takes another requires_python without renewing its pages, which then show the old one (the
        difference requires-python-current)."""
        if operation["do"] == "push":
            pushed, target = self._pushed(operation), self.indexes[operation["to"]]
            there = target.releases.get((normal(operation["project"]), operation["version"]))
            renewed = not operation["options"].get("only_docs")
            return bool(there and pushed and not renewed and there.requires_python != pushed[0].requires_python)
        if operation["do"] == "register":
            key, sent = (normal(operation["project"]), operation["version"]), operation["metadata"]
            there = self.indexes[operation["index"]].releases.get(key)
            return bool(there and there.files and there.requires_python != sent.get("requires_python", ""))
        if operation["do"] == "upload_docs":
            return False
        # The same file once more, where it cannot replace the other.
        index, there = self.indexes[operation["index"]], self._release(operation, create=False)
        if not there or index.settings["volatile"] or file_name(operation["file"]) not in there.files:
            return False
        return operation["metadata"].get("requires_python", there.requires_python) != there.requires_python

    def _parts(self, operation: Operation) -> bool:
        """Whether devpi will refuse the operation and yet keep a half of it (the difference no-half-changes)."""
        if operation["do"] == "register":
            return False
        if operation["do"] == "push":
            return self._push_parts(operation)
        index, file = self.indexes.get(operation["index"]), operation["file"]
        there = index and index.releases.get((normal(file["project"]), file["version"]))
        if not there:
            return False
        sent = operation.get("metadata", {})
        return file["project"] != there.spelling or {**there.metadata, **sent} != there.metadata

    def _push_parts(self, operation: Operation) -> bool:
        pushed, target = self._pushed(operation), self.indexes.get(operation["to"])
        there = target and target.releases.get((normal(operation["project"]), operation["version"]))
        if not pushed or not there:
            return False
        release, files = pushed
        same = (release.spelling, release.metadata) == (there.spelling, there.metadata)
        # Files go in the order of their names; the first one must be what it fails at.
        return not same or min(map(file_name, files)) not in there.files

    # Users

    def _is(self, caller: str | None) -> bool:
        """Whether the caller is somebody."""
        return caller == ROOT or caller in self.users

    def _owns(self, operation: Operation, owner: str) -> bool:
        caller = operation.get("as")
        return caller == ROOT or caller == owner and caller in self.users

    def _accepts_create_user(self, operation: Operation) -> bool:
        return operation["user"] not in self.users and operation["body"].keys() <= {"password", "email", "title"} and (
            "password" in operation["body"]
        )

    def _apply_create_user(self, operation: Operation) -> None:
        self.users.add(operation["user"])

    def _accepts_modify_user(self, operation: Operation) -> bool:
        return operation["user"] in self.users and self._owns(operation, operation["user"])

    def _accepts_delete_user(self, operation: Operation) -> bool:
        own = [index for name, index in self.indexes.items() if name.startswith(f"{operation['user']}/")]
        return self._accepts_modify_user(operation) and all(index.settings["volatile"] for index in own)

    def _apply_delete_user(self, operation: Operation) -> None:
        self.users.discard(operation["user"])
        for name in [name for name in self.indexes if name.startswith(f"{operation['user']}/")]:
            del self.indexes[name]

    def _accepts_log_in(self, operation: Operation) -> bool:
        return operation["body"]["user"] == ROOT and operation["body"]["password"] == ""

    # Indexes

    def _accepts_create_index(self, operation: Operation) -> bool:
        owner = operation["index"].partition("/")[0]
        if operation["index"] in self.indexes or owner not in self.users or not self._owns(operation, owner):
            return False
        return modified(None, operation, self.indexes) is not None

    def _apply_create_index(self, operation: Operation) -> None:
        settings = modified(None, operation, self.indexes)
        assert settings is not None
        self.indexes[operation["index"]] = Index(settings)

    def _accepts_modify_index(self, operation: Operation) -> bool:
        index = self.indexes.get(operation["index"])
        if index is None or not self._owns(operation, operation["index"].partition("/")[0]):
            return False
        return modified(index.settings, operation, self.indexes) is not None

    def _apply_modify_index(self, operation: Operation) -> None:
        index = self.indexes[operation["index"]]
        settings = modified(index.settings, operation, self.indexes)
        assert settings is not None
        index.settings = settings

    def _accepts_delete_index(self, operation: Operation) -> bool:
        index = self.indexes.get(operation["index"])
        owner = operation["index"].partition("/")[0]
        return index is not None and self._owns(operation, owner) and bool(index.settings["volatile"])

    def _apply_delete_index(self, operation: Operation) -> None:
        del self.indexes[operation["index"]]

    # Uploads

    def _listed(self, caller: str | None, name: str, acl: str) -> bool:
        index = self.indexes.get(name)
        if index is None:
            return False
        listed = index.settings[acl]
        return ":ANONYMOUS:" in listed or self._is(caller) and (caller in listed or ":AUTHENTICATED:" in listed)

    def _accepts_upload(self, operation: Operation) -> bool:
        file = operation["file"]
        if not self._listed(operation.get("as"), operation["index"], "acl_upload"):
            return False
        if file["version"] is not None and operation.get("version", file["version"]) != file["version"]:
            return False
        if not normal(file["project"]).startswith(normal(operation.get("project", file["project"]))):
            return False
        index = self.indexes[operation["index"]]
        release = self._release(operation, create=False)
        there = release.files.get(file_name(file)) if release else None
        return there is None or bool(index.settings["volatile"]) or there["content"] == file["content"]

    def _apply_upload(self, operation: Operation) -> None:
        release = self._release(operation)
        assert release is not None
        release.spelling = operation.get("project", operation["file"]["project"])
        release.metadata |= operation.get("metadata", {})
        self._put(operation["index"], release, operation["file"])

    def _put(self, index: str, release: Release, file: dict[str, Any]) -> None:
        name = file_name(file)
        if self.indexes[index].settings["volatile"] or name not in release.files:
            release.files[name] = file
            release.results.pop(name, None)
        self.once.append((index, file))

    def _release(self, operation: Operation, *, create: bool = True) -> Release | None:
        file = operation["file"]
        project = operation.get("project", file["project"])
        key = (normal(project), operation.get("version", file["version"]))
        releases = self.indexes[operation["index"]].releases
        return releases.setdefault(key, Release(project)) if create else releases.get(key)

    def _accepts_register(self, operation: Operation) -> bool:
        return self._listed(operation.get("as"), operation["index"], "acl_upload")

    def _apply_register(self, operation: Operation) -> None:
        key = (normal(operation["project"]), operation["version"])
        release = self.indexes[operation["index"]].releases.setdefault(key, Release(operation["project"]))
        release.spelling, release.metadata = operation["project"], dict(operation["metadata"])

    def _accepts_upload_docs(self, operation: Operation) -> bool:
        if operation["file"]["version"] is not None:
            return self._accepts_upload(operation)
        versions = list(self._versions(operation["index"], operation["file"]["project"]))
        allowed = self._listed(operation.get("as"), operation["index"], "acl_upload")
        return allowed and bool(versions) and self._accepts_upload(_with_version(operation, max(versions)))

    def _apply_upload_docs(self, operation: Operation) -> None:
        versions = list(self._versions(operation["index"], operation["file"]["project"]))
        version = operation["file"]["version"]
        self._apply_upload(operation if version is not None else _with_version(operation, max(versions)))

    def _versions(self, index: str, project: str) -> Iterator[str]:
        if index in self.indexes:
            yield from (key[1] for key in self.indexes[index].releases if key[0] == normal(project))

    def _stored(self, index: str, file: dict[str, Any]) -> Release | None:
        """The release that has this very file."""
        found = self.indexes[index].releases.values() if index in self.indexes else ()
        return next((release for release in found if release.files.get(file_name(file)) == _bare(file)), None)

    def _accepts_report_test(self, operation: Operation) -> bool:
        listed = self._listed(operation.get("as"), operation["index"], "acl_toxresult_upload")
        is_release = operation["file"]["kind"] != "docs"
        return listed and is_release and self._stored(operation["index"], operation["file"]) is not None

    def _apply_report_test(self, operation: Operation) -> None:
        release = self._stored(operation["index"], operation["file"])
        assert release is not None
        name = file_name(operation["file"])
        release.results[name] = release.results.get(name, 0) + 1

    def _pushed(self, operation: Operation) -> tuple[Release, list[dict[str, Any]]] | None:
        """The release that a push takes, and its files."""
        index = self.indexes.get(operation["index"])
        release = index and index.releases.get((normal(operation["project"]), operation["version"]))
        if not release:
            return None
        options = operation["options"]
        files = [
            file
            for file in release.files.values()
            if not (options.get("no_docs") if file["kind"] == "docs" else options.get("only_docs"))
        ]
        return (release, files) if files and len(options) < 2 else None

    def _accepts_push(self, operation: Operation) -> bool:
        pushed, target = self._pushed(operation), self.indexes.get(operation["to"])
        if pushed is None or target is None or not self._listed(operation.get("as"), operation["to"], "acl_upload"):
            return False
        there = target.releases.get((normal(operation["project"]), operation["version"]))
        return bool(target.settings["volatile"]) or not there or not {*map(file_name, pushed[1])} & there.files.keys()

    def _apply_push(self, operation: Operation) -> None:
        pushed = self._pushed(operation)
        assert pushed is not None
        release, files = pushed
        key = (normal(operation["project"]), operation["version"])
        there = self.indexes[operation["to"]].releases.setdefault(key, Release(release.spelling))
        there.spelling, there.metadata = release.spelling, dict(release.metadata)
        for file in files:
            self._put(operation["to"], there, file)

    # Deletion

    def _may_delete(self, operation: Operation) -> bool:
        index = self.indexes.get(operation["index"])
        owns = self._owns(operation, operation["index"].partition("/")[0])
        allowed = owns or self._listed(operation.get("as"), operation["index"], "acl_upload")
        return index is not None and allowed and bool(index.settings["volatile"] or operation.get("force"))

    def _accepts_delete_file(self, operation: Operation) -> bool:
        file = operation["file"]
        release = self._stored(operation["index"], file)
        has_result = "result" not in file or release is not None and release.results.get(file_name(file), 0) > 0
        return release is not None and has_result and self._may_delete(operation)

    def _apply_delete_file(self, operation: Operation) -> None:
        file = operation["file"]
        release = self._stored(operation["index"], file)
        assert release is not None
        if "result" in file:
            release.results[file_name(file)] -= 1
            return
        del release.files[file_name(file)]
        release.results.pop(file_name(file), None)
        if not release.files:
            releases = self.indexes[operation["index"]].releases
            del releases[next(key for key, value in releases.items() if value is release)]

    def _accepts_delete_version(self, operation: Operation) -> bool:
        return operation["version"] in self._versions(operation["index"], operation["project"]) and (
            self._may_delete(operation)
        )

    def _apply_delete_version(self, operation: Operation) -> None:
        del self.indexes[operation["index"]].releases[normal(operation["project"]), operation["version"]]

    def _accepts_delete_project(self, operation: Operation) -> bool:
        return any(self._versions(operation["index"], operation["project"])) and self._may_delete(operation)

    def _apply_delete_project(self, operation: Operation) -> None:
        for version in list(self._versions(operation["index"], operation["project"])):
            del self.indexes[operation["index"]].releases[normal(operation["project"]), version]

    # Reading. Bases are left out: what is only inherited counts as missing.

    def _accepts_look(self, _: Operation) -> bool:
        return True

    def _accepts_read_user(self, operation: Operation) -> bool:
        return operation["user"] in self.users

    def _accepts_read_index(self, operation: Operation) -> bool:
        return operation["index"] in self.indexes

    _accepts_read_list = _accepts_read_index

    def _accepts_read_project(self, operation: Operation) -> bool:
        return any(self._versions(operation["index"], operation["project"]))

    _accepts_read_page = _accepts_read_project

    def _accepts_read_version(self, operation: Operation) -> bool:
        return operation["version"] in self._versions(operation["index"], operation["project"])

    def _accepts_download(self, operation: Operation) -> bool:
        return self._stored(operation["index"], operation["file"]) is not None


def _bare(file: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in file.items() if key != "result"}


def _with_version(operation: Operation, version: str) -> Operation:
    return operation | {"file": operation["file"] | {"version": version}}
