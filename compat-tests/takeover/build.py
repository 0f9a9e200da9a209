"""A serverdir with something of everything, made by the real devpi-server through its HTTP interface.

    built = build(directory, storage="sqlite")      # runs, fills and stops devpi-server

`THEMES` lists the functions that fill it, in order; a new subject is one more of them. They share a `Builder`, which
also takes note of what a snapshot could not find by itself: paths of files that are gone, and files that exist but that
no page lists. What is random is seeded, but times are not: two builds differ in those.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import packages
from harness import ROOT_PASSWORD, forge_token, wait_until
from judge import exchange
from judge.compare import encode_form
from judge.steps import SIMPLE_JSON, Form
from upstream import FakeUpstream, File, Project

from .reference import DevpiServer

STORAGES = ("sqlite", "sqlite_db_files", "sqlite:fsbackend=hash_hl")
BOUNDARY = "multipart/form-data; boundary=judge-9f2c41d07a"
LATER = 3600
"""Seconds for which mirrors do not ask again."""

LONG_TEXT = "\n".join(f"Zeile {number}: größer als ein Wort, 世界, 🚀, <b>&amp;</b>" for number in range(300))


@dataclass
class Built:
    """A serverdir at rest, and what is known of it beforehand."""

    directory: Path
    storage: str
    upstream: FakeUpstream
    uuid: str
    serial: int
    passwords: dict[str, str | None]
    """Passwords that are good for a login; `None` where none is."""
    token: str
    """A login of alice's, which the server gave out."""
    gone: list[str]
    """Paths of files that were there once."""
    hidden: list[str]
    """Paths of files that are there, or should be looked for, though no page leads to them."""

    @property
    def serverdir(self) -> Path:
        return self.directory / "data"

    @property
    def options(self) -> list[str]:
        """What tells a server how the data is stored."""
        return storage_options(self.storage)


def storage_options(storage: str) -> list[str]:
    """The options for a storage; none for the usual one."""
    return [] if storage == "sqlite" else ["--storage", storage]


@dataclass
class Builder:
    """A running server that is being filled."""

    server: DevpiServer
    storage: str
    upstream: FakeUpstream
    work: Path
    noise: random.Random = field(default_factory=lambda: random.Random(6203))
    passwords: dict[str, str | None] = field(default_factory=lambda: {"root": ROOT_PASSWORD})
    gone: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    @property
    def takes_content_again(self) -> bool:
        """Whether a file may be uploaded to where the same one lies; with hard links by hash that is a 500."""
        return "hash_hl" not in self.storage

    def send(
        self,
        method: str,
        path: str,
        *,
        user: str | None = "root",
        body: Any = None,
        form: Form | None = None,
        accept: str = "application/json",
    ) -> exchange.Answer:
        """One request as a user, which must succeed."""
        headers = [("Host", "devpi.example"), ("Accept", accept), ("Connection", "close")]
        if user is not None:
            given = requests.auth._basic_auth_str(user.encode(), forge_token_utf8(user))
            headers.append(("Authorization", given))
        content = encode_form(form) if form else b"" if body is None else json.dumps(body).encode()
        if content:
            headers.append(("Content-Type", BOUNDARY if form else "application/json"))
        request = exchange.Request(method, requests.utils.quote(path, safe="/+?=!"), tuple(headers), content)
        answer = exchange.send(("127.0.0.1", self.server.port), request)
        assert answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.reason} {answer.text()[:2000]}"
        return answer

    def user(self, name: str, password: str | None = "pw-1", **details: Any) -> None:
        self.send("PUT", f"/{name}", body={"password": password, **details})
        self.passwords[name] = password

    def index(self, name: str, **config: Any) -> None:
        self.send("PUT", f"/{name}", user=owner(name), body=config)

    def mirror(self, name: str, **config: Any) -> None:
        self.index(name, **{"type": "mirror", "mirror_url": self.upstream.url, "mirror_cache_expiry": LATER} | config)

    def upload(
        self,
        index: str,
        project: str,
        version: str,
        filename: str,
        content: bytes,
        user: str | None = "",
        **fields: Any,
    ) -> str:
        """Uploads a file; gives its path."""
        pairs = [(":action", "file_upload"), ("name", project), ("version", version), *_fields(fields)]
        form = Form(tuple(pairs), (("content", filename, content),))
        self.send("POST", f"/{index}/", user=owner(index) if user == "" else user, form=form)
        return self.path_of(index, filename, content)

    def path_of(self, index: str, filename: str, content: bytes) -> str:
        """Where a file with this content lies."""
        digest = hashlib.sha256(content).hexdigest()
        return f"/{index}/+f/{digest[:3]}/{digest[3:16]}/{filename}"

    def register(self, index: str, project: str, version: str, **fields: Any) -> None:
        pairs = [(":action", "submit"), ("name", project), ("version", version), *_fields(fields)]
        self.send("POST", f"/{index}/", user=owner(index), form=Form(tuple(pairs)))

    def documentation(self, index: str, project: str, version: str, content: bytes) -> str:
        """Uploads documentation; gives its path."""
        fields = ((":action", "doc_upload"), ("name", project), ("version", version))
        self.send("POST", f"/{index}/", user=owner(index), form=Form(fields, (("content", "whatever.zip", content),)))
        return self.path_of(index, f"{normal(project)}-{version}.doc.zip", content)

    def tox_result(self, path: str, body: Any, user: str | None = None) -> str:
        """Posts a test result to a file; gives its path."""
        answer = self.send("POST", path, user=user, body=body)
        return "/" + answer.json()["result"].partition("#")[0]

    def push(self, index: str, project: str, version: str, target: str, user: str | None = None, **more: Any) -> None:
        body = {"name": project, "version": version, "targetindex": target, **more}
        self.send("PUSH", f"/{index}", user=user or owner(target), body=body)

    def delete(self, path: str, user: str, *files: str) -> None:
        """Deletes something, with the files that go with it."""
        self.send("DELETE", path, user=user)
        self.gone += files

    def page(self, index: str, project: str) -> dict[str, str]:
        """The paths of the files on a project's page, by name."""
        base = f"http://devpi.example/{index}/+simple/{project}/"
        answer = self.send("GET", f"/{index}/+simple/{project}/", user=None, accept=SIMPLE_JSON)
        urls = {file["filename"]: requests.compat.urljoin(base, file["url"]) for file in answer.json()["files"]}
        return {name: requests.compat.urlparse(url).path for name, url in urls.items()}

    def download(self, path: str) -> None:
        """Lets a mirror fetch a file, and waits until it has it: devpi-server ends the answer before that."""
        self.send("GET", path, user=None, accept="*/*")

        def stored() -> bool:
            return "last_modified" in self.send("GET", path, user=None).json()["result"]

        wait_until(stored, f"{path} is not stored")

    # Contents

    def wheel(self, project: str, version: str, size: int = 200, **fields: Any) -> tuple[str, bytes]:
        """The name and the content of a wheel; no two are the same."""
        path = packages.wheel(self.work, project, version, padding=self.noise.randbytes(size), **fields)
        return path.name, path.read_bytes()

    def sdist(self, project: str, version: str, **fields: Any) -> tuple[str, bytes]:
        path = packages.sdist(self.work, project, version, summary=self.noise.randbytes(8).hex(), **fields)
        return path.name, path.read_bytes()

    def zip(self, size: int = 100) -> bytes:
        """The content of some zip file."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.html", f"<h1>{self.noise.randbytes(size).hex()}</h1>")
        return packed.getvalue()


def owner(index: str) -> str:
    return index.partition("/")[0]


def normal(project: str) -> str:
    """The normal form of a project's name."""
    return "-".join(filter(None, "".join(c if c.isalnum() else " " for c in project).split())).lower()


def forge_token_utf8(user: str) -> bytes:
    """A login, also for users with names that are not ASCII; the signed text has escapes."""
    escaped = json.dumps(user)[1:-1]
    return forge_token(escaped, time.time()).encode()


def _fields(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


# Themes


def users(b: Builder) -> None:
    """With all keys and with none, changed and renamed; one cannot log in."""
    custom = {"nested": {"list": [1, 2.5, None, True, "ü"]}, "empty": {}}
    b.user("alice", email="alice@project.example", title="Alice", description="Writes things.", custom_data=custom)
    b.user("bob")
    b.send("PATCH", "/bob", body={"password": "pw-2"})
    b.passwords["bob"] = "pw-2"
    b.user("jürgen", "pässwört", title="Jürgen Ö.", description="日本語", email="jürgen@project.example")
    b.user("dave", email="dave@project.example", title="away")
    b.send("PATCH", "/dave", body={"title": "", "email": "dave@elsewhere.example"})
    b.user("mute", None)
    b.user("empty", "")
    b.user("with.dots_and-dashes@host", custom_data=["a list"])
    b.user("carol")


def indexes(b: Builder) -> None:
    """Bases in several levels and in an order that matters, rights, titles, white lists."""
    b.index("alice/base")
    b.index("alice/dev", bases=["alice/base"], title="Development", custom_data=[1, {"two": "zwei"}])
    b.index("alice/level1", bases=["alice/dev"])
    b.index("alice/level2", bases=["alice/level1"], mirror_whitelist_inheritance="union")
    b.index(
        "alice/prod",
        volatile=False,
        acl_upload=["alice", ":releasers", "bob"],
        acl_toxresult_upload=[":AUTHENTICATED:", ":testers"],
        title="Für alle",
        description="What was tested.\nZweite Zeile.",
        custom_data={"ticket": 7},
    )
    b.index("alice/open", acl_upload=[":ANONYMOUS:"])
    b.index("alice/closed", acl_upload=[], acl_toxresult_upload=[])
    b.index("bob/first")
    b.index("bob/second", bases=["alice/prod"])
    b.index("bob/ordered", bases=["bob/second", "alice/base", "bob/first"])
    b.index("bob/empty")
    b.index("jürgen/größe", title="Größe", bases=["alice/base"])
    b.index("dave/-.@_", description="")
    b.index("carol/dev")
    b.index("alice/temporary")
    b.index("alice/itself", bases=["alice/temporary", "alice/base"])
    b.send("PATCH", "/alice/itself", user="alice", body={"bases": ["alice/itself", "alice/temporary", "alice/base"]})
    b.send("PATCH", "/alice/base", user="alice", body={"title": "Base"})
    b.delete("/alice/temporary", "alice")


def uploads(b: Builder) -> None:
    """Releases with files of several kinds, documentation, test results, and whole lists of metadata."""
    full = {
        "metadata_version": "2.1",
        "summary": "Zusammenfassung mit Ümlaut",
        "home_page": "https://project.example/demo",
        "author": "Ada Lovelace",
        "author_email": "ada@project.example",
        "maintainer": "Müller",
        "maintainer_email": "m@project.example",
        "license": "MIT",
        "description": LONG_TEXT,
        "description_content_type": "text/markdown; charset=UTF-8",
        "keywords": "a,b c",
        "platform": ["any", "linux"],
        "classifiers": ["Programming Language :: Python :: 3", "Topic :: Software Development"],
        "download_url": "https://project.example/demo.zip",
        "requires_python": ">=3.8, <4",
        "requires_dist": ["six>=1.0", 'colorama; sys_platform == "win32"'],
        "provides_extras": ["test"],
        "project_urls": ["Home, https://project.example/"],
        "license_expression": "MIT",
        "license_file": ["LICENSE", "NOTICE"],
        "comment": "ein Kommentar",
    }
    name, content = b.wheel("demo", "1.0", requires_python=">=3.8")
    wheel = b.upload("alice/dev", "demo", "1.0", name, content, **full)
    sdist = b.upload("alice/dev", "demo", "1.0", *b.sdist("demo", "1.0"))
    b.documentation("alice/dev", "demo", "1.0", b.zip())
    b.tox_result(wheel, {"testenvs": {"py311": {"test": [{"retcode": "0", "output": "ok ü"}]}}})
    b.tox_result(wheel, [1])
    b.tox_result(wheel, {"big": ["x" * 1000] * 50}, user="bob")
    b.tox_result(sdist, {"testenvs": {}})
    for version in ("1.1", "1.2", "1.10", "2.0a1"):
        b.upload("alice/dev", "demo", version, *b.wheel("demo", version), requires_python=">=3.9")
    b.upload("alice/base", "demo", "0.9", *b.wheel("demo", "0.9"), summary="older")
    b.upload("alice/base", "demo", "1.1", *b.wheel("demo", "1.1"), summary="shadowed")
    b.upload("alice/base", "only-base", "1", *b.sdist("only-base", "1"))
    b.upload("bob/first", "demo", "3.0", *b.wheel("demo", "3.0"))
    b.upload("jürgen/größe", "lokal", "1.0", *b.wheel("lokal", "1.0"), author="Jürgen", description=10 * LONG_TEXT)
    b.upload("dave/-.@_", "odd", "1.0", *b.wheel("odd", "1.0"))
    b.upload("alice/open", "anybody", "1.0", *b.wheel("anybody", "1.0"), user=None)
    b.upload("alice/open", "anybody", "1.0", *b.sdist("anybody", "1.0"), user="bob")


def registrations(b: Builder) -> None:
    """Releases without files, and such as got files, or other metadata, later."""
    b.register("alice/dev", "meta-only", "0.1", summary="nothing to download", keywords="UNKNOWN")
    b.register("alice/dev", "meta-only", "0.2")
    b.register("alice/dev", "registered-first", "1.0", summary="first", author="A", classifiers=["A :: B"])
    b.upload("alice/dev", "registered-first", "1.0", *b.wheel("registered-first", "1.0"), author="B")
    b.upload("alice/dev", "registered-last", "1.0", *b.wheel("registered-last", "1.0"), author="B", license="MIT")
    b.register("alice/dev", "registered-last", "1.0", summary="then again")
    b.documentation("alice/dev", "docs-only", "1.0", b.zip())
    b.upload("alice/dev", "docs-twice", "1.0", *b.wheel("docs-twice", "1.0"))
    b.gone.append(b.documentation("alice/dev", "docs-twice", "1.0", b.zip()))
    b.documentation("alice/dev", "docs-twice", "1.0", b.zip(300))


def overwritten(b: Builder) -> None:
    """The same file name several times, with other contents and with the same; its test results go."""
    name, first = b.wheel("again", "1.0")
    path = b.upload("alice/dev", "again", "1.0", name, first)
    b.gone += [path, b.tox_result(path, {"of": "the first"})]
    _, second = b.wheel("again", "1.0")
    b.gone.append(b.upload("alice/dev", "again", "1.0", name, second))
    _, third = b.wheel("again", "1.0")
    b.upload("alice/dev", "again", "1.0", name, third)
    if b.takes_content_again:
        b.upload("alice/dev", "again", "1.0", name, third)
    b.upload("alice/dev", "again", "1.0", *b.sdist("again", "1.0"))
    there = b.upload("alice/prod", "once", "1.0", *b.wheel("once", "1.0"))
    b.tox_result(there, {"on": "a non-volatile index"}, user="alice")
    name, content = b.wheel("back", "1.0")
    path = b.upload("alice/dev", "back", "1.0", name, content)
    b.send("DELETE", path, user="alice")
    b.upload("alice/dev", "back", "1.0", name, content)


def pushes(b: Builder) -> None:
    """From index to index to index, with and without documentation, over what was there."""
    b.push("alice/dev", "demo", "1.0", "alice/prod")
    b.push("alice/prod", "demo", "1.0", "bob/first", user="bob")
    b.push("alice/dev", "demo", "1.1", "alice/prod", no_docs=True)
    b.push("alice/dev", "docs-twice", "1.0", "bob/first", user="bob", only_docs=True)
    b.push("alice/dev", "again", "1.0", "bob/first", user="bob")
    b.gone += [path for path in b.page("bob/first", "again").values() if path.endswith(".whl")]
    b.upload("bob/first", "again", "1.0", *b.wheel("again", "1.0"))


def deletions(b: Builder) -> None:
    """Files, releases, projects, an index and a user; some come back."""
    kept, gone = (b.upload("alice/dev", "del-file", "1.0", *made) for made in _pair(b, "del-file"))
    b.delete(gone, "alice", gone)
    b.hidden.append(kept)
    one, other = (b.upload("alice/dev", "del-version", v, *b.wheel("del-version", v)) for v in ("1.0", "2.0"))
    result = b.tox_result(one, {})
    b.delete("/alice/dev/del-version/1.0", "alice", one, result)
    b.hidden.append(other)
    b.delete("/alice/dev/del-project", "alice", *_project(b, "alice/dev", "del-project"))
    documentation = b.documentation("alice/dev", "del-docs", "1.0", b.zip())
    b.upload("alice/dev", "del-docs", "1.0", *b.wheel("del-docs", "1.0"))
    b.delete(documentation, "alice", documentation)
    b.index("alice/del-index")
    b.delete("/alice/del-index", "alice", *_project(b, "alice/del-index", "inside"))
    b.index("alice/again")
    b.delete("/alice/again", "alice", *_project(b, "alice/again", "first-life"))
    b.index("alice/again", title="second life")
    b.upload("alice/again", "second-life", "1.0", *b.wheel("second-life", "1.0"))
    b.delete("/carol", "root", *_project(b, "carol/dev", "of-carol"))
    del b.passwords["carol"]


def _pair(b: Builder, project: str) -> list[tuple[str, bytes]]:
    return [b.wheel(project, "1.0"), b.sdist(project, "1.0")]


def _project(b: Builder, index: str, project: str) -> list[str]:
    """Uploads a project with all that may belong to one; gives the paths."""
    wheel, sdist = (b.upload(index, project, "1.0", *made) for made in _pair(b, project))
    return [wheel, sdist, b.tox_result(wheel, {}, user="root"), b.documentation(index, project, "1.0", b.zip())]


ODD_RELEASES = (
    ("Hello.World", "1.0", "Hello.World-1.0.tar.gz"),
    ("hello_world", "1.1", "hello_world-1.1.zip"),
    ("a.b_C--d", "0.1", "a.b_C--d-0.1.zip"),
    ("UPPER", "1.0", "UPPER-1.0.zip"),
    ("x", "1.0", "xyz-1.0.zip"),
    ("locals", "1.0+local.1", "locals-1.0+local.1.tar.gz"),
    ("locals", "1.0+local.2", "locals-1.0+local.2-py3-none-any.whl"),
    ("legacy", "1.0-SNAPSHOT", "legacy-1.0-SNAPSHOT.zip"),
    ("legacy", "2004d", "legacy-2004d.tar.gz"),
    ("legacy", "v2", "legacy-v2.zip"),
    ("legacy", "1.0 final", "legacy-1.0_final.zip"),
    ("epoch", "1!2.0", "epoch-1!2.0.tar.gz"),
    ("epoch", "3.0.dev1", "epoch-3.0.dev1.tar.gz"),
    ("epoch", "1.0.post1", "epoch-1.0.post1.tar.gz"),
    ("same", "1.0", "same-1.0.zip"),
    ("same", "1.0.0", "same-1.0.0.zip"),
    ("spaced", "1.0", "spaced-1.0 b.zip"),
    ("umlaut", "1.0", "umlaut-1.0-größe.zip"),
    ("kinds", "1.0", "kinds-1.0.tar.bz2"),
    ("kinds", "1.0", "kinds-1.0.tgz"),
    ("kinds", "1.0", "kinds-1.0.win32.exe"),
    ("kinds", "1.0", "kinds-1.0-py2.7.egg"),
    ("kinds", "1.0", "kinds-1.0.deb"),
    ("kinds", "1.0", "kinds-1.0.rpm"),
    ("kinds", "1.0", "kinds-1.0.dmg"),
    ("kinds", "1.0", "kinds-1.0.msi"),
    ("notzip", "1.0", "notzip-1.0-py3-none-any.whl"),
    ("tags", "1.0", "tags-1.0-1-cp39.cp310-abi3-manylinux_2_17_x86_64.whl"),
    ("0numbers9", "0", "0numbers9-0.zip"),
)


def odd_names(b: Builder) -> None:
    """Names, versions and files of all sorts; two spellings of a project; contents that are equal, or empty."""
    b.index("alice/odd")
    for project, version, filename in ODD_RELEASES:
        b.upload("alice/odd", project, version, filename, b.noise.randbytes(50), summary=f"{project} {version}")
    for filename in ("twins-1.0.zip", "twins-1.0.tar.gz"):
        b.upload("alice/odd", "twins", "1.0", filename, b"the same content")
    b.upload("alice/base", "twins", "1.0", "twins-1.0.zip", b"the same content")
    b.upload("alice/odd", "nothing", "1.0", "nothing-1.0.zip", b"")
    b.upload("alice/odd", "large", "1.0", *b.wheel("large", "1.0", size=3_000_000))
    b.register("alice/odd", "Slash-less", "1.0")


def files_of_two_releases(b: Builder) -> None:
    """A file name that belongs to two releases, which devpi-server allows: the version need only stand in it."""
    b.index("bob/strange")
    for version in ("1.0", "1"):
        if version == "1.0" or b.takes_content_again:
            b.upload("bob/strange", "shared", version, "shared-1.0.zip", b"for both")
        b.upload("bob/strange", "unlike", version, "unlike-1.0.zip", f"for {version}".encode())


def mirrors(b: Builder) -> None:
    """With hashes of several kinds and with none; files that are here, that are not, and that were deleted."""
    b.upstream.list_format, b.upstream.list_etag = "negotiated", None
    publish(b)
    b.mirror("root/mirror", title="Upstream", mirror_web_url_fmt="https://project.example/{name}/")
    b.mirror("root/seen", volatile=False)
    b.mirror("root/never", custom_data={"x": 1})
    b.mirror("root/links", mirror_use_external_urls=True)
    b.mirror("root/unlisted", mirror_no_project_list=True)
    b.mirror("root/metadata", mirror_provides_core_metadata=True, mirror_ignore_serial_header=True)
    for project in ("hashed", "bare", "weak", "html", "mixed"):
        paths = b.page("root/mirror", project)
        for number, path in enumerate(paths.values()):
            if number % 2 == 0:
                b.download(path)
    for index in ("root/seen", "root/links", "root/unlisted", "root/metadata"):
        for project in ("hashed", "bare"):
            b.page(index, project)
    b.page("root/mirror", "nofiles")
    for project in ("demo", "hashed"):
        b.page("root/metadata", project)
    b.download(next(iter(b.page("root/unlisted", "hashed").values())))


def publish(b: Builder) -> None:
    """What the upstream has."""

    def file(name: str, **details: Any) -> File:
        return File(name, b.noise.randbytes(300), **details)

    yanked = file("hashed-1.1.tar.gz", yanked="eats <data>", requires_python=">=3.8,<4")
    files = [file("hashed-1.0.tar.gz"), yanked, file("hashed-1.2.tar.gz", yanked=True), file("hashed-1.3.zip")]
    b.upstream.add(Project("hashed", files, format="json", serial=7))
    no_hash = [file(f"bare-{version}.zip", hashes=()) for version in ("1.0", "1.1", "1.2")]
    no_hash[1].requires_python = ">=3.7"
    b.upstream.add(Project("bare", no_hash, format="html"))
    weak = [file(f"weak-{version}.tar.gz", hashes=("md5",)) for version in ("1.0", "2.0")]
    b.upstream.add(Project("weak", weak, format="html"))
    wheels = [file(f"html-{version}-py3-none-any.whl", requires_python=">=3") for version in ("1.0", "1.1")]
    b.upstream.add(Project("html", wheels, format="html"))
    algorithms = [("sha512",), ("sha1",), ("blake2b",), ("md5", "sha256"), ()]
    mixed = [file(f"mixed-1.{number}.zip", hashes=hashes) for number, hashes in enumerate(algorithms)]
    b.upstream.add(Project("mixed", mixed, format="json"))
    b.upstream.add(Project("nofiles", [], format="json"), Project("unread", [file("unread-1.0.zip")]))
    b.upstream.add(Project("demo", [file("demo-9.0.zip")]))
    without_date = [file("dateless-1.0.zip", last_modified=None)]
    b.upstream.add(Project("dateless", without_date))


def above_mirrors(b: Builder) -> None:
    """Stages that inherit from a mirror, with white lists; releases that were pushed out of it."""
    b.index("alice/mirrored", bases=["alice/dev", "root/mirror"])
    b.index("alice/listed", bases=["alice/mirrored"], mirror_whitelist=["demo"])
    b.index("alice/starred", bases=["alice/mirrored"], mirror_whitelist=["*"], mirror_whitelist_inheritance="union")
    b.index("alice/pushed", volatile=False)
    for project, version in (("hashed", "1.0"), ("hashed", "1.1"), ("bare", "1.0"), ("weak", "1.0")):
        b.push("root/mirror", project, version, "alice/pushed")
    b.page("root/mirror", "demo")
    b.page("root/mirror", "dateless")
    b.download(next(iter(b.page("root/mirror", "dateless").values())))


def deleted_from_mirrors(b: Builder) -> None:
    """Projects, releases and files that a mirror had and was told to forget."""
    b.mirror("bob/mirror")
    files = [File(f"forgotten-1.{number}.zip", b.noise.randbytes(100)) for number in range(3)]
    b.upstream.add(Project("forgotten", files, format="json"))
    files = [File(f"lost-1.{number}.zip", b.noise.randbytes(100)) for number in range(3)]
    b.upstream.add(Project("lost", files, format="json"))
    paths = b.page("bob/mirror", "forgotten")
    b.download(paths["forgotten-1.0.zip"])
    b.delete("/bob/mirror/forgotten", "bob", paths["forgotten-1.0.zip"])
    paths = b.page("bob/mirror", "lost")
    for path in paths.values():
        b.download(path)
    b.send("DELETE", "/bob/mirror/lost/1.1", user="bob")
    b.mirror("bob/gone")
    paths = b.page("bob/gone", "lost")
    b.download(paths["lost-1.0.zip"])
    b.delete("/bob/gone", "bob", paths["lost-1.0.zip"])


Theme = Callable[[Builder], None]
THEMES: tuple[Theme, ...] = (
    users,
    indexes,
    uploads,
    registrations,
    overwritten,
    pushes,
    deletions,
    odd_names,
    files_of_two_releases,
    mirrors,
    above_mirrors,
    deleted_from_mirrors,
)


@contextlib.contextmanager
def built(directory: Path, storage: str = "sqlite", themes: tuple[Theme, ...] = THEMES) -> Iterator[Built]:
    """Builds a serverdir below the directory; its upstream lives as long as the context does."""
    with FakeUpstream() as upstream:
        directory.mkdir(parents=True, exist_ok=True)
        server = DevpiServer(directory, *storage_options(storage))
        try:
            yield _fill(server.init().start(), upstream, directory / "work", storage, themes)
        finally:
            server.close()


def _fill(server: DevpiServer, upstream: FakeUpstream, work: Path, storage: str, themes: tuple[Theme, ...]) -> Built:
    builder = Builder(server, storage, upstream, work)
    for theme in themes:
        theme(builder)
    answer = server.request("GET", "/+api")
    login = {"user": "alice", "password": builder.passwords["alice"]}
    token = server.request("POST", "/+login", json=login).json()["result"]["password"]
    server.stop()
    return Built(
        server.directory,
        storage,
        upstream,
        answer.headers["X-Devpi-UUID"],
        int(answer.headers["X-Devpi-Serial"]),
        builder.passwords,
        token,
        builder.gone,
        builder.hidden,
    )
