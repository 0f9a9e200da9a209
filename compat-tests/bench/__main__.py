"""`python -m bench [--quick] [--only FIGURE,…] [--rounds N] [--write]`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import BIN, REPOSITORY

from . import crowd, growth, installs, publishing, reads, report, table
from .processes import Failed, allow_many_files
from .stage import Settings, Stage
from .subjects import ALL

FIGURES: dict[str, Callable[[Stage], None]] = {
    "idle": crowd.idle_memory,
    "page": reads.pages,
    "304": reads.unchanged,
    "metadata": reads.metadata,
    "bases": reads.inherited,
    "small": reads.small_file,
    "large": reads.large_file,
    "uv": installs.with_uv,
    "pip": installs.with_pip,
    "upload": publishing.small,
    "upload-large": publishing.large,
    "connections": crowd.connections,
    "growth": growth.figures,
    "memory": crowd.final_memory,
}
ROUNDS, QUICK_ROUNDS = 5, 1


def attempt(stage: Stage, name: str, figure: Callable[[Stage], None]) -> None:
    """A figure that fails as a whole is said loudly, and the others go on."""
    try:
        figure(stage)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        stage.wrong.append(f"{name}: {error}")
        stage.say(f"FAILED {stage.wrong[-1]}")


def main() -> int:
    """Measures what is wanted; the status is 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each figure")
    parser.add_argument("--only", metavar="FIGURE,…", help=f"only some of {', '.join(FIGURES)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where the data go for the time being")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where large data are kept, and used again")
    parser.add_argument("--servers", metavar="NAME,…", help=f"only some of {', '.join(kind.__name__ for kind in ALL)}")
    given = parser.parse_args()
    only = frozenset(given.only.split(",")) if given.only else frozenset(FIGURES)
    if unknown := only - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    allow_many_files()
    # Also then all servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    place = given.work or REPOSITORY / "target"
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as work:
        settings = Settings(given.quick, given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS), Path(work), given.data)
        stage = Stage(settings)
        kinds = [kind for kind in ALL if not given.servers or kind.__name__ in given.servers.split(",")]
        stage.say(f"the executables are those in {BIN}")
        try:
            stage.open(kinds)
            for name, figure in FIGURES.items():
                if name in only:
                    attempt(stage, name, figure)
            if given.write:
                report.write(stage)
        finally:
            stage.close()
            print(table.plain(stage.rows.values()))
            for line in stage.wrong:
                print(f"WRONG: {line}")
    return 1 if stage.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
