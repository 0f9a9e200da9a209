"""The table, for people on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from .rows import COLUMNS, TOO_SLOW, Below, Row, judge, number

HEAD = ("figure", "unit", *COLUMNS, "ratios and goals", "reached")


def cells(row: Row) -> list[str]:
    """What stands in a line."""
    values = []
    for name in COLUMNS:
        median = row.median(name)
        failure = row.failures.get(name)
        if failure:
            values.append(failure if failure == TOO_SLOW else "failed")
        else:
            values.append("–" if median is None else number(median))
    verdicts = [verdict for goal in row.goals if (verdict := judge(row, goal)).text]
    if not any(isinstance(goal, Below) or goal.factor for goal in row.goals):
        reached = ""
    elif any(verdict.reached is None for verdict in verdicts):
        reached = "no" if any(verdict.reached is False for verdict in verdicts) else "?"
    else:
        reached = "yes" if all(verdict.reached for verdict in verdicts) else "no"
    texts = [verdict.text + ("" if verdict.reached in (True, None) else " **no**") for verdict in verdicts]
    return [row.title, row.unit, *values, "; ".join(texts), reached]


def markdown(rows: Iterable[Row]) -> str:
    """A table for a document."""
    lines = [HEAD, ["---", "---", *["--:"] * len(COLUMNS), "---", "---"], *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def plain(rows: Iterable[Row]) -> str:
    """The same in columns."""
    lines = [list(HEAD), *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = []
    for line in lines:
        parts = [
            cell.rjust(width) if 2 <= column < 2 + len(COLUMNS) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(parts).rstrip().replace("**", ""))
    return "\n".join(text) + "\n"
