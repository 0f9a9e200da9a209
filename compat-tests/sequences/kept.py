"""The sequences that once failed. Each is a file; they are played before all others, for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from judge.servers import REPOSITORY

from .names import Operation

FOLDER = REPOSITORY / "fixtures" / "sequences"


def names() -> list[str]:
    """The names of all that are kept."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> list[Operation]:
    """One of them, by its name."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def keep(name: str, sequence: Sequence[Operation]) -> Path:
    """Write a sequence down, an operation a line."""
    path = FOLDER / f"{name}.json"
    path.write_text(text(sequence), encoding="utf-8")
    return path


def text(sequence: Sequence[Operation]) -> str:
    """A sequence as it is kept and shown."""
    lines = (f"  {json.dumps(operation)}" for operation in sequence)
    return "[\n" + ",\n".join(lines) + "\n]\n"
