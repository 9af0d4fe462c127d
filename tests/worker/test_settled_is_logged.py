"""A settled attempt is logged even if Redis becomes unavailable before the worker takes more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from harness import ImmediateExecutor
from store.bench import Bench, resolution

from relay.clock import Clock
from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.worker.lanes import Lane, LaneSet
from relay.worker.loop import Worker
from relay.worker.maintenance import Maintenance


class FailingTake(Connection):
    """The real Redis, except that no delivery can be taken once `fails` is set."""

    fails = False

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Run the script."""
        if self.fails and script == "take":
            raise StoreUnavailableError("Redis: away")
        return super().run(script, key, arguments)


def test_a_settled_attempt_is_logged_although_take_fails(
    redis_url: str, redis: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection = FailingTake(redis_url, timeout=5)
    bench = Bench(connection)
    delivery = bench.accept_new(resolution("1"))
    lane = Lane(bench.integration, bench.queue, None, bench.config, fault="no such secret")
    clock = Clock(now_ms=lambda: bench.now)
    maintenance = Maintenance("worker-1", Heartbeats(connection), max_dead=10, monotonic=clock.monotonic)
    worker = Worker("worker-1", LaneSet([lane], 4), connection, maintenance, executor=ImmediateExecutor(), clock=clock)
    worker.turn()
    connection.fails = True

    with caplog.at_level(logging.INFO, "relay.worker"):
        worker.turn()

    logged = [vars(record)["relay_fields"] for record in caplog.records if record.message == "attempt"]
    assert [fields["delivery_id"] for fields in logged] == [delivery]
    connection.close()
