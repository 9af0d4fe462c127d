"""Parking (DESIGN section 7): when an integration is parked, how it is probed meanwhile, and what brings it back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    BUG,
    DAY,
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
    answered,
    make_integration,
    resolution,
    sys_id,
)

from relay.core.outcomes import Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.settlements import Assignment

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


def park_down(bench: Bench) -> list[str]:
    """Let five tickets fail, one after the other, and return their deliveries."""
    ids = bench.accept_tickets(1, 2, 3, 4, 5)
    for _ in range(5):
        bench.attempt(UNREACHABLE)
    assert bench.parked == "down"
    return ids


def park_not_found(bench: Bench) -> list[str]:
    """Let IEM know none of five tickets, and return their deliveries."""
    ids = bench.accept_tickets(1, 2, 3, 4, 5)
    for _ in range(5):
        bench.attempt(NOT_FOUND)
    assert bench.parked == "not_found"
    return ids


def wait_for_probe(bench: Bench, *, worker: str = "worker-1") -> Assignment:
    """Let the time pass until a probe is due, and return it."""
    batch = bench.take(worker=worker)
    if not batch.assignments:
        assert batch.look_again_at is not None
        bench.wait(batch.look_again_at - bench.now)
        batch = bench.take(worker=worker)
    [probe] = batch.assignments
    assert probe.is_probe
    return probe


# Five in a row: down


@pytest.mark.parametrize("outcome", DOWN)
def test_five_failures_in_a_row_that_speak_of_iem_park_the_integration_as_down(bench: Bench, outcome: Outcome) -> None:
    bench.accept_tickets(*range(5))

    statuses = [bench.attempt(outcome) for _ in range(5)]

    assert statuses == ["retrying"] * 4 + ["parked"]
    assert bench.parked == "down"


def test_the_five_may_be_of_different_kinds_and_of_one_delivery(bench: Bench) -> None:
    bench.accept_tickets(1)

    for outcome in [*DOWN, UNREACHABLE]:
        bench.attempt(outcome, delay=0)

    assert bench.parked == "down"


def test_five_failures_of_several_workers_in_one_step_park_too(bench: Bench) -> None:
    bench.accept_tickets(*range(5))
    in_flight = [bench.take_one(worker=f"worker-{number}") for number in range(5)]

    statuses = bench.settle_all([bench.settlement(assignment, SERVER_ERROR) for assignment in in_flight])

    assert statuses == ["retrying"] * 4 + ["parked"]
    assert bench.parked == "down"


@pytest.mark.parametrize("between", [DELIVERED, REFUSED, NOT_FOUND, NOT_NOW])
def test_any_other_answer_between_ends_the_row(bench: Bench, between: Outcome) -> None:
    bench.accept_tickets(*range(9))
    for outcome in [UNREACHABLE] * 4 + [between] + [UNREACHABLE] * 4:
        bench.attempt(outcome)

    assert bench.parked is None


@pytest.mark.parametrize("between", [BUG, None])
def test_what_says_nothing_of_iem_does_not_end_the_row(bench: Bench, between: Outcome | None) -> None:
    bench.accept_tickets(*range(6))

    outcomes: list[Outcome | None] = [*[UNREACHABLE] * 4, between, UNREACHABLE]
    for outcome in outcomes:
        bench.attempt(outcome)

    assert bench.parked == "down"


def test_one_integrations_row_is_not_anothers(redis: Connection) -> None:
    ours, theirs = Bench(redis), Bench(redis, make_integration("globex"))
    park_down(ours)
    theirs.accept_tickets(1)

    assert theirs.parked is None
    assert len(theirs.take_ids()) == 1


def test_the_failures_that_led_to_parking_spend_nothing_and_go_back_to_the_queue(bench: Bench) -> None:
    ids = park_down(bench)

    for delivery in ids:
        record = bench.record(delivery)
        assert [turn.counted for turn in bench.turns(delivery)] == [False]
        assert (record.get("tries", "0"), record["place"]) == ("0", "queue")
        assert "next_at" not in record
    assert bench.redis.call("ZCARD", bench.key("retry")) == 0


def test_what_was_counted_before_the_row_stays_counted(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=0)

    for _ in range(5):
        bench.attempt(UNREACHABLE, delay=0)

    assert [turn.counted for turn in bench.turns(delivery)] == [True] + [False] * 5
    assert bench.record(delivery)["tries"] == "1"


def test_a_failure_that_led_to_parking_is_not_counted_though_its_delivery_has_ended_since(bench: Bench) -> None:
    bench.accept_new(resolution("1", state=3, ticket=1))
    bench.attempt(UNREACHABLE)
    ended = bench.listed("pending")
    bench.accept_new(resolution("2", ticket=1))
    bench.accept_tickets(2, 3, 4)

    for _ in range(4):
        bench.attempt(UNREACHABLE)

    assert bench.parked == "down"
    assert bench.listed("superseded") == ended
    assert [turn.counted for turn in bench.turns(ended[0])] == [False]


def test_failures_before_the_row_are_counted(bench: Bench) -> None:
    first, *_ = bench.accept_tickets(*range(9))
    outcomes: list[Outcome] = [UNREACHABLE, DELIVERED, *[UNREACHABLE] * 5]
    for outcome in outcomes:
        bench.attempt(outcome)

    assert bench.parked == "down"
    assert [turn.counted for turn in bench.turns(first)] == [True]


def test_parking_and_resuming_stand_in_the_audit_trail(bench: Bench) -> None:
    park_down(bench)
    bench.settle(wait_for_probe(bench), DELIVERED)

    entries = [entry for _, entry in bench.redis.call("XRANGE", bench.key("audit"), "-", "+")]

    told = [(entry["type"], entry["actor"]) for entry in entries if entry["type"] in {"parked", "resumed"}]
    assert told == [("parked", "relay"), ("resumed", "probe")]


# Refused as configured


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_of_the_configuration_parks_at_once(bench: Bench, reason: Reason) -> None:
    [delivery] = bench.accept_tickets(1)

    status = bench.attempt(Park(reason))

    assert (status, bench.parked) == ("parked", reason)
    assert [turn.counted for turn in bench.turns(delivery)] == [True]
    assert bench.record(delivery)["reason"] == reason


def test_nothing_but_probes_is_handed_out_while_parked(bench: Bench) -> None:
    bench.accept_tickets(*range(9))
    bench.attempt(WRONG_CREDENTIALS)

    batch = bench.take()

    assert (batch.assignments, batch.parked) == ((), "wrong_credentials")
    assert batch.look_again_at == bench.now + 5 * MINUTE


def test_failures_in_flight_while_parked_spend_nothing(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)
    in_flight = bench.take().assignments
    bench.settle(in_flight[0], WRONG_CREDENTIALS)
    probe_at = bench.circuit()["probe_at"]
    bench.wait(SECOND)

    statuses = [bench.settle(in_flight[1], WRONG_CREDENTIALS), bench.settle(in_flight[2], UNREACHABLE)]

    assert statuses == ["parked", "parked"]
    assert [turn.counted for delivery in ids[1:] for turn in bench.turns(delivery)] == [False, False]
    assert bench.circuit()["probe_at"] == probe_at
    assert bench.parked == "wrong_credentials"


def test_a_success_in_flight_while_parked_is_delivered_and_resumes_nothing(bench: Bench) -> None:
    bench.accept_tickets(1, 2)
    first, second = bench.take().assignments
    bench.settle(first, TOKEN_REFUSED)

    assert bench.settle(second, DELIVERED) == "delivered"

    assert bench.parked == "token_refused"


# Probes


def test_one_probe_is_made_however_many_workers_ask(bench: Bench, redis_url: str) -> None:
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


def test_a_worker_without_room_makes_no_probe(bench: Bench) -> None:
    park_down(bench)
    bench.wait(HOUR)

    assert bench.take(0).assignments == ()
    assert len(bench.take(1).assignments) == 1


def test_the_oldest_delivery_is_the_probe_though_it_waits_for_its_retry(bench: Bench) -> None:
    [oldest] = bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=HOUR)
    bench.accept_tickets(2)
    bench.attempt(TOKEN_REFUSED)

    probe = wait_for_probe(bench)

    assert probe.id == oldest
    assert "next_at" not in bench.record(oldest)


def test_the_oldest_delivery_is_the_probe_though_it_came_back_to_the_queue_last(bench: Bench) -> None:
    oldest, *_ = bench.accept_tickets(1, 2, 3)
    first, second, third = bench.take().assignments
    bench.settle_all([bench.settlement(third, TOKEN_REFUSED), bench.settlement(second, None)])
    bench.settle(first, None)

    probe = wait_for_probe(bench)

    assert probe.id == oldest


def test_the_oldest_delivery_that_is_not_in_flight_already_is_the_probe(bench: Bench) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take_one()
    behind = bench.accept_new(resolution("2", state=3, ticket=1))
    bench.attempt(TOKEN_REFUSED)

    probe = wait_for_probe(bench)

    assert (in_flight.id, probe.id) == (first, second)
    assert bench.record(behind)["place"] == "behind"


def test_an_integration_with_nothing_to_deliver_is_not_probed(bench: Bench) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take().assignments
    bench.settle(in_flight[0], TOKEN_REFUSED)
    bench.settle(in_flight[1], DELIVERED)
    probe = wait_for_probe(bench)

    bench.wait(HOUR)

    assert (probe.id, bench.status(second)) == (first, "delivered")
    assert bench.take().assignments == ()


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        (Reason.TOKEN_REFUSED, [30, 60, 120, 240, 480, 900, 900]),
        (Reason.ACCESS_DENIED, [30, 60, 120, 240, 480, 900, 900]),
        (Reason.WRONG_CREDENTIALS, [300, 600, 1200, 2400, 3600, 3600]),
    ],
)
def test_probes_of_a_refused_integration_become_rarer(bench: Bench, reason: Reason, waits: list[int]) -> None:
    bench.accept_tickets(1)
    bench.attempt(Park(reason))

    seen = []
    for _ in waits:
        before = bench.now
        probe = wait_for_probe(bench)
        seen.append((bench.now - before) // SECOND)
        bench.settle(probe, Park(reason))

    assert seen == waits


def test_probes_of_an_integration_that_is_down_become_rarer(bench: Bench) -> None:
    park_down(bench)

    seen = []
    for _ in range(9):
        before = bench.now
        probe = wait_for_probe(bench)
        seen.append((bench.now - before) // SECOND)
        bench.settle(probe, UNREACHABLE)

    assert seen == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("outcome", [WRONG_CREDENTIALS, UNREACHABLE, RATE_LIMITED])
def test_a_probe_that_fails_for_a_reason_to_park_keeps_it_parked_and_spends_nothing(
    bench: Bench, outcome: Outcome
) -> None:
    oldest, *_ = park_down(bench)
    before = bench.record(oldest).get("tries", "0")

    status = bench.settle(wait_for_probe(bench), outcome)

    assert status == "parked"
    assert bench.parked is not None
    assert bench.turns(oldest)[-1].counted is False
    assert bench.record(oldest).get("tries", "0") == before
    assert bench.record(oldest)["place"] == "queue"


def test_a_probe_that_fails_for_another_reason_to_park_begins_that_reasons_schedule(bench: Bench) -> None:
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
def test_a_probe_with_any_other_answer_resumes_and_counts_as_usual(bench: Bench, outcome: Outcome, status: str) -> None:
    oldest, *rest = park_down(bench)

    told = bench.settle(wait_for_probe(bench), outcome)

    assert (told, bench.parked) == (status, None)
    assert bench.turns(oldest)[-1].counted is True
    assert bench.take_ids() == rest


def test_a_delivery_that_was_the_probe_is_not_pushed_again_from_the_queue(bench: Bench) -> None:
    _, *rest = park_down(bench)

    bench.settle(wait_for_probe(bench), DELIVERED)

    assert bench.take_ids() == rest


def test_a_probe_whose_worker_is_lost_is_made_again_after_its_lease(bench: Bench) -> None:
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


def test_a_probe_whose_worker_and_group_are_lost_is_made_again_after_its_lease(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    lost = wait_for_probe(bench)
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")
    bench.wait(LEASE)
    bench.reclaim()

    again = bench.take_one()

    assert (again.id, again.is_probe) == (lost.id, True)


def test_a_probe_that_is_handed_back_is_made_again_at_once(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)

    bench.settle(probe, None)

    assert bench.take_one().id == probe.id
    assert bench.parked == "down"


def test_a_bug_in_a_probe_keeps_it_parked_and_the_next_probe_keeps_its_distance(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)

    bench.settle(probe, BUG, delay=5 * SECOND)

    assert bench.parked == "down"
    assert bench.take().assignments == ()
    assert bench.take().look_again_at == bench.now + 5 * SECOND


def test_a_probe_that_a_newer_update_superseded_still_tells_how_iem_is(bench: Bench) -> None:
    park_down(bench)
    probe = wait_for_probe(bench)
    newer = bench.accept_new(resolution("2", state=3, ticket=1))

    assert bench.settle(probe, NOT_NOW) == "superseded"

    assert bench.parked is None
    assert newer in bench.take_ids()


# What brings an integration back at once


@pytest.mark.parametrize("reason", [Reason.WRONG_CREDENTIALS, Reason.TOKEN_REFUSED])
def test_a_changed_configuration_is_probed_at_once(bench: Bench, reason: Reason) -> None:
    bench.accept_tickets(1, 2)
    bench.attempt(Park(reason))
    nothing_yet = bench.take().assignments

    probe = bench.take_one(config="config-2")
    bench.settle(probe, DELIVERED)

    assert nothing_yet == ()
    assert probe.is_probe
    assert bench.parked is None


def test_a_changed_configuration_that_fails_too_is_probed_on_schedule(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    bench.config = "config-2"

    bench.attempt(WRONG_CREDENTIALS)

    assert bench.take().assignments == ()
    assert bench.take().look_again_at == bench.now + 10 * MINUTE


def test_a_configuration_that_is_changed_back_is_probed_at_once(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    bench.settle(bench.take_one(config="config-2"), WRONG_CREDENTIALS)
    bench.wait(SECOND)

    assert bench.take_one(config="config-1").is_probe


def test_two_workers_with_different_configurations_do_not_take_turns_without_end(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    probes = 0

    for second in range(3600):
        config = ("config-1", "config-2")[second % 2]
        for assignment in bench.take(config=config).assignments:
            bench.settle(assignment, WRONG_CREDENTIALS)
            probes += 1
        bench.wait(SECOND)

    assert probes <= 8  # two at once, and what the schedule of an hour has


def test_a_changed_configuration_makes_no_second_probe_beside_one_in_flight(bench: Bench) -> None:
    park_down(bench)
    wait_for_probe(bench)

    assert bench.take(config="config-2").assignments == ()


def test_an_integration_that_was_parked_by_hand_is_not_probed(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    bench.redis.call("HSET", bench.key("circuit"), "by_hand", "1")
    bench.wait(DAY)

    assert bench.take(config="config-2").assignments == ()


@pytest.mark.parametrize("outcome", [DELIVERED, UNREACHABLE, WRONG_CREDENTIALS])
def test_a_probe_that_was_under_way_does_not_end_parking_by_hand(bench: Bench, outcome: Outcome) -> None:
    bench.accept_tickets(1, 2)
    bench.attempt(TOKEN_REFUSED)
    bench.wait(MINUTE)
    probe = bench.take_one()
    circuit = Circuit(bench.redis)
    circuit.park(bench.name, actor="ann", why="maintenance", now=bench.now)

    bench.settle(probe, outcome)
    bench.wait(DAY)

    assert bench.parked == "by_hand"
    assert bench.take().assignments == ()


# Clocks


def test_the_time_that_an_integration_is_parked_does_not_count_towards_giving_up(bench: Bench) -> None:
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


def test_the_clock_of_a_delivery_that_came_while_parked_stood_still_since_then_only(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    bench.wait(10 * DAY)
    came = bench.accept_new(resolution("1", ticket=2))
    bench.wait(DAY)
    bench.settle(bench.take_one(), DELIVERED)
    bench.wait(48 * HOUR - 1)
    almost = bench.attempt(NOT_NOW)
    bench.wait(1)

    status = bench.attempt(NOT_NOW)

    assert (almost, status) == ("retrying", "dead")
    assert bench.listed("dead") == [came]


def test_nothing_dies_without_an_attempt_after_resuming(bench: Bench) -> None:
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


# IEM knows none of the tickets


def test_five_tickets_in_a_row_that_iem_does_not_know_park_the_integration(bench: Bench) -> None:
    bench.accept_tickets(*range(5))

    statuses = [bench.attempt(NOT_FOUND) for _ in range(5)]

    assert statuses == ["retrying"] * 5
    assert bench.parked == "not_found"
    assert bench.take().look_again_at == bench.now + 30 * SECOND


def test_one_ticket_that_iem_does_not_know_counts_once(bench: Bench) -> None:
    bench.accept_tickets(1)

    for _ in range(9):
        bench.attempt(NOT_FOUND, delay=0)

    assert bench.parked is None


def test_a_success_between_ends_the_row_of_unknown_tickets(bench: Bench) -> None:
    bench.accept_tickets(*range(9))

    for outcome in [NOT_FOUND] * 4 + [DELIVERED] + [NOT_FOUND] * 4:
        bench.attempt(outcome)

    assert bench.parked is None


@pytest.mark.parametrize("between", [REFUSED, NOT_NOW, UNREACHABLE, BUG])
def test_nothing_but_a_success_ends_the_row_of_unknown_tickets(bench: Bench, between: Outcome) -> None:
    bench.accept_tickets(*range(6))

    for outcome in [NOT_FOUND] * 4 + [between, NOT_FOUND]:
        bench.attempt(outcome, delay=HOUR)

    assert bench.parked == "not_found"


def test_a_probe_of_a_ticket_that_iem_still_does_not_know_keeps_it_parked(bench: Bench) -> None:
    oldest, *_ = park_not_found(bench)

    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert (status, bench.parked) == ("parked", "not_found")
    assert [turn.counted for turn in bench.turns(oldest)] == [True, False]
    assert bench.take().look_again_at == bench.now + MINUTE


def test_a_probe_that_finds_its_ticket_resumes(bench: Bench) -> None:
    _, *rest = park_not_found(bench)

    assert bench.settle(wait_for_probe(bench), DELIVERED) == "delivered"

    assert bench.parked is None
    bench.wait(HOUR)
    assert bench.take_ids() == rest
    assert "unknown" not in bench.circuit()


def test_a_404_of_a_probe_resumes_an_integration_that_was_parked_for_something_else(bench: Bench) -> None:
    park_down(bench)

    assert bench.settle(wait_for_probe(bench), NOT_FOUND) == "retrying"

    assert bench.parked is None


def test_a_404_of_a_probe_after_a_success_in_flight_resumes(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3, 4, 5, 6)
    *unknown, known = bench.take().assignments
    for assignment in unknown:
        bench.settle(assignment, NOT_FOUND)
    bench.settle(known, DELIVERED)

    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert (status, bench.parked) == ("retrying", None)
    assert bench.turns(ids[0])[-1].counted is True


def test_a_ticket_that_iem_never_knows_does_not_keep_its_integration_parked_for_ever(bench: Bench) -> None:
    unknown = park_not_found(bench)
    known = bench.accept_new(resolution("1", ticket=6))
    deadline = bench.now + DAY

    while bench.parked:
        probe = wait_for_probe(bench)
        bench.settle(probe, DELIVERED if probe.sys_id == sys_id(6) else NOT_FOUND)
        assert bench.now < deadline

    assert bench.listed("dead") == unknown
    assert bench.status(known) == "delivered"


def test_a_single_ticket_that_iem_never_knows_dies_after_ten_minutes_though_parked(bench: Bench) -> None:
    unknown = park_not_found(bench)
    for delivery in unknown[1:]:
        bench.accept_new(resolution("2", state=3, ticket=1 + unknown.index(delivery)))

    bench.wait(10 * MINUTE)
    status = bench.settle(wait_for_probe(bench), NOT_FOUND)

    assert status == "dead"
    assert bench.record(unknown[0])["reason"] == "not_found"


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_iems_answers_that_speak_of_iem_as_a_whole_are_the_tables(bench: Bench, status: int) -> None:
    bench.accept_tickets(*range(5))

    for _ in range(5):
        bench.attempt(answered(status))

    assert bench.parked == "down"
