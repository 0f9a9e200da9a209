"""The server is killed at random moments while many clients do all there is to do, again and again.

CRASHES sets how often (20 by default); there are a fifth as many power cuts. What was done and what was under way is
printed: run with ``-s`` to see it.
"""

import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from faults import picture
from faults.disks import Disk, image, loop_disk, mounted
from faults.held import Held
from faults.load import Administrator, Client, Installer, Progress, Publisher
from harness import DEADLINE, Server, forge_token, tool_killed_after
from mirrors import mirror_of, upstream
from serverdirs import sound
from upstream import FakeUpstream

CRASHES = int(os.environ.get("CRASHES", "20"))
POWER_CUTS = max(CRASHES // 5, 1)
PUBLISHERS = 4

pytestmark = pytest.mark.ours


class Crew:
    """All clients of one server, and the looking afterwards."""

    def __init__(self, server: Server, upstream: FakeUpstream, directory: Path):
        self.server = server
        self.upstream = upstream
        self.progress = Progress()
        self.outcomes: Counter[str] = Counter()
        dev = server.new_index()
        # The token spares the server the verifying of passwords.
        dev = replace(dev, password=forge_token(dev.user, time.time()))
        prod = server.new_index("prod", owner=dev)
        mirror = mirror_of(server, upstream, mirror_cache_expiry=3600)
        common = (server, directory, self.progress)
        self.publishers = [
            Publisher(f"publisher-{number}", server, directory / f"{number}", self.progress, dev=dev, prod=prod)
            for number in range(PUBLISHERS)
        ]
        self.administrator = Administrator("administrator", *common)
        self.installer = Installer("installer", *common, mirror=mirror, upstream=upstream)

    @property
    def clients(self) -> list[Client]:
        return [*self.publishers, self.administrator, self.installer]

    def work_until_killed(self, steps: int, moment: float) -> None:
        """Lets all of them work, and kills the server so much later than they have taken so many steps."""
        threads = [threading.Thread(target=client.work) for client in self.clients]
        for thread in threads:
            thread.start()
        reached = self.progress.wait_for(steps, DEADLINE)
        # Nothing is waited for but the moment.
        threading.Event().wait(moment)
        self.server.kill()
        for thread in threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        failures = [(client.name, client.under_way, client.failure) for client in self.clients if client.failure]
        assert failures == []
        assert reached, "too little was done in time"

    def compare(self) -> None:
        """Each client finds what it was promised, and nothing is left over."""
        users, indexes = picture.everything(self.server)
        for client in self.publishers:
            self.outcomes[client.compare(client.mine(indexes))] += 1
        self.outcomes[self.administrator.compare(self.administrator.mine(users, indexes))] += 1
        self.upstream.stop()
        self.installer.compare_without_upstream()
        self.upstream.start()
        held = Held.by(self.server)
        assert (held.incoming, held.unconfirmed) == ([], [])

    def report(self, crashes: int) -> None:
        print(f"\n{self.progress.done.total()} steps: {dict(self.progress.done.most_common())}")
        print(f"what was under way at {crashes} crashes: {dict(self.outcomes)}")
        assert self.outcomes["done"] + self.outcomes["not done"] > crashes


def test_killed_again_and_again_under_load(
    new_server: Callable[..., Server],
    upstream: FakeUpstream,
    tmp_path: Path,
) -> None:
    """Every acknowledged change is there and whole, and of those that were under way none is half there."""
    server = new_server().start()
    crew = Crew(server, upstream, tmp_path)
    noise = random.Random(CRASHES)
    for _ in range(CRASHES):
        crew.work_until_killed(noise.randrange(40), noise.uniform(0, 0.03))
        if noise.random() < 0.2:
            # Also while it looks after what it finds.
            program, *arguments = server.command()
            tool_killed_after(noise.uniform(0, 0.02), Path(program).name, *arguments)
        server.start()
        crew.compare()
        sound(server.serverdir)
    crew.report(CRASHES)


def test_power_cuts_under_load(
    new_server: Callable[..., Server],
    mounted: Callable[..., Disk],
    upstream: FakeUpstream,
    tmp_path: Path,
) -> None:
    """The same when all is lost that was not synced: the disk is a file, and goes on as it is at that moment."""
    server = new_server(init=False)
    server.serverdir = tmp_path / "disk"
    # In MiB: about one comes with each round, and nothing gives it back.
    now = image(tmp_path / "image", 64 + 3 * POWER_CUTS)
    disk = mounted(loop_disk, server.serverdir, now)
    crew = Crew(disk.start(server), upstream, tmp_path)
    noise = random.Random(POWER_CUTS)
    for number in range(POWER_CUTS):
        crew.work_until_killed(noise.randrange(40), noise.uniform(0, 0.03))
        # Still mounted: what the kernel has not written is not in the file.
        after = Path(shutil.copy(now, tmp_path / f"image{number}"))
        disk.close()
        now.unlink()
        now, disk = after, mounted(loop_disk, server.serverdir, after)
        disk.start(server)
        crew.compare()
        disk.sound()
    crew.report(POWER_CUTS)
