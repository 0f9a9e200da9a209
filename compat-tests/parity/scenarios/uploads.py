"""`devpi upload` of files that there are already: releases and documentation."""

from __future__ import annotations

import packages

from .. import projects
from ..steps import GENERIC, Scenario, api, devpi, put, text

BOTH = ("alice", "bob")
INDEXES = {
    "alice/dev": {},
    "alice/prod": {"volatile": False},
    "bob/own": {},
    "bob/open": {"acl_upload": ["alice"]},
    "bob/free": {"acl_upload": [":ANONYMOUS:"]},
}
WHEEL = "hello-1.0-py3-none-any.whl"
FULL = """Metadata-Version: 2.4
Name: Full.Name
Version: 1.0
Summary: Grüße
Description-Content-Type: text/markdown
Keywords: one,two
Home-Page: https://project.example
Download-URL: https://project.example/get
Author: Ada
Author-Email: ada@project.example
Maintainer: Bea
Maintainer-Email: bea@project.example
License-Expression: MIT
License-File: LICENSE
License-File: NOTICE
Classifier: Programming Language :: Python
Classifier: Private :: Do Not Upload
Platform: any
Supported-Platform: linux
Requires-Python: >=3.8
Requires-Dist: other>=1
Requires-Dist: more; extra == "x"
Requires-External: libc
Provides-Dist: full
Provides-Extra: x
Obsoletes-Dist: old
Project-URL: Source, https://project.example/source
Project-URL: Docs, https://project.example/docs
Dynamic: Version

# About

Ünicode, *markup*,\ttabs.
"""


SCENARIOS = (
    Scenario(
        "upload-files",
        [
            devpi("upload", WHEEL, code=1, says="not connected to an index"),
            devpi("use", "alice/dev"),
            put(packages.wheel, "hello", "1.0"),
            devpi("upload", WHEEL, code=1, says="401 FAIL file_upload"),
            devpi("login", "alice", "--password", "alice-pw-1"),
            devpi("upload", WHEEL, "--dry-run", says="skipped: file_upload of"),
            devpi("upload", WHEEL, *GENERIC, says=f"file_upload of {WHEEL} to {{server}}/alice/dev/"),
            devpi("upload", "gone.whl", code=1, says="path does not exist: gone.whl"),
            put(packages.sdist, "hello", "1.2"),
            put(packages.wheel, "Some.Name", "1.1", requires=["other>=1"], requires_python=">=3.8"),
            devpi("upload", "hello-1.2.tar.gz", "some_name-1.1-py3-none-any.whl"),
            text("hello-1.3.tar.gz", "no archive"),
            devpi("upload", "hello-1.3.tar.gz", code=1),
            text("notes.txt", "no package"),
            devpi("upload", "notes.txt", code=1),
            put(packages.wheel, "hello", "1.9", into="dist"),
            put(packages.wheel, "hello", "1.10", into="dist"),
            put(packages.sdist, "other", "2.0", into="dist/deeper"),
            put(projects.documentation, "hello-1.9.doc.zip", into="dist"),
            devpi("upload", "dist", code=1, says="is a directory but --from-dir not specified"),
            devpi("upload", "--from-dir", "--only-latest", "--dry-run", "dist", says="skipped: doc_upload"),
            devpi("upload", "--from-dir", "--only-latest", "dist/deeper", says="other-2.0.tar.gz"),
            devpi("list", "-v", "--all"),
            devpi("getjson", "hello/1.0"),
            devpi("getjson", "some-name"),
        ],
        users=BOTH,
        indexes=INDEXES,
        use="/",
    ),
    Scenario(
        "upload-all-metadata",
        [
            put(projects.sdist, "full_name", "1.0", files={"PKG-INFO": FULL}),
            devpi("upload", "full_name-1.0.tar.gz"),
            put(projects.sdist, "full_name", "1.0", files={"PKG-INFO": FULL}, suffix=".zip"),
            devpi("upload", "full_name-1.0.zip"),
            devpi("getjson", "full-name", says="Private :: Do Not Upload", difference="unknown-fields"),
            devpi("getjson", "full-name/1.0", difference="unknown-fields"),
            devpi("list", "full-name"),
        ],
        as_user="alice",
        use="alice/dev",
        left_over="unknown-fields",
    ),
    Scenario(
        "upload-where-one-may",
        [
            put(packages.wheel, "hello", "1.0"),
            devpi("upload", "--index", "bob/own", WHEEL, code=1, says="403 FAIL file_upload"),
            devpi("upload", "--index", "bob/open", WHEEL, says="file_upload of"),
            devpi("upload", "--index", "bob/nope", WHEEL, code=1, says="404 Not Found"),
            devpi("upload", "--index", "prod", WHEEL, says="to {server}/alice/prod"),
            devpi("upload", "--index", "{server}/alice/dev", WHEEL),
            devpi("logoff"),
            devpi("upload", "--index", "bob/open", WHEEL, code=1, says="401 FAIL file_upload"),
            devpi("upload", "--index", "bob/free", WHEEL),
            devpi("getjson", "/bob/free/hello"),
            devpi("login", "root", "--password", ""),
            devpi("upload", "--index", "bob/own", WHEEL, code=1),
            devpi("use", "bob/open"),
            api("DELETE", "bob/open"),
            devpi("upload", WHEEL, code=1, says="404 FAIL file_upload"),
        ],
        users=BOTH,
        indexes=INDEXES,
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "upload-again",
        [
            put(packages.wheel, "hello", "1.0", into="old", summary="old"),
            put(packages.wheel, "hello", "1.0", into="new", summary="new"),
            devpi("upload", f"old/{WHEEL}"),
            devpi("upload", f"old/{WHEEL}"),
            devpi("getjson", "hello"),
            devpi("upload", f"new/{WHEEL}"),
            devpi("getjson", "hello"),
            devpi("list", "hello"),
            devpi("use", "alice/prod"),
            devpi("upload", f"old/{WHEEL}"),
            devpi("upload", f"old/{WHEEL}", says="file_upload of"),
            devpi("upload", f"new/{WHEEL}", code=1, says="already exists in non-volatile index"),
            devpi("list", "hello"),
        ],
        users=BOTH,
        indexes=INDEXES,
        as_user="alice",
        use="alice/dev",
        left_over="no-half-changes",
    ),
    Scenario(
        "upload-documentation",
        [
            put(packages.wheel, "hello", "1.0"),
            put(packages.wheel, "hello", "2.0"),
            put(projects.documentation, "hello-1.0.doc.zip"),
            put(projects.documentation, "hello-1.0.docs.zip", text="The same, otherwise."),
            put(projects.documentation, "hello.doc.zip", text="Of no version."),
            put(projects.documentation, "hello-9.0.doc.zip", text="Of a version that is not there."),
            devpi("upload", "hello-1.0.doc.zip"),
            devpi("list", "-v"),
            devpi("getjson", "hello"),
            devpi("upload", WHEEL),
            devpi("upload", "hello-2.0-py3-none-any.whl", "hello-1.0.doc.zip", says="doc_upload of hello-1.0.doc.zip"),
            devpi("getjson", "hello"),
            devpi("list", "hello"),
            devpi("upload", "hello-1.0.docs.zip"),
            devpi("upload", "hello.doc.zip"),
            devpi("upload", "hello-9.0.doc.zip"),
            devpi("getjson", "hello"),
            text("nothing-1.0.doc.zip", "no archive"),
            devpi("upload", "nothing-1.0.doc.zip"),
            devpi("upload", "--index", "bob/own", "hello-1.0.doc.zip", code=1, says="403 FAIL doc_upload"),
            devpi("use", "alice/prod"),
            devpi("upload", WHEEL, "hello-1.0.doc.zip"),
            devpi("upload", "hello-1.0.doc.zip"),
            devpi("upload", "hello-1.0.docs.zip", code=1),
            devpi("getjson", "hello"),
            devpi("logoff"),
            devpi("upload", "hello-1.0.doc.zip", code=1, says="401 FAIL doc_upload"),
            devpi("login", "alice", "--password", "alice-pw-1"),
            devpi("use", "alice/dev"),
            devpi("remove", "-y", "hello==9.0", says="hello-9.0.doc.zip"),
            devpi("remove", "-y", "hello==1.0"),
            devpi("getjson", "hello"),
        ],
        users=BOTH,
        indexes=INDEXES,
        as_user="alice",
        use="alice/dev",
    ),
    Scenario(
        "upload-documentation-in-tar",
        [
            put(packages.wheel, "hello", "1.0"),
            put(projects.documentation, "hello-1.0.doc.tar.gz"),
            put(projects.documentation, "hello.doc.tgz"),
            devpi("upload", WHEEL, "hello-1.0.doc.tar.gz", says="repackaged hello-1.0.doc.tar.gz to hello-1.0.doc.zip"),
            devpi("upload", "hello.doc.tgz"),
            devpi("getjson", "hello"),
        ],
        as_user="alice",
        use="alice/dev",
        builds=True,
    ),
)
