"""The simple pages and the files behind them, as installers ask for them on the wire.

Marked ``ours`` is what devpi-server lacks: the newer keys (PEP 658, 700, 714), validators, compression and ranges.
"""

import gzip
import hashlib
import json
import os
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import zstandard
from requests.structures import CaseInsensitiveDict

import packages
from harness import Index, Server, expect_uploaded

HTML = "text/html"
JSON = "application/vnd.pypi.simple.v1+json"
# As pip sends it.
PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, {HTML}; q=0.01"

both_formats = pytest.mark.parametrize("accept", [HTML, JSON], ids=["html", "json"])


@dataclass
class Answer:
    """An answer as it came over the wire: the body is not decoded."""

    status: int
    headers: CaseInsensitiveDict
    body: bytes
    url: str


def fetch(
    server: Server, url: str, *, method: str = "GET", accept: str = "*/*", coding: str = "identity", **headers: str
):
    """One request, without following redirects; header names are given with underscores."""
    sent = {"Accept": accept, "Accept-Encoding": coding} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    answer = server.request(method, url, headers=sent, stream=True, allow_redirects=False)
    return Answer(answer.status_code, answer.headers, answer.raw.read(decode_content=False), answer.url)


class Anchors(HTMLParser):
    """The links of an HTML page: attributes by text."""

    def __init__(self, page: Answer):
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.open: dict[str, str | None] | None = None
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open = dict(attrs) if tag == "a" else None

    def handle_data(self, data: str) -> None:
        if self.open is not None:
            self.found[data] = self.open
            self.open = None


@pytest.fixture
def dist(tmp_path: Path) -> dict[str, Path]:
    """Some distributions of ``hello-world``, by file name."""
    paths = [packages.wheel(tmp_path / "dist", "hello-world", version) for version in ("0.8", "0.9", "1.0")]
    paths.append(packages.wheel(tmp_path / "dist", "hello-world", "1.1", requires_python=">=3.8"))
    paths.append(packages.sdist(tmp_path / "dist", "hello-world", "1.1", requires_python=">=3.8"))
    return {path.name: path for path in paths}


@pytest.fixture
def filled(server: Server, index: Index, dist: dict[str, Path]) -> Index:
    """The index with those files."""
    for path in dist.values():
        version = re.search(r"-(\d\.\d)", path.name)[1]
        form = {"requires_python": ">=3.8"} if version == "1.1" else {}
        expect_uploaded(server.upload(index, path, "hello-world", version, **form))
    return index


@pytest.fixture
def page_url(filled: Index) -> str:
    return f"{filled.simple_url}hello-world/"


@pytest.fixture
def wheel(server: Server, index: Index, tmp_path: Path) -> tuple[str, bytes]:
    """A wheel of some size on the index: its address and its bytes."""
    path = packages.wheel(tmp_path, "large", "1.0", padding=os.urandom(200_000))
    expect_uploaded(server.upload(index, path, "large", "1.0"))
    return server.simple(index, "large")[path.name]["url"], path.read_bytes()


# Pages


def test_html_page(server: Server, page_url: str, dist: dict[str, Path]) -> None:
    """PEP 503: one link per file with its hash, which is that of the body behind the link."""
    page = fetch(server, page_url, accept=HTML)
    assert page.headers["Content-Type"].lower() == "text/html; charset=utf-8"
    links = Anchors(page).found
    assert links.keys() == dist.keys()
    for name, attributes in links.items():
        url = urlsplit(urljoin(page.url, attributes["href"]))
        assert url.fragment == f"sha256={packages.sha256(dist[name])}"
        assert fetch(server, url._replace(fragment="").geturl()).body == dist[name].read_bytes()
    assert links["hello_world-1.1-py3-none-any.whl"]["data-requires-python"] == ">=3.8"


def test_json_page(server: Server, filled: Index, page_url: str, dist: dict[str, Path]) -> None:
    """PEP 691: the same as data."""
    page = fetch(server, page_url, accept=PIP)
    assert page.headers["Content-Type"] == JSON
    content = json.loads(page.body)
    files = {file["filename"]: file for file in content["files"]}
    assert content["name"] == "hello-world"
    assert {name: file["hashes"] for name, file in files.items()} == {
        name: {"sha256": packages.sha256(path)} for name, path in dist.items()
    }
    assert files["hello_world-1.1.tar.gz"]["requires-python"] == ">=3.8"
    assert server.files(filled, "hello-world") == {name: packages.sha256(path) for name, path in dist.items()}


@pytest.mark.parametrize("accept", ["*/*", HTML, f"{HTML};q=0.9, application/xml;q=0.1", f"{HTML}, {JSON}"])
def test_html_is_the_default(server: Server, page_url: str, accept: str) -> None:
    """Old clients, and hatch with its ``*/*``, read only HTML."""
    page = fetch(server, page_url, accept=accept)
    assert page.headers["Content-Type"].startswith(HTML)
    assert {"accept", "user-agent"} <= {name.strip().lower() for name in page.headers["Vary"].split(",")}


@both_formats
def test_encoded_plus_sign(server: Server, page_url: str, accept: str) -> None:
    """pip and hatch write the plus sign as ``%2B``, in pages' addresses and in files'."""
    page = fetch(server, page_url.replace("+", "%2B"), accept=accept)
    assert page.status == 200
    file = server.simple(urlsplit(page_url).path[1:].partition("/+")[0], "hello-world")[
        "hello_world-1.0-py3-none-any.whl"
    ]
    assert fetch(server, file["url"].replace("+", "%2B")).status == 200


def test_other_spellings_of_a_name(server: Server, filled: Index) -> None:
    answer = fetch(server, f"{filled.simple_url}Hello_World/", accept=PIP)
    assert (answer.status, answer.headers["Location"]) == (302, f"{filled.simple_url}hello-world/")


def test_unknown_project_and_index(server: Server, filled: Index) -> None:
    """404 and nothing else lets uv and pip go on to the next index."""
    assert fetch(server, f"{filled.simple_url}nothere/", accept=PIP).status == 404
    assert fetch(server, f"{filled.server_url}/{filled.user}/nothere/+simple/hello-world/", accept=PIP).status == 404


def test_project_list(server: Server, filled: Index, tmp_path: Path) -> None:
    """The names of the index and of its bases."""
    above = server.new_index("above", owner=filled, bases=[filled.name])
    expect_uploaded(server.upload(above, packages.wheel(tmp_path, "App.One", "1"), "App.One", "1"))
    listed = json.loads(fetch(server, above.simple_url, accept=JSON).body)
    assert sorted(project["name"] for project in listed["projects"]) == ["app-one", "hello-world"]
    links = Anchors(fetch(server, above.simple_url, accept=HTML)).found
    assert {name: attributes["href"] for name, attributes in links.items()} == {
        "app-one": "app-one/",
        "hello-world": "hello-world/",
    }


def test_pages_through_bases(server: Server, filled: Index, tmp_path: Path, dist: dict[str, Path]) -> None:
    """Files of a base are shown with their own addresses; a file of the same name above hides one."""
    above = server.new_index("above", owner=filled, bases=[filled.name])
    own = packages.wheel(tmp_path / "own", "hello-world", "1.0", summary="mine")
    expect_uploaded(server.upload(above, own, "hello-world", "1.0"))
    expected = {name: packages.sha256(path) for name, path in dist.items()} | {own.name: packages.sha256(own)}
    assert server.files(above, "hello-world") == expected
    links = Anchors(fetch(server, f"{above.simple_url}hello-world/", accept=HTML)).found
    assert links.keys() == expected.keys()


@pytest.mark.ours
def test_json_page_has_the_newer_keys(server: Server, filled: Index, page_url: str, dist: dict[str, Path]) -> None:
    """PEP 700: versions, sizes and times, without which cool-down options of installers find nothing."""
    content = json.loads(fetch(server, page_url, accept=PIP).body)
    assert content["meta"]["api-version"] == "1.4"
    assert sorted(content["versions"]) == ["0.8", "0.9", "1.0", "1.1"]
    for file in content["files"]:
        assert file["size"] == dist[file["filename"]].stat().st_size
        # Whole seconds, as in Last-Modified and dumps.
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", file["upload-time"])
        age = datetime.now(UTC) - datetime.fromisoformat(file["upload-time"])
        assert timedelta(seconds=-2) < age < timedelta(minutes=10)
    listed = json.loads(fetch(server, filled.simple_url, accept=JSON).body)
    assert listed["meta"]["api-version"] == "1.4"


@pytest.mark.ours
def test_core_metadata(server: Server, page_url: str, dist: dict[str, Path]) -> None:
    """PEP 658 and 714: the hash is that of the bytes served, and these are the wheel's own METADATA."""
    json_page = fetch(server, page_url, accept=PIP)
    links = Anchors(fetch(server, page_url, accept=HTML)).found
    for file in json.loads(json_page.body)["files"]:
        name = file["filename"]
        if not name.endswith(".whl"):
            assert not file.get("core-metadata")
            assert "data-core-metadata" not in links[name]
            continue
        answer = fetch(server, urljoin(json_page.url, file["url"]) + ".metadata")
        digest = hashlib.sha256(answer.body).hexdigest()
        assert answer.status == 200
        assert file["core-metadata"] == {"sha256": digest}
        assert links[name]["data-core-metadata"] == f"sha256={digest}"
        with zipfile.ZipFile(dist[name]) as archive:
            [member] = [path for path in archive.namelist() if path.endswith(".dist-info/METADATA")]
            assert answer.body == archive.read(member)


@pytest.mark.ours
@both_formats
def test_pages_have_validators(server: Server, index: Index, page_url: str, tmp_path: Path, accept: str) -> None:
    """A page that has not changed costs no body; after an upload, its validator is another one at once."""
    first = fetch(server, page_url, accept=accept)
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    assert "no-cache" in first.headers["Cache-Control"]
    again = fetch(server, page_url, accept=accept, If_None_Match=tag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert fetch(server, page_url, accept=accept, If_None_Match=f'"other", {tag}').status == 304
    assert fetch(server, page_url, accept=accept, If_None_Match='"other"').body == first.body

    expect_uploaded(server.upload(index, packages.wheel(tmp_path, "hello-world", "1.2"), "hello-world", "1.2"))
    changed = fetch(server, page_url, accept=accept, If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag
    assert b"hello_world-1.2" in changed.body


@pytest.mark.ours
@both_formats
def test_pages_are_compressed(server: Server, page_url: str, accept: str) -> None:
    """gzip for pip, zstd for uv, each with a validator of its own; plain for those who ask for neither."""
    plain = fetch(server, page_url, accept=accept)
    assert "Content-Encoding" not in plain.headers
    gzipped = fetch(server, page_url, accept=accept, coding="gzip, deflate")
    assert gzipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(gzipped.body) == plain.body
    zstd = fetch(server, page_url, accept=accept, coding="gzip, deflate, zstd")
    assert zstd.headers["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompressobj().decompress(zstd.body) == plain.body
    tags = {answer.headers["ETag"] for answer in (plain, gzipped, zstd)}
    assert len(tags) == 3
    for answer in (plain, gzipped, zstd):
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        assert "accept-encoding" in answer.headers["Vary"].lower()


@pytest.mark.ours
@both_formats
def test_head_of_a_page(server: Server, page_url: str, accept: str) -> None:
    get, head = (fetch(server, page_url, method=method, accept=accept) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag"):
        assert head.headers[name] == get.headers[name]


# Files


def test_file(server: Server, wheel: tuple[str, bytes]) -> None:
    """Files never change, and say so; they are never encoded, whatever the client could decode."""
    url, content = wheel
    answer = fetch(server, url, coding="gzip, deflate, zstd")
    assert answer.body == content
    assert "Content-Encoding" not in answer.headers
    assert int(answer.headers["Content-Length"]) == len(content)
    assert "immutable" in answer.headers["Cache-Control"]
    assert "GMT" in answer.headers["Last-Modified"]


def test_content_types(server: Server, filled: Index) -> None:
    """A compressed tar file is not a tar file in transfer coding: clients would unpack it."""
    for name, file in server.simple(filled, "hello-world").items():
        expected = "application/x-tar" if name.endswith(".tar.gz") else "application/octet-stream"
        assert fetch(server, file["url"], method="HEAD").headers["Content-Type"] == expected


def test_head_of_a_file(server: Server, wheel: tuple[str, bytes]) -> None:
    url, content = wheel
    answer = fetch(server, url, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(content)


def test_missing_files(server: Server, wheel: tuple[str, bytes]) -> None:
    url, _ = wheel
    assert fetch(server, url.replace("large-1.0", "large-2.0")).status == 404
    assert fetch(server, url.replace("/+f/", "/+f/0")).status == 404
    assert fetch(server, url.rpartition("/")[0]).status == 404


@pytest.mark.ours
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=1000-1999", slice(1000, 2000)),
        ("bytes=1000-", slice(1000, None)),
        ("bytes=-500", slice(-500, None)),
        ("bytes=0-99999999", slice(0, None)),
    ],
)
def test_range_of_a_file(server: Server, wheel: tuple[str, bytes], asked: str, expected: slice) -> None:
    """uv and poetry read the end of a wheel, pip resumes a download."""
    url, content = wheel
    answer = fetch(server, url, Range=asked)
    first, end, _ = expected.indices(len(content))
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(content)}"
    assert int(answer.headers["Content-Length"]) == end - first
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.body == content[expected]


@pytest.mark.ours
def test_range_beyond_the_end(server: Server, wheel: tuple[str, bytes]) -> None:
    url, content = wheel
    answer = fetch(server, url, Range=f"bytes={len(content)}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.ours
@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=x", "lines=1-2", "bytes="])
def test_range_without_sense_is_ignored(server: Server, wheel: tuple[str, bytes], asked: str) -> None:
    url, content = wheel
    answer = fetch(server, url, Range=asked)
    assert (answer.status, answer.body) == (200, content)


@pytest.mark.ours
def test_if_range(server: Server, wheel: tuple[str, bytes]) -> None:
    """A part is only sent when the client has the rest of the same file."""
    url, content = wheel
    headers = fetch(server, url, method="HEAD").headers
    for validator in (headers["ETag"], headers["Last-Modified"]):
        answer = fetch(server, url, Range="bytes=1000-", If_Range=validator)
        assert (answer.status, answer.body) == (206, content[1000:])
    for validator in ('"other"', "Wed, 01 Jan 2020 00:00:00 GMT"):
        answer = fetch(server, url, Range="bytes=1000-", If_Range=validator)
        assert (answer.status, answer.body) == (200, content)


@pytest.mark.ours
def test_conditional_download(server: Server, wheel: tuple[str, bytes]) -> None:
    url, _ = wheel
    tag = fetch(server, url, method="HEAD").headers["ETag"]
    assert not tag.startswith("W/")
    answer = fetch(server, url, If_None_Match=tag)
    assert (answer.status, answer.body) == (304, b"")
