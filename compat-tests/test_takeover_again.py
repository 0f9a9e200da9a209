"""After a takeover devpi-server is used again on the data that it still has: then there are two histories, and ours does
not serve its own as if nothing were."""

import re
from pathlib import Path

import pytest

from serverdirs import DATABASE, sound
from takeover.places import Place, builds, places, plain, upload

pytestmark = pytest.mark.ours


def test_old_server_was_used_again(plain: Place, tmp_path: Path) -> None:
    """Ours harms neither history."""
    server = plain.ours().start()
    server.stop()
    old = plain.theirs().start()
    serial = upload(old, "alice/dev", "by-the-old-one", tmp_path)
    old.stop()
    message = plain.refuses()
    assert re.search(rf"\b{serial}\b|again|since|newer|changed", message), message
    old.start()
    assert old.serial() == serial
    assert old.files("alice/dev", "by-the-old-one")


def test_old_server_was_only_started(plain: Place) -> None:
    """What changes nothing is no second history."""
    server = plain.ours().start()
    server.stop()
    plain.theirs().start().stop()
    plain.same_as_before(server.start())


def test_taken_over_anew(plain: Place, tmp_path: Path) -> None:
    """What a server of ours that was killed has left beside its database does not get into the next one."""
    server = plain.ours().start()
    upload(server, "alice/dev", "by-ours", tmp_path)
    server.kill()
    old = plain.theirs().start()
    serial = upload(old, "alice/dev", "by-the-old-one", tmp_path)
    old.stop()
    assert f"remove '{DATABASE}*'" in plain.refuses()
    assert (plain.serverdir / f"{DATABASE}-wal").stat().st_size > 0
    (plain.serverdir / DATABASE).unlink()
    server.start()
    assert server.files("alice/dev", "by-the-old-one")
    assert not server.files("alice/dev", "by-ours")
    server.stop()
    assert sound(plain.serverdir, strays=True)[0] == serial
