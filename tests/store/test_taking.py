"""Taking deliveries: their order, one push per ticket at a time, and retries."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    DELIVERED,
    HOUR,
    LEASE,
    MINUTE,
    NOT_NOW,
    REFUSED,
    SECOND,
    START,
    Bench,
    outcome_of,
    resolution,
    sys_id,
)

from relay.store.connection import Connection


def queue_length(bench: Bench) -> int:
    length: int = bench.redis.call("XLEN", bench.key("queue"))
    return length


# Order


def test_deliveries_are_taken_in_the_order_of_acceptance(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)

    assert bench.take_ids() == ids


def test_a_worker_gets_no_more_deliveries_than_it_asks_for(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)

    assert bench.take_ids(2) == ids[:2]
    assert bench.take_ids(0) == []
    assert bench.take_ids(2) == ids[2:]


def test_an_assignment_has_all_that_a_push_needs(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5", state=7))
    bench.attempt(NOT_NOW)
    bench.wait(HOUR)

    assignment = bench.take_one()

    assert (assignment.integration, assignment.id, assignment.sys_id) == ("acme", delivery, sys_id(1))
    assert (assignment.iem_state, assignment.tries, assignment.is_probe) == (7, 1, False)
    assert (assignment.created_at, assignment.number) == (START, "INC0000001")


def test_a_delivery_is_handed_to_one_worker_only(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.take_one()

    assert bench.take_ids(worker="worker-2") == []


def test_many_workers_share_the_deliveries_and_push_each_once(bench: Bench, redis_url: str) -> None:
    ids = bench.accept_tickets(*range(200))
    together = Barrier(4)

    def work(number: int) -> list[str]:
        connection = Connection(redis_url, timeout=5)
        worker, done = Bench(connection), []
        worker.now = bench.now
        together.wait()
        while taken := worker.take(3, worker=f"worker-{number}").assignments:
            statuses = worker.settle_all([worker.settlement(assignment, DELIVERED) for assignment in taken])
            assert statuses == ["delivered"] * len(taken)
            done += [assignment.id for assignment in taken]
        connection.close()
        return done

    with ThreadPoolExecutor(4) as pool:
        done = list(itertools.chain.from_iterable(pool.map(work, range(4))))

    assert sorted(done) == ids == bench.listed("delivered")
    assert queue_length(bench) == 0


def test_a_queue_that_was_never_written_to_is_empty(bench: Bench) -> None:
    taken = bench.take()

    assert (taken.assignments, taken.parked, taken.look_again_at) == ((), None, None)


def test_foreign_queue_entries_are_dropped(bench: Bench) -> None:
    bench.redis.call("XADD", bench.key("queue"), "*", "d", "01UNKNOWN", "x", "y")
    bench.redis.call("XADD", bench.key("queue"), "*", "anything", "else")
    delivery = bench.accept_new(resolution("5"))

    assert bench.take_ids() == [delivery]
    assert queue_length(bench) == 1


# One push per ticket at a time


def test_a_newer_delivery_waits_behind_the_one_in_flight(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    newer = bench.accept_new(resolution("6"))
    meanwhile = bench.take_ids()

    bench.settle(in_flight, DELIVERED)

    assert meanwhile == []
    assert bench.take_ids() == [newer]


def test_a_waiting_delivery_does_not_block_other_tickets(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    bench.take_one()
    bench.accept_new(resolution("6"))
    other = bench.accept_new(resolution("5", ticket=2))

    assert bench.take_ids() == [other]


def test_only_the_newest_waiting_delivery_is_pushed(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    bench.accept_new(resolution("6"))
    bench.accept_new(resolution("7", state=3))
    newest = bench.accept_new(resolution("8"))

    bench.settle(in_flight, REFUSED)

    assert bench.take_ids() == [newest]
    assert len(bench.listed("superseded")) == 2


def test_a_delivery_behind_a_lost_worker_is_taken_after_the_lease(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    bench.take_one()
    behind = bench.accept_new(resolution("6"))
    assert bench.take_ids(worker="worker-2") == []
    bench.wait(LEASE)

    bench.reclaim()

    assert bench.take_ids(worker="worker-2") == [behind]


# Retries


def test_a_retry_is_taken_when_it_is_due_and_not_before(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW, delay=5 * SECOND)
    bench.wait(5 * SECOND - 1)
    too_early = bench.take_ids()
    bench.wait(1)

    assert too_early == []
    assert bench.take_ids() == [delivery]
    assert "next_at" not in bench.record(delivery)


def test_take_returns_when_the_next_retry_is_due(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=7 * SECOND)

    assert bench.take().look_again_at == bench.now + 7 * SECOND


def test_retries_are_taken_in_the_order_of_their_due_times(bench: Bench) -> None:
    first, second, third = bench.accept_tickets(1, 2, 3)
    for delay in (9, 3, 6):
        bench.attempt(NOT_NOW, delay=delay * SECOND)
    bench.wait(MINUTE)

    assert bench.take_ids() == [second, third, first]


def test_due_retries_over_the_limit_are_taken_by_later_calls(bench: Bench) -> None:
    ids = bench.accept_tickets(*range(7))
    for assignment in bench.take().assignments:
        bench.settle(assignment, NOT_NOW, delay=SECOND)
    bench.wait(SECOND)

    turns = [bench.take_ids(3) for _ in range(3)]

    assert list(itertools.chain.from_iterable(turns)) == ids


@pytest.mark.parametrize("status", [408, 425])
def test_the_wait_grows_with_each_counted_attempt(bench: Bench, status: int) -> None:
    delivery = bench.accept_new(resolution("5"))
    waits = []

    for _ in range(9):
        bench.attempt(outcome_of(status))
        waits.append(int(bench.record(delivery)["next_at"]) - bench.now)
        bench.wait(waits[-1])

    assert waits == [seconds * SECOND for seconds in (5, 10, 20, 40, 80, 160, 320, 600, 600)]
