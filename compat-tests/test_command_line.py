"""Options, files, variables, messages and exit statuses of the command line programs, on which scripts depend."""

import http.client
import http.server
import json
import re
import signal
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from argon2 import PasswordHasher

import packages
from clients import VENVS, Hidden, interact
from harness import (
    BIN,
    CHEAP_KEY,
    DEADLINE,
    ROOT_PASSWORD,
    SECRET,
    Server,
    expect_uploaded,
    free_port,
    server_environment,
    tool,
    wait_until,
)

NO_DATA = "contains no devpi-server data, use devpi-init to initialize."


def fatal(done, status: int = 1) -> str:
    """The message of a program that gave up."""
    assert done.returncode == status, done.stdout + done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("fatal: ")]
    return line.removeprefix("fatal: ")


def can_log_in(server: Server, user: str, password: str) -> bool:
    return server.request("POST", "/+login", json={"user": user, "password": password}).status_code == 200


# devpi-server


def test_version() -> None:
    done = tool("devpi-server", "--version")
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+", done.stdout)


@pytest.mark.parametrize(
    "program",
    [
        "devpi-server",
        "devpi-init",
        "devpi-import",
        "devpi-export",
        "devpi-fsck",
        "devpi-passwd",
        "devpi-gen-config",
        "devpi-gen-secret",
    ],
)
def test_help(program: str) -> None:
    done = tool(program, "--help")
    assert done.returncode == 0
    assert program in done.stdout
    assert "--configfile" in done.stdout
    assert "The options of" not in done.stdout, "no words for developers"


@pytest.mark.parametrize("program", ["server", "init", "import", "export", "fsck", "passwd", "gen-config", "gen-secret"])
def test_every_option_of_devpi_is_known(program: str) -> None:
    """With a value or without, as there."""
    name = f"devpi-{program}"
    text = tool(VENVS / "reference/bin" / name, "--help").stdout
    options = re.findall(r"^  (?:-\w(?: \w+)?, )?(--[\w-]+)(?: (\S+))?", text, re.MULTILINE)
    assert ("--configfile", "CONFIGFILE") in options
    # Not in the help of the web plugin, which the reference does not have, nor what devpi hides.
    for option, value in options:
        fitting = {"--role": "auto", "--configfile": "/dev/null"}.get(option, "1")
        done = tool(name, f"{option}={fitting}" if value else option, "--help")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--port", "abc"], "--port"),
        (["--nonsense"], "--nonsense"),
        (["--role", "king"], "--role"),
        (["--serverdir"], "--serverdir"),
    ],
)
def test_wrong_usage(arguments: list[str], error: str) -> None:
    done = tool("devpi-server", *arguments)
    assert done.returncode == 2
    assert error in done.stderr


@pytest.mark.ours
@pytest.mark.parametrize("port", ["99999", "-1"])
def test_port_out_of_range(new_server: Callable[..., Server], port: str) -> None:
    """devpi-server takes the rest of a division, and listens somewhere."""
    server = new_server()
    done = tool("devpi-server", "--serverdir", server.serverdir, "--host", "127.0.0.1", f"--port={port}")
    assert done.returncode in (1, 2)
    assert port in done.stderr


@pytest.mark.parametrize("exists", [True, False])
def test_serverdir_without_data(tmp_path: Path, exists: bool) -> None:
    directory = tmp_path / "data"
    if exists:
        directory.mkdir()
    assert fatal(tool("devpi-server", "--serverdir", directory)) == f"The path '{directory}' {NO_DATA}"
    assert not exists or list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            ["--listen", "127.0.0.1:0", "--port", "4000"],
            "You can use either --listen or --host/--port, not both together.",
        ),
        (["--storage", "nothere"], "The backend 'nothere' can't be found, is the plugin not installed?"),
    ],
)
def test_options_that_do_not_fit(new_server: Callable[..., Server], options: list[str], error: str) -> None:
    server = new_server()
    assert fatal(tool("devpi-server", "--serverdir", server.serverdir, *CHEAP_KEY, *options)) == error


@pytest.mark.parametrize(
    ("stored", "options", "error"),
    [
        ("standalone", ["--role", "replica"], "cannot run as replica, was previously run as standalone"),
        (
            "standalone",
            ["--primary-url", "http://primary.example"],
            "configuration error, primary URL set in nodeinfo, but role isn't set to replica",
        ),
        (
            "standalone",
            ["--primary-url", "http://primary.example", "--master-url", "http://primary.example"],
            "Can't use both --master-url and --primary-url",
        ),
        (
            "replica",
            [],
            "configuration error, primary URL isn't set in nodeinfo, but role is set to replica",
        ),
        (
            "replica",
            ["--primary-url", "http://user:word@primary.example"],
            "configuration error, basic authorization in primary URL is not supported",
        ),
    ],
)
def test_roles_that_do_not_fit(
    new_server: Callable[..., Server], stored: str, options: list[str], error: str
) -> None:
    server = new_server()
    file = server.serverdir / ".nodeinfo"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"role": stored}))
    assert fatal(tool("devpi-server", "--serverdir", server.serverdir, *CHEAP_KEY, *options)) == error


@pytest.mark.ours
def test_init_of_a_replica(tmp_path: Path) -> None:
    """There are none yet, and nothing is made that looks like one."""
    directory = tmp_path / "data"
    done = tool("devpi-init", "--serverdir", directory, "--primary-url", "http://primary.example")
    assert "running as a replica is not supported yet" in fatal(done)
    assert not directory.exists()


WITHOUT_EFFECT = (
    "--passwd=root",
    "--profile-requests=3",
    "--enable-core-metadata",
    "--requests-only",
    "--autocreate-users",
    "--proxy-timeout=10",
    "--replica-file-search-path=.",
    "--hard-links",
    "--file-replication-threads=2",
    "--file-replication-skip-indexes=root/pypi",
    "--no-replica-streaming",
    "--keyfs-cache-size=100",
)
# Of devpi-web, which the reference does not have.
WITHOUT_EFFECT_OF_WEB = (
    "--theme=.",
    "--debug-macros",
    "--documentation-path=.",
    "--keep-docs-packed",
    "--indexer-backend=null",
)


def test_options_without_effect(new_server: Callable[..., Server]) -> None:
    """Existing command lines go on working, and the log says what stands in their place."""
    options = WITHOUT_EFFECT if Server.reference else (*WITHOUT_EFFECT, *WITHOUT_EFFECT_OF_WEB)
    server = new_server(*options).start()
    assert requests.get(f"{server.url}/+api", timeout=DEADLINE).status_code == 200
    if not Server.reference:
        log = server.log.read_text()
        for option in options:
            assert f"{option.split('=')[0]} has no effect: " in log


@pytest.mark.ours
def test_no_warning_for_options_that_were_not_given(new_server: Callable[..., Server]) -> None:
    assert "has no effect" not in new_server().start().log.read_text()


def test_several_addresses(new_server: Callable[..., Server]) -> None:
    server = new_server()
    ports = [free_port(), free_port()]
    listen = [argument for port in ports for argument in ("--listen", f"127.0.0.1:{port}")]
    server.start([str(BIN / "devpi-server"), "--serverdir", str(server.serverdir), *CHEAP_KEY, *listen])
    for port in ports:
        assert requests.get(f"http://127.0.0.1:{port}/+api", timeout=DEADLINE).status_code == 200


def test_abbreviated_options(tmp_path: Path) -> None:
    """As far as they are unique."""
    assert str(tmp_path) in fatal(tool("devpi-server", "--serverd", tmp_path))
    assert str(tmp_path) in fatal(tool("devpi-server", f"--serverd={tmp_path}"))


def test_the_secret_is_random_without_a_file(new_server: Callable[..., Server]) -> None:
    """Then logins end with the process."""
    server = new_server()
    command = [part for part in server.command() if part not in ("--secretfile", str(server.secretfile))]
    server.start(command)
    token = server.api("POST", "/+login", body={"user": "root", "password": ROOT_PASSWORD}, auth=None)["password"]

    def status() -> str:
        return server.request("GET", "/+api", auth=("root", token)).json()["result"]["authstatus"][0]

    assert status() == "ok"
    server.stop()
    server.start(command)
    assert status() == "noauth"


@pytest.mark.ours
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server_in_order(new_server: Callable[..., Server], which: signal.Signals) -> None:
    """Status 0; devpi-server dies of SIGTERM and says 1 after SIGINT."""
    server = new_server().start()
    index = server.new_index()
    assert server.stop(which) == 0
    server.start()
    assert server.get(f"/{index.user}")["indexes"].keys() == {"dev"}


@pytest.mark.ours
def test_an_upload_under_way_is_finished_first(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Who is being served when the server is asked to end still gets an answer that counts."""
    server = new_server().start()
    index = server.new_index()
    path = packages.wheel(tmp_path, "hello", "1.0", padding=bytes(1_000_000))
    request = requests.Request(
        "POST",
        index.upload_url,
        data={":action": "file_upload", "name": "hello", "version": "1.0"},
        files={"content": (path.name, path.read_bytes())},
    ).prepare()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.putrequest("POST", f"/{index.name}/")
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.putheader("Authorization", f"Basic {b64encode(':'.join(index.auth).encode()).decode()}")
    connection.endheaders(request.body[:500_000])
    # Under way means that the server has begun to take in the file, not only that the kernel has taken the connection.
    wait_until(lambda: any((server.serverdir / "incoming").iterdir()), "the upload to begin")
    server.process.send_signal(signal.SIGTERM)
    connection.send(request.body[500_000:])
    assert connection.getresponse().status == 200
    connection.close()
    assert server.process.wait(DEADLINE) == 0
    server.start()
    assert server.files(index, "hello") == {path.name: packages.sha256(path)}


@pytest.mark.ours
def test_a_second_signal_does_not_wait(new_server: Callable[..., Server]) -> None:
    """Whoever is being served then gets no answer."""
    server = new_server("--shutdown-timeout", 10 * int(DEADLINE)).start()
    index = server.new_index()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.putrequest("POST", f"/{index.name}/")
    connection.putheader("Authorization", f"Basic {b64encode(':'.join(index.auth).encode()).decode()}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", "1000000")
    head = b'--x\r\nContent-Disposition: form-data; name="content"; filename="a-1.zip"\r\n\r\n'
    connection.endheaders(head + bytes(500_000))
    wait_until(lambda: any((server.serverdir / "incoming").iterdir()), "the upload to begin")
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in server.tail(), "the server to stop")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DEADLINE) == 0


@pytest.mark.ours
@pytest.mark.parametrize("in_time", [True, False])
def test_a_push_under_way_is_finished_first(new_server: Callable[..., Server], tmp_path: Path, in_time: bool) -> None:
    """Also one for which no client waits any more, if it does not take too long."""
    arrived, may_answer = threading.Event(), threading.Event()

    class Destination(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.set()
            if may_answer.wait(DEADLINE):
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = new_server("--shutdown-timeout", int(DEADLINE) if in_time else 1).start()
    index = server.new_index()
    expect_uploaded(server.upload(index, packages.wheel(tmp_path, "hello", "1.0"), "hello", "1.0"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Destination) as destination:
        threading.Thread(target=destination.serve_forever).start()
        push = {
            "name": "hello",
            "version": "1.0",
            "posturl": f"http://127.0.0.1:{destination.server_port}/",
            "username": "user",
            "password": "password",
        }
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        login = b64encode(":".join(index.auth).encode()).decode()
        client.request("PUSH", f"/{index.name}", json.dumps(push), {"X-Devpi-Auth": login})
        assert arrived.wait(DEADLINE)
        client.close()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in server.tail(), "the server to stop")
        if in_time:
            may_answer.set()
        assert server.process.wait(DEADLINE) == 0
        may_answer.set()
        destination.shutdown()
    told = "published hello 1.0 at 127.0.0.1" if in_time else "the push of hello 1.0 to 127.0.0.1 was given up"
    assert told in server.tail()


# Where options come from


def test_precedence(tmp_path: Path) -> None:
    """Command line, then environment, then file. The message about the missing data tells which one counted."""
    file = tmp_path / "devpi.yml"
    file.write_text("devpi-server:\n  serverdir: from-file\n")
    by_file = ["devpi-server", "--configfile", file]
    env = {"DEVPISERVER_SERVERDIR": "from-env"}

    def chosen(done) -> str:
        return re.fullmatch(rf"The path '(.*)' {re.escape(NO_DATA)}", fatal(done))[1]

    assert chosen(tool(*by_file)) == "from-file"
    assert chosen(tool(*by_file, env=env)) == "from-env"
    assert chosen(tool(*by_file, "--serverdir", "from-line", env=env)) == "from-line"
    assert chosen(tool(*by_file, env={"DEVPISERVER_SERVERDIR": ""})) == "from-file"
    old = tool(*by_file, env=env | {"DEVPI_SERVERDIR": "from-old-env"})
    assert chosen(old) == "from-old-env"
    assert (
        "Using deprecated DEVPI_SERVERDIR environment variable. You should switch to use DEVPISERVER_SERVERDIR."
        in old.stdout + old.stderr
    )


def test_environment(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Every long option has a variable."""
    server = new_server(
        env={
            "DEVPISERVER_SERVERDIR": str(tmp_path / "data"),
            "DEVPISERVER_HOST": "127.0.0.1",
            "DEVPISERVER_PORT": str(Server.any_port()),
            "DEVPISERVER_RESTRICT_MODIFY": "root",
            "DEVPISERVER_ARGON2_MEMORY_COST": "8",
            "DEVPISERVER_ARGON2_PARALLELISM": "1",
            "DEVPISERVER_ARGON2_TIME_COST": "1",
        },
        init=False,
    )
    env = {
        "DEVPISERVER_SERVERDIR": str(tmp_path / "data"),
        "DEVPISERVER_NO_ROOT_PYPI": "On",
        "DEVPISERVER_ROOT_PASSWD": "pw",
    }
    assert tool("devpi-init", env=env).returncode == 0
    server.start([str(BIN / "devpi-server")])
    assert can_log_in(server, "root", "pw")
    assert server.get("/root")["indexes"] == {}
    assert server.request("PUT", "/anna", json={"password": "x"}).status_code == 403


def test_configuration_file(new_server: Callable[..., Server]) -> None:
    server = new_server()
    file = server.directory / "devpi.yml"
    file.write_text(
        f"""# One file may serve several programs.
devpi-server:
  serverdir: {server.serverdir}
  host: 127.0.0.1
  port: {Server.any_port()}
  secretfile: {server.secretfile}
  restrict-modify: root
  argon2-memory-cost: 8
  argon2-parallelism: 1
  argon2-time-cost: 1
  no-such-option: 1
"""
    )
    server.start([str(BIN / "devpi-server"), "-c", str(file)])
    assert f"Unknown devpi-server option 'no-such-option' in {file}" in server.tail()
    assert server.request("PUT", "/anna", json={"password": "x"}).status_code == 403
    assert server.request("PUT", "/anna", json={"password": "x"}, auth=("root", ROOT_PASSWORD)).status_code == 201


def test_configuration_file_with_a_list(new_server: Callable[..., Server]) -> None:
    server = new_server()
    file = server.directory / "devpi.yml"
    ports = [free_port(), free_port()]
    file.write_text(f"devpi-server:\n  listen:\n    - 127.0.0.1:{ports[0]}\n    - 127.0.0.1:{ports[1]}\n")
    server.start([str(BIN / "devpi-server"), "-c", str(file), "--serverdir", str(server.serverdir), *CHEAP_KEY])
    for port in ports:
        assert requests.get(f"http://127.0.0.1:{port}/+api", timeout=DEADLINE).status_code == 200


def test_configuration_file_is_searched_for(tmp_path: Path) -> None:
    """The user's own after the system's, the last one found counts."""
    for name in ("system", "user"):
        directory = tmp_path / name / "devpi-server"
        directory.mkdir(parents=True)
        (directory / "devpi-server.yml").write_text(f"devpi-server:\n  serverdir: from-{name}\n")
    system = {"XDG_CONFIG_DIRS": str(tmp_path / "system")}
    assert "from-system" in fatal(tool("devpi-server", env=system))
    assert "from-user" in fatal(tool("devpi-server", env=system | {"XDG_CONFIG_HOME": str(tmp_path / "user")}))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- a\n", "The config file must be a mapping, not a sequence."),
        ("devpi-server:\n  - a\n", "The 'devpi-server' section must be a mapping, not a sequence."),
    ],
)
def test_configuration_file_of_the_wrong_shape(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "devpi.yml"
    file.write_text(text)
    done = tool("devpi-server", "-c", file)
    assert done.returncode == 4
    assert f"Error in config file '{file}':" in done.stderr
    assert error in done.stderr


def test_configuration_file_missing(tmp_path: Path) -> None:
    done = tool("devpi-server", "-c", tmp_path / "nothere.yml")
    assert done.returncode == 1
    assert "nothere.yml" in done.stderr


def test_environment_with_a_wrong_value() -> None:
    done = tool("devpi-server", env={"DEVPISERVER_OFFLINE_MODE": "maybe"})
    assert done.returncode == 1
    assert "invalid truth value 'maybe'" in done.stderr
    assert tool("devpi-server", env={"DEVPISERVER_PORT": "abc"}).returncode == 2


# devpi-init


def test_init_with_defaults(new_server: Callable[..., Server]) -> None:
    """A user root without a password."""
    server = new_server(init=False)
    assert tool("devpi-init", "--serverdir", server.serverdir).returncode == 0
    server.start()
    assert can_log_in(server, "root", "")
    assert server.get("/").keys() == {"root"}


def test_init_without_mirror(new_server: Callable[..., Server]) -> None:
    server = new_server().start()
    assert can_log_in(server, "root", ROOT_PASSWORD)
    assert not can_log_in(server, "root", "")
    assert server.get("/root")["indexes"] == {}


def test_init_with_a_password_hash(new_server: Callable[..., Server]) -> None:
    """It wins over a password; so none need stand on the command line."""
    server = new_server(init=False)
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("hashed-pw")
    done = tool(
        "devpi-init",
        "--serverdir",
        server.serverdir,
        "--no-root-pypi",
        "--root-passwd",
        "other",
        "--root-passwd-hash",
        hashed,
    )
    assert done.returncode == 0, done.stderr
    server.start()
    assert can_log_in(server, "root", "hashed-pw")
    assert not can_log_in(server, "root", "other")


def test_options_of_the_storage_are_accepted(tmp_path: Path) -> None:
    """By all programs that work on data, also those that mean nothing here."""
    where = ("--serverdir", tmp_path / "data", "--keyfs-cache-size", "100", "--storage", "sqlite")
    assert tool("devpi-init", *where, "--no-root-pypi").returncode == 0
    assert tool("devpi-fsck", *where).returncode == 0
    assert tool("devpi-export", *where, tmp_path / "dump").returncode == 0
    done = tool("devpi-passwd", *where, "nobody")
    assert "user 'nobody' not found" in done.stdout + done.stderr


def test_init_twice(new_server: Callable[..., Server]) -> None:
    server = new_server()
    done = tool("devpi-init", "--serverdir", server.serverdir, "--root-passwd", "other")
    assert re.fullmatch(rf"The path .*{server.serverdir}.* already contains devpi-server data\.", fatal(done))
    server.start()
    assert can_log_in(server, "root", ROOT_PASSWORD)


def test_init_in_a_directory_of_others(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("mine")
    assert fatal(tool("devpi-init", "--serverdir", tmp_path)) == (
        f"serverdir {tmp_path} is non-empty and misses devpi-server meta information. You need to specify an empty "
        "directory or a directory that was previously managed by devpi-server>=1.2"
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one": "mine", "two": "mine"}


# devpi-passwd


def passwd(server: Server, *arguments: object, dialogue: list[tuple[str, str]]) -> tuple[int, str]:
    command = [BIN / "devpi-passwd", "--serverdir", server.serverdir, *arguments]
    return interact(command, *dialogue, env=server_environment(TERM="dumb"))


def test_passwd(new_server: Callable[..., Server]) -> None:
    """The way back in for who has forgotten root's password."""
    server = new_server()
    typed = Hidden("new-pw-123")
    dialogue = [("enter password for root: ", typed), ("repeat password for root: ", typed)]
    status, shown = passwd(server, "root", dialogue=dialogue)
    assert status == 0, shown
    assert "new-pw-123" not in shown
    server.start()
    assert can_log_in(server, "root", "new-pw-123")
    assert not can_log_in(server, "root", ROOT_PASSWORD)


def test_passwd_asks_for_the_user(new_server: Callable[..., Server]) -> None:
    server = new_server().start()
    user, _ = server.new_user()
    server.stop()
    prompts = ("User to set password for: ", f"enter password for {user}: ", f"repeat password for {user}: ")
    status, shown = passwd(
        server, dialogue=list(zip(prompts, (user, Hidden("new-pw-123"), Hidden("new-pw-123")), strict=True))
    )
    assert status == 0, shown
    server.start()
    assert can_log_in(server, user, "new-pw-123")


def test_passwd_mistyped(new_server: Callable[..., Server]) -> None:
    """Three tries, then nothing has changed."""
    server = new_server()
    attempt = [
        ("enter password for root: ", Hidden("one-pw-123")),
        ("repeat password for root: ", Hidden("two-pw-123")),
    ]
    status, shown = passwd(server, "root", dialogue=attempt * 3)
    assert status == 1
    assert "password don't match" in shown
    assert "no password set" in shown
    server.start()
    assert can_log_in(server, "root", ROOT_PASSWORD)


def test_passwd_of_nobody(new_server: Callable[..., Server]) -> None:
    server = new_server()
    done = tool("devpi-passwd", "--serverdir", server.serverdir, "nobody")
    assert done.returncode == 1
    assert "user 'nobody' not found" in done.stdout + done.stderr
    _, shown = passwd(server, dialogue=[("User to set password for: ", "")])
    assert "No user name provided." in shown


# devpi-gen-secret


def test_gen_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    done = tool("devpi-gen-secret", "--secretfile", file)
    assert done.returncode == 0
    assert f"New secret written to '{file}'" in done.stdout
    assert "Changed file mode to 0600 to adjust access permissions." in done.stdout
    assert "Permissions of secret file look good." in done.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text()
    assert (len(secret), len(b64decode(secret))) == (44, 32)
    other = tmp_path / "other"
    tool("devpi-gen-secret", "--secretfile", other)
    assert other.read_text() != secret

    done = tool("devpi-gen-secret", "--secretfile", file)
    assert done.returncode == 0
    assert "Permissions of secret file look good." in done.stdout
    assert file.read_text() == secret


def test_gen_secret_serves_the_server(new_server: Callable[..., Server]) -> None:
    server = new_server()
    server.secretfile.unlink()
    assert tool("devpi-gen-secret", "--secretfile", server.secretfile).returncode == 0
    server.start()
    token = server.api("POST", "/+login", body={"user": "root", "password": ROOT_PASSWORD}, auth=None)["password"]
    server.restart()
    assert server.request("GET", "/+api", auth=("root", token)).json()["result"]["authstatus"] == ["ok", "root", []]


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        (
            SECRET,
            0o640,
            "The given secret file is group accessible, the access mode must be user accessible only (0600).",
        ),
        (
            SECRET,
            0o604,
            "The given secret file is world accessible, the access mode must be user accessible only (0600).",
        ),
        ("short", 0o600, "too short, it should be at least 32 characters long."),
        ("ab" * 30, 0o600, "too weak, it should use less repetition."),
    ],
    ids=["for the group", "for the world", "short", "weak"],
)
def test_gen_secret_checks_what_exists(tmp_path: Path, content: str, mode: int, error: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    file.chmod(mode)
    assert fatal(tool("devpi-gen-secret", "--secretfile", file)).endswith(error)
    assert (file.read_text(), file.stat().st_mode & 0o777) == (content, mode)


def test_a_secret_in_the_home_directory(server: Server, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert tool("devpi-gen-secret", "--secretfile=~/secret", env=home).returncode == 0
    assert (tmp_path / "secret").exists()
    command = ["~/secret" if part == str(server.secretfile) else part for part in server.command()]
    server.stop()
    server.env = {**server.env, **home}
    server.start(command)
    assert f"Using secret file '{tmp_path}/secret'." in server.log.read_text()


def test_gen_secret_needs_a_place() -> None:
    assert fatal(tool("devpi-gen-secret")) == "You need to provide a location for the secret file."


# devpi-clear-search-index, which devpi-web brings along


@pytest.mark.ours
@pytest.mark.parametrize("options", [[], ["--indexer-backend", "whoosh"], ["--indexer-backend=other:path=x"]])
def test_clear_search_index(new_server: Callable[..., Server], options: list[str]) -> None:
    """What devpi-web has left behind goes, also while a server runs; a second time there is nothing, which is fine."""
    server = new_server().start()
    index = server.serverdir / ".indices"
    (index / "project").mkdir(parents=True)
    (index / "project/segment").write_text("x")
    done = tool("devpi-clear-search-index", "--serverdir", server.serverdir, *options)
    assert done.returncode == 0, done.stderr
    assert re.search(f"removed the search index .*{index}", done.stdout)
    assert not index.exists()
    done = tool("devpi-clear-search-index", "--serverdir", server.serverdir, *options)
    assert done.returncode == 0, done.stderr
    assert "there is no search index" in done.stdout
    assert server.get("/").keys() == {"root"}


@pytest.mark.ours
def test_clear_search_index_that_lies_elsewhere(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """A link goes; what it leads to was somebody's choice."""
    server = new_server()
    (tmp_path / "file").write_text("mine")
    (server.serverdir / ".indices").symlink_to(tmp_path)
    assert tool("devpi-clear-search-index", "--serverdir", server.serverdir).returncode == 0
    assert not (server.serverdir / ".indices").is_symlink()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.ours
def test_clear_search_index_of_nothing(tmp_path: Path) -> None:
    (tmp_path / ".indices").mkdir()
    done = tool("devpi-clear-search-index", "--serverdir", tmp_path)
    assert fatal(done) == f"The path '{tmp_path}' {NO_DATA}"
    assert (tmp_path / ".indices").exists()
