"""Settling attempts: statuses, records, giving up and the audit trail."""

from __future__ import annotations

import pytest
from store.bench import (
    BUG,
    DELIVERED,
    HOUR,
    MINUTE,
    NOT_FOUND,
    NOT_NOW,
    REFUSED,
    SECOND,
    START,
    TOKEN_REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    ListedAttempt,
    make_integration,
    resolution,
)

from relay.core.outcomes import Outcome
from relay.core.values import format_time
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader

#: Milliseconds: the defaults of `retry.give_up_after`, and the time for which a 404 is retried.
GIVE_UP_AFTER, PATIENCE = 48 * HOUR, 10 * MINUTE


def queue_length(bench: Bench) -> int:
    length: int = bench.redis.call("XLEN", bench.key("queue"))
    return length


# Statuses and records


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (DELIVERED, "delivered"),
        (REFUSED, "dead"),
        (NOT_NOW, "retrying"),
        (NOT_FOUND, "retrying"),
        (UNREACHABLE, "retrying"),
        (BUG, "retrying"),
        (WRONG_CREDENTIALS, "parked"),
        (TOKEN_REFUSED, "parked"),
        (None, "queued"),
    ],
)
def test_the_outcome_decides_the_status(bench: Bench, outcome: Outcome | None, status: str) -> None:
    delivery = bench.accept_new(resolution("5"))

    settled_as = bench.attempt(outcome)

    assert settled_as == status
    # Readers derive `parked` from the integration: the stored status is still queued.
    assert bench.status(delivery) == {"parked": "queued"}.get(status, status)
    assert "flight" not in bench.ticket()
    assert bench.listed("pending") == ([] if status in {"delivered", "dead"} else [delivery])


@pytest.mark.parametrize(("outcome", "reason"), [(DELIVERED, None), (REFUSED, "refused")])
def test_a_finished_delivery_has_its_time_and_reason(bench: Bench, outcome: Outcome, reason: str | None) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW)
    bench.wait(HOUR)

    status = bench.attempt(outcome)

    record = bench.record(delivery)
    assert (record["finished_at"], record.get("reason")) == (str(bench.now), reason)
    assert bench.listed(status) == [delivery]
    assert not record.keys() & {"place", "entry", "lease", "next_at"}
    assert queue_length(bench) == 0


def test_every_attempt_is_listed_in_the_record(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW, delay=SECOND)
    bench.wait(SECOND)
    bench.attempt(BUG, delay=SECOND)
    bench.wait(SECOND)

    bench.attempt(DELIVERED)

    assert bench.attempts(delivery) == [
        ListedAttempt(START, "retry", "not_now", counted=True),
        ListedAttempt(START + SECOND, "retry", "bug", counted=False),
        ListedAttempt(START + 2 * SECOND, "delivered", "", counted=True),
    ]


def test_a_record_lists_only_its_first_and_last_attempts(bench: Bench, reader: DeliveryReader) -> None:
    delivery = bench.accept_new(resolution("5"))
    began = bench.now
    for _ in range(70):
        bench.settle(bench.take_one(), NOT_NOW, delay=SECOND)
        bench.wait(SECOND)

    record = reader.find("acme", delivery)
    assert record
    assert len(record["attempts"]) == 50
    assert record["attempts"][0]["at"] == format_time(began)
    assert record["attempts"][-1]["at"] == format_time(bench.now - SECOND)


def test_several_settlements_are_written_in_one_step(bench: Bench) -> None:
    bench.accept_tickets(1, 2, 3)
    first, second, third = bench.take().assignments

    statuses = bench.settle_all(
        [bench.settlement(first, DELIVERED), bench.settlement(second, NOT_NOW), bench.settlement(third, REFUSED)]
    )

    assert statuses == ["delivered", "retrying", "dead"]


def test_a_returned_delivery_can_be_taken_at_once(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)

    bench.attempt(None)

    assert bench.take_ids() == [delivery]
    assert bench.attempts(delivery) == []


def test_a_repeated_settlement_changes_nothing(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    settlement = bench.settlement(bench.take_one(), NOT_NOW)
    bench.settle_all([settlement])
    record = bench.record(delivery)

    again = bench.settle_all([settlement])

    assert again == ["stale"]
    assert bench.record(delivery) == record


def test_each_final_status_is_in_the_audit_trail(redis: Connection) -> None:
    bench = Bench(redis, make_integration(collapse=False))
    bench.accept_new(resolution("1"))
    bench.attempt(DELIVERED)
    bench.accept_new(resolution("2"))
    bench.attempt(REFUSED)
    bench.accept_new(resolution("3"))
    bench.accept_new(resolution("4"))

    kinds = [entry["type"] for _, entry in redis.call("XRANGE", bench.key("audit"), "-", "+")]

    assert kinds == ["accepted", "delivered", "accepted", "dead", "accepted", "superseded", "accepted"]


# Giving up


def test_a_delivery_is_given_up_with_its_last_reason(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(UNREACHABLE, delay=GIVE_UP_AFTER - 1)
    bench.wait(GIVE_UP_AFTER - 1)
    almost = bench.attempt(NOT_NOW, delay=MINUTE)
    due = int(bench.record(delivery)["next_at"])
    bench.wait(due - bench.now)

    status = bench.attempt(NOT_NOW)

    assert (almost, status) == ("retrying", "dead")
    assert due == START + GIVE_UP_AFTER  # the last attempt is made when the time is over, not after the full delay
    assert bench.record(delivery)["reason"] == "not_now"


def test_a_delivery_that_waited_long_for_a_worker_gets_an_attempt(bench: Bench) -> None:
    bench.accept_tickets(1, 2)
    bench.wait(2 * GIVE_UP_AFTER)

    assert bench.attempt(DELIVERED) == "delivered"
    assert bench.attempt(NOT_NOW) == "dead"


def test_an_unknown_ticket_is_given_up_after_ten_minutes(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.wait(HOUR)  # the ten minutes begin with the first 404
    bench.attempt(NOT_FOUND, delay=PATIENCE - 1)
    bench.wait(PATIENCE - 1)
    almost = bench.attempt(NOT_FOUND, delay=HOUR)
    due = int(bench.record(delivery)["next_at"])
    bench.wait(due - bench.now)

    status = bench.attempt(NOT_FOUND)

    assert (almost, status) == ("retrying", "dead")
    assert due == START + HOUR + PATIENCE
    assert bench.record(delivery)["reason"] == "not_found"
    assert [attempt.counted for attempt in bench.attempts(delivery)] == [True, True, True]


def test_a_ticket_that_iem_knows_later_is_delivered(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(NOT_FOUND)
    bench.wait(MINUTE)

    assert bench.attempt(DELIVERED) == "delivered"


def test_a_delivery_is_given_up_after_three_bugs(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    statuses = []

    for _ in range(3):
        statuses.append(bench.attempt(BUG))
        bench.wait(HOUR)

    assert statuses == ["retrying", "retrying", "dead"]
    assert bench.record(delivery)["reason"] == "bug"
