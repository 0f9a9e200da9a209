"""What twine and setuptools print when they publish, with devpi-server and with ours."""

import pytest

from parity.compare import Check
from parity.scenarios import publishing
from parity.steps import Scenario

pytest_plugins = ("parity.plugin",)


@pytest.mark.parametrize("scenario", publishing.SCENARIOS, ids=lambda scenario: scenario.name)
def test_prints_the_same(scenario: Scenario, agree: Check) -> None:
    agree(scenario)
