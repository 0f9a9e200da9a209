"""``devpi upload``: what arrives is what was built, and refusals say why."""

import tarfile
from pathlib import Path

import pytest

import packages
from clients import Shell
from harness import Index, Server


def release(server: Server, index: Index, project: str, version: str) -> dict:
    """The stored data of a release."""
    return server.get(f"/{index.name}/{project}/{version}")


def test_sdist_and_wheel_are_built_and_uploaded(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    project = packages.project(tmp_path / "src", "hello-world", "1.0")
    shell.use(index)
    shown = shell.devpi("upload", "--no-vcs", "--no-isolation", cwd=project)
    wheel, sdist = "hello_world-1.0-py3-none-any.whl", "hello_world-1.0.tar.gz"
    assert f"file_upload of {wheel} to {index.upload_url}\nfile_upload of {sdist} to {index.upload_url}\n" in shown
    assert server.files(index, "hello-world") == {
        name: packages.sha256(project / "dist" / name) for name in (wheel, sdist)
    }


def test_metadata_and_history_are_stored(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    path = packages.wheel(
        tmp_path,
        "Some.Name",
        "1.0",
        summary="Grüße",
        requires=["other>=1", 'more; extra == "x"'],
        requires_python=">=3.8",
    )
    shell.use(index)
    shell.devpi("upload", path)
    stored = release(server, index, "some-name", "1.0")
    assert (
        stored.items()
        >= {
            "name": "Some.Name",
            "version": "1.0",
            "summary": "Grüße",
            "requires_python": ">=3.8",
            "metadata_version": "2.1",
            "requires_dist": ["other>=1", 'more; extra == "x"'],
            "description": "About this sample.\n",
            "classifiers": [],
        }.items()
    )
    [link] = stored["+links"]
    digest = packages.sha256(path)
    assert link["rel"] == "releasefile"
    assert link["hash_spec"] == f"sha256={digest}"
    assert link["href"] == f"{index.url}/+f/{digest[:3]}/{digest[3:16]}/{path.name}"
    assert [(entry["what"], entry["who"], entry["dst"]) for entry in link["log"]] == [
        ("upload", index.user, index.name)
    ]


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_only_one_kind(server: Server, shell: Shell, index: Index, tmp_path: Path, kind: str) -> None:
    project = packages.project(tmp_path / "src", "hello", "1.0")
    shell.use(index)
    shell.devpi("upload", f"--{kind}", "--no-vcs", "--no-isolation", cwd=project)
    expected = {"sdist": "hello-1.0.tar.gz", "wheel": "hello-1.0-py3-none-any.whl"}
    assert server.simple(index, "hello").keys() == {expected[kind]}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("setup.cfg", "[devpi:upload]\nsdist = 1\nno-vcs = 1\n"),
        (
            "pyproject.toml",
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            "[tool.devpi.upload]\nsdist = true\nno-vcs = true\n",
        ),
    ],
)
def test_project_configuration(
    server: Server, shell: Shell, index: Index, tmp_path: Path, file: str, text: str
) -> None:
    project = packages.project(tmp_path / "src", "hello", "1.0")
    (project / file).write_text(text)
    shell.use(index)
    shell.devpi("upload", "--no-isolation", cwd=project)
    assert server.simple(index, "hello").keys() == {"hello-1.0.tar.gz"}


def test_upload_from_a_git_checkout(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    """The client builds from an export of the tracked files; what is not committed stays at home."""
    project = packages.project(tmp_path / "src", "hello", "1.0")
    (project / "MANIFEST.in").write_text("include *.txt\n")
    shell.run("git", "init", "-q", cwd=project)
    shell.run("git", "add", ".", cwd=project)
    (project / "untracked.txt").write_text("mine")
    shell.use(index)
    shell.devpi("upload", "--sdist", "--no-isolation", cwd=project)
    [file] = server.simple(index, "hello").values()
    (tmp_path / "got.tar.gz").write_bytes(server.request("GET", file["url"]).content)
    with tarfile.open(tmp_path / "got.tar.gz") as archive:
        names = archive.getnames()
    assert "hello-1.0/hello.py" in names
    assert "hello-1.0/untracked.txt" not in names


def test_given_files(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    paths = [packages.wheel(tmp_path, "hello", "1.1"), packages.sdist(tmp_path, "hello", "1.2")]
    shell.use(index)
    shown = shell.devpi("upload", *paths)
    assert shown == "".join(f"file_upload of {path.name} to {index.upload_url}\n" for path in paths)
    assert server.files(index, "hello") == {path.name: packages.sha256(path) for path in paths}


def test_from_dir(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    packages.wheel(tmp_path / "dist", "hello", "1.1")
    packages.wheel(tmp_path / "dist/deeper", "other", "2.0")
    shell.use(index)
    shown = shell.devpi("upload", tmp_path / "dist", code=1)
    assert "is a directory but --from-dir not specified" in shown
    shell.devpi("upload", "--from-dir", tmp_path / "dist")
    assert server.get(f"/{index.name}")["projects"] == ["hello", "other"]


def test_only_latest(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    for version in ("1.9", "1.10"):
        packages.wheel(tmp_path / "dist", "hello", version)
    shell.use(index)
    shell.devpi("upload", "--from-dir", "--only-latest", tmp_path / "dist")
    assert server.simple(index, "hello").keys() == {"hello-1.10-py3-none-any.whl"}


def test_dry_run_sends_nothing(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    shell.use(index)
    serial = server.serial()
    assert "skipped: file_upload of" in shell.devpi("upload", "--dry-run", packages.wheel(tmp_path, "hello", "1.0"))
    assert server.serial() == serial


def test_without_login(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    shell.devpi("use", index.url)
    path = packages.wheel(tmp_path, "hello", "1.0")
    serial = server.serial()
    shown = shell.devpi("upload", path, code=1)
    assert f"401 FAIL file_upload of {path.name} to {index.upload_url}\nUnauthorized\nPOST to" in shown
    assert server.serial() == serial


def test_without_permission(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    other = server.new_index()
    shell.use(index)
    shown = shell.devpi("upload", "--index", other.name, packages.wheel(tmp_path, "hello", "1.0"), code=1)
    assert "403 FAIL file_upload" in shown
    assert "no permission to submit" in shown
    assert server.get(f"/{other.name}")["projects"] == []


def test_with_permission_by_acl(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    other = server.new_index(acl_upload=[index.user])
    shell.use(index)
    shell.devpi("upload", "--index", other.name, packages.wheel(tmp_path, "hello", "1.0"))
    assert server.get(f"/{other.name}")["projects"] == ["hello"]


def test_volatile_index_takes_another_file_of_the_same_name(
    server: Server, shell: Shell, index: Index, tmp_path: Path
) -> None:
    """The new file replaces the old one, whose address is gone for good."""
    shell.use(index)
    shell.devpi("upload", packages.wheel(tmp_path / "old", "hello", "1.0", summary="old"))
    old = server.simple(index, "hello")["hello-1.0-py3-none-any.whl"]
    new = packages.wheel(tmp_path / "new", "hello", "1.0", summary="new")
    shell.devpi("upload", new)
    assert server.files(index, "hello") == {new.name: packages.sha256(new)}
    assert server.request("GET", old["url"]).status_code == 410
    [link] = release(server, index, "hello", "1.0")["+links"]
    assert [entry["what"] for entry in link["log"]] == ["overwrite", "upload"]


def test_non_volatile_index_keeps_its_files(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    """Other contents under a name that is taken are refused with the reason; the same contents are fine."""
    prod = server.new_index("prod", owner=index, volatile=False)
    old = packages.wheel(tmp_path / "old", "hello", "1.0", summary="old")
    new = packages.wheel(tmp_path / "new", "hello", "1.0", summary="new")
    shell.use(prod)
    shell.devpi("upload", old)
    shown = shell.devpi("upload", new, code=1)
    assert f"409 FAIL file_upload of {new.name} to {prod.upload_url}" in shown
    assert f"\n{new.name} already exists in non-volatile index\nPOST to {prod.upload_url} FAILED" in shown
    assert server.files(prod, "hello") == {old.name: packages.sha256(old)}
    assert f"file_upload of {old.name} to" in shell.devpi("upload", old)


@pytest.mark.ours
def test_a_refused_upload_changes_nothing(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    """devpi-server keeps the metadata of a file that it refused."""
    prod = server.new_index("prod", owner=index, volatile=False)
    shell.use(prod)
    shell.devpi("upload", packages.wheel(tmp_path / "old", "hello", "1.0", summary="old"))
    serial = server.serial()
    shell.devpi("upload", packages.wheel(tmp_path / "new", "hello", "1.0", summary="new"), code=1)
    assert release(server, prod, "hello", "1.0")["summary"] == "old"
    assert server.serial() == serial


def test_to_an_index_that_is_gone(server: Server, shell: Shell, index: Index, tmp_path: Path) -> None:
    shell.use(index)
    server.api("DELETE", f"/{index.name}")
    shown = shell.devpi("upload", packages.wheel(tmp_path, "hello", "1.0"), code=1)
    assert "404 FAIL file_upload" in shown
    assert f"POST to {index.upload_url} FAILED" in shown
