"""twine and `setup.py register`, `upload` and `upload_docs`: clients that know nothing of devpi."""

from __future__ import annotations

import packages

from ..steps import Run, Scenario, devpi, put, run, text, write

BOTH = ("alice", "bob")
INDEXES = {"alice/dev": {}, "alice/prod": {"volatile": False}, "bob/own": {}}
PYPIRC = """[distutils]
index-servers =
    dev
    prod
    wrong
    own
    nope

[dev]
repository: {server}/alice/dev/
username: alice
password: alice-pw-1

[prod]
repository: {server}/alice/prod/
username: alice
password: alice-pw-1

[wrong]
repository: {server}/alice/dev/
username: alice
password: wrong

[own]
repository: {server}/bob/own/
username: alice
password: alice-pw-1

[nope]
repository: {server}/alice/nope/
username: alice
password: alice-pw-1
"""
DIST = ("hello_world-1.0-py3-none-any.whl", "hello_world-1.0.tar.gz")


def twine(*arguments: str, **options: object) -> Run:
    return run("twine", *arguments, **options)


def setup_py(*arguments: str, **options: object) -> Run:
    """The setup script of a project, run by the last setuptools that can publish."""
    return run("{venvs}/legacy/bin/python", "setup.py", *arguments, cwd="src", **options)


SCENARIOS = (
    Scenario(
        "twine",
        [
            text(".pypirc", PYPIRC),
            put(packages.wheel, "hello-world", "1.0", summary="Grüße", requires=["other>=1", 'more; extra == "x"']),
            put(packages.sdist, "hello-world", "1.0"),
            put(packages.wheel, "hello-world", "1.0", into="new", summary="new"),
            twine("upload", "-r", "dev", *DIST, says="Uploading hello_world-1.0.tar.gz"),
            devpi("getjson", "hello-world"),
            twine("upload", "-r", "dev", *DIST),
            twine("upload", "-r", "dev", "--verbose", DIST[0]),
            twine("upload", "-r", "prod", *DIST),
            twine("upload", "-r", "prod", *DIST),
            twine("upload", "-r", "prod", f"new/{DIST[0]}", code=1, says="already exists in non-volatile index"),
            twine("upload", "-r", "wrong", *DIST, code=1, says="401 Unauthorized"),
            twine("upload", "-r", "own", *DIST, code=1, says="403 Forbidden"),
            twine("upload", "-r", "nope", *DIST, code=1, says="404 Not Found"),
            twine("upload", "-r", "dev", "--skip-existing", *DIST, code=1),
            twine("upload", "--repository-url", "{server}/alice/dev", "-u", "alice", "-p", "alice-pw-1", *DIST),
            twine("upload", "--repository-url", "{server}/alice/dev/", "-u", "x", "-p", "", *DIST, code=1),
            put(packages.wheel, "registered", "1.0"),
            twine("register", "-r", "dev", "registered-1.0-py3-none-any.whl"),
            twine("register", "-r", "wrong", "registered-1.0-py3-none-any.whl", code=1),
            devpi("getjson", "registered"),
        ],
        users=BOTH,
        indexes=INDEXES,
        use="alice/dev",
        left_over="no-half-changes",
    ),
    Scenario(
        "setup-py",
        [
            text(".pypirc", PYPIRC),
            put(packages.project, "hello-world", "1.0", into="src"),
            setup_py("register", "-r", "dev", says="Server response (200): OK"),
            devpi("getjson", "hello-world"),
            setup_py("sdist", "bdist_wheel", "upload", "-r", "dev", says="Server response (200): OK"),
            setup_py("register", "-r", "wrong", says="Server response (401): Unauthorized"),
            setup_py("sdist", "upload", "-r", "wrong", code=1, says="Upload failed (401): Unauthorized"),
            setup_py("sdist", "upload", "-r", "own", code=1, says="Upload failed (403)"),
            setup_py("register", "-r", "own"),
            setup_py("sdist", "upload", "-r", "nope", code=1, says="Upload failed (404)"),
            setup_py("sdist", "upload", "-r", "prod"),
            put(write, "hello_world.py", "changed = True\n", into="src"),
            setup_py("sdist", "upload", "-r", "prod", code=1, says="already exists in non-volatile index"),
            put(write, "docs/index.html", "<html>It is all here.</html>", into="src"),
            setup_py("upload_docs", "-r", "dev", "--upload-dir", "docs", says="Server response (200): OK"),
            setup_py("upload_docs", "-r", "wrong", "--upload-dir", "docs"),
            setup_py("upload_docs", "-r", "own", "--upload-dir", "docs"),
            devpi("getjson", "hello-world", says='"rel": "doczip"'),
            devpi("list", "hello-world"),
        ],
        users=BOTH,
        indexes=INDEXES,
        use="alice/dev",
        builds=True,
    ),
)
