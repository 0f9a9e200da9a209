"""`devpi test`: tox runs, its results are sent, and `devpi list` shows them."""

from __future__ import annotations

from pathlib import Path

import packages

from .. import projects
from ..steps import GENERIC, Scenario, Step, devpi, put, text

INI = """[tox]
envlist = py,{second}
[testenv]
skip_install = true
commands = python -c "print({word!r})"
[testenv:bad]
commands = python -c "print('it fails'); raise SystemExit(3)"
[testenv:no]
commands =
[testenv:wheel]
skip_install = false
commands = python -c "import universal, wanted; print(universal.__version__, wanted.__version__)"
"""
PYPROJECT = '[tool.tox]\nenv_list = ["py"]\n[tool.tox.env_run_base]\nskip_install = true\n'
SETUP_CFG = "[tox:tox]\nenvlist = py\n[testenv]\nskip_install = true\ncommands = python --version\n"


def tested(directory: Path) -> None:
    """Projects that are tested in different ways."""
    good = {"tox.ini": INI.format(word="tested", second="py")}
    for name, version, files in (
        ("good", "1.0", {}),
        ("good", "1.1", good),
        ("fails", "1.0", {"tox.ini": INI.format(word="tested", second="bad")}),
        ("bare", "1.0", {}),
        ("pyproject", "1.0", {"pyproject.toml": PYPROJECT}),
        ("setupcfg", "1.0", {"setup.cfg": SETUP_CFG}),
        ("universal", "1.0", good),
    ):
        projects.sdist(directory / "dist", name, version, files=files)
    projects.sdist(directory / "dist", "good", "1.1", files=good, suffix=".zip")
    wheel = packages.wheel(directory / "dist", "universal", "1.0", requires=["wanted"])
    wheel.rename(wheel.with_name("universal-1.0-py2.py3-none-any.whl"))
    packages.wheel(directory / "dist", "wanted", "2.0")
    packages.wheel(directory / "dist", "good", "1.1")


FILLED = (put(tested), devpi("upload", "--from-dir", "dist"))
INDEXES = {"alice/dev": {}, "alice/heir": {"bases": "alice/dev"}, "alice/closed": {"acl_toxresult_upload": []}}


def filled(name: str, *steps: Step) -> Scenario:
    """A scenario on an index with projects to test."""
    return Scenario(
        name, [*FILLED, *steps], users=("alice", "bob"), indexes=INDEXES, as_user="alice", use="alice/dev", builds=True
    )


SCENARIOS = (
    filled(
        "test-a-release",
        devpi("test", "--list", "good", says="would test:"),
        devpi("test", "-l", "universal", "--select", "whl"),
        devpi("test", "good==1.0", code=1, says="no tox.ini/pyproject.toml/setup.cfg file found"),
        devpi("test", "nothere", code=1, says="could not find/receive links for nothere"),
        devpi("test", "good>7", code=1, says="could not find/receive links"),
        devpi("test", "wanted", code=1, says="need at least one sdist distribution"),
        devpi("test", "--index", "a/b/c", "good", code=1, says="404 Not Found"),
        devpi("test", code=2),
        devpi("test", "setupcfg", *GENERIC, says="posting tox result data to {server}/alice/dev/"),
        devpi("test", "universal", "-s", "py2", "-e", "wheel", says="success"),
        devpi("list", "-t", "universal"),
        devpi("list", "-f", "setupcfg", says="tests passed"),
        devpi("getjson", "setupcfg", says='"rel": "toxresult"'),
        devpi("remove", "-y", "setupcfg==1.0", says="toxresult"),
    ),
    filled(
        "test-fails",
        devpi("test", "fails", code=1, says="tox command failed"),
        devpi("list", "-t", "fails", says="tests failed"),
        devpi("list", "-f", "fails", says="it fails"),
        devpi("test", "-e", "py", "--tox-args=-q", "fails", says="success"),
        devpi("test", "--no-upload", "-e", "no", "fails"),
        devpi("test", "-e", "no", "fails"),
        devpi("list", "-t", "fails", says="no tests were run"),
        devpi("push", "fails==1.0", "alice/closed", says="store_toxresult"),
        devpi("list", "-t", "--index", "alice/closed", "fails"),
    ),
    filled(
        "test-with-another-ini",
        text("mine.ini", INI.format(word="mine", second="py")),
        devpi("test", "-c", "{home}/mine.ini", "-e", "py", "bare", says="success"),
        devpi("test", "--fallback-ini", "{home}/mine.ini", "-e", "py", "bare"),
        devpi("test", "--fallback-ini", "gone.ini", "bare", code=1, says="file does not exist"),
        devpi("test", "-c", "gone.ini", "bare", code=1, says="file does not exist: gone.ini"),
        devpi("test", "--index", "alice/heir", "pyproject"),
        devpi("list", "-t", "--index", "alice/heir", "pyproject"),
        devpi("push", "setupcfg==1.0", "alice/closed"),
        devpi("test", "--index", "alice/closed", "setupcfg", code=1, says="403 Forbidden"),
        devpi("logoff"),
        devpi("test", "--index", "{server}/alice/dev", "setupcfg"),
        devpi("list", "-t", "setupcfg"),
    ),
)
