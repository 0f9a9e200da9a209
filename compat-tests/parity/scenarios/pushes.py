"""`devpi push`: to another index of the server, to an endpoint elsewhere, and to the other server."""

from __future__ import annotations

import packages
from clients import Hidden

from .. import projects
from ..steps import GENERIC, Scenario, Step, devpi, put, received, text

BOTH = ("alice", "bob")
INDEXES = {
    "alice/dev": {},
    "alice/prod": {"volatile": False},
    "alice/stable": {"bases": "alice/dev"},
    "bob/own": {},
    "bob/open": {"acl_upload": ["alice"]},
}
PYPIRC = """[distutils]
index-servers = ok other

[ok]
repository: {elsewhere}/ok/
username: ada
password: pä:ss

[no-docs]
repository: {elsewhere}/no-docs/
username: ada
password: secret

[no-files]
repository: {elsewhere}/no-files/
username: ada
password: secret

[no-register]
repository: {elsewhere}/no-register/
username: ada
password: secret

[nowhere]
repository: {nowhere}/
username: ada
password: secret

[other]
repository: {other}/alice/dev/
username: alice
password: alice-pw-1

[wrong]
repository: {other}/alice/dev/
username: alice
password: wrong

[prod]
repository: {other}/alice/prod/
username: alice
password: alice-pw-1

[asks]
repository: {elsewhere}/ok/
username: ada

[nobody]
repository: {elsewhere}/ok/
"""

FILLED = (
    put(packages.wheel, "hello-world", "1.0", requires=["other>=1"], summary="Grüße", requires_python=">=3.8"),
    put(packages.sdist, "hello-world", "1.0"),
    put(packages.wheel, "hello-world", "1.1"),
    put(packages.wheel, "hello-world", "1.0", into="new", summary="new"),
    put(projects.documentation, "hello-world-1.0.doc.zip"),
    devpi("upload", "hello_world-1.0-py3-none-any.whl", "hello_world-1.0.tar.gz", "hello-world-1.0.doc.zip",
          "hello_world-1.1-py3-none-any.whl"),
)


def filled(name: str, *steps: Step, left_over: str = "") -> Scenario:
    """A scenario on an index with two releases, one of them with documentation."""
    steps = (*FILLED, *steps)
    return Scenario(name, steps, BOTH, INDEXES, as_user="alice", use="alice/dev", left_over=left_over)


SCENARIOS = (
    filled(
        "push-to-an-index",
        devpi("push", "hello-world==1.0", "alice/prod", says="200 store_doczip hello-world 1.0 -> alice/prod"),
        devpi("getjson", "/alice/prod/hello-world/1.0", says='"what": "push"'),
        devpi("list", "--index", "alice/prod", "hello-world"),
        devpi("push", "hello-world==1.0", "alice/prod", code=1, says="409 Conflict"),
        devpi("push", "hello-world==1.0", "bob/open"),
        devpi("push", "hello-world==1.0", "bob/open"),
        devpi("getjson", "/bob/open/hello-world/1.0"),
        devpi("upload", "new/hello_world-1.0-py3-none-any.whl"),
        devpi("push", "hello-world==1.0", "alice/prod", code=1, says="409"),
        devpi("push", "hello-world-1.1", "bob/open", says="Old style package specification is deprecated"),
        devpi("push", "Hello_World==1.1", "alice/stable", *GENERIC),
        devpi("getjson", "/alice/stable/hello-world/1.1"),
        devpi("push", "hello-world==1.1", "alice/dev"),
        devpi("getjson", "/alice/dev/hello-world/1.1"),
        devpi("push", "--index", "alice/stable", "hello-world==1.0", "bob/open", code=1, says="there are no files"),
        devpi("push", "--index", "stable", "hello-world==1.1", "bob/open"),
        devpi("list", "--index", "bob/open", "--all", "hello-world"),
        left_over="no-half-changes",
    ),
    filled(
        "push-parts",
        devpi("push", "--no-docs", "hello-world==1.0", "alice/stable"),
        devpi("getjson", "/alice/stable/hello-world/1.0"),
        devpi("push", "--only-docs", "hello-world==1.0", "bob/open"),
        devpi("getjson", "/bob/open/hello-world/1.0"),
        devpi("push", "--only-docs", "hello-world==1.1", "bob/open", code=1, says="404 Not Found"),
        devpi("push", "--register-project", "hello-world==1.0", "bob/open"),
        devpi("push", "--no-docs", "--only-docs", "hello-world==1.0", "bob/open", code=1, says="together"),
    ),
    filled(
        "push-refused",
        devpi("push", "hello-world==9.9", "alice/prod", code=1, says="there are no files for hello-world 9.9"),
        devpi("push", "nothere==1.0", "alice/prod", code=1),
        devpi("push", "hello-world==1.0", "bob/own", code=1, says="401"),
        devpi("push", "hello-world==1.0", "bob/nope", code=1, says="404 Not Found"),
        devpi("push", "hello-world==1.0", "nobody/nope", code=1, says="404 Not Found"),
        devpi("push", "hello-world==1.0", "prod", code=1, says="not of form USER/NAME or pypi:REPONAME"),
        devpi("push", "hello-world>=1.0", "alice/prod", code=1, says="there are no files for hello world>=1.0"),
        devpi("push", "hello>=1.0", "alice/prod", code=1, says="needs to be of this form: name==version"),
        devpi("push", "--index", "a/b/c", "hello-world==1.0", "alice/prod", code=1),
        devpi("push", "--index", "alice/nope", "hello-world==1.0", "alice/prod", code=1),
        devpi("push", "hello-world==1.0", code=2),
        devpi("logoff"),
        devpi("push", "hello-world==1.0", "bob/open", code=1),
        devpi("login", "bob", "--password", "bob-pw-1"),
        devpi("push", "hello-world==1.0", "bob/own", says="200 register hello-world 1.0 -> bob/own"),
        devpi("push", "hello-world==1.0", "alice/prod", code=1),
        devpi("index", "bob/own", "volatile=False"),
    ),
    filled(
        "push-elsewhere",
        devpi("push", "hello-world==1.0", "pypi:ok", code=1, says="no pypirc file found at: {home}/.pypirc"),
        text("mine.rc", PYPIRC),
        devpi("push", "hello-world==1.0", "pypi:ok", "--pypirc", "mine.rc", says="using pypirc mine.rc"),
        received(),
        text(".pypirc", PYPIRC),
        devpi("push", "hello-world==1.0", "pypi:ok", "--no-docs"),
        received(),
        devpi("push", "hello-world==1.0", "pypi:ok", "--only-docs", *GENERIC),
        received(),
        devpi("push", "hello-world==1.1", "pypi:ok", "--register-project"),
        received(),
        devpi("push", "hello-world==1.1", "pypi:asks", dialogue=[("password for user ada at ", Hidden("typed"))]),
        received(),
        devpi("push", "hello-world==1.0", "pypi:no-docs", code=1, says="410 docfile hello-world"),
        received(),
        devpi("push", "hello-world==1.0", "pypi:no-files", code=1, says="Failure during upload"),
        received(),
        devpi("push", "hello-world==1.0", "pypi:no-register", "--register-project"),
        received(),
        devpi("push", "hello-world==1.0", "pypi:nowhere", code=1, difference="push-unreachable"),
        devpi("push", "hello-world==1.0", "pypi:gone", code=1, says="Error while trying to read section 'gone'"),
        devpi("push", "hello-world==1.0", "pypi:nobody", code=1),
        devpi("push", "hello-world==9.9", "pypi:ok", code=1),
        devpi("push", "--index", "alice/stable", "hello-world==1.0", "pypi:ok", code=1, says="there are no files"),
        devpi("logoff"),
        devpi("push", "hello-world==1.0", "pypi:ok", difference="anonymous-push"),
        received(difference="anonymous-push"),
    ),
    filled(
        "push-to-the-other-server",
        text(".pypirc", PYPIRC),
        devpi("push", "hello-world==1.0", "pypi:wrong", code=1, in_turn=True, says="401"),
        devpi("push", "hello-world==1.0", "pypi:prod", in_turn=True),
        devpi("getjson", "/alice/prod/hello-world"),
        devpi("push", "hello-world==1.1", "pypi:prod", "--register-project", in_turn=True),
        devpi("push", "hello-world==1.1", "pypi:prod", in_turn=True),
        devpi("upload", "new/hello_world-1.0-py3-none-any.whl"),
        devpi("push", "hello-world==1.0", "pypi:prod", code=1, in_turn=True, says="already exists"),
        # The source archive is taken once more, as it is the same, and brings the new summary with it.
        devpi("getjson", "/alice/prod/hello-world", says='"summary": "new"'),
    ),
)
