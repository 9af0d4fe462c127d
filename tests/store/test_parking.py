"""When an integration is parked (docs/iem/response-handling.md): failures in a row, refusals and unknown tickets."""

from __future__ import annotations

import pytest
from store.bench import (
    BUG,
    DAY,
    DELIVERED,
    HOUR,
    MINUTE,
    NOT_FOUND,
    NOT_NOW,
    REFUSED,
    SECOND,
    TOKEN_REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    make_integration,
    outcome_of,
    park_down,
    park_not_found,
    resolution,
    sys_id,
    wait_for_probe,
)

from relay.core.outcomes import Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.store.connection import Connection

SERVER_ERROR = Retry(Reason.SERVER_ERROR)


RATE_LIMITED = Retry(Reason.RATE_LIMITED)


UNEXPECTED_ANSWER = Retry(Reason.UNEXPECTED_ANSWER)


DOWN = [UNREACHABLE, SERVER_ERROR, RATE_LIMITED, UNEXPECTED_ANSWER]


REFUSALS = [
    Reason.WRONG_CREDENTIALS,
    Reason.TOKEN_REFUSED,
    Reason.ACCESS_DENIED,
    Reason.INACTIVE_CUSTOMER,
    Reason.USER_NOT_ASSOCIATED,
    Reason.REDIRECTED,
    Reason.MISCONFIGURED,
]


# Five failures in a row: down


@pytest.mark.parametrize("outcome", DOWN)
def test_five_failures_in_a_row_park_the_integration_as_down(bench: Bench, outcome: Outcome) -> None:
    bench.accept_tickets(*range(5))

    statuses = [bench.attempt(outcome) for _ in range(5)]

    assert statuses == ["retrying"] * 4 + ["parked"]
    assert bench.parked == "down"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_five_server_errors_or_rate_limits_park_as_down(bench: Bench, status: int) -> None:
    bench.accept_tickets(*range(5))

    for _ in range(5):
        bench.attempt(outcome_of(status))

    assert bench.parked == "down"


def test_failures_of_different_kinds_and_one_delivery_count_together(bench: Bench) -> None:
    bench.accept_tickets(1)

    for outcome in [*DOWN, UNREACHABLE]:
        bench.attempt(outcome, delay=0)

    assert bench.parked == "down"


def test_five_failures_that_are_settled_in_one_step_park(bench: Bench) -> None:
    bench.accept_tickets(*range(5))
    in_flight = [bench.take_one(worker=f"worker-{number}") for number in range(5)]

    statuses = bench.settle_all([bench.settlement(assignment, SERVER_ERROR) for assignment in in_flight])

    assert statuses == ["retrying"] * 4 + ["parked"]
    assert bench.parked == "down"


@pytest.mark.parametrize("between", [DELIVERED, REFUSED, NOT_FOUND, NOT_NOW])
def test_any_other_answer_ends_the_failures_in_a_row(bench: Bench, between: Outcome) -> None:
    bench.accept_tickets(*range(9))
    for outcome in [UNREACHABLE] * 4 + [between] + [UNREACHABLE] * 4:
        bench.attempt(outcome)

    assert bench.parked is None


@pytest.mark.parametrize("between", [BUG, None])
def test_an_outcome_without_an_answer_does_not_end_the_failures_in_a_row(bench: Bench, between: Outcome | None) -> None:
    bench.accept_tickets(*range(6))

    outcomes: list[Outcome | None] = [*[UNREACHABLE] * 4, between, UNREACHABLE]
    for outcome in outcomes:
        bench.attempt(outcome)

    assert bench.parked == "down"


def test_the_failures_of_one_integration_do_not_park_another(redis: Connection) -> None:
    ours, theirs = Bench(redis), Bench(redis, make_integration("globex"))
    park_down(ours)
    theirs.accept_tickets(1)

    assert theirs.parked is None
    assert len(theirs.take_ids()) == 1


def test_failures_that_led_to_parking_are_not_counted(bench: Bench) -> None:
    ids = park_down(bench)

    for delivery in ids:
        record = bench.record(delivery)
        assert [attempt.counted for attempt in bench.attempts(delivery)] == [False]
        assert (record.get("tries", "0"), record["place"]) == ("0", "queue")
        assert "next_at" not in record
    assert bench.redis.call("ZCARD", bench.key("retry")) == 0


def test_attempts_before_the_failures_in_a_row_stay_counted(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=0)

    for _ in range(5):
        bench.attempt(UNREACHABLE, delay=0)

    assert [attempt.counted for attempt in bench.attempts(delivery)] == [True] + [False] * 5
    assert bench.record(delivery)["tries"] == "1"


def test_failures_of_finished_deliveries_are_uncounted_too(bench: Bench) -> None:
    bench.accept_new(resolution("1", state=3, ticket=1))
    bench.attempt(UNREACHABLE)
    ended = bench.listed("pending")
    bench.accept_new(resolution("2", ticket=1))
    bench.accept_tickets(2, 3, 4)

    for _ in range(4):
        bench.attempt(UNREACHABLE)

    assert bench.parked == "down"
    assert bench.listed("superseded") == ended
    assert [attempt.counted for attempt in bench.attempts(ended[0])] == [False]


def test_failures_before_a_success_stay_counted(bench: Bench) -> None:
    first, *_ = bench.accept_tickets(*range(9))
    outcomes: list[Outcome] = [UNREACHABLE, DELIVERED, *[UNREACHABLE] * 5]
    for outcome in outcomes:
        bench.attempt(outcome)

    assert bench.parked == "down"
    assert [attempt.counted for attempt in bench.attempts(first)] == [True]


def test_parking_and_resuming_are_in_the_audit_trail(bench: Bench) -> None:
    park_down(bench)
    bench.settle(wait_for_probe(bench), DELIVERED)

    entries = [entry for _, entry in bench.redis.call("XRANGE", bench.key("audit"), "-", "+")]

    records = [(entry["type"], entry["actor"]) for entry in entries if entry["type"] in {"parked", "resumed"}]
    assert records == [("parked", "relay"), ("resumed", "probe")]


# Refused as configured


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_of_the_configuration_parks_at_once(bench: Bench, reason: Reason) -> None:
    [delivery] = bench.accept_tickets(1)

    status = bench.attempt(Park(reason))

    assert (status, bench.parked) == ("parked", reason)
    assert [attempt.counted for attempt in bench.attempts(delivery)] == [True]
    assert bench.record(delivery)["reason"] == reason


def test_only_probes_are_handed_out_while_parked(bench: Bench) -> None:
    bench.accept_tickets(*range(9))
    bench.attempt(WRONG_CREDENTIALS)

    taken = bench.take()

    assert (taken.assignments, taken.parked) == ((), "wrong_credentials")
    assert taken.look_again_at == bench.now + 5 * MINUTE


def test_failures_in_flight_while_parked_are_not_counted(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)
    in_flight = bench.take().assignments
    bench.settle(in_flight[0], WRONG_CREDENTIALS)
    probe_at = bench.circuit()["probe_at"]
    bench.wait(SECOND)

    statuses = [bench.settle(in_flight[1], WRONG_CREDENTIALS), bench.settle(in_flight[2], UNREACHABLE)]

    assert statuses == ["parked", "parked"]
    assert [attempt.counted for delivery in ids[1:] for attempt in bench.attempts(delivery)] == [False, False]
    assert bench.circuit()["probe_at"] == probe_at
    assert bench.parked == "wrong_credentials"


def test_a_success_in_flight_while_parked_does_not_resume(bench: Bench) -> None:
    bench.accept_tickets(1, 2)
    first, second = bench.take().assignments
    bench.settle(first, TOKEN_REFUSED)

    assert bench.settle(second, DELIVERED) == "delivered"

    assert bench.parked == "token_refused"


# Unknown tickets


def test_five_unknown_tickets_in_a_row_park_the_integration(bench: Bench) -> None:
    bench.accept_tickets(*range(5))

    statuses = [bench.attempt(NOT_FOUND) for _ in range(5)]

    assert statuses == ["retrying"] * 5
    assert bench.parked == "not_found"
    assert bench.take().look_again_at == bench.now + 30 * SECOND


def test_an_unknown_ticket_counts_once(bench: Bench) -> None:
    bench.accept_tickets(1)

    for _ in range(9):
        bench.attempt(NOT_FOUND, delay=0)

    assert bench.parked is None


def test_a_success_ends_the_unknown_tickets_in_a_row(bench: Bench) -> None:
    bench.accept_tickets(*range(9))

    for outcome in [NOT_FOUND] * 4 + [DELIVERED] + [NOT_FOUND] * 4:
        bench.attempt(outcome)

    assert bench.parked is None


@pytest.mark.parametrize("between", [REFUSED, NOT_NOW, UNREACHABLE, BUG])
def test_only_a_success_ends_the_unknown_tickets_in_a_row(bench: Bench, between: Outcome) -> None:
    bench.accept_tickets(*range(6))

    for outcome in [NOT_FOUND] * 4 + [between, NOT_FOUND]:
        bench.attempt(outcome, delay=HOUR)

    assert bench.parked == "not_found"


def test_tickets_that_stay_unknown_do_not_park_the_integration_forever(bench: Bench) -> None:
    unknown = park_not_found(bench)
    known = bench.accept_new(resolution("1", ticket=6))
    deadline = bench.now + DAY

    while bench.parked:
        probe = wait_for_probe(bench)
        bench.settle(probe, DELIVERED if probe.sys_id == sys_id(6) else NOT_FOUND)
        assert bench.now < deadline

    assert bench.listed("dead") == unknown
    assert bench.status(known) == "delivered"


def test_an_unknown_ticket_is_given_up_after_ten_minutes_while_parked(bench: Bench) -> None:
    unknown = park_not_found(bench)
    for delivery in unknown[1:]:
        bench.accept_new(resolution("2", state=3, ticket=1 + unknown.index(delivery)))

    bench.wait(10 * MINUTE)
    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert status == "dead"
    assert bench.record(unknown[0])["reason"] == "not_found"


# The time until giving up


def test_the_time_while_parked_does_not_count_towards_giving_up(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("1"))
    bench.wait(47 * HOUR)
    bench.attempt(TOKEN_REFUSED)
    bench.wait(7 * DAY)
    bench.settle(bench.take_one(), NOT_NOW, delay=HOUR - 1)
    bench.wait(HOUR - 1)
    almost = bench.attempt(NOT_NOW)
    bench.wait(1)

    status = bench.attempt(NOT_NOW)

    assert (almost, status) == ("retrying", "dead")
    assert bench.record(delivery)["reason"] == "not_now"


def test_parked_time_before_acceptance_is_not_subtracted(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    bench.wait(10 * DAY)
    accepted_while_parked = bench.accept_new(resolution("1", ticket=2))
    bench.wait(DAY)
    bench.settle(bench.take_one(), DELIVERED)
    bench.wait(48 * HOUR - 1)
    almost = bench.attempt(NOT_NOW)
    bench.wait(1)

    status = bench.attempt(NOT_NOW)

    assert (almost, status) == ("retrying", "dead")
    assert bench.listed("dead") == [accepted_while_parked]


def test_after_resuming_no_delivery_is_given_up_without_an_attempt(bench: Bench) -> None:
    bench.accept_tickets(1, 2)
    first, second = bench.take().assignments
    bench.wait(3 * DAY)
    bench.settle(first, TOKEN_REFUSED)
    in_flight = bench.settle(second, NOT_NOW)
    bench.wait(HOUR)

    by_probe = bench.settle(bench.take_one(), NOT_NOW)
    after = [bench.settle(assignment, NOT_NOW) for assignment in bench.take().assignments]

    assert (in_flight, by_probe) == ("retrying", "retrying")
    assert after == ["dead", "dead"]
