"""With `everysec` Redis can answer before it hands a write to its disk. Only then does the relay wait for the write."""

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
    """A real Redis that reports the `states` of its writes, one per look, before the real state."""

    states: Sequence[str] = ()
    looks = 0

    def call(self, *command: Any) -> Any:
        """Return the answer to a command."""
        if command[:2] != ("EVAL", flush._LOOK):
            return super().call(*command)
        self.looks += 1
        return self.states[self.looks - 1] if self.looks <= len(self.states) else super().call(*command)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="relay-flush-") as folder:
        server = RedisServer(Path(folder)).start()
        yield server
        server.stop()


@pytest.mark.parametrize(("policy", "is_checked"), [("everysec", True), ("always", False), ("no", False)])
def test_only_everysec_costs_a_call_after_each_webhook(server: RedisServer, policy: str, *, is_checked: bool) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", policy)
    connection.call("CONFIG", "RESETSTAT")
    bench = Bench(connection)

    for ticket in range(5):
        bench.accept_new(resolution("5", ticket=ticket))

    commands = str(connection.call("INFO", "commandstats"))
    assert ("cmdstat_info" in commands) is is_checked
    connection.close()


def test_a_server_that_hides_its_policy_is_checked_too(server: RedisServer) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "always")
    connection.call("ACL", "SETUSER", "restricted", "on", ">secret", "~*", "&*", "+@all", "-config")
    restricted = Connection(server.url.replace("://", "://restricted:secret@"), timeout=5)
    connection.call("CONFIG", "RESETSTAT")

    Bench(restricted).accept_new(resolution("hidden"))

    assert "cmdstat_info" in str(connection.call("INFO", "commandstats"))
    connection.close()
    restricted.close()


@pytest.fixture
def busy(server: RedisServer) -> Iterator[BusyDisk]:
    connection = BusyDisk(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "everysec")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("states", "looks"),
    [
        (["nothing"], 1),
        (["leaving", "leaving"], 2),
        (["leaving", "nothing"], 2),
        # The disk refused the first write: the count of 'leaving' starts again.
        (["leaving", "held back", "leaving", "leaving"], 4),
        (["held back", "held back", "nothing"], 3),
    ],
)
def test_a_webhook_is_acknowledged_after_redis_wrote_its_data(busy: BusyDisk, states: list[str], looks: int) -> None:
    busy.states = [*states, *["held back"] * 1000]

    Bench(busy).accept_new(resolution("5"))

    assert busy.looks == looks


def test_a_write_that_stays_held_back_is_not_acknowledged(busy: BusyDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "_PATIENCE", 0.05)
    busy.states = ["held back"] * 1000

    with pytest.raises(StoreUnavailableError, match="its disk is busy"):
        Bench(busy).accept_new(resolution("5"))


def test_a_write_that_the_disk_refuses_is_not_acknowledged(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `everysec` Redis answers before it finds that its disk is full, and keeps the write in its memory."""
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
    wait_until(lambda: connection.call("EVAL", flush._LOOK, 1, "any") == "nothing", "Redis writes what waited")
    bench.accept_new(resolution("5", ticket=3))
    connection.close()


@pytest.mark.parametrize(
    ("buffer", "fsyncs", "status", "state"),
    [
        (0, 0, "ok", "nothing"),
        (0, 1, "ok", "nothing"),
        (70, 0, "ok", "leaving"),
        (70, 1, "ok", "held back"),
        (70, 0, "err", "held back"),
        (700, 10, "err", "held back"),
    ],
)
def test_the_state_of_the_writes_is_read_from_info(
    server: RedisServer, buffer: int, fsyncs: int, status: str, state: str
) -> None:
    connection = Connection(server.url, timeout=5)
    info = (
        f"aof_last_write_status:{status}\r\naof_current_size:4711\r\naof_pending_rewrite:0\r\n"
        f"aof_buffer_length:{buffer}\r\naof_pending_bio_fsync:{fsyncs}\r\naof_delayed_fsync:0\r\n"
    )
    look = flush._LOOK.replace("redis.call('INFO', 'persistence')", "ARGV[1]")

    assert connection.call("EVAL", look, 1, "any", info) == state
    connection.close()
