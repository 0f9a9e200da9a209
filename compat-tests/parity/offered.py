"""What devpi-client offers, by its own help, and what the scenarios make use of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from clients import Shell

from .steps import Run, Scenario

Offer = tuple[str, str]
"""A command and one of its options, or "" for the command itself. Of an option's names the last one."""

MAIN = "devpi"
_COMMANDS = re.compile(r"\{([a-z,-]+)\}")
_OPTION = re.compile(r"^  (-\S.*?)(?:  .*)?$", re.MULTILINE)
_NAME = re.compile(r"(?<!\S)(--?[a-zA-Z][\w-]*)")


class Offers:
    """The commands of devpi-client with their options."""

    def __init__(self, shell: Shell):
        self._shell = shell
        self._options: dict[str, dict[str, str]] = {MAIN: _options(self._help())}
        for command in _COMMANDS.search(self._help())[1].split(","):
            self._options[command] = _options(self._help(command))

    @cache  # noqa: B019
    def _help(self, *command: str) -> str:
        return self._shell.devpi(*command, "--help", env={"COLUMNS": "400"})

    def all(self) -> set[Offer]:
        """Everything that there is."""
        return {
            offer
            for command, options in self._options.items()
            for offer in [(command, ""), *((command, name) for name in options.values())]
        }

    def used(self, scenarios: Iterable[Scenario]) -> set[Offer]:
        """What the scenarios make use of."""
        return {
            offer
            for scenario in scenarios
            for step in scenario.steps
            if isinstance(step, Run) and step.program == MAIN
            for offer in self._used_by(step.arguments)
        }

    def _used_by(self, arguments: tuple[str, ...]) -> Iterable[Offer]:
        command = MAIN
        for argument in arguments:
            if command == MAIN and argument in self._options:
                command = argument
            elif name := self._options[command].get(argument.partition("=")[0]):
                yield command, name
        yield command, ""


def _options(text: str) -> dict[str, str]:
    """The options in a help text: for each spelling the one that stands for all."""
    found = {}
    for match in _OPTION.finditer(text):
        names = _NAME.findall(match[1])
        found |= dict.fromkeys(names, names[-1])
    return found
