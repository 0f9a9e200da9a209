"""`devpi-export` and `devpi-import`: each reads what the other server's wrote, with nothing lost that a dump can hold.

What devpi-server's own tools lose on the way is listed in `LOSSES`; the tests with `--reference` show that it is no
more than that. Messages and statuses are those that people and scripts know.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from harness import BIN, DEADLINE, ROOT_PASSWORD, Server, server_environment, tool
from takeover import reference, scale, snapshot, state
from takeover.build import Built
from takeover.places import IMPATIENT, Builds, Place, builds, places, plain
from takeover.reference import DevpiServer
from takeover.snapshot import Allowed, Snapshot

KILLS = int(os.environ.get("IMPORT_KILLS", "6"))
MIRRORS = ("root/*", "bob/mirror*", "alice/mirrored*", "alice/listed*", "alice/starred*")
"""Mirrors, and the indexes above them that have nothing of their own."""

Export = Callable[..., subprocess.CompletedProcess[str]]


def losses(made: Built) -> list[Allowed]:
    """What a dump does not hold."""
    return [
        Allowed("json /+status", "json:/result/uuid"),
        Allowed("json /+status", "json:/result/serial"),
        # That a file was there once.
        *(Allowed(f"* {path}") for path in made.gone),
        # What mirrors know of files that they do not have.
        *(Allowed(f"* /{index}") for index in MIRRORS),
        # To which of two releases a file belongs that both have, and which of two files of a name is shown.
        Allowed("* /alice/pushed/*weak*", "json:*/hashes/md5"),
        Allowed("entry /bob/strange/*", "json:/result/version"),
        Allowed("*page /bob/strange/*", "page:file:unlike-1.0.zip:*"),
        # The order of releases whose versions are equal.
        Allowed("page /alice/odd/+simple/same/", "page:order"),
    ]


def same_but_for_losses(before: Snapshot, server: Server, made: Built) -> None:
    differences = snapshot.compare(before, snapshot.take(server, made), losses(made), ordered=False)
    assert not differences, "\n".join(differences[:100])


# Whole dumps


@pytest.fixture(scope="module")
def dump(builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What devpi-export makes of the built serverdir, with the files of the mirrors."""
    directory = tmp_path_factory.mktemp("dump") / "dump"
    where = ("--serverdir", builds.get("sqlite").serverdir)
    reference.succeeds(reference.tool("devpi-export", *where, "--include-mirrored-files", directory))
    return directory


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers of either kind, not started, with no serverdir yet."""
    servers: list[Server] = []

    def make(kind: type[Server] = Server) -> Server:
        directory = tmp_path / f"server{len(servers)}"
        directory.mkdir()
        servers.append(kind(directory, *IMPATIENT))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def imports(server: Server, directory: Path, *options: object) -> str:
    """Imports a dump with the server's own program, which must succeed; gives what it said."""
    run = reference.tool if isinstance(server, DevpiServer) else tool
    return reference.succeeds(run("devpi-import", "--serverdir", server.serverdir, *options, directory))


def exports(server: Server, directory: Path, *options: object) -> str:
    """Exports what a server has that does not run."""
    run = reference.tool if isinstance(server, DevpiServer) else tool
    return reference.succeeds(run("devpi-export", "--serverdir", server.serverdir, *options, directory))


def read(directory: Path) -> dict[str, Any]:
    """The description in a dump."""
    return json.loads((directory / "dataindex.json").read_text())


def test_ours_reads_theirs(builds: Builds, dump: Path, new: Callable[..., Server]) -> None:
    server = new()
    shown = imports(server, dump, "--no-root-pypi")
    description = read(dump)
    files = sum(len(index.get("files", [])) for index in description["indexes"].values())
    assert f"Number of users: {len(description['users'])}" in shown
    assert f"Number of indexes: {len(description['indexes'])}" in shown
    assert f"Total number of files: {files}" in shown
    assert "********* import_all: importing finished ***********" in shown
    same_but_for_losses(builds.before("sqlite"), server.start(), builds.get("sqlite"))
    assert not mirrored_files_missing(builds, server)


def mirrored_files_missing(builds: Builds, server: Server) -> set[str]:
    """The contents that some mirror had and does not give out any more."""
    mirrors = ("/root/", "/bob/mirror/")
    before = {digest for path, digest in builds.before("sqlite").files().items() if path.startswith(mirrors)}
    after = snapshot.take(server, builds.get("sqlite")).files()
    return before - {digest for path, digest in after.items() if path.startswith(mirrors)}


def test_theirs_reads_ours(plain: Place, new: Callable[..., Server], tmp_path: Path) -> None:
    """What ours took over and exports, devpi-import reads."""
    ours = plain.ours().start()
    ours.stop()
    exports(ours, tmp_path / "dump", "--include-mirrored-files")
    theirs = new(DevpiServer)
    imports(theirs, tmp_path / "dump", "--no-root-pypi")
    same_but_for_losses(plain.before, theirs.start(), plain.built)


def test_theirs_reads_what_ours_imported(
    builds: Builds, dump: Path, new: Callable[..., Server], tmp_path: Path
) -> None:
    ours, theirs = new(), new(DevpiServer)
    imports(ours, dump, "--no-root-pypi")
    exports(ours, tmp_path / "again", "--include-mirrored-files")
    imports(theirs, tmp_path / "again", "--no-root-pypi")
    same_but_for_losses(builds.before("sqlite"), theirs.start(), builds.get("sqlite"))


def test_ours_reads_ours(builds: Builds, dump: Path, new: Callable[..., Server], tmp_path: Path) -> None:
    """And writes the same again."""
    first, second = new(), new()
    imports(first, dump, "--no-root-pypi")
    exports(first, tmp_path / "one", "--include-mirrored-files")
    imports(second, tmp_path / "one", "--no-root-pypi")
    exports(second, tmp_path / "two", "--include-mirrored-files")
    assert differing(tmp_path / "one", tmp_path / "two") == []
    assert differing(dump, tmp_path / "one") == []
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(dump)
    same_but_for_losses(builds.before("sqlite"), second.start(), builds.get("sqlite"))


def differing(first: Path, second: Path) -> list[str]:
    """Where two descriptions differ in more than in who wrote them and in what order."""
    return list(map(str, snapshot.mismatches(comparable(first), comparable(second))))


def comparable(directory: Path) -> dict[str, Any]:
    """A description, flat, with the files by their places."""
    description = read(directory)
    for key in ("pythonversion", "devpi_server"):
        description.pop(key, None)
    for index in description["indexes"].values():
        index["files"] = {file["relpath"]: _file(file) for file in index.get("files", [])}
        if index["indexconfig"]["type"] == "mirror":
            # Pages without files are forgotten.
            index["projects"] = {name: versions for name, versions in index.get("projects", {}).items() if versions}
    # devpi-import gives an empty password to those who have none; see below.
    description["users"]["mute"].pop("pwhash", None)
    return snapshot.flatten(description)


def _file(description: dict[str, Any]) -> dict[str, Any]:
    """A file's description; its hash may be of another kind, and that of a file of two releases either one's."""
    mapping = {key: description["entrymapping"].get(key) for key in ("last_modified", "url", "project")}
    for_name = description.get("for_entrypath", "").rpartition("/")[2]
    return description | {"entrymapping": mapping, "for_entrypath": for_name}


def contents(directory: Path) -> dict[str, str | None]:
    """The digests of all files in a dump but the description."""
    found = state.contents(state.listing(directory))
    return {path: digest for path, digest in found.items() if path != "dataindex.json"}


# Options of the export


def test_mirrors_are_left_out(plain: Place, tmp_path: Path) -> None:
    """Unless asked for, only their settings are exported."""
    server = plain.ours().start()
    server.stop()
    shown = exports(server, tmp_path / "dump")
    description = read(tmp_path / "dump")
    mirrors = {
        name: index for name, index in description["indexes"].items() if index["indexconfig"]["type"] == "mirror"
    }
    assert mirrors.keys() >= {"root/mirror", "root/never", "bob/mirror"}
    assert [name for name, index in mirrors.items() if index.keys() != {"indexconfig"}] == []
    assert not (tmp_path / "dump/root").exists()
    assert f"creating {tmp_path / 'dump'}" in shown
    assert "dumped user 'alice'" in shown
    assert "dumped index 'alice/dev'" in shown
    assert re.search(r"^copy file at alice/dev/demo/1\.0/demo-1\.0-py3-none-any\.whl$", shown, re.MULTILINE)
    assert "dumped releasefile: alice/dev/demo/1.0/demo-1.0-py3-none-any.whl" in shown
    assert re.search(r"writing dataindex\.json, length \d+", shown)


def test_export_with_hard_links(plain: Place, tmp_path: Path) -> None:
    server = plain.ours().start()
    server.stop()
    shown = exports(server, tmp_path / "dump", "--hard-links")
    assert "link file at alice/dev/demo/1.0/demo-1.0-py3-none-any.whl" in shown
    known = state.inodes(plain.serverdir)
    files = [path for path in (tmp_path / "dump").rglob("*") if path.is_file() and path.name != "dataindex.json"]
    assert len(files) > 40
    assert [path for path in files if path.stat().st_ino not in known] == []


def test_export_while_the_server_runs(plain: Place, tmp_path: Path) -> None:
    """It is of one moment, and disturbs nobody."""
    server = plain.ours().start()
    exports(server, tmp_path / "dump")
    assert read(tmp_path / "dump")["indexes"].keys() >= {"alice/dev"}
    assert server.serial() == plain.built.serial


def test_export_of_nothing(tmp_path: Path) -> None:
    done = tool("devpi-export", "--serverdir", tmp_path / "data", tmp_path / "dump")
    expected = f"The path '{tmp_path / 'data'}' contains no devpi-server data, use devpi-init to initialize."
    assert fatal(done) == expected


def test_export_to_a_directory_in_use(new: Callable[..., Server], tmp_path: Path) -> None:
    server = new()
    done = tool("devpi-init", "--serverdir", server.serverdir, "--no-root-pypi")
    assert done.returncode == 0
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/file").write_text("x")
    done = tool("devpi-export", "--serverdir", server.serverdir, tmp_path / "dump")
    assert fatal(done) == f"export directory {tmp_path / 'dump'} must not exist or be empty"
    (tmp_path / "dump/file").unlink()
    exports(server, tmp_path / "dump")


def fatal(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The message of a program that gave up."""
    assert done.returncode == status, done.stdout + done.stderr
    [message] = re.findall(r"^fatal: (.*(?:\n.*)*)", done.stderr, re.MULTILINE)
    return message.strip()


# A small dump that is edited


@dataclass
class Dump:
    """A dump of two indexes with a project each, five files, and a serverdir for it."""

    directory: Path
    server: Server

    @contextmanager
    def edited(self) -> Iterator[dict[str, Any]]:
        """The description, which is written back."""
        description = read(self.directory)
        yield description
        (self.directory / "dataindex.json").write_text(json.dumps(description))

    def run(self, *options: object) -> subprocess.CompletedProcess[str]:
        return tool("devpi-import", "--serverdir", self.server.serverdir, *options, self.directory)

    def imported(self, *options: object) -> Server:
        """A running server with what is in the dump, but for root/pypi."""
        self.shown = reference.succeeds(self.run("--no-root-pypi", *options))
        return self.server.start()

    def refused(self, *options: object) -> str:
        """The message with which it is not imported."""
        return fatal(self.run("--no-root-pypi", *options))

    def refused_naming(self, text: str) -> None:
        """It is not imported, and the reason is in the message or above it."""
        done = self.run("--no-root-pypi")
        assert fatal(done)
        assert text in done.stdout + done.stderr

    def path(self, description: dict[str, Any], number: int = 0, index: str = "user0/index0") -> Path:
        """Where a file of an index lies."""
        return self.directory / description["indexes"][index]["files"][number]["relpath"]


ONE, TWO = "user0/index0", "user0/index1"
PROJECT = "sample-000000"


@pytest.fixture
def small(new: Callable[..., Server], tmp_path: Path) -> Dump:
    scale.generate(tmp_path / "small", scale.Size(files=10, projects=2, indexes=2))
    return Dump(tmp_path / "small", new())


def test_small_dump(small: Dump) -> None:
    """What the edited ones below are like without being edited."""
    server = small.imported()
    assert len(server.files(ONE, PROJECT)) == 5
    assert server.get(f"/{TWO}")["bases"] == [ONE]
    history = server.get(f"/{ONE}/{PROJECT}/0.0")["+links"][0]["log"]
    assert history == [{"what": "upload", "who": "user0", "when": [2024, 1, 2, 3, 4, 5], "dst": ONE}]


# What an import does not need


def test_bases_in_a_circle(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"][ONE]["indexconfig"]["bases"] = [TWO, ONE]
    if Server.reference:
        pytest.skip("devpi-import never ends")
    server = small.imported()
    assert server.get(f"/{ONE}")["bases"] == [TWO, ONE]
    assert server.get(f"/{TWO}")["bases"] == [ONE]
    assert server.simple(ONE, "sample-000001")


def test_own_base(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"][ONE]["indexconfig"]["bases"] = [ONE]
    assert small.imported().get(f"/{ONE}")["bases"] == [ONE]


def test_unknown_bases(small: Dump) -> None:
    """They are kept, with a warning: the index may be made later."""
    with small.edited() as description:
        description["indexes"][ONE]["indexconfig"]["bases"] = ["ghost/index", "user0/none"]
    assert small.imported().get(f"/{ONE}")["bases"] == ["ghost/index", "user0/none"]
    expected = "The following indexes are in bases, but don't exist in the import data: ghost/index, user0/none"
    assert expected in small.shown


def test_bases_of_nothing(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"][ONE]["indexconfig"]["bases"] = []
        del description["indexes"][TWO]["indexconfig"]["bases"]
    server = small.imported()
    assert server.get(f"/{TWO}")["bases"] == []


def test_indexes_in_any_order(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"] = dict(reversed(description["indexes"].items()))
    server = small.imported()
    assert len(server.files(TWO, "sample-000001")) == 5


def test_unknown_settings(small: Dump) -> None:
    """Those of plugins, and of later versions, are kept."""
    with small.edited() as description:
        description["something"] = {"new": True}
        description["uuid"] = "0" * 32
        description["indexes"][ONE]["indexconfig"] |= {"plugged": ["a", 1], "uploadtrigger_jenkins": None}
    config = small.imported().get(f"/{ONE}")
    assert config["plugged"] == ["a", 1]
    assert "uploadtrigger_jenkins" not in config
    assert small.server.request("GET", "/+api").headers["X-Devpi-UUID"] != "0" * 32


def test_projects_without_files(small: Dump) -> None:
    with small.edited() as description:
        index = description["indexes"][ONE]
        del description["indexes"][TWO]["files"], description["indexes"][TWO]["projects"]
        index["projects"]["registered"] = {"1.0": {"name": "Registered", "version": "1.0", "summary": "x"}}
        index["projects"]["derived"] = {"2.0": {"name": "derived"}}
    server = small.imported()
    assert server.get(f"/{ONE}/registered/1.0")["name"] == "Registered"
    assert server.get(f"/{ONE}/derived/2.0")["version"] == "2.0"
    assert "derived: version metadata has no explicit version, setting derived 2.0" in small.shown
    assert server.get(f"/{TWO}")["projects"] == []


def test_two_spellings_of_a_project(small: Dump) -> None:
    """They become one."""
    with small.edited() as description:
        projects = description["indexes"][ONE]["projects"]
        projects["Sample_000000"] = {"9.0": {"name": "Sample_000000", "version": "9.0"}}
    server = small.imported()
    assert server.get(f"/{ONE}")["projects"] == [PROJECT]
    assert {"9.0", "0.0"} <= server.api("GET", f"/{ONE}/{PROJECT}", auth=None).keys()


def test_keys_of_old_exports(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"][ONE]["projects"][PROJECT]["0.0"] |= {":action": "submit", "+doczip": "x"}
    data = small.imported().get(f"/{ONE}/{PROJECT}/0.0")
    assert ":action" not in data and "+doczip" not in data


def test_files_without_history(small: Dump) -> None:
    with small.edited() as description:
        for file in description["indexes"][ONE]["files"]:
            del file["log"]
    [link, *_] = small.imported().get(f"/{ONE}/{PROJECT}/0.0")["+links"]
    [entry] = link["log"]
    assert (entry["what"], entry["who"], entry["dst"]) == ("upload", "<import>", ONE)


def test_users_without_a_date(small: Dump) -> None:
    with small.edited() as description:
        del description["users"]["user0"]["created"]
    assert small.imported().get("/user0")["created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("version", ["2", 2, "1", 1])
def test_dump_versions(small: Dump, version: object) -> None:
    with small.edited() as description:
        description["dumpversion"] = version
    assert len(small.imported().files(ONE, PROJECT)) == 5


def test_dump_of_version_1(small: Dump) -> None:
    """As devpi-server 2 to 4 wrote them: versions only in file names, MD5 alone, the old name of a setting."""
    with small.edited() as description:
        description["dumpversion"] = "1"
        index = description["indexes"][ONE]
        index["indexconfig"]["pypi_whitelist"] = ["six", "*"]
        del index["indexconfig"]["mirror_whitelist"], index["indexconfig"]["mirror_whitelist_inheritance"]
        for number, file in enumerate(index["files"]):
            del file["version"]
            data = small.path(description, number).read_bytes()
            digest = hashlib.md5(data).hexdigest()
            file["entrymapping"] = {"last_modified": scale.LAST_MODIFIED, "md5": digest}
        tested = index["files"][0]
        digest = hashlib.md5(small.path(description).read_bytes()).hexdigest()
        index["files"].append(toxresult(small, tested, f"md5={digest}"))
        index["files"].append(documentation(small))
    server = small.imported()
    config = server.get(f"/{ONE}")
    assert config["mirror_whitelist"] == ["six", "*"]
    assert "pypi_whitelist" not in config
    assert config.get("mirror_whitelist_inheritance") in (None, "union", "intersection")
    assert len(server.files(ONE, PROJECT)) == 5
    links = server.get(f"/{ONE}/{PROJECT}/0.0")["+links"]
    assert sorted(link["rel"] for link in links) == ["doczip", "releasefile", "toxresult"]
    for link in links:
        answer = server.request("GET", link["href"])
        assert answer.status_code == 200
        assert link["hash_spec"] == f"sha256={hashlib.sha256(answer.content).hexdigest()}"
    [result] = [link for link in links if link["rel"] == "toxresult"]
    assert result["for_href"].endswith(".whl")


def toxresult(small: Dump, tested: dict[str, Any], spec: str) -> dict[str, Any]:
    """A test result of a file, without hash and date as in old exports."""
    name = tested["relpath"].rpartition("/")[2]
    place = f"{ONE}/{PROJECT}/{spec}/{name}.toxresult-20150102030405-0"
    (small.directory / place).parent.mkdir(parents=True)
    (small.directory / place).write_text("{}")
    return {
        "type": "toxresult",
        "projectname": PROJECT,
        "version": "0.0",
        "relpath": place,
        "for_entrypath": f"{ONE}/+f/aaa/bbbbbbbbbbbbb/{name}",
    }


def documentation(small: Dump) -> dict[str, Any]:
    """A documentation zip, likewise."""
    place = f"{ONE}/{PROJECT}-0.0.doc.zip"
    (small.directory / place).write_bytes(b"PK\x05\x06" + bytes(18))
    return {"type": "doczip", "projectname": PROJECT, "version": "0.0", "relpath": place}


def test_hashes_of_test_results_of_devpi_6_5_to_6_8(small: Dump) -> None:
    """Those exports had the tested file's hash where the result's should be."""
    with small.edited() as description:
        files = description["indexes"][ONE]["files"]
        tested = files[0]["entrymapping"]["hashes"]["sha256"]
        result = toxresult(small, files[0], f"sha256={tested}")
        result["entrymapping"] = {"hashes": {"sha256": tested}, "last_modified": scale.LAST_MODIFIED}
        files.append(result)
    links = small.imported().get(f"/{ONE}/{PROJECT}/0.0")["+links"]
    [link] = [link for link in links if link["rel"] == "toxresult"]
    assert link["hash_spec"] == f"sha256={hashlib.sha256(b'{}').hexdigest()}"


# Options of the import


def test_import_with_hard_links(small: Dump) -> None:
    server = small.imported("--hard-links")
    files = [path for path in small.directory.rglob("*") if path.is_file() and path.name != "dataindex.json"]
    known = state.inodes(server.serverdir)
    assert [path for path in files if path.stat().st_ino not in known] == []
    assert len(server.files(ONE, PROJECT)) == 5


def mirror(url: str = "http://127.0.0.1:9/simple/") -> dict[str, Any]:
    """An index in a dump that is a mirror."""
    return {"indexconfig": {"type": "mirror", "volatile": True, "mirror_url": url, "title": "from the dump"}}


def test_types_can_be_skipped(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"]["user0/mirror"] = mirror()
        description["indexes"]["user0/odd"] = {"indexconfig": {"type": "odd", "x": 1}, "projects": {}, "files": []}
        description["indexes"][ONE]["indexconfig"]["bases"] = ["user0/mirror", "user0/odd"]
    server = small.imported("--skip-import-type", "mirror", "--skip-import-type", "odd")
    assert server.get("/user0")["indexes"].keys() == {"index0", "index1"}
    assert server.get(f"/{ONE}")["bases"] == ["user0/mirror", "user0/odd"]


def test_unknown_types(small: Dump) -> None:
    with small.edited() as description:
        description["indexes"]["user0/odd"] = {"indexconfig": {"type": "odd"}, "projects": {}, "files": []}
        description["users"]["a b!"] = dict(description["users"]["user0"], username="a b!")
        description["indexes"]["user0/in dex"] = description["indexes"][ONE] | {"projects": {}, "files": []}
    done = small.run("--no-root-pypi")
    shown = done.stdout + done.stderr
    assert done.returncode == 1
    assert (
        "Unknown index type 'odd'. Did you forget to install the necessary plugin? You can also skip these with "
        "'--skip-import-type odd'."
    ) in shown
    assert "username 'a b!' contains characters that aren't allowed. Any ascii symbol besides -.@_ is blocked." in shown
    assert (
        "indexname 'user0/in dex' contains characters that aren't allowed. Any ascii symbol besides -.@_ is blocked."
    ) in shown
    file = small.directory / "dataindex.json"
    assert f"You could also try to edit {file} manually to fix the above errors." in shown


def test_default_mirror(small: Dump) -> None:
    """It is made, unless that is not wanted; and a dump's own settings for it win."""
    reference.succeeds(small.run())
    assert small.server.start().get("/root")["indexes"]["pypi"]["title"] == "PyPI"
    small.server.stop()
    shutil.rmtree(small.server.serverdir)
    with small.edited() as description:
        description["indexes"]["root/pypi"] = mirror()
    reference.succeeds(small.run())
    assert small.server.start().get("/root")["indexes"]["pypi"]["title"] == "from the dump"
    small.server.stop()
    shutil.rmtree(small.server.serverdir)
    assert small.imported().get("/root")["indexes"] == {}


def can_log_in(server: Server, user: str, password: str) -> bool:
    return server.request("POST", "/+login", json={"user": user, "password": password}).status_code == 200


def test_passwords(small: Dump) -> None:
    """Those of the dump count, root's too; the option is for a dump without root."""
    with small.edited() as description:
        hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("of the dump")
        for user in description["users"].values():
            user["pwhash"] = hashed
    server = small.imported("--root-passwd", ROOT_PASSWORD)
    assert can_log_in(server, "root", "of the dump")
    assert can_log_in(server, "user0", "of the dump")
    assert not can_log_in(server, "root", ROOT_PASSWORD)
    server.stop()
    shutil.rmtree(server.serverdir)
    with small.edited() as description:
        del description["users"]["root"]
    server = small.imported("--root-passwd", ROOT_PASSWORD)
    assert can_log_in(server, "root", ROOT_PASSWORD)


@pytest.mark.ours
def test_no_password_stays_none(small: Dump) -> None:
    """Whoever could not log in before cannot afterwards; devpi-import leaves an empty password."""
    with small.edited() as description:
        del description["users"]["user0"]["pwhash"]
    server = small.imported()
    assert not can_log_in(server, "user0", "")
    server.stop()
    exports(server, small.directory.parent / "again")
    assert "pwhash" not in read(small.directory.parent / "again")["users"]["user0"]


@pytest.mark.parametrize("option", ["--no-events", None])
def test_events(small: Dump, option: str | None) -> None:
    """The option is taken, whatever there is to be done about it."""
    server = small.imported(*([option] if option else []))
    assert server.files(ONE, PROJECT)


# What stops an import


def test_no_such_directory(new: Callable[..., Server], tmp_path: Path) -> None:
    done = tool("devpi-import", "--serverdir", new().serverdir, "--no-root-pypi", tmp_path / "none")
    assert fatal(done) == f"path for importing not found: {tmp_path / 'none'}"


@pytest.mark.ours
def test_directory_that_is_no_dump(new: Callable[..., Server], tmp_path: Path) -> None:
    """devpi-import ends with a traceback; and it has initialised the serverdir by then."""
    server = new()
    (tmp_path / "dump").mkdir()
    for text in (None, "", "[]", "{", '{"dumpversion": "2"}', '{"dumpversion": "2", "users": [], "indexes": {}}'):
        if text is not None:
            (tmp_path / "dump/dataindex.json").write_text(text)
        done = tool("devpi-import", "--serverdir", server.serverdir, "--no-root-pypi", tmp_path / "dump")
        assert "dataindex.json" in fatal(done), text
        assert not server.serverdir.exists() or list(server.serverdir.iterdir()) == [], text


def test_serverdir_with_data(small: Dump) -> None:
    small.imported()
    small.server.stop()
    expected = f"The path PosixPath('{small.server.serverdir}') already contains devpi-server data."
    assert small.refused() == expected
    assert len(small.server.start().files(ONE, PROJECT)) == 5


def test_serverdir_with_something_else(small: Dump) -> None:
    """One file is accepted, more are not."""
    small.server.serverdir.mkdir()
    for name in ("one", "two"):
        (small.server.serverdir / name).write_text("x")
    assert small.refused().startswith(
        f"serverdir {small.server.serverdir} is non-empty and misses devpi-server meta information. "
    )
    (small.server.serverdir / "two").unlink()
    small.imported()


@pytest.mark.parametrize("version", ["3", 0])
def test_other_dump_versions(small: Dump, version: object) -> None:
    with small.edited() as description:
        description["dumpversion"] = version
    assert small.refused() == f"incompatible dumpversion: {version}"


def test_missing_files(small: Dump) -> None:
    path = small.path(read(small.directory))
    path.unlink()
    small.refused_naming(f"The file at {path} is missing.")


def test_wrong_hashes(small: Dump) -> None:
    path = small.path(read(small.directory))
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"x")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    small.refused_naming(f"{path}: sha256 mismatch, got {got}, expected {expected}")


def test_wrong_md5(small: Dump) -> None:
    """Also weak hashes are checked, where there are no others."""
    with small.edited() as description:
        file = description["indexes"][ONE]["files"][0]
        file["entrymapping"] = {"last_modified": scale.LAST_MODIFIED, "md5": "0" * 32}
        path = small.path(description)
    got = hashlib.md5(path.read_bytes()).hexdigest()
    small.refused_naming(f"{path}: md5 mismatch, got {got}, expected {'0' * 32}")


def test_files_of_no_project(small: Dump) -> None:
    with small.edited() as description:
        index = description["indexes"][ONE]
        index["projects"] = {}
        paths = sorted(file["relpath"] for file in index["files"])
    assert small.refused() == f"Some files weren't imported: {', '.join(paths)}"


@pytest.mark.ours
@pytest.mark.parametrize("trouble", ["no user", "outside", "two slashes", "unknown kind", "bad version"])
def test_what_makes_devpi_import_crash(small: Dump, trouble: str) -> None:
    """One line says what is wrong, and nothing is left in the serverdir."""
    with small.edited() as description:
        index = description["indexes"][ONE]
        file = index["files"][0]
        if trouble == "no user":
            del description["users"]["user0"]
        elif trouble == "outside":
            file["relpath"] = "../small/" + file["relpath"]
        elif trouble == "two slashes":
            description["indexes"]["user0/a/b"] = mirror()
        elif trouble == "unknown kind":
            file["type"] = "something"
        else:
            data = index["projects"][PROJECT]["0.0"]
            index["projects"][PROJECT]["0/0"] = data | {"version": "0/0"}
    small.refused()
    assert not small.server.serverdir.exists() or list(small.server.serverdir.iterdir()) == []


@pytest.mark.ours
def test_refused_import_can_be_repeated(small: Dump) -> None:
    """After a dump was mended nobody has to remove anything first, as with devpi-import."""
    path = small.path(read(small.directory))
    data = path.read_bytes()
    path.unlink()
    small.refused()
    path.write_bytes(data)
    assert len(small.imported().files(ONE, PROJECT)) == 5


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["missing", "wrong"])
def test_damaged_files_can_be_skipped(small: Dump, damage: str) -> None:
    description = read(small.directory)
    path = small.path(description)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"x")
    server = small.imported("--skip-damaged")
    assert str(path) in small.shown
    assert len(server.files(ONE, PROJECT)) == 4
    assert path.name not in server.files(ONE, PROJECT)
    assert "0.0" in server.api("GET", f"/{ONE}/{PROJECT}", auth=None), "the release itself is there"
    assert len(server.files(TWO, "sample-000001")) == 5


# An import that is killed


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of 2,000 files."""
    directory = tmp_path_factory.mktemp("large") / "dump"
    scale.generate(directory, scale.Size(files=2_000, projects=200, indexes=10))
    return directory


def command(server: Server, directory: Path) -> list[str]:
    """The command line of an import."""
    return [str(BIN / "devpi-import"), "--serverdir", str(server.serverdir), "--no-root-pypi", str(directory)]


def is_killed_after(server: Server, directory: Path, seconds: float) -> bool:
    """Starts an import and kills it after a while, unless it is done by then."""
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            command(server, directory), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=server_environment()
        )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(DEADLINE)
        return True
    assert status == 0, server.tail()
    return False


@pytest.mark.ours
def test_killed_again_and_again(large: Path, new: Callable[..., Server]) -> None:
    """What was cut off is no server's data, and the next import ends with everything."""
    measured = new()
    begin = time.monotonic()
    imports(measured, large, "--no-root-pypi")
    whole = time.monotonic() - begin
    noise = random.Random(KILLS)
    killed = 0
    server = new()
    while killed < KILLS:
        if is_killed_after(server, large, noise.uniform(0, whole)):
            killed += 1
            if is_complete(server):
                shutil.rmtree(server.serverdir)
        else:
            shutil.rmtree(server.serverdir)
    imports(server, large, "--no-root-pypi")
    server.start()
    expected: dict[tuple[str, str], dict[str, str]] = {}
    for index, data in read(large)["indexes"].items():
        for file in data["files"]:
            name, digest = file["relpath"].rpartition("/")[2], file["entrymapping"]["hashes"]["sha256"]
            expected.setdefault((index, file["projectname"]), {})[name] = digest
    assert {(index, project): server.files(index, project) for index, project in expected} == expected
    server.stop()
    assert len(state.listing(server.serverdir)) == len(state.listing(measured.serverdir))


def is_complete(server: Server) -> bool:
    """Whether the killed import was over already; a half one must not be served."""
    done = tool("devpi-export", "--serverdir", server.serverdir, server.directory / "probe")
    shutil.rmtree(server.directory / "probe", ignore_errors=True)
    if done.returncode == 0:
        return True
    assert fatal(done)
    return False
