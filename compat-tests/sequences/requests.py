"""Turns an operation into a request, as a step of the judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from judge.steps import JSON, SIMPLE_JSON, Credentials, Form, Step, Token, call

from .names import Operation, file_content, file_name, file_path

FORMATS: Mapping[str, dict[str, Any]] = {
    "html": {"accept": "text/html", "page": "human"},
    "json": {"accept": SIMPLE_JSON, "page": "installer"},
}
"""How a page of the simple index is asked for."""

# A token of an age is signed here; logging in would cost a password hash for each user of each sequence.
_AGE_SECONDS = 5


def step(operation: Operation) -> Step:
    """The request of an operation whose names are placed; the expected status is of no meaning."""
    method, path, details = _REQUESTS[operation["do"]](operation)
    caller = operation.get("as")
    given = [Credentials(caller, Token(caller, age_seconds=_AGE_SECONDS))] if caller else []
    return call(operation["do"], method, path, 0, credentials=given, **{"accept": JSON, **details})


_Sent = tuple[str, str, dict[str, Any]]


def _on_user(method: str) -> Callable[[Operation], _Sent]:
    return lambda operation: (method, f"/{operation['user']}", {"body": operation.get("body")})


def _on_index(method: str) -> Callable[[Operation], _Sent]:
    return lambda operation: (method, f"/{operation['index']}", {"body": operation.get("body")})


def _upload(operation: Operation) -> _Sent:
    """A distribution; `project` and `version` differ from those of the file where it is wrong on purpose."""
    file = operation["file"]
    fields = [
        (":action", "file_upload"),
        ("name", operation.get("project", file["project"])),
        ("version", operation.get("version", file["version"])),
    ]
    form = Form((*fields, *_fields(operation)), (("content", file_name(file), file_content(file)),))
    return "POST", f"/{operation['index']}/", {"body": form}


def _register(operation: Operation) -> _Sent:
    fields = [(":action", "submit"), ("name", operation["project"]), ("version", operation["version"])]
    return "POST", f"/{operation['index']}/", {"body": Form((*fields, *_fields(operation)))}


def _upload_docs(operation: Operation) -> _Sent:
    """Documentation; without a version it goes to the highest one."""
    file = operation["file"]
    fields = [(":action", "doc_upload"), ("name", file["project"])]
    if file["version"] is not None:
        fields.append(("version", file["version"]))
    form = Form(tuple(fields), (("content", f"{file['project']}.zip", file_content(file)),))
    return "POST", f"/{operation['index']}/", {"body": form}


def _fields(operation: Operation) -> list[tuple[str, str]]:
    found = []
    for name, value in operation.get("metadata", {}).items():
        found += [(name, item) for item in (value if isinstance(value, list) else [value])]
    return found


def _report_test(operation: Operation) -> _Sent:
    return "POST", file_path(operation["index"], operation["file"]), {"body": {"run": operation["run"]}}


def _push(operation: Operation) -> _Sent:
    body = {"name": operation["project"], "version": operation["version"], "targetindex": operation["to"]}
    return "PUSH", f"/{operation['index']}", {"body": body | operation.get("options", {})}


def _delete_file(operation: Operation) -> _Sent:
    return "DELETE", file_path(operation["index"], operation["file"]) + _forced(operation), {}


def _delete_project(operation: Operation) -> _Sent:
    return "DELETE", _project(operation) + _forced(operation), {}


def _delete_version(operation: Operation) -> _Sent:
    return "DELETE", f"{_project(operation)}/{operation['version']}{_forced(operation)}", {}


def _forced(operation: Operation) -> str:
    return "?force" if operation.get("force") else ""


def _project(operation: Operation) -> str:
    return f"/{operation['index']}/{operation['project']}"


def _read_project(operation: Operation) -> _Sent:
    return "GET", _project(operation) + ("?ignore_bases" if operation.get("ignore_bases") else ""), {}


def _read_version(operation: Operation) -> _Sent:
    return "GET", f"{_project(operation)}/{operation['version']}", {}


def _read_list(operation: Operation) -> _Sent:
    return "GET", f"/{operation['index']}/+simple/", FORMATS[operation["format"]]


def _read_page(operation: Operation) -> _Sent:
    path = f"/{operation['index']}/+simple/{operation['project']}/"
    return "GET", path, FORMATS[operation["format"]]


def _download(operation: Operation) -> _Sent:
    """A file or, where JSON is accepted, what is known about it."""
    details = {"accept": operation["accept"]}
    return operation.get("method", "GET"), file_path(operation["index"], operation["file"]), details


_REQUESTS: dict[str, Callable[[Operation], _Sent]] = {
    "create_user": _on_user("PUT"),
    "modify_user": _on_user("PATCH"),
    "delete_user": _on_user("DELETE"),
    "log_in": lambda operation: ("POST", "/+login", {"body": operation["body"]}),
    "create_index": _on_index("PUT"),
    "modify_index": _on_index("PATCH"),
    "delete_index": _on_index("DELETE"),
    "upload": _upload,
    "register": _register,
    "upload_docs": _upload_docs,
    "report_test": _report_test,
    "push": _push,
    "delete_file": _delete_file,
    "delete_version": _delete_version,
    "delete_project": _delete_project,
    "read_user": _on_user("GET"),
    "read_index": _on_index("GET"),
    "read_project": _read_project,
    "read_version": _read_version,
    "read_list": _read_list,
    "read_page": _read_page,
    "download": _download,
}

KINDS = (*_REQUESTS, "look")
"""All kinds of operations; `look` is no request but compares the whole state."""
