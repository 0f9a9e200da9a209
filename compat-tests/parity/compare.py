"""Runs a scenario on a pair and tells where the sides disagree."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from .differences import DIFFERENCES
from .pair import Pair, Side
from .steps import Run, Scenario, Step, devpi

Check = Callable[[Scenario], None]
"""The fixture `agree`: fails unless a scenario has the same outcome on both servers."""


def run(scenario: Scenario, pair: Pair, homes: Path, *, same_program: bool) -> list[str]:
    """What is wrong, step by step; nothing if the sides agree or differ as listed.

    With the same program on both sides nothing may differ, listed or not.
    """
    for number, side in enumerate(pair.sides):
        side.move_in(homes / f"home-{number}")
    pair.both(lambda side: side.prepare(scenario))
    try:
        wrong = []
        for step in (*_beginning(scenario), *scenario.steps):
            theirs, ours = pair.both(lambda side, step=step: _outcome(side, step, scenario), in_turn=step.in_turn)
            print(f"{step}\n{theirs}\n")
            faults = _unexpected(step, theirs)
            faults += disagreement(step.difference, theirs, ours, same_program=same_program)
            wrong += [f"{scenario.name}: {step}\n{fault}" for fault in faults]
        theirs, ours = pair.both(lambda side: side.plain(side.state(), scenario))
        faults = disagreement(scenario.left_over, theirs, ours, same_program=same_program)
        return wrong + [f"{scenario.name}: what is left on the servers\n{fault}" for fault in faults]
    finally:
        pair.both(lambda side: side.clean())


def _beginning(scenario: Scenario) -> list[Step]:
    """The commands that bring a scenario to where it starts."""
    steps = [devpi("use", f"{{server}}/{scenario.use.lstrip('/')}")] if scenario.use else []
    if scenario.as_user:
        password = "" if scenario.as_user == "root" else f"{scenario.as_user}-pw-1"
        steps.append(devpi("login", scenario.as_user, "--password", password))
    return steps


def _outcome(side: Side, step: Step, scenario: Scenario) -> str:
    return side.plain(side.perform(step), scenario)


def _unexpected(step: Step, theirs: str) -> list[str]:
    """Whether the step does what the scenario says, on devpi-server; ours is judged by comparison."""
    if not isinstance(step, Run):
        return []
    if not theirs.endswith(f"(exit status {step.code})"):
        return [f"the exit status is not {step.code}:\n{theirs}"]
    return [] if step.says in theirs else [f"it does not say {step.says!r}:\n{theirs}"]


def disagreement(difference: str, theirs: str, ours: str, *, same_program: bool) -> list[str]:
    """What is wrong with two outcomes, which are to differ as the named difference says, or not at all."""
    if theirs == ours:
        gone = difference and not same_program
        return [f"the difference {difference} does not occur any more"] if gone else []
    lines = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "devpi-server", "ours", n=2, lineterm="")
    diff = "\n".join(lines)
    if same_program or not difference:
        return [diff]
    fault = DIFFERENCES[difference](theirs, ours)
    return [f"{difference}: {fault}\n{diff}"] if fault else []
