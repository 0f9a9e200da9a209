"""Pushes that fail on the way: devpi keeps what was copied before, ours changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..distributions import stored_path, wheel
from ..steps import (
    HTML,
    Scenario,
    Step,
    delete,
    documentation,
    get,
    index,
    page,
    push,
    read_json,
    tox_result,
    upload,
    user,
)

SRC, TGT, DOCS = "/alice/src", "/alice/tgt", "/alice/docs"
FIRST, SECOND = "q-1-cp311-none-any.whl", "q-1-py3-none-any.whl"
FIRST_BYTES, SECOND_BYTES = wheel("q", "1", payload="first"), wheel("q", "1", payload="second")
HALF = "push-atomic"


def _push(name: str, status: int, target: str, **more: Any) -> Step:
    return push(name, SRC, status, {"name": "q", "version": "1", "targetindex": target, **more})


def _half(step: Step) -> Step:
    """The step with the leftovers of a failed push accepted as a difference."""
    return replace(step, difference=(*step.difference, HALF))


PUSH_CONFLICTS = Scenario(
    "push-conflicts",
    "pushes that fail on the way",
    [
        user("alice", "pw2"),
        index(SRC),
        index(TGT, volatile=False),
        index(DOCS, volatile=False),
        upload("prepare the second wheel", SRC, 200, "q", "1", SECOND, SECOND_BYTES, ("summary", "old")),
        tox_result("prepare a tox result", stored_path(SRC, SECOND, SECOND_BYTES), 200, {"second": 1}),
        _push("prepare the target", 200, "alice/tgt"),
        _push("nothing is new", 409, "alice/tgt"),
        read_json("the target as it was", f"{TGT}/q/1"),
        upload("prepare the first wheel", SRC, 200, "q", "1", FIRST, FIRST_BYTES, ("summary", "new")),
        tox_result("prepare its tox result", stored_path(SRC, FIRST, FIRST_BYTES), 200, {"first": 1}),
        _half(_push("the second of two files is there", 409, "alice/tgt")),
        _half(read_json("the target after the failure", f"{TGT}/q/1")),
        _half(read_json("its project data", f"{TGT}/q")),
        _half(get("the file before the one that failed", stored_path(TGT, FIRST, FIRST_BYTES))),
        _half(get("its tox result", stored_path(TGT, FIRST, FIRST_BYTES) + ".toxresult-*-0")),
        _half(page("the page after the failure", f"{TGT}/+simple/q/")),
        _half(_push("the same push again", 409, "alice/tgt")),
        _half(push("the same push for a browser", SRC, 409, {"name": "q", "version": "1", "targetindex": "alice/tgt"},
                   accept=HTML)),
        get("the file that was there", stored_path(TGT, SECOND, SECOND_BYTES)),
        delete("delete the release by force", f"{TGT}/q/1?force", 200, as_user="alice"),
        _push("push to where nothing is", 200, "alice/tgt"),
        read_json("both files are there", f"{TGT}/q/1"),
        documentation("prepare docs", SRC, 200, "q", "1", b"PKdocs"),
        _push("prepare docs on the target", 200, "alice/docs", only_docs=True),
        read_json("a target with docs only", f"{DOCS}/q/1"),
        _half(_push("the docs are there, the files are not", 409, "alice/docs")),
        _half(read_json("a target with docs after the failure", f"{DOCS}/q/1")),
        _half(page("the page of it", f"{DOCS}/+simple/q/")),
        read_json("the source after all", f"{SRC}/q/1"),
    ],
    {"alice": "pw2"},
)  # fmt: skip
