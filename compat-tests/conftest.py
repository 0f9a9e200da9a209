"""Wheelhouse seen through the real, unmodified clients of devpi-server.

    compat-tests/setup.sh                                       once: makes the virtual environments, installs nginx
    .venvs/clients/bin/pytest compat-tests -n 2 --dist loadfile

The executables come from the directory in WHEELHOUSE_BIN (default ``target/debug``). To see whether the tests
themselves are right, run them against devpi-server from PyPI:

    WHEELHOUSE_BIN=.venvs/reference/bin .venvs/clients/bin/pytest compat-tests -n 2 --dist loadfile --reference
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import VENVS, Shell
from harness import BIN, Index, Server
from nginx import NGINX

# Prints the judge's counts at the end, also when another process ran it.
pytest_plugins = ("judge.plugin", "sequences.plugin")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reference", action="store_true", help="the executables are devpi-server's own: leave out what is only ours"
    )


def pytest_configure(config: pytest.Config) -> None:
    Server.reference = config.getoption("--reference")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--reference"):
        left_out = [item for item in items if item.get_closest_marker("ours")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Shows the end of the log of every server that runs when a test fails."""
    report = yield
    if report.failed:
        for server in Server.instances:
            report.sections.append((f"log of the server at port {server.port}", server.tail()))
    return report


@pytest.fixture(scope="session", autouse=True)
def everything_is_built() -> None:
    """Says what is missing, rather than fail a hundred times."""
    needed = [BIN / "devpi-server", *(VENVS / name for name in ("clients", "poetry", "hatch", "legacy", "tools"))]
    missing = [str(path) for path in needed if not path.exists()] + ([] if NGINX else ["nginx"])
    if missing:
        pytest.exit(f"missing: {', '.join(missing)} (see the top of compat-tests/conftest.py)", 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that the tests of one module share; each makes users and indexes of its own."""
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        yield server.init().start()
    finally:
        server.close()


@pytest.fixture
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Makes servers for one test alone, initialised but not started; takes options of ``devpi-server``."""
    servers: list[Server] = []

    def make(*options: object, init: bool = True, **keywords) -> Server:
        server = Server(tmp_path_factory.mktemp("server"), *options, **keywords)
        servers.append(server)
        return server.init() if init else server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A user's shell with an empty home."""
    return Shell(tmp_path / "home")


@pytest.fixture
def index(server: Server) -> Index:
    """A fresh volatile index ``<new user>/dev``."""
    return server.new_index()
