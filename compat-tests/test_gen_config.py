"""``devpi-gen-config``: the files it writes, and whether those who read them start the very server that was meant.

What nginx does with its two files is in test_nginx.py and test_nginx_cache.py.
"""

import configparser
import plistlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients import VENVS
from harness import BIN, DEADLINE, Server, free_port, server_environment, tool, wait_until
from nginx import generate, is_open

NAMES = {
    "crontab",
    "devpi.service",
    "launchd-macos.txt",
    "net.devpi.plist",
    "nginx-devpi.conf",
    "nginx-devpi-caching.conf",
    "supervisor-devpi.conf",
    "supervisord.conf",
    "windows-service.txt",
}
HINT = "It is highly recommended to use a configuration file for devpi-server, see --configfile option."
PROGRAM = str(BIN / "devpi-server")
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")

# What means something else to at least one of the readers.
ODD = [
    "",
    ";",
    "two words",
    " around ",
    "tab\there",
    "it's",
    'say "so"',
    """'"'"'""",
    "100%",
    "%% %(here)s %(ENV_HOME)s %h %i",
    "$HOME ${HOME} $$ $(id) `id`",
    "$$",
    "back\\slash \\x41 \\n \\\\ \\",
    "grün €",
    "a;b ;c #d",
    "#e",
    "* ? [a-z] {a,b}",
    "<&amp;>]]>",
    "! !! && || | > <",
    "a=b",
]


def plist(directory: Path) -> list[str]:
    """The command that launchd would run."""
    return plistlib.loads((directory / "net.devpi.plist").read_bytes())["ProgramArguments"]


def section(path: Path, name: str) -> configparser.SectionProxy:
    """A section of a file in the manner of INI files, without any interpretation of values."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(path, "utf-8")
    return parser[name]


# What is written, and what is said


def test_files(tmp_path: Path) -> None:
    done = tool("devpi-gen-config", "--serverdir", "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted([HINT, *(f"wrote gen-config/{name}" for name in NAMES)])
    assert done.stderr == ""
    assert {path.name for path in (tmp_path / "gen-config").iterdir()} == NAMES
    assert all(path.stat().st_size for path in (tmp_path / "gen-config").iterdir())
    assert not (tmp_path / "data").exists()


def test_no_hint_with_a_configuration_file(tmp_path: Path) -> None:
    """What stands in it counts where the files say more than to start the server."""
    (tmp_path / "devpi.yml").write_text("devpi-server:\n  port: 4711\n  outside-url: http://pkg.example:8080\n")
    done = tool("devpi-gen-config", "--configfile", "devpi.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert HINT not in done.stdout
    for name in ("nginx-devpi.conf", "nginx-devpi-caching.conf"):
        text = (tmp_path / "gen-config" / name).read_text()
        assert re.search(r'server_name pkg\.example \$hostname "";\s+listen 8080;', text)
        assert "server localhost:4711 " in text
    assert plist(tmp_path / "gen-config") == [PROGRAM, "--configfile", str(tmp_path / "devpi.yml")]


def test_written_again(tmp_path: Path) -> None:
    """Files of the same names are replaced, however long they were, and nothing else is touched."""
    directory = generate(tmp_path, "--port", 4711)
    before = {path.name: path.read_text() for path in directory.iterdir()}
    for name in NAMES:
        (directory / name).write_text("old\n" * 10_000)
    (directory / "mine").write_text("mine")
    generate(tmp_path, "--port", 4711)
    assert {path.name: path.read_text() for path in directory.iterdir()} == before | {"mine": "mine"}


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--port", "abc"], ["--serverdir"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    """Options with which the server would not start either."""
    done = tool("devpi-gen-config", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ours
@pytest.mark.parametrize(
    "arguments",
    [
        ["--outside-url", "pkg.example"],
        ["--listen", "nowhere"],
        ["--listen", "[::1]:80", "--port", "4000"],
        ["--x-accel-redirect", "/+stored/", "--serverdir", "/srv/$devpi"],
        ["--restrict-modify", "two\nlines"],
    ],
)
def test_values_that_files_cannot_have(tmp_path: Path, arguments: list[str]) -> None:
    done = tool("devpi-gen-config", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ours
def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "gen-config").write_text("mine")
    done = tool("devpi-gen-config", cwd=tmp_path)
    assert done.returncode == 1
    assert "gen-config" in done.stderr
    assert (tmp_path / "gen-config").read_text() == "mine"


# The arguments


@pytest.mark.parametrize(
    ("given", "repeated"),
    [
        ([], []),
        (["--serverdir", "data"], ["--serverdir", "{here}/data"]),
        (["--serverdir", "/srv/devpi"], ["--serverdir", "/srv/devpi"]),
        (["--configfile", "devpi.yml"], ["--configfile", "{here}/devpi.yml"]),
        (["--port=4711", "--offline-mode"], ["--port=4711", "--offline-mode"]),
        (["--host", "localhost", "--threads", "5"], ["--host", "localhost", "--threads", "5"]),
        (["--restrict-modify", "data"], ["--restrict-modify", "data"]),
        (["--listen", "[::1]:81", "--listen", "*:82"], ["--listen", "[::1]:81", "--listen", "*:82"]),
        pytest.param(["--serverdir=data"], ["--serverdir={here}/data"], marks=pytest.mark.ours),
        pytest.param(["--serverd", "data"], ["--serverd", "{here}/data"], marks=pytest.mark.ours),
        pytest.param(["--serverd=data"], ["--serverd={here}/data"], marks=pytest.mark.ours),
        pytest.param(["-c", "devpi.yml"], ["-c", "{here}/devpi.yml"], marks=pytest.mark.ours),
        pytest.param(["-cdevpi.yml"], ["-c{here}/devpi.yml"], marks=pytest.mark.ours),
        pytest.param(["--secretfile", "secret"], ["--secretfile", "{here}/secret"], marks=pytest.mark.ours),
        pytest.param(["--unix-socket", "a/b"], ["--unix-socket", "{here}/a/b"], marks=pytest.mark.ours),
        pytest.param(
            ["--mirror-credentials-file", "a", "--mirror-netrc=b"],
            ["--mirror-credentials-file", "{here}/a", "--mirror-netrc={here}/b"],
            marks=pytest.mark.ours,
        ),
        # A value that looks like an option is none.
        pytest.param(
            ["--restrict-modify=--serverdir", "--debug"],
            ["--restrict-modify=--serverdir", "--debug"],
            marks=pytest.mark.ours,
        ),
    ],
    ids=" ".join,
)
def test_paths_become_absolute(tmp_path: Path, given: list[str], repeated: list[str]) -> None:
    """A service starts in another directory. Everything else is repeated as it was given."""
    (tmp_path / "devpi.yml").write_text("devpi-server:\n  port: 4711\n")
    here = [argument.replace("{here}", str(tmp_path)) for argument in repeated]
    assert plist(generate(tmp_path, *given)) == [PROGRAM, *here]


@pytest.mark.ours
def test_the_configuration_file_is_relative_to_where_it_is_named(tmp_path: Path) -> None:
    """Also by a way through a parent directory."""
    (tmp_path / "devpi.yml").write_text("devpi-server:\n  port: 4711\n")
    [_, _, named] = plist(generate(tmp_path / "below", "-c", "../devpi.yml"))
    assert Path(named).is_absolute()
    assert Path(named).resolve() == tmp_path / "devpi.yml"


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A program to be started in place of ``devpi-server``, which notes its arguments."""
    path = tmp_path / "stub"
    path.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {path}.new\nmv {path}.new {path}.arguments\n")
    path.chmod(0o755)
    return path


def started_with(stub: Path) -> list[str]:
    """The arguments of the stub, once it is started."""
    file = stub.with_suffix(".arguments")
    wait_until(file.exists, "nothing was started")
    return file.read_text("utf-8").split("\0")[:-1]


def by_shell(command: str, stub: Path) -> list[str]:
    """What is started by a line for a shell."""
    assert command.startswith(f"{PROGRAM} ")
    script = command.replace(PROGRAM, str(stub), 1)
    subprocess.run(["/bin/sh", "-c", script], env=server_environment(), check=True, timeout=DEADLINE)
    return started_with(stub)


def by_launchd(directory: Path, _: Path) -> list[str]:
    [program, *arguments] = plist(directory)
    assert program == PROGRAM
    return arguments


def by_cron(directory: Path, stub: Path) -> list[str]:
    """cron takes what follows a bare ``%`` for the input of the command."""
    [line] = re.findall(r"(?m)^# @reboot (.*)$", (directory / "crontab").read_text("utf-8"))
    assert not re.search(r"(?<!\\)%", line)
    return by_shell(line.replace("\\%", "%"), stub)


def by_script(directory: Path, stub: Path) -> list[str]:
    """The script that a task of Windows starts."""
    [line] = re.findall(r"(?m)^exec (.*)$", (directory / "windows-service.txt").read_text("utf-8"))
    return by_shell(line, stub)


def by_supervisord(directory: Path, stub: Path) -> list[str]:
    file = directory / "supervisor-devpi.conf"
    file.write_text(file.read_text("utf-8").replace(PROGRAM, str(stub), 1))
    with supervisord(directory):
        return started_with(stub)


def by_systemd(directory: Path, _: Path) -> list[str]:
    """As systemd.service(5), "Command lines", and systemd.syntax(7), "Quoting", have it, but stricter."""
    line = section(directory / "devpi.service", "Service")["ExecStart"]
    word = r"""([^\s"'\\]+)|"((?:[^"\\]|\\["\\t])*)\""""
    assert re.fullmatch(rf"(({word})( |$))+", line)
    arguments = []
    for match in re.finditer(word, line):
        text = match[1] or re.sub(r"\\(.)", lambda escape: escape[1].replace("t", "\t"), match[2])
        assert not re.search(r"[%$]", re.sub(r"%%|\$\$", "", text)), f"a specifier or a variable: {text}"
        arguments.append(text.replace("%%", "%").replace("$$", "$"))
    [program, *arguments] = arguments
    assert program == PROGRAM
    return arguments


@contextmanager
def supervisord(directory: Path) -> Iterator[Callable[..., None]]:
    """Runs supervisord with the files of a directory; gives ``supervisorctl``."""
    configuration = directory / "supervisord.conf"
    programs = VENVS / "tools/bin"
    environment = server_environment(TMPDIR=str(directory))

    def control(*arguments: str) -> None:
        command = [programs / "supervisorctl", "-c", configuration, *arguments]
        subprocess.run(command, env=environment, check=True, timeout=DEADLINE)

    # Others may use the socket that is named there, and paths of sockets must be short.
    with tempfile.TemporaryDirectory() as short:
        configuration.write_text(configuration.read_text().replace("/tmp/", f"{short}/"))
        command = [programs / "supervisord", "--nodaemon", "--silent", "-c", configuration]
        process = subprocess.Popen(command, cwd=directory, env=environment)
        try:
            wait_until(lambda: any(Path(short).iterdir()) or process.poll() is not None, "supervisord does not listen")
            assert process.poll() is None
            yield control
        finally:
            process.terminate()
            process.wait(DEADLINE)


@pytest.mark.parametrize(
    "start",
    [
        by_launchd,
        # devpi-server quotes as Windows does.
        pytest.param(by_cron, marks=pytest.mark.ours),
        pytest.param(by_script, marks=pytest.mark.ours),
        pytest.param(by_supervisord, marks=pytest.mark.ours),
        pytest.param(by_systemd, marks=pytest.mark.ours),
    ],
)
def test_odd_arguments(tmp_path: Path, stub: Path, start: Callable[[Path, Path], list[str]]) -> None:
    """Whatever starts the server starts it with the arguments that were given, each in one piece."""
    arguments = [f"--restrict-modify={value}" for value in ODD]
    arguments += [argument for value in ODD for argument in ("--restrict-modify", value)]
    assert start(generate(tmp_path, *arguments), stub) == arguments


# The services


def test_supervisord_runs_the_server(new_server: Callable[..., Server], tmp_path: Path) -> None:
    server = new_server()
    server.port = free_port()
    directory = generate(tmp_path, *server.command()[1:])
    with supervisord(directory) as control:
        wait_until(lambda: is_open(server.port), "nothing listens")
        assert server.request("GET", "/+api").status_code == 200
        control("stop", "devpi-server")
        assert not is_open(server.port)
    log = (directory / "supervisord.log").read_text()
    assert f"stopped: devpi-server ({'terminated by SIGTERM' if Server.reference else 'exit status 0'})" in log


@pytest.mark.ours
@pytest.mark.parametrize(("arguments", "seconds"), [([], 30), (["--shutdown-timeout", "300"], 300)])
def test_services_wait_for_requests_under_way(tmp_path: Path, arguments: list[str], seconds: int) -> None:
    """Nothing is killed that still has time to end in order."""
    directory = generate(tmp_path, *arguments)
    assert int(section(directory / "devpi.service", "Service")["TimeoutStopSec"]) > seconds
    assert int(section(directory / "supervisor-devpi.conf", "program:devpi-server")["stopwaitsecs"]) > seconds
    assert plistlib.loads((directory / "net.devpi.plist").read_bytes())["ExitTimeOut"] > seconds


def test_systemd_unit(tmp_path: Path) -> None:
    """Started with the machine, once there is a network, by the user who called the program."""
    done = tool("devpi-gen-config", cwd=tmp_path, env={"LOGNAME": "anna"})
    assert done.returncode == 0, done.stderr
    unit = tmp_path / "gen-config/devpi.service"
    assert section(unit, "Unit")["After"] == "network-online.target"
    assert section(unit, "Install")["WantedBy"] == "multi-user.target"
    assert section(unit, "Service")["User"] == "anna"
    assert section(unit, "Service")["Restart"] == ("on-success" if Server.reference else "on-failure")


@pytest.mark.ours
@pytest.mark.skipif(not SYSTEMD_ANALYZE, reason="there is no systemd-analyze to judge the unit")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    directory = generate(tmp_path, *(f"--restrict-modify={value}" for value in ODD))
    done = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", "--man=no", directory / "devpi.service"],
        env=server_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_launchd_starts_it_at_once(tmp_path: Path) -> None:
    parsed = plistlib.loads((generate(tmp_path) / "net.devpi.plist").read_bytes())
    assert parsed["Label"] == "net.devpi"
    assert parsed["RunAtLoad"] is True


@pytest.mark.ours
def test_windows_needs_linux(tmp_path: Path) -> None:
    """There is no executable for Windows, and the text says what to do instead."""
    text = (generate(tmp_path) / "windows-service.txt").read_text()
    assert "WSL" in text
    assert "schtasks /create" in text
