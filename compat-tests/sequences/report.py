"""Prints what came of sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from judge import report as of_judge

from . import kept
from .names import Operation
from .play import Played


def counts(all_played: Iterable[Played]) -> Counter[str]:
    """The numbers that a run is summed up by."""
    found: Counter[str] = Counter()
    for played in all_played:
        asked = [accepted for accepted in played.accepted if accepted is not None]
        found["sequences"] += 1
        found["operations"] += len(asked)
        found["refused"] += asked.count(False)
        found["requests"] += len(played.outcomes)
        found["parted"] += played.parted
        found["disagreeing"] += played.disagreement is not None
        found.update(f"difference {id}" for outcome in played.outcomes for id in outcome.explained)
    return found


def lines(found: Mapping[str, int]) -> list[str]:
    """The numbers in words."""
    differences = {key.removeprefix("difference "): count for key, count in found.items() if " " in key}
    return [
        *of_judge.difference_lines(differences),
        f"{found['sequences']} sequences of {found['operations']} operations, {found['refused']} of which refused; "
        f"{found['requests']} requests to each server",
        f"{found['parted']} left early since the states part as listed (no-half-changes, push-onto-itself)",
        f"{found['disagreeing']} disagree",
    ]


def describe(sequence: Sequence[Operation], played: Played) -> str:
    """A sequence that disagrees, the request that showed it, and both answers."""
    if played.disagreement is None:
        return f"{kept.text(sequence)}agrees when played again"
    where = played.disagreement.position
    operation = sequence[where]["do"] if where < len(sequence) else "the look at the end"
    outcome = of_judge.describe(played.disagreement.outcome, verbose=True)
    return f"{kept.text(sequence)}at operation {where + 1}, {operation}:\n{outcome}"


def verbose(played: Played) -> str:
    """All requests of a sequence with the answers."""
    return "\n".join(of_judge.describe(outcome, verbose=True) for outcome in played.outcomes)
