"""Older updates: which of two updates is older, and what a newer update does to pending deliveries."""

from __future__ import annotations

import pytest
from store.bench import (
    DELIVERED,
    HOUR,
    MINUTE,
    NOT_NOW,
    SECOND,
    START,
    WRONG_CREDENTIALS,
    Bench,
    resolution,
    sys_id,
)

from relay.core.mapping import map_record
from relay.core.model import Update
from relay.core.outcomes import Outcome
from relay.store.submissions import Verdict

#: Dates of updates (Unix ms): 1 March 2026 and minutes after it.
MARCH = 1_772_323_200_000


# Older than the mark of the ticket


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        pytest.param(resolution("10"), resolution("9"), id="version"),
        pytest.param(resolution("10"), resolution("9.5"), id="decimal version"),
        pytest.param(resolution("9.10"), resolution("9.09"), id="fraction"),
        pytest.param(resolution("9007199254740994"), resolution("9007199254740993"), id="beyond 2**53"),
        pytest.param(resolution("1" + "0" * 39), resolution("9" * 39), id="as long as versions get"),
        pytest.param(resolution(updated_at=MARCH), resolution(updated_at=MARCH - 1), id="date"),
        pytest.param(
            resolution("2", updated_at=MARCH), resolution("1", updated_at=MARCH + 1), id="version before date"
        ),
        pytest.param(
            resolution("2", updated_at=MARCH), resolution(updated_at=MARCH - 1), id="date: only one has a version"
        ),
    ],
)
def test_an_older_update_is_superseded_and_never_pushed(bench: Bench, newer: Update, older: Update) -> None:
    first = bench.accept_new(newer)
    bench.wait(SECOND)

    verdict = bench.accept(older)

    assert verdict.status == "superseded"
    record = bench.record(verdict.id)
    assert (record["status"], record["reason"], record["superseded_by"]) == ("superseded", "late", first)
    assert record["finished_at"] == record["created_at"] == str(bench.now)
    assert bench.take_ids() == [first]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(resolution("5"), resolution("5", state=7), id="equal version"),
        pytest.param(resolution(updated_at=MARCH), resolution(updated_at=MARCH, state=7), id="equal date"),
        pytest.param(resolution("9"), resolution("10"), id="a longer number is higher"),
        pytest.param(resolution("9.5"), resolution("10"), id="a longer whole part is higher"),
        pytest.param(resolution("9007199254740993"), resolution("9007199254740994"), id="beyond 2**53"),
        pytest.param(
            resolution("2", updated_at=MARCH), resolution("3", updated_at=MARCH - 1), id="version before date"
        ),
        pytest.param(resolution("5"), resolution(updated_at=MARCH), id="nothing but the time of receipt in common"),
        pytest.param(resolution("5"), resolution(), id="neither version nor date"),
    ],
)
def test_an_update_that_is_not_older_is_queued(bench_without_collapse: Bench, first: Update, second: Update) -> None:
    bench_without_collapse.accept_new(first)

    verdict = bench_without_collapse.accept(second)

    assert verdict.status == "queued"


@pytest.mark.parametrize("update", [resolution(state=7), resolution(state=7, updated_at=MARCH)])
def test_the_time_of_receipt_decides_if_nothing_else_can_be_compared(bench: Bench, update: Update) -> None:
    bench.accept_new(resolution("5"))

    earlier = bench.accept(update, received_at=START - 1)
    same_time = bench.accept(update, received_at=START)

    assert earlier.status == "superseded"
    # A duplicate, because the identity is known now; the previous test shows that it would be new otherwise.
    assert same_time == Verdict("duplicate", earlier.id)


def test_the_mark_has_the_highest_version_date_and_time_of_receipt(bench_without_collapse: Bench) -> None:
    bench_without_collapse.accept(resolution("5", updated_at=MARCH))
    bench_without_collapse.accept(resolution(updated_at=MARCH + MINUTE))
    bench_without_collapse.accept(resolution("6", updated_at=MARCH), received_at=START - MINUTE)

    ticket = bench_without_collapse.ticket()
    by_version = bench_without_collapse.accept(resolution("5.9"))
    by_date = bench_without_collapse.accept(resolution(updated_at=MARCH + MINUTE - 1))
    by_receipt = bench_without_collapse.accept(resolution(), received_at=START - 1)

    assert (ticket["updated_at"], ticket["received_at"]) == (str(MARCH + MINUTE), str(START))
    assert [by_version.status, by_date.status, by_receipt.status] == ["superseded"] * 3


@pytest.mark.parametrize("version", ["v7", "Kingston", "1.2.3", "1e3"])
def test_a_version_that_is_not_a_decimal_number_is_ignored(bench: Bench, version: str) -> None:
    record = {"sys_id": sys_id(1), "state": "6", "sys_mod_count": version, "sys_updated_on": "2026-03-01 00:00:00"}
    first = map_record(bench.integration, record)
    older = map_record(bench.integration, {**record, "sys_updated_on": "2026-02-28 23:59:59"})
    bench.accept(first)

    verdicts = [bench.accept(first), bench.accept(older)]

    assert [verdict.status for verdict in verdicts] == ["duplicate", "superseded"]
    assert "version" not in bench.ticket()


# A newer update is accepted


def test_a_newer_update_supersedes_a_queued_delivery(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))

    newer = bench.accept_new(resolution("6"))

    record = bench.record(older)
    assert (record["status"], record["reason"], record["superseded_by"]) == ("superseded", "newer_accepted", newer)
    assert bench.take_ids() == [newer]
    assert bench.redis.call("XLEN", bench.key("queue")) == 1


def test_a_superseded_delivery_is_not_listed_as_pending(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))

    newer = bench.accept_new(resolution("6"))

    assert (bench.listed("pending"), bench.listed("superseded")) == ([newer], [older])


def test_a_newer_update_supersedes_a_retrying_delivery(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.attempt(NOT_NOW)

    newer = bench.accept_new(resolution("6"))
    bench.wait(HOUR)

    assert bench.status(older) == "superseded"
    assert bench.take_ids() == [newer]
    assert bench.redis.call("ZCARD", bench.key("retry")) == 0


def test_a_newer_update_supersedes_a_delivery_behind_one_in_flight(bench: Bench) -> None:
    first = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    behind = bench.accept_new(resolution("6"))

    newest = bench.accept_new(resolution("7", state=3))

    assert bench.status(behind) == "superseded"
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert bench.take_ids() == [newest]
    assert bench.record(first)["superseded_by"] == behind


def test_a_newer_update_supersedes_a_parked_delivery(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.attempt(WRONG_CREDENTIALS)

    newer = bench.accept_new(resolution("6"))
    bench.wait(HOUR)

    assert bench.status(older) == "superseded"
    assert bench.take_ids() == [newer]


def test_a_superseded_delivery_in_flight_finishes(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    bench.accept_new(resolution("6"))

    status = bench.settle(in_flight, DELIVERED)

    assert status == bench.status(older) == "delivered"


@pytest.mark.parametrize("outcome", [NOT_NOW, WRONG_CREDENTIALS, None])
def test_a_superseded_delivery_in_flight_is_not_retried(bench: Bench, outcome: Outcome | None) -> None:
    older = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    newer = bench.accept_new(resolution("6"))

    status = bench.settle(in_flight, outcome)
    bench.wait(HOUR)

    assert status == bench.status(older) == "superseded"
    assert bench.record(older)["superseded_by"] == newer
    assert bench.take_ids() == [newer]


def test_a_newer_update_does_not_affect_other_tickets(bench: Bench) -> None:
    other = bench.accept_new(resolution("5", ticket=2))

    bench.accept_new(resolution("6"))

    assert bench.status(other) == "queued"
