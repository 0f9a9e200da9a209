"""Compares all that can be seen of the users of a sequence: their records, indexes, projects, pages and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from judge.exchange import Answer
from judge.steps import Step, get, page, project_list, read_json

from .names import USERS, placed

Ask = Callable[[Step], Answer]
"""Asks both servers, compares, and gives devpi's answer."""


def look(number: int, files: Iterable[str], ask: Ask) -> None:
    """Read everything that is there, as devpi tells, and the files that ever were there."""
    indexes = []
    for user in placed(list(USERS), number):
        answer = ask(read_json("user", f"/{user}"))
        if answer.status == 200:
            indexes += [f"/{user}/{name}" for name in sorted(answer.json()["result"]["indexes"])]
    projects: set[str] = set()
    for index in indexes:
        projects.update(ask(read_json("index", index)).json()["result"]["projects"])
        ask(project_list("list", f"{index}/+simple/"))
    for index in indexes:
        # Also where it is not its own: it may be inherited, or must not be found.
        for project in sorted(projects):
            ask(read_json("project", f"{index}/{project}"))
            ask(page("page", f"{index}/+simple/{project}/"))
    for path in list(files):
        ask(get("file", f"/{path}"))
