"""The rows of the table: what was measured of whom, and what ours has to reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

OURS, NGINX, PYPIRON, PYPISERVER = "Wheelhouse", "nginx", "pypiron", "pypiserver"
DEVPI, DEVPI_WEB = "devpi-server", "devpi-server + web"
LIMIT = "the machine"
"""Not a server: what a bare program gets out of the disk and the processor."""
SERVERS = (OURS, NGINX, PYPIRON, PYPISERVER, DEVPI, DEVPI_WEB)
COLUMNS = (*SERVERS, LIMIT)


@dataclass(frozen=True)
class Ratio:
    """Ours must be this many times as good as somebody else; with a factor of 0 it is only said how many times it is."""

    other: str
    factor: float


@dataclass(frozen=True)
class Below:
    """Ours must stay below this, in the unit of the row."""

    most: float


TOO_SLOW = "too slow"
Goal = Ratio | Below


@dataclass
class Row:
    """One line: a figure with its values, one for each round, by the name of the server."""

    title: str
    unit: str
    goals: Sequence[Goal] = ()
    more_is_better: bool = True
    values: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        """The median of somebody's rounds; none for one who has none, or one that failed."""
        found = self.values.get(name)
        return statistics.median(found) if found and name not in self.failures else None

    def ratio(self, other: str) -> float | None:
        """How many times as good ours is."""
        ours, theirs = self.median(OURS), self.median(other)
        if ours is None or theirs is None:
            return None
        better, worse = (ours, theirs) if self.more_is_better else (theirs, ours)
        return better / worse if worse else None


@dataclass(frozen=True)
class Verdict:
    """Whether a goal is reached, with the numbers; none if it could not be said."""

    text: str
    reached: bool | None


def judge(row: Row, goal: Goal) -> Verdict:
    """Compares a row with a goal."""
    if isinstance(goal, Below):
        ours = row.median(OURS)
        wanted = f"< {number(goal.most)} {row.unit}"
        return Verdict(wanted, None if ours is None else ours < goal.most)
    ratio = row.ratio(goal.other)
    if not goal.factor:
        return Verdict("" if ratio is None else f"{factor(ratio)} {goal.other}", True)
    wanted = f"≥ {goal.factor:g} × {goal.other}"
    if ratio is None:
        return Verdict(f"? ({wanted})", None)
    return Verdict(f"{factor(ratio)} ({wanted})", ratio >= goal.factor)


def factor(ratio: float) -> str:
    """A ratio in three digits."""
    return f"{ratio:.0f} ×" if ratio >= 100 else f"{ratio:.3g} ×"


def number(value: float) -> str:
    """A number with three digits that mean something."""
    if value == 0:
        return "0"
    digits = max(0, 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3)
    return f"{value:,.{digits}f}"
