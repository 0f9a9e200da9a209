"""Run the judge by hand: `python -m judge` in the directory above."""

from __future__ import annotations

import argparse
import sys

from . import compare, report, servers
from .scenarios import SCENARIOS


def main() -> int:
    """Run the chosen scenarios; the exit code is 1 if any step disagrees."""
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    parser = argparse.ArgumentParser(prog="python -m judge", description="Compare our server with devpi-server.")
    parser.add_argument("--scenario", action="append", choices=by_name, help="only this one (repeatable)")
    parser.add_argument("--step", help="print only steps with this name; all steps of the scenario are run")
    parser.add_argument("--verbose", action="store_true", help="print both answers of every step")
    parser.add_argument("--self", action="store_true", dest="same", help="compare devpi-server with itself")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    arguments = parser.parse_args()
    chosen = [by_name[name] for name in arguments.scenario or by_name]
    if arguments.list:
        for scenario in chosen:
            print(f"{scenario.name:20} {len(scenario.steps):4} steps  {scenario.about}")
        return 0
    programs = (servers.reference(), servers.reference() if arguments.same else servers.ours())

    def observe(outcome: compare.Outcome) -> None:
        hidden = arguments.step not in (None, outcome.step.name)
        if not hidden and (arguments.verbose or outcome.verdict is compare.Verdict.DISAGREE):
            print(report.describe(outcome, verbose=arguments.verbose), flush=True)

    outcomes = []
    for scenario in chosen:
        ran = compare.run(scenario, programs, same_program=arguments.same, observe=observe)
        print(f"{scenario.name}: {report.verdict_line(report.verdicts(ran))}", flush=True)
        outcomes += ran
    print("\n".join(report.difference_lines(report.differences(outcomes))))
    print(report.verdict_line(report.verdicts(outcomes)))
    return int(any(outcome.verdict is compare.Verdict.DISAGREE for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
