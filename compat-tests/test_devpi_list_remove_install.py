"""``devpi list``, ``remove`` and ``install``: seeing, deleting and using what was uploaded."""

from pathlib import Path

import pytest

import packages
from clients import Shell
from harness import Index, Server, expect_uploaded


@pytest.fixture
def filled(server: Server, index: Index, tmp_path: Path) -> Index:
    """The index with five releases of ``hello-world`` and one of ``other``."""
    for version in ("1.0", "1.1", "1.2", "1.10", "2.0rc1"):
        path = packages.wheel(tmp_path, "hello-world", version)
        expect_uploaded(server.upload(index, path, "hello-world", version))
    expect_uploaded(server.upload(index, packages.sdist(tmp_path, "hello-world", "1.10"), "hello-world", "1.10"))
    expect_uploaded(server.upload(index, packages.wheel(tmp_path, "other", "0.1"), "other", "0.1"))
    return index


@pytest.fixture
def prod(server: Server, index: Index, tmp_path: Path) -> Index:
    """A non-volatile index with one release of ``hello-world``."""
    prod = server.new_index("prod", owner=index, volatile=False)
    expect_uploaded(server.upload(prod, packages.wheel(tmp_path, "hello-world", "1.0"), "hello-world", "1.0"))
    return prod


def versions(server: Server, index: Index, project: str) -> set[str]:
    """The releases of a project; none if it does not exist."""
    answer = server.request("GET", f"/{index.name}/{project}", headers={"Accept": "application/json"})
    return set(answer.json()["result"]) if answer.status_code == 200 else set()


def names(shown: str) -> list[str]:
    """The file names in a list of URLs."""
    return [line.rpartition("/")[2] for line in shown.splitlines() if line.startswith("http")]


def test_list_projects(shell: Shell, filled: Index) -> None:
    shell.devpi("use", filled.url)
    assert shell.devpi("list") == "hello-world\nother\n"
    assert shell.devpi("list", "-v") == "hello-world==2.0rc1\nother==0.1\n"
    assert (
        shell.devpi("list", "-v", "--all")
        == "".join(f"hello-world=={version}\n" for version in ("1.0", "1.1", "1.2", "1.10", "2.0rc1")) + "other==0.1\n"
    )


def test_list_files(server: Server, shell: Shell, filled: Index) -> None:
    """Newest release first, three of them unless asked for all; each line is an address that works."""
    shell.devpi("use", filled.url)
    shown = shell.devpi("list", "hello-world")
    newest = ["2.0rc1-py3-none-any.whl", "1.10-py3-none-any.whl", "1.10.tar.gz", "1.2-py3-none-any.whl"]
    *lines, last = shown.splitlines()
    assert names("\n".join(lines)) == [f"hello_world-{name}" for name in newest]
    assert last == "2 older versions not shown, use --all to see"
    assert all(server.request("GET", line).status_code == 200 for line in lines)

    shown = shell.devpi("list", "--all", "hello-world")
    assert names(shown)[4:] == ["hello_world-1.1-py3-none-any.whl", "hello_world-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("spec", "expected"), [("hello-world==1.0", ["1.0"]), ("Hello_World>=1.2,<1.3", ["1.2"]), ("hello-world<1", [])]
)
def test_list_spec(shell: Shell, filled: Index, spec: str, expected: list[str]) -> None:
    shell.devpi("use", filled.url)
    assert names(shell.devpi("list", spec)) == [f"hello_world-{version}-py3-none-any.whl" for version in expected]


def test_list_of_an_unknown_project(shell: Shell, filled: Index) -> None:
    shell.devpi("use", filled.url)
    shown = shell.devpi("list", "nothere", code=1)
    assert f"GET {filled.url}/nothere/\n404 Not Found: no project 'nothere'" in shown


def test_list_includes_bases(server: Server, shell: Shell, filled: Index) -> None:
    above = server.new_index("above", owner=filled, bases=[filled.name])
    shell.devpi("use", above.url)
    assert shell.devpi("list", "other").startswith(f"{filled.url}/+f/")
    assert shell.devpi("list", "--ignore-bases", "other") == ""
    assert shell.devpi("list") == "", "the list of projects is the index's own"
    assert shell.devpi("list", "--index", filled.name) == "hello-world\nother\n"


def test_remove_asks_first(server: Server, shell: Shell, filled: Index) -> None:
    shell.use(filled)
    shown = shell.devpi("remove", "hello-world==1.0", input="no\n")
    assert "About to remove the following releases and distributions\nversion: 1.0\n" in shown
    assert f"  - {filled.url}/+f/" in shown
    assert "not deleting anything" in shown
    assert "1.0" in versions(server, filled, "hello-world")


def test_remove_versions(server: Server, shell: Shell, filled: Index) -> None:
    gone = server.simple(filled, "hello-world")["hello_world-1.10.tar.gz"]["url"]
    shell.use(filled)
    shown = shell.devpi("remove", "-y", "hello-world>=1.2,<2")
    assert "deleting release 1.2 of hello-world\ndeleting release 1.10 of hello-world\n" in shown
    assert versions(server, filled, "hello-world") == {"1.0", "1.1", "2.0rc1"}
    assert server.request("GET", gone).status_code == 410
    assert "hello_world-1.10.tar.gz" not in server.simple(filled, "hello-world")


def test_remove_project(server: Server, shell: Shell, filled: Index) -> None:
    shell.use(filled)
    shell.devpi("remove", "-y", "hello-world")
    assert versions(server, filled, "hello-world") == set()
    assert server.get(f"/{filled.name}")["projects"] == ["other"]


def test_remove_file(server: Server, shell: Shell, filled: Index) -> None:
    url = server.simple(filled, "hello-world")["hello_world-1.10.tar.gz"]["url"]
    shell.use(filled)
    assert f"About to remove the following file:\n{url}\n" in shell.devpi("remove", "-y", url)
    assert server.request("GET", url).status_code == 410
    assert "1.10" in versions(server, filled, "hello-world"), "the wheel of that release is still there"
    assert "410 Gone" in shell.devpi("remove", "-y", url, code=1)


def test_removing_the_last_file_removes_the_project(server: Server, shell: Shell, filled: Index) -> None:
    [file] = server.simple(filled, "other").values()
    shell.use(filled)
    shell.devpi("remove", "-y", file["url"])
    assert server.get(f"/{filled.name}")["projects"] == ["hello-world"]


@pytest.mark.parametrize("spec", ["hello-world==7", "hello-world>2.0"])
def test_remove_nothing(server: Server, shell: Shell, filled: Index, spec: str) -> None:
    shell.use(filled)
    serial = server.serial()
    assert f"No releases or distributions found matching '{spec}'." in shell.devpi("remove", "-y", spec, code=1)
    assert "404 Not Found: no project 'nothere'" in shell.devpi("remove", "-y", "nothere", code=1)
    assert server.serial() == serial


def test_remove_needs_permission(server: Server, shell: Shell, filled: Index) -> None:
    shell.use(server.new_index())
    shown = shell.devpi("remove", "-y", "--index", filled.name, "other", code=1)
    assert "403 Forbidden" in shown
    assert versions(server, filled, "other") == {"0.1"}


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("hello-world", "project <NormalizedName 'hello-world' 'hello-world'> is on non-volatile index"),
        ("hello-world==1.0", "cannot delete version on non-volatile index"),
        ("file", "cannot delete version on non-volatile index"),
    ],
)
def test_remove_from_a_non_volatile_index(server: Server, shell: Shell, prod: Index, what: str, error: str) -> None:
    """Refused, unless forced."""
    [file] = server.simple(prod, "hello-world").values()
    spec = what.replace("file", file["url"])
    shell.use(prod)
    serial = server.serial()
    assert f"403 Forbidden: {error}" in shell.devpi("remove", "-y", spec, code=1)
    assert server.request("GET", file["url"]).status_code == 200
    assert server.serial() == serial
    shell.devpi("remove", "-y", "-f", spec)
    assert server.request("GET", file["url"]).status_code == 410
    assert server.get(f"/{prod.name}")["projects"] == []


def test_install(shell: Shell, filled: Index) -> None:
    """The client hands its login token to pip as a password in the index URL; pre-releases are wanted."""
    venv = shell.venv(with_pip=True)
    shell.use(filled)
    shell.devpi("install", "--venv", venv, "hello-world", "other")
    assert shell.installed(venv, "hello_world") == "2.0rc1"
    assert shell.installed(venv, "other") == "0.1"
    assert "hello" in shell.devpi("install", "--venv", venv, "-l")
    assert "No matching distribution found for nothere" in shell.devpi("install", "--venv", venv, "nothere", code=1)


def test_refresh(shell: Shell, filled: Index) -> None:
    """Without mirrors there is nothing to fetch again, and that is no error."""
    shell.use(filled)
    shown = shell.devpi("refresh", "hello-world")
    assert "Refreshed hello-world" in shown
    assert "Couldn't" not in shown
