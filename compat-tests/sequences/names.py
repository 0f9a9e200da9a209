"""The small world of the sequences: few names, so that operations meet often.

A name with `@` stands for a user of the sequence that is being played; `placed` gives it a number, so that many
sequences run on one pair of servers and never see each other.
"""

from __future__ import annotations

import re
from typing import Any

from judge.distributions import archive, stored_path, wheel

Operation = dict[str, Any]

ROOT = "root"
USERS = ("@ada", "@bob", "@cyd")
INDEXES = tuple(f"{user}/{name}" for user in USERS for name in ("dev", "prod", "lab"))
# One is the beginning of another, and one has two spellings. No version is a part of another: devpi would take a file
# of the one for a file of the other, and which of two links it then shows is chance.
PROJECTS = ("alpha", "alphabet", "gam-ma", "Gam_Ma")
VERSIONS = ("0.9", "1.0", "2.0b1")
KINDS = ("sdist", "wheel")
CONTENTS = (1, 2)

_OWN = re.compile(r"@(ada|bob|cyd)\b")


def placed(value: Any, number: int) -> Any:
    """An operation with the real names of the users of the numbered run."""
    if isinstance(value, str):
        return _OWN.sub(rf"\g<1>{number}", value)
    if isinstance(value, dict):
        return {key: placed(item, number) for key, item in value.items()}
    return [placed(item, number) for item in value] if isinstance(value, list) else value


def normal(project: str) -> str:
    """The normal form of a project's name."""
    return re.sub(r"[^a-z0-9]+", "-", project.lower())


def file_name(file: dict[str, Any]) -> str:
    """The name of a distribution, or that under which servers keep documentation."""
    project, version = file["project"], file["version"]
    if file["kind"] == "docs":
        return f"{normal(project)}-{version}.doc.zip"
    if file["kind"] == "wheel":
        return f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    return f"{project}-{version}.tar.gz"


def file_content(file: dict[str, Any]) -> bytes:
    """The bytes of a distribution or of documentation."""
    number = str(file["content"])
    if file["kind"] == "docs":
        return archive(index=f"documentation {number}")
    if file["kind"] == "wheel":
        return wheel(file["project"].replace("-", "_"), file["version"], payload=number)
    return f"source {number}".encode()


def file_path(index: str, file: dict[str, Any]) -> str:
    """Where a file lies on an index. For a test result of it, the time in the path is left open."""
    path = stored_path(f"/{index}", file_name(file), file_content(file))
    return f"{path}.toxresult-<time>-{file['result']}" if "result" in file else path
