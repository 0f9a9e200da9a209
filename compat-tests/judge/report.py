"""Prints what the judge found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .compare import Outcome, Verdict
from .exchange import Answer

_BODY_CHARACTERS = 3000


def verdicts(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How often each verdict was given."""
    return Counter(outcome.verdict.value for outcome in outcomes)


def differences(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many steps each accepted difference explains."""
    return Counter(id for outcome in outcomes for id in outcome.explained)


def verdict_line(counts: Mapping[str, int]) -> str:
    """The last line of a run."""
    return ", ".join(f"{counts.get(verdict.value, 0)} {verdict.value}" for verdict in Verdict)


def difference_lines(counts: Mapping[str, int]) -> list[str]:
    """One line per accepted difference."""
    return [f"{count:5} {id}" for id, count in sorted(counts.items())]


def describe(outcome: Outcome, *, verbose: bool = False) -> str:
    """One outcome: the request, the problems or what was accepted, and on demand both answers."""
    step = outcome.step
    lines = [f"{outcome.verdict.value:>28}  {outcome.scenario.name} {step.name}: {step.method} {step.path}"]
    lines += [f"      {problem}" for problem in outcome.problems]
    if verbose:
        for id, mismatches in outcome.explained.items():
            lines += [f"      {id}: {mismatch}" for mismatch in mismatches]
        if outcome.pair is not None:
            lines += [_answer("devpi", outcome.pair.theirs), _answer("ours", outcome.pair.ours)]
    return "\n".join(lines)


def _answer(whose: str, answer: Answer) -> str:
    head = [f"{answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    body = answer.text()
    for request in answer.asked or ():
        head.append(f"(asked: {request.method} {request.target}, and got {request.status or 'nothing'})")
    if answer.cut:
        head.append(f"(cut after {len(answer.body)} bytes)")
    if len(body) > _BODY_CHARACTERS:
        body = f"{body[:_BODY_CHARACTERS]} ... ({len(body)} characters)"
    return "\n".join(f"      {whose:>5} | {line}" for line in [*head, "", *body.splitlines()])
