"""Makes a failing sequence small: operations are left out as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .names import Operation
from .play import Alter, Table


def shortened(sequence: Sequence[Operation], ready: Table, alter: Alter | None = None) -> list[Operation]:
    """The part of a sequence that disagrees in the same way; all of it if it agrees when played again."""
    first = ready.play(sequence, alter).disagreement
    if first is None:
        return list(sequence)

    def fails(part: Sequence[Operation]) -> bool:
        found = ready.play(part, alter).disagreement
        return found is not None and found.signature == first.signature

    return shrink(sequence, fails)


def shrink(sequence: Sequence[Operation], fails: Callable[[Sequence[Operation]], bool]) -> list[Operation]:
    """A part of the sequence that fails and of which no single operation can be left out."""
    left = list(sequence)
    size = max(len(left) // 2, 1)
    while True:
        start, shorter = 0, False
        while start < len(left):
            candidate = left[:start] + left[start + size :]
            if fails(candidate):
                left, shorter = candidate, True
            else:
                start += size
        if size == 1 and not shorter:
            return left
        size = max(size // 2, 1)
