"""A worker that is told to stop hands back what it took and had not begun: another one need not wait for the lease."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from store.bench import DELIVERED, Bench, resolution

from relay.clock import Clock
from relay.store.connection import Connection
from relay.worker.lanes import Lane
from relay.worker.loop import AttemptPool, Worker
from relay.worker.maintenance import RetentionLimits


class Waiting(Executor):
    """A pool all of whose threads are busy: what is submitted waits until the test lets it begin."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()


def test_what_was_not_begun_when_the_worker_is_told_to_stop_is_handed_back(redis: Connection) -> None:
    bench, pool = Bench(redis), Waiting()
    delivery = bench.accept(resolution("1")).id
    clock = Clock(now_ms=lambda: bench.now)
    lane = Lane(bench.integration, bench.queue, None, bench.config)
    worker = Worker("leaves", [lane], redis, AttemptPool(pool, 4), limits=RetentionLimits(dead=10), clock=clock)
    worker.turn()
    in_flight = bench.record(delivery)["place"]

    worker.stop()
    for begin in pool.waiting:
        begin()
    nothing_left = worker.run(grace=5)

    assert in_flight == "flight"
    assert nothing_left
    assert bench.record(delivery).get("attempts") is None, "it spent no attempt"
    again = bench.take_one(worker="stays")
    assert again.id == delivery
    assert bench.settle(again, DELIVERED) == "delivered"
