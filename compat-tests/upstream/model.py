"""What an upstream publishes: projects with files, or anything at a path."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

LONG_AGO = "Tue, 01 Jan 2019 00:00:00 GMT"
UPLOADED = "2019-01-01T00:00:00.000000Z"

HTML = "text/html"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html"
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


class _Marker:
    """A value that is none."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __deepcopy__(self, _: object) -> _Marker:
        return self


AUTOMATIC: Final[Any] = _Marker("AUTOMATIC")
"""The true value is worked out."""
OMITTED: Final[Any] = _Marker("OMITTED")
"""The thing is left out."""

_BLOCK = 1 << 20
_COUNTER = 8


@dataclass(frozen=True)
class Generated:
    """Content of any size that is made while it is sent: the same bytes for the same size and seed.

    `Generated(200_000_000).sha256` is computed once per process.
    """

    size: int
    seed: str = "upstream"

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to but not including `stop`."""
        stop = min(stop, self.size)
        parts = []
        while start < stop:
            number, offset = divmod(start, _BLOCK)
            part = self._block(number)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        return number.to_bytes(_COUNTER, "big") + _noise(self.seed, min(self.size, _BLOCK) - _COUNTER)

    @property
    def sha256(self) -> str:
        """The hexadecimal digest."""
        return hash_of(self, "sha256")

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return self.read(0, self.size)


Content = bytes | Generated
"""What a file contains."""


@functools.lru_cache(maxsize=64)
def _noise(seed: str, size: int) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(max(size, 0))


def read(content: Content, start: int, stop: int) -> bytes:
    """A part of a content."""
    return content[start:stop] if isinstance(content, bytes) else content.read(start, stop)


@functools.lru_cache(maxsize=100_000)
def hash_of(content: Content, algorithm: str) -> str:
    """The hexadecimal digest of a content by the name that hashlib knows."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for start in range(0, len(content), _BLOCK):
        hasher.update(read(content, start, start + _BLOCK))
    return hasher.hexdigest()


@dataclass
class File:
    """A file of a project: how the page shows it, and how it is sent.

    Everything can be changed at any time; the next answer shows it.
    """

    filename: str
    content: Content = b""

    # How the page shows it
    href: str | None = None
    """The URL as it stands in the page, without a hash; by default that of the file below `/files/`, in the style of
    `Project.links`. `{host}` stands for `127.0.0.1:PORT`, `{other}` for `localhost:PORT`."""
    hashes: Sequence[str] | Mapping[str, str] = ("sha256",)
    """Algorithms whose true values are shown, or the values themselves (wrong ones are possible). HTML has room for
    the first only, as a fragment."""
    fragment: str | None = None
    """What follows `#` in HTML instead of the hash, such as `egg=x`."""
    requires_python: str | None = None
    yanked: bool | str = False
    size: int | Any = AUTOMATIC
    """In JSON pages; `OMITTED` leaves it out."""
    upload_time: str | Any = UPLOADED
    """In JSON pages; `OMITTED` leaves it out."""
    core_metadata: bool | Mapping[str, str] | Any = AUTOMATIC
    """By default the hash of `metadata` if there is one; `OMITTED` leaves it out though it may be served."""
    provenance_url: str | Any = AUTOMATIC
    """By default the URL of `provenance` if there is one."""
    gpg_sig: bool | None = None
    attributes: Mapping[str, str | None] = field(default_factory=dict)
    """Further attributes of the HTML anchor."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys in JSON; they replace others of the same name."""

    # What lies beside it
    metadata: bytes | None = None
    """Served as `FILE.metadata`."""
    provenance: bytes | None = None
    """Served as `FILE.provenance`."""

    # How it is sent
    content_type: str | None = "application/octet-stream"
    last_modified: str | None = LONG_AGO
    etag: str | None | Any = AUTOMATIC
    chunked: bool = False
    """Sent in chunks, without Content-Length."""
    ranges: bool = True
    """Whether `Range` (with `If-Range`) is honoured."""

    @property
    def path(self) -> str:
        """Where it is served, percent-encoded."""
        return f"/files/{quote(self.filename)}"

    @property
    def sha256(self) -> str:
        """The true digest of the content."""
        return hash_of(self.content, "sha256")

    def shown_hashes(self) -> dict[str, str]:
        """Name and value of each hash that the page shows."""
        if isinstance(self.hashes, Mapping):
            return dict(self.hashes)
        return {algorithm: hash_of(self.content, algorithm) for algorithm in self.hashes}


@dataclass
class Project:
    """A project with its page.

    Everything can be changed at any time; the next answer shows it.
    """

    name: str
    files: list[File] = field(default_factory=list)
    listed: bool = True
    """Whether the project list has it."""
    has_page: bool = True
    """Whether there is a page at all, or 404."""

    format: Literal["html", "json", "negotiated"] = "html"
    """What the page is in; `negotiated` looks at `Accept`."""
    api_version: str | None = "1.4"
    content_type: str | None = None
    """Another Content-Type than the usual one of the format, such as `…+json; charset=utf-8`."""
    links: Literal["relative", "absolute", "other"] = "relative"
    """URLs of files are relative, absolute, or absolute on the other host name."""
    base: str | None = None
    """The `href` of a `<base>` element, which HTML pages then have."""
    status: str | None = None
    """The project status: active, archived, quarantined, deprecated."""
    status_reason: str | None = None
    versions: Sequence[str] | None = None
    """In JSON pages."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the JSON page; they replace others of the same name."""

    serial: int | str | None = None
    """`X-PyPI-Last-Serial`."""
    etag: str | None | Any = AUTOMATIC
    """By default one that changes with the page."""
    last_modified: str | None = None
    gzip: bool = False
    """The page is compressed if the client accepts that."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where the page is served."""
        return f"/simple/{self.name}/"


@dataclass
class Resource:
    """An answer to `GET` and `HEAD` at one path; the text may have `{host}` and `{other}` as in `File.href`."""

    body: bytes | str | Generated = b""
    content_type: str | None = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    gzip: bool = False
    chunked: bool = False
    ranges: bool = False


@dataclass(frozen=True)
class Catalogue:
    """Very many projects that nobody wrote down: names, pages and files follow from a number.

    Their list is made once, when it is first asked for.
    """

    projects: int
    files_per_project: int = 3
    file_size: int = 1000
    format: Literal["html", "json", "negotiated"] = "negotiated"
    gzip: bool = True

    def name(self, number: int) -> str:
        """The name of a project."""
        first, second = _WORDS[number % len(_WORDS)], _WORDS[number // len(_WORDS) % len(_WORDS)]
        return f"{first}-{second}-{number}"

    def names(self) -> list[str]:
        """All names."""
        return [self.name(number) for number in range(self.projects)]

    def project(self, name: str) -> Project | None:
        """The project of that name, if it is one of these."""
        digits = name.rpartition("-")[2]
        number = int(digits) if digits.isdecimal() else self.projects
        if number >= self.projects or self.name(number) != name:
            return None
        files = [self._file(name, version) for version in range(self.files_per_project)]
        return Project(name, files, format=self.format, gzip=self.gzip, serial=number + 1)

    def file(self, filename: str) -> File | None:
        """The file of that name, if it belongs to one of these."""
        project = self.project(filename.partition("-1.")[0].replace("_", "-"))
        return next((file for file in project.files if file.filename == filename), None) if project else None

    def _file(self, name: str, version: int) -> File:
        filename = f"{name.replace('-', '_')}-1.{version}-py3-none-any.whl"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.{version}\n".encode()
        return File(filename, Generated(self.file_size, filename), requires_python=">=3.8", metadata=metadata)


_WORDS = (
    "py", "data", "cloud", "async", "http", "json", "django", "flask", "test", "tools", "types", "core", "api",
    "client", "server", "utils", "parser", "image", "machine-learning", "tensor", "graph", "crypto", "stream", "config",
    "logging", "database", "odoo-addon", "sphinx", "pytest", "natural-language",
)  # fmt: skip

