"""The parity tests leave out no command and no option of devpi-client, save those named here."""

from itertools import chain
from pathlib import Path

import pytest

from clients import Shell
from judge import differences as judged
from parity import compare, differences, normalise
from parity.offered import Offer, Offers
from parity.scenarios import accounts, builds, indexes, publishing, pushes, releases, tests, uploads, use

MODULES = (accounts, builds, indexes, publishing, pushes, releases, tests, uploads, use)
SCENARIOS = tuple(chain.from_iterable(module.SCENARIOS for module in MODULES))

LEFT_OUT: dict[Offer, str] = {}


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    """What the installed devpi-client offers."""
    return Offers(Shell(tmp_path))


def test_every_option_is_driven(offers: Offers) -> None:
    left = offers.all() - offers.used(SCENARIOS)
    help_alone = {(command, "--help") for command, _ in offers.all()}
    assert left - help_alone == LEFT_OUT.keys()
    assert len(offers.all()) > 150, "the help is not understood any more"


def test_every_accepted_difference_is_used_and_documented() -> None:
    steps = {step.difference for scenario in SCENARIOS for step in scenario.steps}
    named = (steps | {scenario.left_over for scenario in SCENARIOS}) - {""}
    assert named == differences.DIFFERENCES.keys()
    assert named - judged.documented_ids() == set()


def test_names_of_scenarios_are_unique() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(names) == len(set(names))


# The comparison itself, on outcomes made up for it.

GET, GET_METADATA = "Downloading a.whl (1 kB)", "Downloading a.whl.metadata (1 kB)"


@pytest.mark.parametrize(
    ("difference", "theirs", "ours", "agree"),
    [
        ("", "one\ntwo", "one\ntwo", True),
        ("", "one\ntwo", "one\nthree", False),
        ("status-fields", "    devpi-server 6", "    devpi-server 6\n    wheelhouse 0.1.0", True),
        ("status-fields", "    devpi-server 6", "    devpi-server 7\n    wheelhouse 0.1.0", False),
        ("status-fields", "    devpi-server 6", "    devpi-server 6", False),
        ("server-errors", "500 Internal Server Error", "400 Bad Request: because", True),
        ("server-errors", "500 Internal Server Error", "500 Internal Server Error: because", False),
        ("server-errors", "403 Forbidden: no", "400 Bad Request: because", False),
        ("core-metadata-on", GET, f"  {GET}\n{GET_METADATA}", True),
        ("core-metadata-on", GET, GET_METADATA, False),
        ("no-half-changes", '"summary": "new",\na', '"summary": "old",\na', True),
        ("no-half-changes", '"summary": "new",\na', '"summary": "old",\nb', False),
        ("anonymous-push", "POST /ok/\n...", "", True),
        ("anonymous-push", "POST /ok/\n...", "POST /ok/", False),
    ],
)
def test_outcomes_agree_or_differ_as_listed(difference: str, theirs: str, ours: str, agree: bool) -> None:
    assert (not compare.disagreement(difference, theirs, ours, same_program=False)) is agree


@pytest.mark.parametrize(
    "duration", ["4 seconds", "3.5 seconds", "0.12 seconds", "1 second", "1 minute", "2 minutes 3.5 seconds"]
)
def test_durations_of_tox_are_taken_out(duration: str) -> None:
    assert normalise.normalise(f"py: OK ✔ in {duration}\n", {}, hashes=True) == "py: OK ✔ in <duration>\n"


def test_what_differs_by_nature_is_taken_out() -> None:
    names = {"http://127.0.0.1:40001": "{server}", "40001": "{server:port}"}
    text = 'http://127.0.0.1:40001/a 40001 400012 ["alice", [], true].aB-c.D_e-f toxresult-20261122130726-0  \r\n'
    expected = "{server}/a {server:port} 400012 <token of alice> toxresult-<time>-0\n"
    assert normalise.normalise(text, names, hashes=True) == expected
    in_json = r'"[\"alice\", [], true].aB-c.D_e-f"'
    assert normalise.normalise(in_json, {}, hashes=True) == '"<token of alice>"'
    hash_of_file = "+f/012/3456789abcdef/a.whl#sha256=" + "0" * 64
    assert normalise.normalise(hash_of_file, {}, hashes=True) == hash_of_file
    assert normalise.normalise(hash_of_file, {}, hashes=False) == "<hash>a.whl#sha256=<hash>"
