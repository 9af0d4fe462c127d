"""Reclaiming deliveries: leases, fences, lost workers, and queues that other programs damage."""

from __future__ import annotations

import pytest
from store.bench import (
    BUG,
    DELIVERED,
    LEASE,
    NOT_NOW,
    REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    ListedAttempt,
    resolution,
)

from relay.core.outcomes import Outcome


def queue_length(bench: Bench) -> int:
    length: int = bench.redis.call("XLEN", bench.key("queue"))
    return length


def snapshot(bench: Bench) -> dict[str, str]:
    """Return a digest of the value of each key in Redis."""
    digest = "return redis.sha1hex(redis.call('DUMP', KEYS[1]))"
    return {name: bench.redis.call("EVAL", digest, 1, name) for name in bench.redis.call("KEYS", "*")}


def read_as_another_program(bench: Bench) -> None:
    """Read the queue through the workers' group, and settle nothing."""
    bench.redis.call("XREADGROUP", "GROUP", "workers", "foreign", "STREAMS", bench.key("queue"), ">")


# Leases and fences


def test_a_delivery_is_put_back_when_its_lease_ends(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.take_one()
    bench.wait(LEASE)

    assert bench.reclaim() == (1, 0)

    assert bench.take_ids(worker="worker-2") == [delivery]
    assert bench.attempts(delivery) == [ListedAttempt(bench.now, "interrupted", "worker_lost", counted=False)]
    assert bench.record(delivery).get("tries", "0") == "0"


def test_a_delivery_is_not_reclaimed_before_its_lease_ends(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    assignment = bench.take_one()
    bench.wait(LEASE - 1)

    assert bench.reclaim() == (0, 0)

    assert bench.settle(assignment, DELIVERED) == "delivered"


def test_a_delivery_is_not_reclaimed_before_its_minimum_idle_time(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    assignment = bench.take_one()
    bench.wait(LEASE)

    # A clock that is ahead must not end the lease of an active worker: Redis's own clock counts, too.
    assert bench.queue.reclaim("worker-2", min_idle=LEASE, now=bench.now) == (0, 0)

    assert bench.settle(assignment, DELIVERED) == "delivered"


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED, NOT_NOW, UNREACHABLE, WRONG_CREDENTIALS, BUG, None])
def test_a_stale_settlement_writes_nothing(bench: Bench, outcome: Outcome | None) -> None:
    bench.accept_new(resolution("5"))
    stale = bench.take_one()
    bench.wait(LEASE)
    bench.reclaim()
    bench.take_one(worker="worker-2")
    before = snapshot(bench)

    status = bench.settle(stale, outcome)

    assert status == "stale"
    assert snapshot(bench) == before


def test_a_settlement_after_reclaiming_is_stale(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    stale = bench.take_one()
    bench.wait(LEASE)
    bench.reclaim()

    assert bench.settle(stale, DELIVERED) == "stale"

    assert bench.take_ids() == [delivery]


def test_each_lease_has_its_own_fence(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    fences = set()

    for _ in range(3):
        fences.add(bench.take_one().fence)
        bench.wait(LEASE)
        bench.reclaim()

    assert len(fences) == 3


def test_all_deliveries_of_a_lost_worker_are_put_back(bench: Bench) -> None:
    ids = bench.accept_tickets(*range(250))
    bench.take(250)
    bench.wait(LEASE)

    assert bench.reclaim() == (250, 0)

    assert bench.take_ids(300) == ids


def test_a_superseded_delivery_of_a_lost_worker_is_not_pushed_again(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.take_one()
    newer = bench.accept_new(resolution("6"))
    bench.wait(LEASE)

    assert bench.reclaim() == (1, 0)

    assert bench.status(older) == "superseded"
    assert bench.record(older)["superseded_by"] == newer
    assert bench.take_ids() == [newer]


def test_reclaiming_does_not_change_a_healthy_queue(bench: Bench) -> None:
    bench.accept_tickets(*range(5))
    bench.take(2)
    bench.attempt(NOT_NOW)
    before = snapshot(bench)

    assert bench.reclaim() == (0, 0)

    after = snapshot(bench)
    assert before.keys() == after.keys()
    # Redis notes in the queue which consumer was active.
    assert {name for name in before if before[name] != after[name]} <= {bench.key("queue")}


# Queues that a restart or another program damages


@pytest.mark.parametrize("command", [("XGROUP", "DESTROY", "{queue}", "workers")])
def test_a_lost_group_is_created_again_and_nothing_is_pushed_twice(bench: Bench, command: tuple[str, ...]) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take_one()
    bench.redis.call(*(part.format(queue=bench.key("queue")) for part in command))
    [third] = bench.accept_tickets(3)

    taken = bench.take_ids(worker="worker-2")

    assert in_flight.id == first
    assert taken == [second, third]
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert queue_length(bench) == 2


def test_a_lost_group_and_a_lost_worker_lose_no_delivery(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.take_one()
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")
    bench.take(worker="worker-2")
    bench.wait(LEASE)

    bench.reclaim()

    assert bench.take_ids(worker="worker-2") == [delivery]


def test_settling_and_reclaiming_work_after_the_group_is_lost(bench: Bench) -> None:
    bench.accept_tickets(1)
    in_flight = bench.take_one()
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")

    assert bench.reclaim() == (0, 0)
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert queue_length(bench) == 0


def test_a_deleted_entry_in_flight_is_counted_and_its_delivery_is_kept(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.take_one()
    bench.redis.call("XDEL", bench.key("queue"), bench.record(delivery)["entry"])
    bench.wait(LEASE)

    _, missing = bench.reclaim()

    assert missing == 1
    assert bench.take_ids() == [delivery]


def test_a_deleted_queue_is_counted_and_filled_again(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)
    in_flight = bench.take_one()
    bench.redis.call("DEL", bench.key("queue"))
    lost_meanwhile = bench.take_ids()

    put_back, missing = bench.reclaim()

    assert lost_meanwhile == []
    assert (put_back, missing) == (0, 2)
    assert bench.take_ids() == ids[1:]
    assert bench.settle(in_flight, DELIVERED) == "delivered"


def test_a_delivery_that_another_program_read_is_put_back(bench: Bench) -> None:
    bench.take()  # creates the group
    [delivery] = bench.accept_tickets(1)
    read_as_another_program(bench)
    assert bench.take_ids() == []

    bench.reclaim()

    assert bench.take_ids() == [delivery]
