"""Judges one pair of answers as the package `judge` does, where a difference may occur but need not.

Which differences those are depends on what was asked. They are listed here, with the reason why they do not make the
comparison of everything that follows meaningless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from judge import compare
from judge.compare import Outcome
from judge.differences import Pair
from judge.exchange import Answer
from judge.steps import Scenario, Step

SCENARIO = Scenario("sequence", "operations made at random", ())

_PAGE = ("page-caching", "simple-1.4", "requires-python-empty")
_HEADING = re.compile(rb"<h2>.*?</h2>")
_RESULT_TIME = re.compile(rb"(\.toxresult-)\d{14}(-\d+)")
# Versions, numbers of items and names of files in facts.
_VARYING = re.compile(r"(?<=/)[\d.b]+(?=/|$)|(?<=page:file:)[^:]+")

HALF = "no-half-changes"
"""devpi keeps what it did before it refused. Here only the serial may show that; `parted` tells of the consequence."""

CRASH = "server-errors"

OWN = "push-onto-itself"
"""devpi fails over the test results that such a push has just removed. Ours does it, so that the states part."""

_REFUSED = {
    "upload": (HALF,),
    "upload_docs": (HALF,),
    "push": (HALF,),
    # devpi takes a change for made when it finds no project to delete; nothing else is different afterwards.
    "delete_project": (HALF,),
    # The message shows the user as an object of the program.
    "modify_user": ("error-texts-internals",),
}

ACCEPTED = frozenset({CRASH, OWN, *_PAGE, *(id for ids in _REFUSED.values() for id in ids)})
"""The ids of all differences that may occur, beside those that may occur anywhere."""


def judge(step: Step, theirs: Answer, ours: Answer, rose: tuple[bool, bool], *, same_program: bool) -> Outcome:
    """The verdict on a pair of answers."""
    pair = Pair(without_repeats(without_times(theirs)), without_repeats(without_times(ours)))
    step = replace(step, status=theirs.status)
    allowed = () if same_program else _allowed(step, pair)
    outcome = compare.judge(SCENARIO, replace(step, difference=allowed), pair, rose, same_program=same_program)
    occurring = tuple(id for id in allowed if id in outcome.explained)
    if outcome.problems and occurring != allowed:
        outcome = compare.judge(SCENARIO, replace(step, difference=occurring), pair, rose, same_program=same_program)
    outcome.problems += [
        str(mismatch) for mismatch in outcome.explained.get(HALF, ()) if mismatch.key != "serial"
    ]
    return outcome if not outcome.problems else replace(outcome, verdict=compare.Verdict.DISAGREE)


def parted(outcome: Outcome) -> bool:
    """Whether devpi kept half of what it refused: the states differ as listed from here on and compare no more."""
    return OWN in outcome.explained or HALF in outcome.explained and outcome.step.name != "delete_project"


def without_times(answer: Answer) -> Answer:
    """The answer without the times in the names of test results."""
    return replace(answer, body=_RESULT_TIME.sub(rb"\1<time>\2", answer.body))


def without_repeats(answer: Answer) -> Answer:
    """The answer with each index once: devpi shows a base as often as it is reached (the difference bases-once)."""
    if b'"+shadowing"' in answer.body:
        return replace(answer, body=json.dumps(_shadows_once(answer.json())).encode())
    headings: set[bytes] = set()

    def once(found: re.Match[bytes]) -> bytes:
        repeated = found[0] in headings
        headings.add(found[0])
        return b"" if repeated else found[0]

    return replace(answer, body=_HEADING.sub(once, answer.body)) if b"<h2>" in answer.body else answer


def _shadows_once(value: Any) -> Any:
    if isinstance(value, list):
        return [_shadows_once(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _shadows_once(item) for key, item in value.items() if key != "+shadowing"}
    others: list[Any] = []
    for shadow in value.get("+shadowing", []):
        if shadow not in (found, *others):
            others.append(shadow)
    return found | ({"+shadowing": others} if others else {})


def signature(outcome: Outcome) -> tuple[str, ...]:
    """What kind of disagreement it is: the request, and roughly which facts."""
    keys = {problem.partition(": ")[0] for problem in outcome.problems}
    return (outcome.step.name, *sorted({_VARYING.sub("#", "/".join(key.split("/")[:4])) for key in keys}))


def _allowed(step: Step, pair: Pair) -> Sequence[str]:
    theirs = pair.theirs
    if step.page and theirs.status == 200:
        return _PAGE
    if theirs.status == 500 and step.name == "push" and step.path == f"/{step.body['targetindex']}":
        return (OWN,)
    if theirs.status == 500:
        # Nothing is kept of it on either side.
        return (CRASH,)
    return _REFUSED.get(step.name, ()) if theirs.status >= 400 else ()
