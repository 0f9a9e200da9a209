"""The nginx file that keeps pages for installers: what is kept, for whom, and for how long."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

import packages
from harness import Index, Server, expect_uploaded, wait_until
from mirrors import JSON_PAGE, User, user
from nginx import CACHING, HTML_PAGE, PIP, STORED, WHEEL, Site, fill, generate, new_site, stopped

pytestmark = pytest.mark.ours


def briefly(text: str) -> str:
    """A file whose pages are fresh for one second only, to save time."""
    text, count = re.subn(r"(proxy_cache_valid 200) \d+s;", r"\1 1s;", text)
    assert count == 1
    return text


@pytest.fixture(scope="module")
def caching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a cache for pages."""
    site = Site(tmp_path_factory.mktemp("site"), *STORED, file=CACHING, change=briefly)
    try:
        yield site.init().start()
    finally:
        site.close()


@pytest.fixture
def listed(caching: Site, tmp_path: Path) -> Index:
    """An index on it with ``hello-world``."""
    index = caching.new_index()
    fill(caching, index, tmp_path)
    return index


def page(server: Server, index: Index, *, status: int = 200, auth=None, **headers: str) -> requests.Response:
    """The page of ``hello-world``, as pip asks for it unless told otherwise."""
    answer = server.request("GET", f"{index.simple_url}hello-world/", headers=PIP | headers, auth=auth)
    assert answer.status_code == status
    return answer


def test_installers_see_what_is_there_while_the_server_is_down(caching: Site, listed: Index, user: User) -> None:
    """However long ago they asked for it; only what they have not got themselves is not there."""
    commands = {
        "pip": ["index", "versions", "--index-url", listed.simple_url, "hello-world"],
        "uv": ["pip", "compile", "--no-config", "--refresh", "--index-url", listed.simple_url, "-"],
    }

    def look() -> str:
        return user.shell.run(user.installer, *commands[user.installer], input="hello-world")

    assert "1.0" in look()
    # Kept last, so when this one is old all are.
    page(caching, listed)
    with stopped(caching):
        wait_until(lambda: page(caching, listed).headers["X-Cached"] == "STALE", "the page to grow old")
        assert "1.0" in look()


def test_each_client_gets_its_kind_of_page(caching: Site, listed: Index) -> None:
    """What is kept for one is not given to others that want HTML or JSON instead, or another compression."""
    kinds = [
        kind | {"Accept-Encoding": coding} | agent
        for kind in ({}, HTML_PAGE, JSON_PAGE, {"Accept": f"{JSON_PAGE['Accept']}, text/html;q=0.1"})
        for coding in ("identity", "gzip", "zstd, gzip")
        for agent in (PIP, {"User-Agent": "uv/0.13"}, {"User-Agent": "Mozilla/5.0"})
    ]
    url = f"{listed.simple_url}hello-world/"
    direct = url.replace(caching.url, f"http://127.0.0.1:{caching.port}")

    def seen(url: str, headers: dict[str, str]) -> tuple[str | None, str | None, bytes]:
        answer = caching.request("GET", url, headers=headers, stream=True)
        return answer.headers["Content-Type"], answer.headers.get("Content-Encoding"), answer.raw.read()

    expected = [seen(direct, headers) for headers in kinds]
    assert len({shown[:2] for shown in expected}) == 6
    for _ in range(2):
        assert [seen(url, headers) for headers in kinds] == expected
    assert f"GET {urlsplit(url).path} 200 from server: - cache: HIT" in caching.nginx.log("access")


def test_uploads_are_seen_soon(caching: Site, listed: Index, tmp_path: Path) -> None:
    """By people at once, by installers when the page is no longer fresh."""
    assert "hello_world-2.0" not in page(caching, listed).text
    path = packages.wheel(tmp_path, "hello-world", "2.0")
    expect_uploaded(caching.upload(listed, path, "hello-world", "2.0"))
    assert path.name in page(caching, listed, **{"User-Agent": "Mozilla/5.0"}).text
    wait_until(lambda: path.name in page(caching, listed).text, "the new file on the page", 10)


def test_new_projects_are_seen_at_once(caching: Site, tmp_path: Path) -> None:
    """That there was none is not remembered."""
    index = caching.new_index()
    page(caching, index, status=404)
    fill(caching, index, tmp_path)
    page(caching, index)


def test_unchanged_pages_are_not_sent_again(caching: Site, listed: Index) -> None:
    """nginx asks by the entity tag."""
    first = page(caching, listed)
    wait_until(lambda: page(caching, listed).headers["X-Cached"] == "REVALIDATED", "the page to be asked for again")
    assert page(caching, listed).content == first.content
    assert f"/{listed.name}/+simple/hello-world/ 200 from server: 304" in caching.nginx.log("access")
    again = page(caching, listed, status=304, **{"If-None-Match": first.headers["ETag"]})
    assert again.headers["ETag"] == first.headers["ETag"]


def test_nothing_is_kept_of_answers_to_credentials(caching: Site, listed: Index) -> None:
    """Neither for others nor for the same user, who does not get what was kept for others either."""
    for headers in ({"X-Devpi-Auth": b64encode(":".join(listed.auth).encode()).decode()}, {"Cookie": "a=b"}):
        page(caching, listed, **headers)
    page(caching, listed, auth=listed.auth)
    with stopped(caching):
        page(caching, listed, status=502)
    page(caching, listed)
    with stopped(caching):
        page(caching, listed)
        page(caching, listed, auth=listed.auth, status=502)


def test_only_pages_are_kept(caching: Site, listed: Index) -> None:
    file = caching.simple(listed, "hello-world")[WHEEL]["url"]
    paths = ["/+api", f"/{listed.name}/+api", f"/{listed.name}", f"/{listed.user}", file]
    json_too = PIP | {"Accept": "application/json, */*"}
    for path in paths:
        assert caching.request("GET", path, headers=json_too).status_code == 200
    with stopped(caching):
        for path in paths:
            assert caching.request("GET", path, headers=json_too).status_code == 502


def test_pages_for_other_host_names_are_others(new_site: Callable[..., Site], tmp_path: Path) -> None:
    """Where links are absolute, nobody can make others follow links to a host of his own."""
    site = new_site("--absolute-urls", file=CACHING, path="/devpi").start()
    index = site.new_index()
    fill(site, index, tmp_path)
    for _ in range(2):
        assert "http://evil.example/devpi/" in page(site, index, Host="evil.example").text
        assert f"{index.url}/+f/" in page(site, index).text


def test_pages_below_a_path(new_site: Callable[..., Site], tmp_path: Path) -> None:
    """They are found in the cache there too."""
    site = new_site(file=CACHING, path="/a.b/c+d").start()
    index = site.new_index()
    hashes = fill(site, index, tmp_path)
    assert site.files(index, "hello-world") == hashes
    page(site, index)
    with stopped(site):
        assert WHEEL in page(site, index).text


def test_pages_are_fresh_for_seconds_only(tmp_path: Path) -> None:
    """Who has uploaded something does not want to explain that it will be there tomorrow."""
    text = (generate(tmp_path) / CACHING).read_text()
    [seconds] = re.findall(r"proxy_cache_valid 200 (\d+)s;", text)
    assert 0 < int(seconds) <= 60
