"""Redis may answer before it hands a write to its disk, under `everysec` alone: there it is asked, elsewhere it is not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import RedisServer, wait_until
from store.bench import Bench, resolution

from relay.errors import StoreUnavailableError
from relay.store import flush
from relay.store.connection import Connection


class BusyDisk(Connection):
    """The real Redis, of whose disk is told what `told` has, one look after the other; then the truth."""

    told: Sequence[str] = ()
    looks = 0

    def call(self, *command: Any) -> Any:
        """Return the answer to a command."""
        if command[:2] != ("EVAL", flush._LOOK):
            return super().call(*command)
        self.looks += 1
        return self.told[self.looks - 1] if self.looks <= len(self.told) else super().call(*command)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="relay-flush-") as folder:
        one = RedisServer(Path(folder)).start()
        yield one
        one.stop()


@pytest.mark.parametrize(("policy", "asked"), [("everysec", True), ("always", False), ("no", False)])
def test_a_server_that_may_hold_writes_back_is_asked_after_each_webhook(
    server: RedisServer, policy: str, *, asked: bool
) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", policy)
    connection.call("CONFIG", "RESETSTAT")
    bench = Bench(connection)

    for ticket in range(5):
        bench.accept_new(resolution("5", ticket=ticket))

    commands = str(connection.call("INFO", "commandstats"))
    assert ("cmdstat_info" in commands) is asked
    connection.close()


def test_a_server_that_hides_its_policy_is_asked_too(server: RedisServer) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "always")
    connection.call("ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-config")
    shy = Connection(server.url.replace("://", "://shy:secret@"), timeout=5)
    connection.call("CONFIG", "RESETSTAT")

    Bench(shy).accept_new(resolution("hidden"))

    assert "cmdstat_info" in str(connection.call("INFO", "commandstats"))
    connection.close()
    shy.close()


@pytest.fixture
def busy(server: RedisServer) -> Iterator[BusyDisk]:
    connection = BusyDisk(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "everysec")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("told", "looks"),
    [
        (["nothing"], 1),
        (["goes", "goes"], 2),
        (["goes", "nothing"], 2),
        # What was to go was refused by the disk: what goes later counts anew.
        (["goes", "held back", "goes", "goes"], 4),
        (["held back", "held back", "nothing"], 3),
    ],
)
def test_a_webhook_is_acknowledged_when_what_waited_has_gone(busy: BusyDisk, told: list[str], looks: int) -> None:
    busy.told = [*told, *["held back"] * 1000]

    Bench(busy).accept_new(resolution("5"))

    assert busy.looks == looks


def test_a_webhook_that_stays_held_back_is_not_known_to_be_stored(
    busy: BusyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush, "_PATIENCE", 0.05)
    busy.told = ["held back"] * 1000

    with pytest.raises(StoreUnavailableError, match="its disk is busy"):
        Bench(busy).accept_new(resolution("5"))


def test_a_webhook_that_the_disk_refuses_is_not_known_to_be_stored(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under everysec Redis says yes before it finds its disk full, and keeps what it could not write in its memory."""
    monkeypatch.setattr(flush, "_PATIENCE", 0.05)
    connection = Connection(server.url, timeout=5)
    connection.call("CONFIG", "SET", "appendfsync", "everysec")
    bench = Bench(connection)
    bench.accept_new(resolution("5", ticket=1))
    [file] = server.folder.glob("appendonlydir/*.incr.aof")

    server.limit_files(file.stat().st_size + 10)
    try:
        with pytest.raises(StoreUnavailableError, match="its disk is busy"):
            bench.accept_new(resolution("5", ticket=2))
    finally:
        server.limit_files(-1)
    wait_until(lambda: connection.call("EVAL", flush._LOOK, 1, "any") == "nothing", "Redis writes what waits")
    bench.accept_new(resolution("5", ticket=3))
    connection.close()


@pytest.mark.parametrize(
    ("buffer", "fsyncs", "status", "found"),
    [
        (0, 0, "ok", "nothing"),
        (0, 1, "ok", "nothing"),
        (70, 0, "ok", "goes"),
        (70, 1, "ok", "held back"),
        (70, 0, "err", "held back"),
        (700, 10, "err", "held back"),
    ],
)
def test_what_waits_is_read_from_what_redis_tells_of_itself(
    server: RedisServer, buffer: int, fsyncs: int, status: str, found: str
) -> None:
    connection = Connection(server.url, timeout=5)
    told = (
        f"aof_last_write_status:{status}\r\naof_current_size:4711\r\naof_pending_rewrite:0\r\n"
        f"aof_buffer_length:{buffer}\r\naof_pending_bio_fsync:{fsyncs}\r\naof_delayed_fsync:0\r\n"
    )
    look = flush._LOOK.replace("redis.call('INFO', 'persistence')", "ARGV[1]")

    assert connection.call("EVAL", look, 1, "any", told) == found
    connection.close()
