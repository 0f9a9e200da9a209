"""Adds the judge's counts to the end of a pytest run; they come with the reports, hence from other processes too."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from . import report

PROPERTY = "judge"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the accepted differences and, last, the verdicts."""
    verdicts: Counter[str] = Counter()
    differences: Counter[str] = Counter()
    found = False
    for item in itertools.chain.from_iterable(terminalreporter.stats.values()):
        # The report of the tear-down carries the properties once more.
        if getattr(item, "when", None) != "call":
            continue
        for value in (value for name, value in item.user_properties if name == PROPERTY):
            found = True
            verdicts.update(value["verdicts"])
            differences.update(value["differences"])
    if found:
        terminalreporter.section("judge")
        for line in report.difference_lines(differences):
            terminalreporter.write_line(line)
        terminalreporter.write_line(report.verdict_line(verdicts))
