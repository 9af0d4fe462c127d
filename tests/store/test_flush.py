"""Redis may answer before it hands a write to its disk, under `everysec` alone: there it is asked, elsewhere it is not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import RedisServer
from store.bench import Bench, resolution

from relay.store.connection import Connection


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
