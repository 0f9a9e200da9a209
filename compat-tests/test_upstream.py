"""The fake upstream itself: what it publishes, what goes wrong when it is told to, and what it counts."""

import gzip
import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from upstream import OMITTED, Catalogue, FakeUpstream, Fault, File, Generated, Project

JSON_PAGE = "application/vnd.pypi.simple.v1+json"
SDIST = File("pkg-1.0.tar.gz", b"0123456789", requires_python=">=3.8", yanked="a <b>")
WHEEL = File("pkg-1.0-py3-none-any.whl", b"wheel", metadata=b"Name: pkg\n", provenance=b"{}")
PATH, SDIST_PATH = "/simple/pkg/", "/files/pkg-1.0.tar.gz"


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(Project("pkg", [SDIST, WHEEL], format="negotiated", serial=7)) as upstream:
        yield upstream


@pytest.fixture
def get(upstream: FakeUpstream) -> Iterator[Callable[..., requests.Response]]:
    """GET of a path, on connections that are kept alive."""
    with requests.Session() as session:
        yield lambda path, **headers: session.get(
            upstream.origin + path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            timeout=30,
        )


def test_pages_are_html_or_json_as_the_client_likes(get):
    page = get(PATH)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-PyPI-Last-Serial"] == "7"
    link = f'href="../..{SDIST_PATH}#sha256={SDIST.sha256}" data-requires-python="&gt;=3.8" data-yanked="a &lt;b&gt;"'
    assert link in page.text
    data = get(PATH, Accept=f"{JSON_PAGE}, text/html;q=0.1").json()
    assert [file["size"] for file in data["files"]] == [10, 5]
    assert data["files"][1]["core-metadata"] == {"sha256": hashlib.sha256(b"Name: pkg\n").hexdigest()}
    assert get(PATH, Accept=f"{JSON_PAGE};q=0.5, text/html").headers["Content-Type"].startswith("text/html")


def test_a_page_is_not_sent_twice(upstream, get):
    etag = get(PATH).headers["ETag"]
    assert get(PATH, If_None_Match=etag).status_code == 304
    upstream.project("pkg").serial = 8
    assert get(PATH, If_None_Match=etag).status_code == 304
    upstream.project("pkg").files.pop()
    assert get(PATH, If_None_Match=etag).status_code == 200


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ({"Range": "bytes=2-4"}, 206, b"234"),
        ({"Range": "bytes=7-"}, 206, b"789"),
        ({"Range": "bytes=-2"}, 206, b"89"),
        ({"Range": "bytes=10-"}, 416, b""),
        ({"Range": "bytes=0-1", "If_Range": '"another"'}, 200, b"0123456789"),
        ({"Range": "bytes=0-1", "If_Range": SDIST.last_modified}, 206, b"01"),
    ],
)
def test_ranges(get, asked, status, body):
    answer = get(SDIST_PATH, **asked)
    assert (answer.status_code, answer.content) == (status, body)


def test_what_lies_beside_a_file(get):
    assert get("/files/pkg-1.0-py3-none-any.whl.metadata").content == b"Name: pkg\n"
    assert get("/files/pkg-1.0-py3-none-any.whl.provenance").content == b"{}"
    assert get(f"{SDIST_PATH}.metadata").status_code == 404


def test_faults_come_in_order_and_go(upstream, get):
    upstream.fault(
        PATH, Fault(status=503, times=2), Fault(body=b"{", content_type=JSON_PAGE, times=1), Fault(drop=True)
    )
    assert [get(PATH).status_code for _ in range(2)] == [503, 503]
    assert get(PATH).content == b"{"
    with pytest.raises(requests.ConnectionError):
        get(PATH)
    upstream.heal(PATH)
    assert get(PATH).status_code == 200


def test_a_fault_may_come_later_and_hit_many_paths(upstream, get):
    upstream.fault("/files/*", status=429, after=1)
    assert [get(SDIST_PATH).status_code for _ in range(3)] == [200, 429, 429]
    assert get(PATH).status_code == 200


@pytest.mark.parametrize("details", [{"cut_after": 4}, {"content_length": 11}, {"cut_after": 0}])
def test_bodies_that_end_early(upstream, get, details):
    upstream.fault(SDIST_PATH, times=1, **details)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(SDIST_PATH)
    assert get(SDIST_PATH).content == b"0123456789"


def test_a_coding_nobody_asked_for(upstream):
    upstream.fault(SDIST_PATH, encoding="gzip")
    connection = http.client.HTTPConnection(upstream.host)
    connection.request("GET", SDIST_PATH)
    assert gzip.decompress(connection.getresponse().read()) == b"0123456789"
    connection.close()


def test_passwords_and_redirects(upstream, get):
    upstream.redirect("/away/", "http://{other}/simple/pkg/")
    moved = get("/away/")
    assert (moved.history[0].status_code, moved.url) == (302, f"{upstream.other_origin}{PATH}")
    upstream.require("user", "pass word", "/simple/*")
    refused = get(PATH)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="upstream"')
    assert requests.get(upstream.url, auth=("user", "pass word"), timeout=30).status_code == 200
    assert get(SDIST_PATH).status_code == 200


def test_it_dies_and_comes_back_on_its_port(upstream, get):
    assert get(PATH).status_code == 200
    port = upstream.port
    upstream.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(upstream.url, timeout=30)
    upstream.start()
    assert (upstream.port, get(PATH).status_code, upstream.count(PATH)) == (port, 200, 2)


def test_requests_are_held_and_counted(upstream, get):
    with upstream.hold(PATH, times=3) as gate, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(requests.get, upstream.url + "pkg/", timeout=30) for _ in range(3)]
        gate.wait(3)
        assert not any(answer.done() for answer in answers)
        gate.release()
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]
    upstream.wait_until_idle()
    assert (upstream.count(PATH), upstream.most_at_once(PATH), upstream.counts()) == (3, 3, {PATH: 3})
    first = upstream.take()[0]
    assert (first.method, first.path, first.header("accept"), first.status) == ("GET", PATH, "*/*", 200)
    assert upstream.requests == []


def test_large_contents_are_made_while_they_are_sent(upstream, get):
    large = Generated(3_000_001)
    upstream.add(Project("large", [File("large-1.0.zip", large, chunked=True, etag=OMITTED)]))
    body = get("/files/large-1.0.zip").content
    assert hashlib.sha256(body).hexdigest() == large.sha256
    assert get("/files/large-1.0.zip", Range="bytes=1048570-1048580").content == body[1048570:1048581]


def test_a_catalogue_of_many_projects(upstream, get):
    upstream.catalogue = Catalogue(2000)
    upstream.list_format, upstream.list_gzip = "negotiated", True
    names = [project["name"] for project in get("/simple/", Accept=JSON_PAGE).json()["projects"]]
    assert len(set(names)) == 2001
    files = get(f"/simple/{names[-1]}/", Accept=JSON_PAGE).json()["files"]
    content = get(f"/files/{files[2]['filename']}").content
    assert hashlib.sha256(content).hexdigest() == files[2]["hashes"]["sha256"]
    assert get(f"/simple/{names[-1]}0/").status_code == 404


def test_the_program_serves_until_it_is_stopped():
    command = [sys.executable, "-m", "upstream", "--projects", "10", "--large", "1000"]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        assert requests.get(f"{url}large-1000/", timeout=30).status_code == 200
        counts = json.loads(requests.get(url.replace("/simple/", "/+counts"), timeout=30).content)
        assert counts["/simple/large-1000/"] == {"requests": 1, "at_once": 1}
        process.terminate()
        assert process.wait(30) == 0
