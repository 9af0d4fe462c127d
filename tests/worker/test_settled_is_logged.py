"""What a worker has settled is logged, also where Redis goes away before it takes more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from harness import AtOnce
from store.bench import Bench, resolution

from relay.clock import Clock
from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.worker.lanes import Lane
from relay.worker.loop import AttemptPool, Worker
from relay.worker.maintenance import RetentionLimits


class Leaving(Connection):
    """The real Redis; once it `is_leaving` it settles, and hands out nothing."""

    is_leaving = False

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Call the script."""
        if self.is_leaving and script == "take":
            raise StoreUnavailableError("Redis: away")
        return super().run(script, key, arguments)


def test_what_was_settled_is_logged_though_nothing_can_be_taken(
    redis_url: str, redis: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Leaving(redis_url, timeout=5)
    bench = Bench(connection)
    delivery = bench.accept_new(resolution("1"))
    lane = Lane(bench.integration, bench.queue, None, bench.config, fault="no such secret")
    clock = Clock(now_ms=lambda: bench.now)
    worker = Worker("tells", [lane], connection, AttemptPool(AtOnce(), 4), limits=RetentionLimits(dead=10), clock=clock)
    worker.turn()
    connection.is_leaving = True

    with caplog.at_level(logging.INFO, "relay.worker"):
        worker.turn()

    told = [vars(record)["relay_fields"] for record in caplog.records if record.message == "attempt"]
    assert [fields["delivery_id"] for fields in told] == [delivery]
    connection.close()
