"""The settings of an index in the picture, and what a change makes of them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from .names import Operation

Settings = dict[str, Any]

LISTS = ("acl_upload", "acl_toxresult_upload", "bases", "mirror_whitelist")
TEXTS = ("title", "description", "custom_data")
TRUTH = {True: True, False: False, "True": True, "no": False}
INHERITANCE = ("intersection", "union")

_KNOWN = {*LISTS, *TEXTS, "volatile", "mirror_whitelist_inheritance"}


def modified(settings: Settings | None, operation: Operation, existing: Container[str]) -> Settings | None:
    """The settings after a change (or creation, where there were none), or nothing where it will be refused."""
    found = _changed(settings, operation)
    if found is None or _faults(found, existing) or not found.keys() <= _KNOWN:
        return None
    changed = {key: _list(value) if key in LISTS else value for key, value in found.items()}
    defaults = settings or _defaults(operation)
    return {**defaults, **changed, "volatile": TRUTH[found.get("volatile", defaults["volatile"])]}


def is_faulty_twice(settings: Settings | None, operation: Operation, existing: Container[str]) -> bool:
    """Whether several values are wrong. Which one devpi then names is chance."""
    found = _changed(settings, operation)
    return found is not None and len(_faults(found, existing)) > 1


def _defaults(operation: Operation) -> Settings:
    return {
        "volatile": True,
        "acl_upload": [operation["index"].partition("/")[0]],
        "acl_toxresult_upload": [":ANONYMOUS:"],
        "bases": [],
        "mirror_whitelist": [],
        "mirror_whitelist_inheritance": INHERITANCE[0],
    }


def _changed(settings: Settings | None, operation: Operation) -> Settings | None:
    """The settings that devpi looks at, or nothing where it does not come to that."""
    body = operation["body"]
    if isinstance(body, dict):
        return body
    assert settings is not None
    # After such changes devpi looks at all settings, and finds bases that are gone.
    found = dict(settings)
    for change in body:
        key, _, value = change.partition("=")
        if key.endswith("+"):
            found[key[:-1]] = [*found[key[:-1]], value]
        elif not key.endswith("-"):
            found[key] = value
        elif value:
            if value not in found[key[:-1]]:
                return None
            found[key[:-1]] = [item for item in found[key[:-1]] if item != value]
        elif key[:-1] in _defaults(operation):
            return None
        else:
            found.pop(key[:-1], None)
    return found


def _faults(found: Settings, existing: Container[str]) -> list[str]:
    """The known keys with a wrong value."""
    faults = []
    if found.get("volatile", True) not in TRUTH:
        faults.append("volatile")
    if found.get("mirror_whitelist_inheritance", INHERITANCE[0]) not in INHERITANCE:
        faults.append("mirror_whitelist_inheritance")
    if not all(base in existing for base in _list(found.get("bases", []))):
        faults.append("bases")
    return faults


def _list(value: str | list[str]) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return [item.upper() if item.startswith(":") else item for item in items if item]
