"""``deploy.sh``: what it asks of docker, by a docker that only writes that down. See image.sh for the image itself."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import REPOSITORY

pytestmark = pytest.mark.ours

PASSWORD = "pass word$"

# Notes its arguments and the password in its environment, and answers as the variables STUB_… say. Up to its call number
# STUB_TAKEOVER, data are being taken over.
STUB = """#!/bin/bash
printf '%s\\0' "${DEVPI_PASSWORD-unset}" "$@" | od -An -v -tx1 | tr -d ' \\n' >> "$STUB_CALLS"
echo >> "$STUB_CALLS"
case $1 in
    container) exit "${STUB_INSPECT:-1}" ;;
    logs)
        if [[ $(wc -l < "$STUB_CALLS") -le ${STUB_TAKEOVER:-0} ]]; then
            echo "taking over the data of devpi-server in '/data'"
        else
            echo "${STUB_LOG-Serving on http://0.0.0.0:3141}"
        fi
        ;;
    run) [[ " $* " != *" prepare-data "* ]] || exit "${STUB_PREPARE:-0}" ;;
    build) exit "${STUB_BUILD:-0}" ;;
esac
"""


@dataclass
class Deployment:
    """A directory with ``deploy.sh`` and a docker beside it."""

    directory: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, code: int = 0, cwd: Path | None = None) -> str:
        """Runs the script, which must end with ``code``; gives what it printed."""
        done = subprocess.run(
            [self.directory / "project/deploy.sh", *arguments],
            env={"PATH": f"{self.directory}:/usr/bin:/bin", "HOSTNAME": "packages", **self.env}, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    def calls(self) -> list[list[str]]:
        """The password and the arguments of every call."""
        path = self.directory / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [bytes.fromhex(line).decode().split("\0")[:-1] for line in lines]

    def commands(self) -> list[list[str]]:
        """The arguments of every call that does something."""
        return [call[1:] for call in self.calls() if call[1] not in ("container", "logs")]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    (tmp_path / "project").mkdir()
    shutil.copy(REPOSITORY / "deploy.sh", tmp_path / "project")
    (tmp_path / "docker").write_text(STUB)
    (tmp_path / "docker").chmod(0o755)
    env = {
        "STUB_CALLS": str(tmp_path / "calls"), "DEVPI_PASSWORD": PASSWORD, "DEVPI_DATA": str(tmp_path / "some data"),
    }  # fmt: skip
    return Deployment(tmp_path, env)


def running(data: object, *options: str) -> list[str]:
    """How the container is run."""
    return [
        "run", "--detach", "--name", "devpi", "--publish", "3141:3141", "--volume", f"{data}:/data",
        "--env", "DEVPI_PASSWORD", "--restart", "always", "--stop-timeout", "60", "devpi", *options,
    ]  # fmt: skip


def test_what_it_runs(deployment: Deployment) -> None:
    """Build, prepare the data, run. The password is passed by the environment and stands in no argument."""
    data = deployment.directory / "some data"
    shown = deployment.run()
    assert "Serving on http://packages:3141" in shown
    assert deployment.commands() == [
        ["build", "--tag", "devpi", str(deployment.directory / "project")],
        ["run", "--rm", "--user", "root", "--volume", f"{data}:/data", "devpi", "prepare-data"],
        running(data),
    ]
    assert data.is_dir()
    assert {call[0] for call in deployment.calls()} == {PASSWORD}
    assert not [argument for call in deployment.calls() for argument in call[1:] if PASSWORD in argument]
    assert PASSWORD not in shown


def test_a_running_container_is_replaced(deployment: Deployment) -> None:
    """Only when all that can fail before has not failed."""
    deployment.env["STUB_INSPECT"] = "0"
    deployment.run()
    names = [command[0] for command in deployment.commands()]
    assert names == ["build", "run", "stop", "rm", "run"]
    assert deployment.commands()[2][-1] == "devpi"
    assert deployment.commands()[3] == ["rm", "--force", "devpi"]


def test_a_takeover_may_take_its_time(deployment: Deployment) -> None:
    deployment.env |= {"DEPLOY_DEADLINE": "1", "STUB_TAKEOVER": "7"}
    assert "Serving on http://packages:3141" in deployment.run()


@pytest.mark.parametrize("step", ["STUB_BUILD", "STUB_PREPARE"])
def test_a_running_container_stays_when_the_new_one_cannot_run(deployment: Deployment, step: str) -> None:
    deployment.env |= {"STUB_INSPECT": "0", step: "1"}
    deployment.run(code=1)
    names = {command[0] for command in deployment.commands()}
    assert names.isdisjoint({"stop", "rm"})
    assert not any("--detach" in command for command in deployment.commands())


@pytest.mark.parametrize("name", ["DEVPI_PASSWORD", "DEVPI_DATA"])
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_missing_variable(deployment: Deployment, name: str, value: str | None) -> None:
    deployment.env.pop(name)
    if value is not None:
        deployment.env[name] = value
    assert f"deploy.sh: {name} is not set. It must be " in deployment.run(code=1)
    assert deployment.calls() == []


@pytest.mark.parametrize("data", ["./data", "sub/data", "sub/../data/"])
def test_a_relative_directory(deployment: Deployment, data: str) -> None:
    """Relative to where the script is called, as one would expect; docker would take it for a volume."""
    deployment.env["DEVPI_DATA"] = data
    work = deployment.directory / "work"
    (work / "sub").mkdir(parents=True)
    deployment.run(cwd=work)
    assert deployment.commands()[-1] == running(os.path.normpath(work / data))
    assert (work / data).is_dir()


def test_a_named_volume(deployment: Deployment) -> None:
    deployment.env["DEVPI_DATA"] = "devpi-data"
    deployment.run(cwd=deployment.directory)
    assert deployment.commands()[-1] == running("devpi-data")
    assert not (deployment.directory / "devpi-data").exists()


def test_a_directory_that_docker_would_not_understand(deployment: Deployment) -> None:
    deployment.env["DEVPI_DATA"] = "/srv/a:b"
    assert "must not contain a colon" in deployment.run(code=1)
    assert deployment.calls() == []


def test_options_of_the_server(deployment: Deployment) -> None:
    options = ("--outside-url", "https://packages.example/a b", "--threads=2")
    deployment.run(*options)
    assert deployment.commands()[-1] == running(deployment.directory / "some data", *options)


def test_no_other_arguments(deployment: Deployment) -> None:
    assert "options of devpi-server are expected, not 'restart'" in deployment.run("restart", code=1)
    shown = deployment.run("--help")
    assert "DEVPI_DATA" in shown
    assert "pipefail" not in shown
    assert deployment.calls() == []


def test_another_program_than_docker(deployment: Deployment) -> None:
    (deployment.directory / "docker").rename(deployment.directory / "podman")
    deployment.env["DOCKER"] = "env ANY=thing podman"
    deployment.run()
    assert len(deployment.commands()) == 3
    deployment.env["DOCKER"] = "nerdctl"
    assert "'nerdctl' is not installed" in deployment.run(code=1)


@pytest.mark.parametrize("log", ["INFO starting\nfatal: DEVPI_PASSWORD is wrong", "error: unexpected argument '--x'"])
def test_a_server_that_does_not_start(deployment: Deployment, log: str) -> None:
    """It must not be started again for ever, and its last words are shown."""
    deployment.env["STUB_LOG"] = log
    shown = deployment.run(code=1)
    assert log in shown
    assert "the server does not start" in shown
    assert deployment.commands()[-1] == ["stop", "devpi"]


def test_a_server_that_says_nothing(deployment: Deployment) -> None:
    deployment.env |= {"STUB_LOG": "", "DEPLOY_DEADLINE": "1"}
    assert "docker logs devpi" in deployment.run(code=1)
    assert deployment.commands()[-1][0] == "run"
