"""Probes of a parked integration: which delivery is tried, when, and what follows from the answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    BUG,
    DELIVERED,
    HOUR,
    LEASE,
    MINUTE,
    NOT_FOUND,
    NOT_NOW,
    REFUSED,
    SECOND,
    TOKEN_REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    park_down,
    park_not_found,
    resolution,
    wait_for_probe,
)

from relay.core.outcomes import Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.store.connection import Connection

RATE_LIMITED = Retry(Reason.RATE_LIMITED)


# Which delivery


def test_only_one_of_many_workers_gets_the_probe(bench: Bench, redis_url: str) -> None:
    park_down(bench)
    bench.wait(HOUR)
    together = Barrier(8)

    def ask(number: int) -> int:
        connection = Connection(redis_url, timeout=5)
        worker = Bench(connection)
        worker.now = bench.now
        together.wait()
        try:
            return sum(len(worker.take(worker=f"worker-{number}").assignments) for _ in range(5))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        probes = list(pool.map(ask, range(8)))

    assert sum(probes) == 1


def test_a_worker_without_capacity_gets_no_probe(bench: Bench) -> None:
    park_down(bench)
    bench.wait(HOUR)

    assert bench.take(0).assignments == ()
    assert len(bench.take(1).assignments) == 1


def test_the_oldest_delivery_is_the_probe_even_if_it_is_retrying(bench: Bench) -> None:
    [oldest] = bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=HOUR)
    bench.accept_tickets(2)
    bench.attempt(TOKEN_REFUSED)

    probe = wait_for_probe(bench)

    assert probe.id == oldest
    assert "next_at" not in bench.record(oldest)


def test_the_oldest_delivery_is_the_probe_even_if_it_was_queued_last(bench: Bench) -> None:
    oldest, *_ = bench.accept_tickets(1, 2, 3)
    first, second, third = bench.take().assignments
    bench.settle_all([bench.settlement(third, TOKEN_REFUSED), bench.settlement(second, None)])
    bench.settle(first, None)

    probe = wait_for_probe(bench)

    assert probe.id == oldest


def test_a_delivery_in_flight_is_not_the_probe(bench: Bench) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take_one()
    behind = bench.accept_new(resolution("2", state=3, ticket=1))
    bench.attempt(TOKEN_REFUSED)

    probe = wait_for_probe(bench)

    assert (in_flight.id, probe.id) == (first, second)
    assert bench.record(behind)["place"] == "behind"


def test_an_integration_without_waiting_deliveries_is_not_probed(bench: Bench) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take().assignments
    bench.settle(in_flight[0], TOKEN_REFUSED)
    bench.settle(in_flight[1], DELIVERED)
    probe = wait_for_probe(bench)

    bench.wait(HOUR)

    assert (probe.id, bench.status(second)) == (first, "delivered")
    assert bench.take().assignments == ()


# When


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        (Reason.TOKEN_REFUSED, [30, 60, 120, 240, 480, 900, 900]),
        (Reason.ACCESS_DENIED, [30, 60, 120, 240, 480, 900, 900]),
        (Reason.WRONG_CREDENTIALS, [300, 600, 1200, 2400, 3600, 3600]),
    ],
)
def test_the_probe_interval_grows_after_a_refusal(bench: Bench, reason: Reason, waits: list[int]) -> None:
    bench.accept_tickets(1)
    bench.attempt(Park(reason))

    seen = []
    for _ in waits:
        before = bench.now
        probe = wait_for_probe(bench)
        seen.append((bench.now - before) // SECOND)
        bench.settle(probe, Park(reason))

    assert seen == waits


def test_the_probe_interval_grows_while_iem_is_down(bench: Bench) -> None:
    park_down(bench)

    seen = []
    for _ in range(9):
        before = bench.now
        probe = wait_for_probe(bench)
        seen.append((bench.now - before) // SECOND)
        bench.settle(probe, UNREACHABLE)

    assert seen == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_probe_of_a_lost_worker_is_repeated_after_its_lease(bench: Bench) -> None:
    oldest, *_ = park_down(bench)
    lost = wait_for_probe(bench)
    none_meanwhile = bench.take().assignments
    bench.wait(LEASE)
    bench.reclaim()

    again = bench.take_one()

    assert none_meanwhile == ()
    assert (again.id, again.is_probe) == (oldest, True)
    assert bench.settle(lost, DELIVERED) == "stale"
    assert bench.parked == "down"


def test_a_probe_of_a_lost_worker_and_group_is_repeated_after_its_lease(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    lost = wait_for_probe(bench)
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")
    bench.wait(LEASE)
    bench.reclaim()

    again = bench.take_one()

    assert (again.id, again.is_probe) == (lost.id, True)


def test_a_returned_probe_is_repeated_at_once(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)

    bench.settle(probe, None)

    assert bench.take_one().id == probe.id
    assert bench.parked == "down"


def test_a_bug_in_a_probe_delays_the_next_probe(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)

    bench.settle(probe, BUG, delay=5 * SECOND)

    assert bench.parked == "down"
    assert bench.take().assignments == ()
    assert bench.take().look_again_at == bench.now + 5 * SECOND


# What follows


@pytest.mark.parametrize("outcome", [WRONG_CREDENTIALS, UNREACHABLE, RATE_LIMITED])
def test_a_failed_probe_keeps_the_integration_parked_and_is_not_counted(bench: Bench, outcome: Outcome) -> None:
    oldest, *_ = park_down(bench)
    before = bench.record(oldest).get("tries", "0")

    status = bench.settle(wait_for_probe(bench), outcome)

    assert status == "parked"
    assert bench.parked is not None
    assert bench.attempts(oldest)[-1].counted is False
    assert bench.record(oldest).get("tries", "0") == before
    assert bench.record(oldest)["place"] == "queue"


def test_a_probe_that_fails_for_another_reason_starts_its_schedule(bench: Bench) -> None:
    park_down(bench)
    for _ in range(3):
        bench.settle(wait_for_probe(bench), UNREACHABLE)

    bench.settle(wait_for_probe(bench), WRONG_CREDENTIALS)

    assert bench.parked == "wrong_credentials"
    assert bench.take().look_again_at == bench.now + 5 * MINUTE


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(DELIVERED, "delivered"), (REFUSED, "dead"), (NOT_NOW, "retrying"), (NOT_FOUND, "retrying")],
)
def test_a_probe_with_any_other_answer_resumes_and_is_counted(bench: Bench, outcome: Outcome, status: str) -> None:
    oldest, *rest = park_down(bench)

    settled_as = bench.settle(wait_for_probe(bench), outcome)

    assert (settled_as, bench.parked) == (status, None)
    assert bench.attempts(oldest)[-1].counted is True
    assert bench.take_ids() == rest


def test_a_delivered_probe_is_not_pushed_again(bench: Bench) -> None:
    _, *rest = park_down(bench)

    bench.settle(wait_for_probe(bench), DELIVERED)

    assert bench.take_ids() == rest


def test_a_superseded_probe_can_still_resume_the_integration(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)
    newer = bench.accept_new(resolution("2", state=3, ticket=1))

    assert bench.settle(probe, NOT_NOW) == "superseded"

    assert bench.parked is None
    assert newer in bench.take_ids()


def test_a_probe_of_a_still_unknown_ticket_keeps_the_integration_parked(bench: Bench) -> None:
    oldest, *_ = park_not_found(bench)

    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert (status, bench.parked) == ("parked", "not_found")
    assert [attempt.counted for attempt in bench.attempts(oldest)] == [True, False]
    assert bench.take().look_again_at == bench.now + MINUTE


def test_a_probe_of_a_known_ticket_resumes_the_integration(bench: Bench) -> None:
    _, *rest = park_not_found(bench)

    assert bench.settle(wait_for_probe(bench), DELIVERED) == "delivered"

    assert bench.parked is None
    bench.wait(HOUR)
    assert bench.take_ids() == rest
    assert "unknown" not in bench.circuit()


def test_a_404_resumes_an_integration_that_was_parked_as_down(bench: Bench) -> None:
    park_down(bench)

    assert bench.settle(wait_for_probe(bench), NOT_FOUND) == "retrying"

    assert bench.parked is None


def test_a_404_resumes_after_a_success_in_flight(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3, 4, 5, 6)
    *unknown, known = bench.take().assignments
    for assignment in unknown:
        bench.settle(assignment, NOT_FOUND)
    bench.settle(known, DELIVERED)

    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert (status, bench.parked) == ("retrying", None)
    assert bench.attempts(ids[0])[-1].counted is True
