"""What `devpi index`, `getjson` and `patchjson` print, with devpi-server and with ours."""

import pytest

from parity.compare import Check
from parity.scenarios import indexes
from parity.steps import Scenario

pytest_plugins = ("parity.plugin",)


@pytest.mark.parametrize("scenario", indexes.SCENARIOS, ids=lambda scenario: scenario.name)
def test_prints_the_same(scenario: Scenario, agree: Check) -> None:
    agree(scenario)
