"""After a takeover devpi-server is used again on the data that it still has: then there are two histories, and ours does
not serve its own as if nothing were."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serverdirs import DATABASE, fatal, sound
from takeover import state
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


# When the old data cannot be read


def test_old_server_died_in_the_middle_of_a_write(plain: Place, tmp_path: Path) -> None:
    """What it had committed before is there for both."""
    plain.ours().start().stop()
    old = plain.theirs().start()
    serial = upload(old, "alice/dev", "by-the-old-one", tmp_path)
    old.stop()
    state.die_in_the_middle(plain.serverdir)
    assert "it has changed" in fatal(plain.run())
    old.start()
    assert old.serial() == serial
    assert old.files("alice/dev", "by-the-old-one")


def test_old_server_died_in_its_first_write(plain: Place) -> None:
    """Then nothing was changed."""
    server = plain.ours().start()
    server.stop()
    state.die_in_the_middle(plain.serverdir)
    plain.same_as_before(server.start())


# In a process of its own: who reads the file would give up the lock of his.
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_old_database_is_locked(plain: Place) -> None:
    """By a server that is changing something, maybe; when half a minute is over, ours gives up."""
    server = plain.ours().start()
    server.stop()
    command = [sys.executable, "-c", LOCK, state.database_file(plain.serverdir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert "cannot be told" in plain.refuses()
    plain.same_as_before(server.start())


def test_old_database_is_damaged(plain: Place) -> None:
    server = plain.ours().start()
    server.stop()
    path = state.database_file(plain.serverdir)
    os.truncate(path, path.stat().st_size // 2)
    message = plain.refuses()
    assert path.name in message
    assert "--drop-old-state" in message
    assert plain.run("--drop-old-state").returncode == 0
    plain.same_as_before(server.start())


def test_old_database_is_missing(plain: Place) -> None:
    """It is not needed, and was removed by somebody who knew that."""
    server = plain.ours().start()
    server.stop()
    state.database_file(plain.serverdir).unlink()
    plain.same_as_before(server.start())
    assert "are not there any more" in server.log.read_text()
