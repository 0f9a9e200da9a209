"""Adds the numbers of the sequences to the end of a pytest run; they come with the reports, as those of the judge."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from . import report

PROPERTY = "sequences"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write what was played and what came of it."""
    found: Counter[str] = Counter()
    for item in itertools.chain.from_iterable(terminalreporter.stats.values()):
        # The report of the tear-down carries the properties once more.
        if getattr(item, "when", None) == "call":
            for value in (value for name, value in item.user_properties if name == PROPERTY):
                found.update(value)
    if found:
        terminalreporter.section("sequences")
        for line in report.lines(found):
            terminalreporter.write_line(line)
