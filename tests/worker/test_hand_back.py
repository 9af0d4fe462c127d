"""A stopping worker hands back the deliveries that it has not attempted: another worker need not wait for the leases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from store.bench import DELIVERED, Bench, resolution

from relay.clock import Clock
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.worker.lanes import Lane, LaneSet
from relay.worker.loop import Worker
from relay.worker.maintenance import Maintenance


class BusyExecutor(Executor):
    """An executor without a free thread: submitted work waits until the test runs it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*args, **kwargs))
        return Future()


def test_a_stopping_worker_hands_back_unattempted_deliveries(redis: Connection) -> None:
    bench, executor = Bench(redis), BusyExecutor()
    delivery = bench.accept(resolution("1")).id
    clock = Clock(now_ms=lambda: bench.now)
    lane = Lane(bench.integration, bench.queue, None, bench.config)
    maintenance = Maintenance("stopping", Heartbeats(redis), max_dead=10, monotonic=clock.monotonic)
    worker = Worker("stopping", LaneSet([lane], 4), redis, maintenance, executor=executor, clock=clock)
    worker.turn()
    place = bench.record(delivery)["place"]

    worker.stop()
    for run in executor.waiting:
        run()
    all_finished = worker.run(grace=5)

    assert place == "flight"
    assert all_finished
    assert bench.record(delivery).get("attempts") is None, "no attempt is counted"
    again = bench.take_one(worker="other")
    assert again.id == delivery
    assert bench.settle(again, DELIVERED) == "delivered"
