"""Installing through our mirror, through devpi-server's, and straight from the index, in one run: `make bench-mirror`.

Once cold and three times warm, by uv without a cache of its own, always into an empty directory. The warm rounds take
turns. The machines that run this are shared and noisy, so only the ratios mean something, and nothing here is asserted.
Afterwards the numbers of `test_mirror_load` at full size, against a fake upstream: many clients of one large file, and
very many names. MIRROR_FILE_MIB and MIRROR_NAMES make them smaller.

The index is the one that pip uses on this machine. About sixty wheels are downloaded from it: six times in all, which
are four times straight, and once for each server. Its list of projects is never asked for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

import test_mirror_load as load
from bench import AUTH
from clients import Shell
from harness import BIN, Server
from judge import servers
from test_mirror_clients import upstream_url
from upstream import FakeUpstream

REQUIREMENT = "jupyter-server"
"""With all it needs about sixty wheels, small and large, pure and compiled."""
WARM_ROUNDS = 3
EXPIRY_SECONDS = 3600
CLIENTS = 200
FILE_MIB = int(os.environ.get("MIRROR_FILE_MIB", "200"))
NAMES = int(os.environ.get("MIRROR_NAMES", "800000"))

OURS, THEIRS, STRAIGHT = "Wheelhouse", "devpi-server", "straight"


def has_core_metadata() -> bool:
    """Whether the index says that metadata lie beside its wheels."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    answer = requests.get(f"{upstream_url()}{REQUIREMENT}/", headers=accept, timeout=60)
    answer.raise_for_status()
    return all(file.get("core-metadata") for file in answer.json()["files"] if file["filename"].endswith(".whl"))


def make_mirror(server: servers.Server, core_metadata: bool) -> str:
    """Makes a mirror of the index, and gives the address for installers."""
    settings = {
        "type": "mirror",
        "mirror_url": upstream_url(),
        "mirror_no_project_list": True,
        "mirror_cache_expiry": EXPIRY_SECONDS,
        # Without this devpi-server offers no core metadata, and uv reads wheels instead; with it, it offers them for
        # every wheel, which breaks installs where the index has not got them.
        "mirror_provides_core_metadata": core_metadata,
    }
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.request("PUT", "/root/mirror", json.dumps(settings), AUTH)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{server.program.name}: {answer.status} {answer.reason} {answer.read()!r}")
    return f"http://{server.address[0]}:{server.address[1]}/root/mirror/+simple/"


@contextlib.contextmanager
def all_sides() -> Iterator[dict[str, str]]:
    """The addresses to install from, by name; both servers have just been started and know nothing yet."""
    patience = ["--request-timeout", "30"]
    core_metadata = has_core_metadata()
    programs, options = [servers.ours(), servers.reference()], [patience, [*patience, "--enable-core-metadata"]]
    with servers.running(programs, options) as pair:
        ours, theirs = (make_mirror(server, core_metadata) for server in pair)
        yield {STRAIGHT: upstream_url(), OURS: ours, THEIRS: theirs}


class Installer:
    """Somebody with uv."""

    def __init__(self, directory: Path) -> None:
        self._shell = Shell(directory / "home")
        # What leads to the index from this machine leads uv there, too.
        self._shell.env |= {name: os.environ[name] for name in ("SSL_CERT_FILE", "HTTPS_PROXY") if name in os.environ}
        self._shell.env["NO_PROXY"] = "127.0.0.1"

    def install(self, url: str) -> tuple[float, int]:
        """Installs all of it; gives the time in seconds, and how many distributions that were."""
        with tempfile.TemporaryDirectory(prefix="bench-") as target:
            options = ["--no-config", "--no-cache", "--only-binary", ":all:", "--index-url", url]
            started = time.perf_counter()
            with contextlib.redirect_stdout(None):
                self._shell.uv("pip", "install", *options, "--target", target, REQUIREMENT)
            seconds = time.perf_counter() - started
            return seconds, len(list(Path(target).glob("*.dist-info")))


def installs() -> None:
    """Prints how long an install takes, cold and warm, from each side."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, all_sides() as sides:
        installer = Installer(Path(directory))
        cold, counts = {}, set()
        for name, url in sides.items():
            cold[name], count = installer.install(url)
            counts.add(count)
        warm: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(WARM_ROUNDS):
            order = list(sides)
            for name in order[number % len(order) :] + order[: number % len(order)]:
                warm[name].append(installer.install(sides[name])[0])
    print(f"uv pip install {REQUIREMENT}: {'/'.join(map(str, sorted(counts)))} wheels, seconds")
    print(f"{'':20}" + "".join(f"{name:>14}" for name in (OURS, THEIRS, STRAIGHT)))
    rows: Sequence[tuple[str, dict[str, float]]] = [
        ("cold", cold),
        ("warm, median", {name: statistics.median(taken) for name, taken in warm.items()}),
        ("warm, best", {name: min(taken) for name, taken in warm.items()}),
    ]
    for title, figures in rows:
        print(f"{title:20}" + "".join(f"{figures[name]:14.2f}" for name in (OURS, THEIRS, STRAIGHT)))
        ratios = [f"{figures[name] / figures[OURS]:13.1f}x" for name in (OURS, THEIRS, STRAIGHT)]
        print(f"{'  ours is faster by':20}" + "".join(ratios))


@contextlib.contextmanager
def a_server() -> Iterator[Server]:
    """A server of ours with a serverdir of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server = Server(Path(directory), "--request-timeout", 30)
        try:
            yield server.init().start()
        finally:
            server.close()


def large_file() -> None:
    """Prints what many first clients of one large file cost."""
    with FakeUpstream() as upstream, a_server() as server:
        done = load.download_by_all(server, upstream, CLIENTS, FILE_MIB)
    whole = sum(client.whole for client in done.clients)
    print(f"{CLIENTS} clients ask at once for a new file of {FILE_MIB} MiB:")
    print(f"    {done.upstream_requests} upstream request(s)")
    print(
        f"    {whole} whole downloads in {done.seconds:.1f} s ({CLIENTS * FILE_MIB / done.seconds:.0f} MiB/s), "
        f"memory at most +{done.growth_mib:.1f} MiB"
    )


def many_names() -> None:
    """Prints what a long list of projects costs."""
    with FakeUpstream() as upstream, a_server() as server:
        catalogue = load.publish_names(upstream, NAMES)
        mirror = load.mirror_of(server, upstream)
        done = load.list_all_names(server, upstream, mirror, catalogue)
    print(f"a mirror of {NAMES:,} names:")
    print(f"    first list, after the upstream's last byte   {1000 * done.list_seconds:8.0f} ms")
    print(f"    list once more                               {1000 * done.again_seconds:8.0f} ms")
    print(f"    has it this project? (median, no)            {done.has_project_ms:8.2f} ms")
    print(f"    memory                                       {done.growth_mib:+8.1f} MiB")
    print(f"    memory, at most                              {done.peak_mib:+8.1f} MiB")


def main() -> int:
    """Runs all of it."""
    print(f"the executables are those in {BIN}", flush=True)
    installs()
    large_file()
    many_names()
    return 0


if __name__ == "__main__":
    sys.exit(main())
