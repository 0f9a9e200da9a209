"""`devpi-server` on a directory of the Python devpi-server takes over what is in it, and leaves the old data alone.

Serverdirs with something of everything are built by the real devpi-server (see `takeover.build`), which then answers for
all of it; what ours answers on a copy must be the same. Then come damaged data, and a takeover that is killed.

With `--reference` devpi-server stands for ours, on its own data: this shows that the comparison itself is right.
"""

import json
import os
import random
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import packages
from harness import DEADLINE, Server, expect_uploaded, forge_token, wait_until
from takeover import reference, scale, snapshot, state
from takeover.build import STORAGES
from takeover.places import PATIENT, Place, builds, index_of, places, plain, upload
from takeover.reference import DevpiServer
from takeover.snapshot import Allowed, Look, Snapshot

KILLS = int(os.environ.get("TAKEOVER_KILLS", "6"))


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def place(places: Callable[[str], Place], storage: str) -> Place:
    """A copy for each storage."""
    return places(storage)


# What is there afterwards


def test_everything_is_there(place: Place) -> None:
    """Also after a restart, when nothing is taken over any more."""
    server = place.ours().start()
    place.same_as_before(server)
    server.restart()
    place.same_as_before(server)


def test_logins_uuid_and_serials_go_on(place: Place, tmp_path: Path) -> None:
    """Who was logged in still is; clients and replicas see the same server, one change later."""
    server = place.ours().start()
    answer = server.request("GET", "/+api", auth=("alice", place.built.token), headers={"Accept": "application/json"})
    assert answer.json()["result"]["authstatus"] == ["ok", "alice", []]
    assert answer.headers["X-Devpi-UUID"] == place.built.uuid
    assert int(answer.headers["X-Devpi-Serial"]) == place.built.serial
    assert upload(server, "alice/dev", "after-takeover", tmp_path) == place.built.serial + 1
    server.restart()
    assert server.serial() == place.built.serial + 1
    assert server.files("alice/dev", "after-takeover")


def test_all_can_be_changed(place: Place, tmp_path: Path) -> None:
    """What was taken over is overwritten, tested, pushed and deleted like anything else, and its history goes on."""
    server = place.ours().start()
    dev = index_of(server, "alice/dev")
    path = packages.wheel(tmp_path, "again", "1.0")
    expect_uploaded(server.upload(dev, path, "again", "1.0"))
    links = server.get("/alice/dev/again/1.0")["+links"]
    [link] = [link for link in links if link["href"].endswith(path.name)]
    overwritten = 3 if "hash_hl" in place.built.storage else 4
    assert [(entry["what"], entry.get("count")) for entry in link["log"]] == [
        ("overwrite", overwritten),
        ("upload", None),
    ]

    tested = link["href"].removeprefix(server.url)
    assert server.api("POST", tested, body={"a": 1}, auth=None).partition("#")[0].endswith("-0")
    push = {"name": "again", "version": "1.0", "targetindex": "alice/prod"}
    assert [entry[1] for entry in server.api("PUSH", "/alice/dev", body=push, auth=dev.auth)][:2] == [
        "register",
        "store_releasefile",
    ]
    server.api("PATCH", "/alice/dev", body={"title": "changed"}, auth=dev.auth)
    config = {key: value for key, value in server.get("/alice/dev?no_projects=").items() if key != "title"}
    old = place.before.looks["json /alice/dev"].answer.json()["result"]
    assert config == {key: value for key, value in old.items() if key not in ("title", "projects")}
    server.api("DELETE", "/alice/dev/demo/1.1", auth=dev.auth)
    server.api("DELETE", "/alice/odd", auth=dev.auth)
    server.api("DELETE", "/dave", auth=("root", forge_token("root", time.time())))
    for look in place.before.looks:
        if look.startswith(("file /alice/odd/", "file /dave/")):
            assert server.request("GET", look.removeprefix("file ")).status_code == 410, look


def test_mirrors_go_on(place: Place) -> None:
    """What they had not fetched yet they fetch when their upstream is there, and they see what is new."""
    upstream = place.built.upstream
    server = place.ours(patience=PATIENT).start()
    missing = [path for path, status in place.before.statuses().items() if path.startswith("file ") and status == 502]
    assert len(missing) > 20
    upstream.start()
    try:
        for look in missing:
            path = look.removeprefix("file ")
            answer = server.request("GET", path)
            assert (answer.status_code, answer.content) == (200, upstream.file(path.rpartition("/")[2]).content), path
        assert "unread-1.0.zip" in server.simple("root/mirror", "unread")
    finally:
        upstream.stop()
    # And keep it.
    for look in missing:
        assert server.request("GET", look.removeprefix("file ")).status_code == 200, look


# The old data


@pytest.mark.ours
def test_old_data_is_untouched(place: Place, tmp_path: Path) -> None:
    """Whatever is done with ours, the old server can be started again and has everything as it was."""
    before = state.listing(place.serverdir)
    server = place.ours().start()
    assert state.changed(before, state.listing(place.serverdir)) == []
    upload(server, "alice/dev", "after-takeover", tmp_path)
    upload(server, "alice/dev", "demo", tmp_path)
    server.api("DELETE", "/alice/odd", auth=index_of(server, "alice/odd").auth)
    server.stop()
    assert state.changed(before, state.listing(place.serverdir)) == []
    place.old_server_works()


@pytest.mark.ours
@pytest.mark.parametrize("storage", ["sqlite", "sqlite:fsbackend=hash_hl"])
def test_contents_are_linked(place: Place) -> None:
    """Both servers' names lead to one file, so that the takeover needs no space for contents."""
    digests: dict[str, set[int]] = {}
    for name, seen in state.listing(place.serverdir / "+files").items():
        if name.endswith(".whl"):
            digests.setdefault(seen.sha256, set()).add((place.serverdir / "+files" / name).stat().st_ino)
    assert len(digests) > 10
    place.ours().start()
    outside = {
        inode
        for inode, names in state.inodes(place.serverdir).items()
        if any(not name.startswith(("+files/", "+h/")) for name in names)
    }
    # One content may lie in several files of the old server; ours needs one of them.
    assert [inodes for inodes in digests.values() if not inodes & outside] == []


@pytest.mark.ours
def test_check(place: Place) -> None:
    """A dry run says what would be taken over, and writes nothing at all."""
    before = state.listing(place.serverdir)
    done = place.run("--check-takeover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert state.listing(place.serverdir) == before
    shown = done.stdout + done.stderr
    for what in ("user", "index", "file"):
        assert re.search(rf"\b\d+ {what}|\b{what}\w*\W+\d+", shown, re.IGNORECASE), shown
    assert place.run("--check-takeover").returncode == 0


@pytest.mark.ours
def test_old_data_can_be_dropped(place: Place) -> None:
    """Only after a takeover; then ours has all it needs for itself."""
    before = state.listing(place.serverdir)
    done = place.run("--drop-old-state")
    assert done.returncode == 1, "what was not taken over must not be dropped"
    assert state.changed(before, state.listing(place.serverdir)) == []

    server = place.ours().start()
    server.stop()
    done = place.run("--drop-old-state")
    assert done.returncode == 0, done.stdout + done.stderr
    left = [name for name in (".sqlite", ".sqlite_db", "+files", "+h") if (place.serverdir / name).exists()]
    assert left == []
    server.start()
    place.same_as_before(server)
    server.stop()
    assert place.run("--drop-old-state").returncode in (0, 1)
    place.same_as_before(server.start())


# What a crash of devpi-server leaves behind


def crash_after_commit(place: Place, directory: Path) -> tuple[Path, Path]:
    """As if devpi-server had died after an upload's commit and before the file got its name; gives both names."""
    server = place.theirs().start()
    serial = upload(server, "alice/dev", "just-so", directory)
    server.stop()
    _, renames = state.decode(state.blob(place.serverdir, serial))
    [temporary] = [place.serverdir / name for name in renames]
    [final] = (place.serverdir / "+files").rglob("just_so-1.0-py3-none-any.whl")
    final.rename(temporary)
    return temporary, final


def test_files_without_their_names_yet(plain: Place, tmp_path: Path) -> None:
    crash_after_commit(plain, tmp_path)
    server = plain.ours().start()
    assert server.files("alice/dev", "just-so")


@pytest.mark.ours
def test_files_without_their_names_stay_so(plain: Place, tmp_path: Path) -> None:
    """The repair is left to the old server, in case it is started again."""
    temporary, final = crash_after_commit(plain, tmp_path)
    before = state.listing(plain.serverdir)
    server = plain.ours().start()
    server.stop()
    assert state.changed(before, state.listing(plain.serverdir)) == []
    old = plain.theirs().start()
    assert old.files("alice/dev", "just-so")
    assert final.exists() and not temporary.exists()


@pytest.mark.ours
def test_files_that_never_came(plain: Place, tmp_path: Path) -> None:
    temporary, final = crash_after_commit(plain, tmp_path)
    temporary.unlink()
    assert final.name in plain.refuses()
    assert plain.run("--check-takeover").returncode == 1


# Damage


def flip(path: Path, position: int = -1) -> None:
    """Changes one byte of a file, and not its time."""
    info = path.stat()
    data = bytearray(path.read_bytes())
    data[position] ^= 0x80
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def stage_file(place: Place, project: str = "demo") -> tuple[str, Path]:
    """A file of a stage, whose content is nowhere else: its path for clients, and where it lies."""
    found = [path for path in place.before.files() if path.startswith("/alice/dev/+f/") and f"/{project}-1.2-" in path]
    [path] = found
    return path, place.serverdir / f"+files{path}"


def mirror_file(place: Place) -> tuple[str, Path]:
    """A file that a mirror has fetched, whose content is nowhere else."""
    [path] = [path for path in place.before.files() if path.startswith("/root/mirror/") and "html-1.0" in path]
    return path, place.serverdir / f"+files{path}"


def without(path: str) -> list[Allowed]:
    """What may differ when one file is left out: it is not on pages, not in its release, and not there."""
    name = path.rpartition("/")[2]
    project, version = name.split("-")[:2]
    return [
        Allowed(f"* {path}"),
        Allowed("*page *", f"page:file:{name}*"),
        Allowed("page *", "page:order"),
        Allowed("json page *", "page:key:versions"),
        Allowed(f"json /*/{project}*", "json:/result/*"),
        Allowed(f"json /*/{project}/{version}", "*"),
    ]


@pytest.mark.ours
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_database_is_cut(plain: Place, share: float) -> None:
    path = state.database_file(plain.serverdir)
    os.truncate(path, int(path.stat().st_size * share))
    assert path.name in plain.refuses()
    assert plain.run("--check-takeover").returncode == 1


@pytest.mark.ours
def test_database_is_none(plain: Place) -> None:
    state.database_file(plain.serverdir).write_bytes(b"no database\n" * 1000)
    assert ".sqlite" in plain.refuses()


def test_database_is_missing(plain: Place) -> None:
    """A directory that says it has data, and has none."""
    state.database_file(plain.serverdir).unlink()
    before = state.listing(plain.serverdir)
    done = plain.run()
    assert done.returncode == 1
    assert "fatal: " in done.stderr
    assert state.contents(before).keys() == state.contents(state.listing(plain.serverdir)).keys()


@pytest.mark.ours
def test_database_was_left_in_the_middle_of_a_write(plain: Place) -> None:
    """A takeover rolls back what devpi-server's own start would; a check only tells of it."""
    state.die_in_the_middle(plain.serverdir)
    before = state.listing(plain.serverdir)
    done = plain.run("--check-takeover")
    assert done.returncode == 1
    assert "was left in the middle of a write" in done.stderr
    assert state.listing(plain.serverdir) == before
    plain.same_as_before(plain.ours().start())


CURRENT_KEYS = (
    ".config",
    "alice/.config",
    "jürgen/.config",
    "alice/dev/.projects",
    "alice/dev/demo/.versions",
    "alice/dev/demo/1.0/.config",
    "alice/odd/umlaut/1.0/.config",
    "root/mirror/hashed/.simple",
)


@pytest.mark.ours
@pytest.mark.parametrize("key", CURRENT_KEYS)
def test_change_with_a_wrong_byte(plain: Place, key: str) -> None:
    """Wherever it makes a value unreadable that counts, ours says in which change. (A wrong letter in a text nobody can
    see, and old values that stand in the same change as newer ones are not missed.)"""
    noise = random.Random(key)
    serial = state.current_serial(plain.serverdir, key)
    data = state.blob(plain.serverdir, serial)
    positions = [0, len(data) - 1, *noise.sample(range(len(data)), 8)]
    for position in positions:
        damaged = bytearray(data)
        damaged[position] ^= 0x80
        if state.is_readable(bytes(damaged)):
            continue
        state.set_blob(plain.serverdir, serial, bytes(damaged))
        if plain.run("--check-takeover").returncode == 0:
            # Whoever can do without it must have everything else.
            plain.same_as_before(plain.ours().start())
            return
        assert re.search(rf"\b{serial}\b", plain.refuses()), position
    done = plain.run("--check-takeover")
    assert done.returncode == 1
    assert re.search(rf"\b{serial}\b", done.stdout + done.stderr)
    state.set_blob(plain.serverdir, serial, data)
    plain.same_as_before(plain.ours().start())


@pytest.mark.ours
def test_change_with_an_unknown_code(plain: Place) -> None:
    serial = state.current_serial(plain.serverdir, "alice/.config")
    data = state.blob(plain.serverdir, serial)
    state.set_blob(plain.serverdir, serial, data[:-1] + b"z" + data[-1:])
    assert re.search(rf"\b{serial}\b", plain.refuses())


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "longer", "other"])
def test_change_is_not_what_it_should_be(plain: Place, damage: str) -> None:
    """Readable or not: a change that lacks the key for which it is looked up is damage."""
    serial = state.current_serial(plain.serverdir, "alice/.config")
    data = state.blob(plain.serverdir, serial)
    if damage == "missing":
        with state.database(plain.serverdir) as connection:
            connection.execute("DELETE FROM changelog WHERE serial = ?", (serial,))
    else:
        other = state.encode(({}, []))
        new = {"cut": data[: len(data) // 2], "empty": b"", "longer": data + b"Q", "other": other}[damage]
        state.set_blob(plain.serverdir, serial, new)
    assert re.search(rf"\b{serial}\b", plain.refuses())


@pytest.mark.ours
def test_keys_of_plugins(plain: Place) -> None:
    """What no devpi-server without the plugin knows is left out, with a warning that names it."""
    serial = state.append(plain.serverdir, "alice/dev/demo/.plugged", "PLUGGEDIN", {"x": (1, 2.5, {"y"}, b"z")})
    before = state.listing(plain.serverdir)
    server = plain.ours().start()
    assert "PLUGGEDIN" in server.log.read_text()
    assert server.serial() == serial
    plain.same_as_before(server, Allowed("json /+status", "json:/result/serial"))
    assert state.changed(before, state.listing(plain.serverdir)) == []


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["wrong byte", "cut", "missing"])
def test_damaged_files_of_stages(plain: Place, damage: str) -> None:
    """They are named, and stop the takeover; whoever can do without them says so."""
    path, file = stage_file(plain)
    if damage == "wrong byte":
        flip(file, file.stat().st_size // 2)
    elif damage == "cut":
        os.truncate(file, file.stat().st_size - 1)
    else:
        file.unlink()
    assert path.strip("/") in plain.refuses()
    done = plain.run("--check-takeover")
    assert done.returncode == 1
    assert path.strip("/") in done.stdout + done.stderr

    before = state.listing(plain.serverdir)
    server = plain.ours("--skip-damaged").start()
    assert path.strip("/") in server.log.read_text()
    assert server.request("GET", path).status_code in (404, 410)
    assert path.rpartition("/")[2] not in server.simple("alice/dev", "demo")
    plain.same_as_before(server, *without(path))
    assert state.changed(before, state.listing(plain.serverdir)) == []
    server.options.remove("--skip-damaged")
    server.restart()
    assert server.request("GET", path).status_code in (404, 410)


@pytest.mark.ours
def test_all_damaged_files_are_named(plain: Place) -> None:
    """At once, so that nobody has to start as often as there are damaged files."""
    paths = [path for path in plain.before.files() if path.startswith("/alice/odd/") and "kinds" in path]
    for path in paths:
        (plain.serverdir / f"+files{path}").unlink()
    done = plain.run("--check-takeover")
    shown = done.stdout + done.stderr
    assert done.returncode == 1
    assert [path for path in paths if path.strip("/") not in shown] == []


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["wrong byte", "missing"])
def test_damaged_files_of_mirrors(plain: Place, damage: str) -> None:
    """The upstream has them; nobody gets a wrong one meanwhile."""
    path, file = mirror_file(plain)
    flip(file) if damage == "wrong byte" else file.unlink()
    server = plain.ours().start()
    assert server.request("GET", path).status_code == 502
    plain.same_as_before(server, Allowed(f"* {path}"))
    content = plain.built.upstream.file(file.name).content
    plain.built.upstream.start()
    try:
        # An upstream that was dead is left alone for a while.
        wait_until(lambda: server.request("GET", path).content == content, "the file is not fetched again")
    finally:
        plain.built.upstream.stop()
    assert server.request("GET", path).content == content


@pytest.mark.ours
def test_damaged_file_in_the_database(places: Callable[[str], Place]) -> None:
    """The same where contents lie in the database."""
    place = places("sqlite_db_files")
    path, _ = stage_file(place)
    with state.database(place.serverdir) as connection:
        data = connection.execute("SELECT data FROM files WHERE path = ?", (path.strip("/"),)).fetchone()[0]
        damaged = data[:10] + b"?" + data[11:]
        connection.execute("UPDATE files SET data = ? WHERE path = ?", (damaged, path.strip("/")))
    assert path.strip("/") in place.refuses()
    server = place.ours("--skip-damaged").start()
    place.same_as_before(server, *without(path))


@pytest.mark.parametrize("version", ["5", "3"])
def test_other_database_versions(plain: Place, version: str) -> None:
    (plain.serverdir / ".serverversion").write_text(version)
    expected = (
        f"fatal: Incompatible state: server 6.20.3 cannot run serverdir {plain.serverdir} created at database version "
        f"{version}.\nUse devpi-export from older version, then devpi-import with newer version."
    )
    assert expected in plain.refuses()


def test_no_database_version(plain: Place) -> None:
    (plain.serverdir / ".serverversion").unlink()
    expected = (
        f"fatal: serverdir {plain.serverdir} is non-empty and misses devpi-server meta information. You need to specify "
        "an empty directory or a directory that was previously managed by devpi-server>=1.2"
    )
    assert expected in plain.refuses()


def test_index_of_a_plugin(plain: Place, tmp_path: Path) -> None:
    """Without the plugin it is shown as it was, and nothing in it is changed."""
    key = "alice/.config"
    user = state.value(plain.serverdir, key)
    user["indexes"]["dev"]["type"] = "weird"
    state.append(plain.serverdir, key, "USER", user)
    for server in (plain.theirs(), plain.ours()):
        server.start()
        index = index_of(server, "alice/dev")
        shown = server.request("GET", "/alice/dev", headers={"Accept": "application/json"}).json()
        assert shown["result"]["type"] == "weird"
        assert len(server.files(index, "demo")) > 1
        path = packages.wheel(tmp_path, "demo", "9.9")
        answer = server.upload(index, path, "demo", "9.9")
        assert (answer.status_code, answer.reason) == (403, "no permission to submit")
        for method, below, body in (("PATCH", "", ["title=x"]), ("DELETE", "/demo/1.0", None), ("DELETE", "/demo", None)):
            assert server.request(method, f"/alice/dev{below}", auth=index.auth, json=body).status_code == 403, method
        server.stop()


@pytest.mark.ours
def test_check_while_the_old_server_runs(plain: Place) -> None:
    """That is when one wants to know."""
    plain.theirs().start()
    done = plain.run("--check-takeover")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.ours
def test_database_without_users(plain: Place) -> None:
    """Nothing is not taken for everything."""
    with state.database(plain.serverdir) as connection:
        connection.execute("DELETE FROM kv")
    assert "The key .config is missing." in plain.refuses()


def test_links_of_old_releases(plain: Place) -> None:
    """They have no history, and get none."""
    key = "alice/dev/demo/1.0/.config"
    release = state.value(plain.serverdir, key)
    for link in release["+elinks"]:
        del link["_log"]
    state.append(plain.serverdir, key, "PROJVERSION", release)
    shown = []
    for server in (plain.theirs(), plain.ours()):
        server.start()
        shown.append(server.get("/alice/dev/demo/1.0")["+links"])
        server.stop()
    for links in shown:
        assert len(links) == len(release["+elinks"])
        assert [link for link in links if "log" in link] == []


def test_directory_of_a_replica(plain: Place) -> None:
    """It is refused before anything is taken over, unless it shall be on its own; then it stays so."""
    file = plain.serverdir / ".nodeinfo"
    replica = json.loads(file.read_text()) | {"role": "replica", "masterurl": "http://primary.example"}
    file.write_text(json.dumps(replica))
    if not Server.reference:
        assert "running as a replica is not supported yet" in plain.refuses()
        assert not (plain.serverdir / "files").exists()
        assert plain.run("--check-takeover").returncode == 1
        assert plain.run("--check-takeover", "--role", "standalone").returncode == 0
    server = plain.ours()
    server.options += ["--role", "standalone"]
    plain.same_as_before(server.start())
    kept = json.loads(file.read_text())
    assert (kept["uuid"], kept["role"]) == (replica["uuid"], "standalone")
    assert "masterurl" not in kept
    server.stop()
    server.options = server.options[:-2]
    plain.same_as_before(server.start())


@pytest.mark.ours
def test_listed_file_of_a_mirror_of_which_nothing_is_known(plain: Place) -> None:
    """The next look at the upstream brings it back; it is no reason not to take the rest over."""
    path, file = mirror_file(plain)
    key = path.strip("/")
    state.append(plain.serverdir, key, "STAGEFILE", None)
    done = plain.run("--check-takeover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"warning: Nothing is known of the file {key}" in done.stdout
    server = plain.ours().start()
    index, project = key.split("/+f/")[0], packages.module_name(file.name.split("-")[0])
    assert file.name not in server.simple(index, project)


# The comparison itself


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("json /alice", rb'"created": "...'),
        ("json /alice/dev", rb'"title": ".'),
        ("json /alice/dev/demo/1.0", rb'"when": \[[^]]*\d'),
        ("page /alice/dev/+simple/demo/", rb"#sha256=..."),
        ("json page /alice/base/+simple/demo/", rb'"sha256": "...'),
        ("list /alice/level2/+simple/", rb"<h2>alice/de"),
    ],
)
def test_one_letter_makes_a_difference(plain: Place, kind: str, pattern: bytes) -> None:
    looks = dict(plain.before.looks)
    answer = looks[kind].answer
    position = re.search(pattern, answer.body).end() - 1
    letter = b"7" if answer.body[position : position + 1] != b"7" else b"8"
    changed = answer.body[:position] + letter + answer.body[position + 1 :]
    looks[kind] = Look(looks[kind].step, replace(answer, body=changed))
    assert snapshot.compare(plain.before, plain.before) == []
    assert snapshot.compare(plain.before, Snapshot(looks)) != []


# A takeover that is killed


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], dict[str, str]]]:
    """A serverdir with 2,000 files, and the digests of all files by index and project."""
    directory = tmp_path_factory.mktemp("large")
    scale.generate(directory / "dump", scale.Size(files=2_000, projects=200, indexes=10))
    options = ("--serverdir", directory / "data", "--no-root-pypi", "--no-events")
    reference.succeeds(reference.tool("devpi-import", *options, directory / "dump"))
    expected: dict[tuple[str, str], dict[str, str]] = {}
    for index, data in json.loads((directory / "dump/dataindex.json").read_text())["indexes"].items():
        for file in data["files"]:
            name, digest = file["relpath"].rpartition("/")[2], file["entrymapping"]["hashes"]["sha256"]
            expected.setdefault((index, file["projectname"]), {})[name] = digest
    return directory / "data", expected


def started(server: Server) -> float:
    """How long a start takes."""
    begin = time.monotonic()
    server.start()
    return time.monotonic() - begin


def kill_after(server: Server, seconds: float) -> None:
    """Starts a server and kills it after a while, whatever it does then."""
    with server.log.open("ab") as log:
        process = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(DEADLINE)
    else:
        raise AssertionError(f"the server ended with {status}:\n{server.tail()}")


@pytest.mark.ours
def test_killed_again_and_again(
    new_server: Callable[..., Server], large: tuple[Path, dict[tuple[str, str], dict[str, str]]]
) -> None:
    """A takeover that is cut off anywhere is taken up again, and ends with everything."""
    serverdir, expected = large
    measured = new_server(init=False)
    state.copy(serverdir, measured.serverdir)
    whole = started(measured)
    measured.stop()

    server = new_server(init=False)
    state.copy(serverdir, server.serverdir)
    before = state.listing(server.serverdir)
    noise = random.Random(KILLS)
    for _ in range(KILLS):
        kill_after(server, noise.uniform(0, whole))
    assert state.changed(before, state.listing(server.serverdir)) == []
    server.start()
    found = {(index, project): server.files(index, project) for index, project in expected}
    assert found == expected
    assert server.serial() == state.last_serial(serverdir)
    server.stop()
    assert tree(server.serverdir) == tree(measured.serverdir)
    assert state.changed(before, state.listing(server.serverdir)) == []


def tree(serverdir: Path) -> set[str]:
    """The names of all files of ours: the same ones after any number of kills, so nothing half is left."""
    names = {str(path.relative_to(serverdir)) for path in serverdir.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(("+files/", "+h/"))}


@pytest.mark.ours
def test_killed_and_given_up(
    new_server: Callable[..., Server], large: tuple[Path, dict[tuple[str, str], dict[str, str]]]
) -> None:
    """After a takeover that was cut off the old server still starts."""
    serverdir, expected = large
    server = new_server(init=False)
    state.copy(serverdir, server.serverdir)
    kill_after(server, 0.2)
    old = DevpiServer(server.directory)
    try:
        old.start()
        (index, project), files = next(iter(expected.items()))
        assert old.files(index, project) == files
    finally:
        old.close()
