"""`devpi list`, `remove`, `refresh` and `install`: seeing, deleting and using what was uploaded."""

from __future__ import annotations

from pathlib import Path

import packages

from .. import projects
from ..steps import GENERIC, Scenario, Step, devpi, put, run, text

INDEXES = {
    "alice/dev": {},
    "alice/prod": {"volatile": False},
    "bob/base": {"acl_upload": ["bob", "alice"]},
    "bob/below": {"bases": "alice/dev,bob/base"},
}
VERSIONS = ("1.0", "1.1", "1.2", "1.10", "2.0rc1")
INTERPRETER = "import {0}; print({0}.__version__)"


def releases(directory: Path) -> None:
    """Five releases of one project, one of another one, and one for the base."""
    for version in VERSIONS:
        packages.wheel(directory / "dev", "hello-world", version)
    packages.sdist(directory / "dev", "hello-world", "1.10")
    packages.wheel(directory / "dev", "other", "0.1", requires=["hello-world<2"])
    packages.wheel(directory / "base", "hello-world", "1.1", summary="Of the base.")
    packages.wheel(directory / "base", "hello-world", "3.0")
    packages.wheel(directory / "base", "Only.Below", "1")
    packages.wheel(directory / "prod", "hello-world", "1.0")
    packages.wheel(directory / "prod", "hello-world", "1.1")


FILLED = (
    put(releases),
    devpi("upload", "--from-dir", "dev"),
    devpi("upload", "--from-dir", "base", "--index", "bob/base"),
    devpi("upload", "--from-dir", "prod", "--index", "alice/prod"),
)


def filled(name: str, *steps: Step) -> Scenario:
    """A scenario on indexes that have releases."""
    return Scenario(
        name, [*FILLED, *steps], users=("alice", "bob"), indexes=INDEXES, as_user="alice", use="alice/dev"
    )


SCENARIOS = (
    filled(
        "list",
        devpi("list", says="hello-world\nother\n"),
        devpi("list", "-v", says="hello-world==2.0rc1\n"),
        devpi("list", "-v", "--all", says="hello-world==1.10\nhello-world==2.0rc1\n"),
        devpi("list", "hello-world", says="2 older versions not shown, use --all to see"),
        devpi("list", "--all", "hello-world", says="hello_world-1.0-py3-none-any.whl"),
        devpi("list", "Hello_World==1.0"),
        devpi("list", "hello-world>=1.1,<1.10"),
        devpi("list", "hello-world>7"),
        devpi("list", "nothere", code=1, says="404 Not Found: no project 'nothere'"),
        devpi("list", "a b", code=1),
        devpi("list", *GENERIC, "-t", "-f", "hello-world"),
        devpi("list", "--toxresults", "--failures", "hello-world==1.10"),
        devpi("list", "--index", "bob/below"),
        devpi("list", "-v", "--ignore-bases"),
        devpi("list", "--index", "bob/below", "--all", "hello-world", says="{server}/bob/base/+f/"),
        devpi("list", "--index", "bob/below", "--ignore-bases", "hello-world"),
        devpi("list", "--index", "{server}/bob/base", code=1, says="not of form USER/NAME or NAME"),
        devpi("list", "--index", "prod", "-v"),
        devpi("list", "--index", "bob/nope", code=1),
        devpi("list", "--index", "a/b/c", code=1),
        devpi("use", "bob/below"),
        devpi("list"),
        devpi("list", "-v", "--all"),
        devpi("list", "only-below"),
        devpi("list", "--ignore-bases", "only-below"),
        devpi("index", "bob/below", "mirror_whitelist=*", code=1),
        devpi("list", "--all", "hello-world"),
        devpi("logoff"),
        devpi("list", "--index", "alice/dev", "other"),
        devpi("use", "/"),
        devpi("list", code=1, says="not connected to an index"),
    ),
    filled(
        "remove",
        devpi("list", "--all", "hello-world"),
        devpi("remove", "{url:hello_world-1.10.tar.gz}", input="no\n", says="About to remove the following file:"),
        devpi("remove", "{url:hello_world-1.10.tar.gz}", input="yes\n"),
        devpi("remove", "-y", "{url:hello_world-1.10.tar.gz}", code=1, says="410 Gone"),
        devpi("remove", "-f", "-y", "{url:hello_world-1.10.tar.gz}", code=1),
        devpi("list", "--all", "hello-world"),
        devpi("remove", "-y", "{server}/alice/dev/+f/123/4567890123456/hello-1.whl", code=1),
        devpi("remove", "-y", "{server}/nothing/here", code=1),
        devpi("remove", "hello-world==1.0", input="no\n", says="not deleting anything"),
        devpi("remove", "hello-world==1.0", dialogue=[("Are you sure (yes/no)? ", "yes")], says="deleting release 1.0"),
        devpi("remove", "hello-world>=1.1,<1.10", *GENERIC, says="deleting release 1.2"),
        devpi("remove", "-y", "hello-world==7", code=1, says="No releases or distributions found matching"),
        devpi("remove", "-y", "nothere", code=1, says="404 Not Found: no project 'nothere'"),
        devpi("remove", "-y", "--index", "bob/below", "hello-world", code=1, says="No releases or distributions"),
        devpi("remove", "-y", "--index", "bob/base", "Only_Below"),
        devpi("remove", "-y", "--index", "a/b/c", "hello-world", code=1, says="404 Not Found"),
        devpi("list", "-v", "--all"),
        devpi("remove", "-y", "hello-world", says="version: 2.0rc1"),
        devpi("list", says="other"),
        devpi("logoff"),
        devpi("remove", "-y", "other", code=1, says="403 Forbidden"),
        devpi("login", "bob", "--password", "bob-pw-1"),
        devpi("remove", "-y", "other", code=1, says="403 Forbidden"),
        devpi("list", "other"),
        devpi("remove", "-y", "{url:other-0.1-py3-none-any.whl}", code=1, says="403 Forbidden"),
        devpi("remove", code=2),
    ),
    filled(
        "remove-what-is-to-stay",
        devpi("use", "alice/prod"),
        devpi("list", "hello-world"),
        devpi("remove", "-y", "hello-world", code=1, says="is on non-volatile index alice/prod"),
        devpi("remove", "-y", "hello-world==1.0", code=1, says="403 Forbidden"),
        devpi("remove", "-y", "{url:hello_world-1.0-py3-none-any.whl}", code=1, says="403 Forbidden"),
        devpi("remove", "-y", "--force", "{url:hello_world-1.0-py3-none-any.whl}"),
        devpi("remove", "-f", "hello-world==1.0", "-y", code=1, says="No releases or distributions found"),
        devpi("remove", "-f", "hello-world==1.1", "-y"),
        devpi("list"),
        devpi("list", "hello-world", code=1),
        devpi("upload", "--from-dir", "prod"),
        devpi("remove", "-f", "hello-world", "-y"),
        devpi("list"),
    ),
    filled(
        "refresh",
        devpi("refresh", "hello-world", says="Refreshed hello-world"),
        devpi("refresh", "hello-world", "Other", "nothere", *GENERIC, says="Refreshed Other"),
        devpi("refresh", "--index", "bob/below", "only-below"),
        devpi("refresh", "--index", "bob/nope", "only-below", code=1, says="404 Not Found"),
        devpi("refresh", "--index", "a/b/c", "only-below", code=1),
        devpi("refresh", code=2),
    ),
    filled(
        "install",
        run("virtualenv", "--quiet", "venv"),
        text("requirements.txt", "hello-world==1.2\n"),
        devpi("install", "--venv", "venv", "other", difference="core-metadata-on"),
        devpi("install", "hello-world", *GENERIC, says="Successfully installed hello-world-2.0rc1",
              difference="core-metadata-on"),
        run("venv/bin/python", "-c", INTERPRETER.format("hello_world"), says="2.0rc1"),
        devpi("install", "-r", "requirements.txt", difference="core-metadata-on"),
        devpi("install", "-l", says="hello-world 1.2"),
        devpi("install", "--index", "bob/below", "only-below", "hello-world", difference="core-metadata-on"),
        devpi("install", "--index", "bob/base", "--requirement", "requirements.txt", code=1),
        devpi("install", "nothere", code=1, says="No matching distribution found for nothere"),
        devpi("install", "hello-world==9", "--index", "bob/nope", code=1),
        devpi("install", "--index", "a/b/c", "other", code=1, says="404 Not Found"),
        devpi("install", "-e", "src", "other", code=1, says="cannot specify packagespecs and --editable"),
        put(projects.project, "mine", "1.0", into="src"),
        devpi("install", "-e", "src", says="Successfully installed mine-1.0"),
        devpi("logoff"),
        devpi("install", "hello-world==1.0", difference="core-metadata-on"),
        devpi("install", "--venv", "gone", "other", code=1, says="No virtualenv found"),
        devpi("install", "other", env={"VIRTUAL_ENV": "{home}/gone"}),
    ),
)
