"""Play sequences by hand: `python -m sequences` in the directory above."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from judge import servers

from . import generate, kept, report
from .names import Operation
from .play import Table, table
from .shrink import shortened

Signature = tuple[str, ...]


def main() -> int:
    """Play what is asked for; the exit code is 1 if anything disagrees."""
    parser = argparse.ArgumentParser(prog="python -m sequences", description="Random sequences on both servers.")
    parser.add_argument("--count", type=int, default=200, help="how many sequences (200)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first one (0); the others follow")
    parser.add_argument("--kept", action="store_true", help="play only the ones that are kept")
    parser.add_argument("--file", type=Path, help="play the sequence in this file")
    parser.add_argument("--show", action="store_true", help="print the sequences instead of playing them")
    parser.add_argument("--verbose", action="store_true", help="print all requests and answers")
    parser.add_argument("--self", action="store_true", dest="same", help="compare devpi-server with itself")
    parser.add_argument("--keep", action="store_true", help="write shortened sequences to fixtures/sequences")
    parser.add_argument("--most", type=int, default=10, help="end after so many different disagreements (10)")
    arguments = parser.parse_args()
    chosen = _chosen(arguments)
    if arguments.show:
        for name, operations in chosen.items():
            print(name, kept.text(operations), sep="\n")
        return 0
    programs = (servers.reference(), servers.reference() if arguments.same else servers.ours())
    started = time.monotonic()
    with table(programs, same_program=arguments.same) as ready:
        found = _play(chosen, ready, arguments)
    print(f"{time.monotonic() - started:.1f} seconds, disagreements by kind:")
    for signature, count in found.most_common():
        print(f"{count:5}  {' '.join(signature)}")
    return int(bool(found))


def _chosen(arguments: argparse.Namespace) -> dict[str, list[Operation]]:
    if arguments.file:
        return {arguments.file.name: json.loads(arguments.file.read_text(encoding="utf-8"))}
    if arguments.kept:
        return {name: kept.load(name) for name in kept.names()}
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    return {f"seed {seed}": generate.sequence(seed) for seed in seeds}


def _play(chosen: dict[str, list[Operation]], ready: Table, arguments: argparse.Namespace) -> Counter[Signature]:
    """Play all, and show the first of each kind of disagreement as short as it can be."""
    found: Counter[Signature] = Counter()
    total: Counter[str] = Counter()
    for name, operations in chosen.items():
        played = ready.play(operations)
        total += report.counts([played])
        if arguments.verbose:
            print(report.verbose(played))
        if played.disagreement is None:
            continue
        signature = played.disagreement.signature
        found[signature] += 1
        if found[signature] > 1 and not arguments.kept:
            continue
        small = shortened(operations, ready)
        print(f"{name}: {' '.join(signature)}\n{report.describe(small, ready.play(small))}", flush=True)
        if arguments.keep:
            print("kept as", kept.keep(re.sub(r"[^a-z]+", "-", " ".join(signature).lower()).strip("-"), small))
        if len(found) >= arguments.most and not arguments.kept:
            break
    print("\n".join(report.lines(total)))
    return found


if __name__ == "__main__":
    sys.exit(main())
