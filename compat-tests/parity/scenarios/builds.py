"""`devpi upload` of what it builds, from a directory or a checkout, as options or the project's configuration say."""

from __future__ import annotations

from pathlib import Path

import packages

from .. import projects
from ..steps import GENERIC, Put, Scenario, devpi, put, run

SDIST, WHEEL = "hello-1.0.tar.gz", "hello-1.0-py3-none-any.whl"
HERE = {"cwd": "src"}
SETUP_CFG = {"setup.cfg": "[devpi:upload]\nsdist = 1\nno-vcs = 1\nsetupdir-only =\n"}
DEPRECATED = {"setup.cfg": "[devpi:upload]\nformats = sdist, bdist_wheel\nno-vcs = false\n"}
TOML = "[tool.devpi.upload]\nwheel = true\nno-vcs = true\nsetupdir-only = false\n"


def packages_project(directory: Path, name: str, version: str) -> None:
    """A project with a setup.py, which setuptools builds."""
    packages.project(directory, name, version)


def hello(into: str = "src", **options: object) -> Put:
    """A project that builds itself."""
    return put(projects.project, "hello", "1.0", into=into, **options)


SCENARIOS = (
    Scenario(
        "build-and-upload",
        [
            hello(),
            devpi("upload", "--no-vcs", **HERE, says=f"file_upload of {WHEEL}"),
            devpi("upload", "--no-vcs", "--sdist", **HERE),
            devpi("upload", "--no-vcs", "--wheel", "--no-isolation", *GENERIC, **HERE),
            devpi("upload", "--no-vcs", "--dry-run", "--sdist", **HERE, says="skipped: file_upload of"),
            devpi("upload", "--no-vcs", "--sdist", "--index", "alice/prod", "-p", "{venvs}/clients/bin/python", **HERE),
            devpi("upload", "--no-vcs", "--sdist", "--python", "gone", **HERE, code=1, says="command not found: gone"),
            devpi("upload", "--no-vcs", "--formats", "sdist", **HERE, says="The --formats option is deprecated"),
            devpi("upload", "--no-vcs", "--formats", "sdist.tgz,bdist_wheel", **HERE),
            devpi("upload", "--no-vcs", "--formats", "bdist_dumb", **HERE, code=1),
            devpi("getjson", "hello/1.0"),
            devpi("upload", "--no-vcs", code=1),
        ],
        indexes={"alice/dev": {}, "alice/prod": {}},
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "build-from-a-checkout",
        [
            hello(),
            run("git", "init", "--quiet", **HERE),
            run("git", "add", ".", **HERE),
            devpi("upload", "--sdist", **HERE, says="copied repo"),
            devpi("upload", "--sdist", "--setupdir-only", **HERE, says="not copying vcs repository metadata"),
            devpi("upload", "--sdist", "--no-vcs", **HERE),
            devpi("list", "hello", says=SDIST),
        ],
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "build-as-configured",
        [
            hello("cfg", files=SETUP_CFG),
            devpi("upload", cwd="cfg", says="Got sdist='1' from setup.cfg [devpi:upload]."),
            hello("toml", configuration=TOML),
            devpi("upload", cwd="toml", says="Got wheel=True from pyproject.toml [tool.devpi.upload]."),
            hello("both", files=SETUP_CFG, configuration=TOML),
            devpi("upload", cwd="both", code=1, says="choose one"),
            hello("old", files=DEPRECATED),
            devpi("upload", cwd="old", says="The --formats option is deprecated"),
            hello("wrong", configuration='[tool.devpi.upload]\nsdist = "yes"\n'),
            devpi("upload", cwd="wrong", code=1, says="Got non-boolean 'yes'"),
            hello("older", configuration='[tool.devpi.upload]\nformats = "sdist"\n'),
            devpi("upload", cwd="older", code=1, says="not supported in pyproject.toml"),
            devpi("list", "hello"),
        ],
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "build-with-documentation",
        [
            hello(),
            devpi("upload", "--no-vcs", "--sdist", "--with-docs", **HERE, says="doc_upload of hello-1.0.doc.zip"),
            devpi("upload", "--no-vcs", "--only-docs", "-v", **HERE, says="[sphinx docs]"),
            devpi("getjson", "hello/1.0", says='"rel": "doczip"'),
        ],
        as_user="alice",
        use="alice/dev",
        builds=True,
    ),
    Scenario(
        "build-with-setuptools",
        [
            put(packages_project, "hello-world", "1.0", into="src"),
            devpi("upload", "--no-vcs", "--no-isolation", **HERE, says="file_upload of hello_world-1.0.tar.gz"),
            devpi("getjson", "hello-world/1.0"),
        ],
        as_user="alice",
        use="alice/dev",
        builds=True,
    ),
)
