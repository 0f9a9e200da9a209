"""Small disks, mounted for the eyes of a server and of its tools alone.

The mount belongs to a process that ends when its input does, so that it is gone with the test, whatever becomes of it.
Where nothing can be mounted, tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import BIN, DEADLINE, ROOT_PASSWORD, Server, server_environment

IS_ROOT = os.geteuid() == 0
HOLD = 'mount "$@" && echo mounted && exec cat >&2'


class Disk:
    """A file system at the serverdir of a server, which is there until it is closed."""

    def __init__(self, directory: Path, *mount: object):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        unshare = ["unshare", "--mount", *([] if IS_ROOT else ["--map-root-user"])]
        command = [*unshare, "sh", "-c", HOLD, "sh", *map(str, mount), str(directory)]
        if not shutil.which("unshare") or not shutil.which("nsenter"):
            pytest.skip("unshare and nsenter are not here, with which small disks are mounted")
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if self._holder.stdout.readline() != "mounted\n":
            pytest.skip(f"cannot mount here: {self.close().strip()}")
        namespaces = ["--mount"] if IS_ROOT else ["--user", "--preserve-credentials", "--mount"]
        self.enter = ["nsenter", f"--target={self._holder.pid}", *namespaces]

    @property
    def seen(self) -> Path:
        """The directory of the disk, for everybody."""
        return Path(f"/proc/{self._holder.pid}/root{self.directory}")

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs one of our programs, or any other, where the disk is mounted."""
        return subprocess.run(
            [*self.enter, str(BIN / program if program.startswith("devpi-") else program), *map(str, arguments)],
            env=server_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def start(self, server: Server) -> Server:
        """Starts a server on this disk, which is initialised if it is empty."""
        if not any(path.name != "lost+found" for path in self.seen.iterdir()):
            init = ("--serverdir", server.serverdir, "--no-root-pypi", "--root-passwd", ROOT_PASSWORD)
            done = self.run("devpi-init", *init)
            assert done.returncode == 0, done.stdout + done.stderr
        return server.start([*self.enter, *server.command()])

    def refuses(self, server: Server) -> str:
        """Runs a server that must give up; gives its message."""
        program, *arguments = server.command()
        done = self.run(Path(program).name, *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        [line] = [line for line in done.stderr.splitlines() if line.startswith("fatal: ")]
        assert "panicked" not in done.stderr
        return line

    def sound(self) -> None:
        """devpi-fsck finds nothing."""
        done = self.run("devpi-fsck", "--serverdir", self.directory)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARN" not in done.stdout and "ERROR" not in done.stdout, done.stdout

    def fill(self) -> Path:
        """Takes all that is left of the disk; gives the file to remove."""
        ballast = self.seen / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass
        return ballast

    def close(self) -> str:
        """Unmounts, as soon as no server is there any more; gives what the mounting process complained of."""
        if self._holder.returncode is not None:
            return ""
        try:
            return self._holder.communicate(timeout=DEADLINE)[1]
        finally:
            self._holder.kill()
            self._holder.wait()


def memory_disk(directory: Path, mib: int) -> Disk:
    """A disk of this size."""
    return Disk(directory, "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs")


def image(path: Path, mib: int) -> Path:
    """A file with an empty ext4 file system."""
    if not shutil.which("mkfs.ext4") or not IS_ROOT:
        pytest.skip("needs root and mkfs.ext4")
    with path.open("wb") as file:
        file.truncate(mib << 20)
    subprocess.run(["mkfs.ext4", "-q", path], check=True, timeout=DEADLINE)
    return path


def loop_disk(directory: Path, image: Path) -> Disk:
    """The file system of an image. Nothing is written back but what is synced; any error makes it read-only."""
    return Disk(directory, "-o", "loop,errors=remount-ro,commit=300", image)


def break_file_system(disk: Disk) -> None:
    """Lets the kernel find an error in an ext4 file system, after which it writes nothing more to it."""
    device = disk.run("findmnt", "--noheadings", "--output", "SOURCE", disk.directory).stdout.strip()
    trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip(f"no {trigger} here")
    trigger.write_text("1")


@pytest.fixture
def mounted() -> Iterator[Callable[..., Disk]]:
    """Makes disks, which are there until the test ends."""
    disks: list[Disk] = []

    def mount(make: Callable[..., Disk], *arguments: object) -> Disk:
        disks.append(make(*arguments))
        return disks[-1]

    yield mount
    for server in Server.instances:
        if server.process:
            server.kill()
    for disk in disks:
        disk.close()
