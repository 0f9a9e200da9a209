"""The pair of servers that the parity tests of one process share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import VENVS
from judge import servers

from . import compare, pair
from .compare import Check
from .steps import Scenario


@pytest.fixture(scope="session")
def _pair(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pair.Pair]:
    if not (VENVS / "tools").exists():
        pytest.fail(f"missing: {VENVS / 'tools'} (see the top of compat-tests/conftest.py)", pytrace=False)
    reference = servers.reference()
    ours = reference if pytestconfig.getoption("--reference") else servers.ours()
    with pair.running((reference, ours), tmp_path_factory.mktemp("pair")) as started:
        yield started


@pytest.fixture
def agree(_pair: pair.Pair, tmp_path: Path, pytestconfig: pytest.Config) -> Check:
    """Fails unless a scenario has the same outcome on both servers."""

    def check(scenario: Scenario) -> None:
        wrong = compare.run(scenario, _pair, tmp_path, same_program=bool(pytestconfig.getoption("--reference")))
        if wrong:
            pytest.fail("\n\n".join(wrong), pytrace=False)

    return check
