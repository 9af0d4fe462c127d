"""The verdict on an update (DESIGN section 4), line by line, by the store's own script."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    DAY,
    DELIVERED,
    HOUR,
    MINUTE,
    NOT_NOW,
    REFUSED,
    RETENTION,
    SECOND,
    START,
    WRONG_CREDENTIALS,
    Bench,
    make_integration,
    reopening,
    resolution,
    sys_id,
    unusable,
)

from relay.core.mapping import map_record
from relay.core.model import Mapped, Update
from relay.core.outcomes import Outcome
from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict, encode_submissions

#: Dates of updates (Unix ms): 1 March 2026 and minutes after it.
MARCH = 1_772_323_200_000


def leave_pending(bench: Bench) -> None:
    """Do nothing with the first delivery."""


def deliver(bench: Bench) -> None:
    bench.attempt(DELIVERED)


def refuse(bench: Bench) -> None:
    bench.attempt(REFUSED)


def supersede(bench: Bench) -> None:
    bench.accept_new(resolution("9", state=3))


def discard(bench: Bench) -> None:
    """Close the dead letter, as an operator does."""
    bench.attempt(REFUSED)
    [delivery] = bench.listed("dead")
    bench.redis.call("HSET", bench.key(f"d:{delivery}"), "status", "discarded")


@pytest.fixture
def each_once(redis: Connection) -> Bench:
    """An integration with `collapse: false`, so that lines 2 and 5 can be told apart by the verdict alone."""
    return Bench(redis, make_integration(collapse=False))


# Line 1: the very same step again


@pytest.mark.parametrize("go_on", [leave_pending, deliver, supersede, refuse])
def test_a_repeat_of_the_very_step_gives_the_first_answer(bench: Bench, go_on: Callable[[Bench], None]) -> None:
    submission = bench.submission(resolution("5"))
    first = bench.submit([submission])
    go_on(bench)
    pending = bench.listed("pending")

    again = bench.submit([submission])

    assert again == first == [Verdict("queued", submission.id)]
    assert bench.listed("pending") == pending
    assert "duplicates" not in bench.record(submission.id)


def test_a_repeat_of_a_late_updates_step_says_superseded_again(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    late = bench.submission(resolution("4"))
    first = bench.submit([late])

    again = bench.submit([late])

    assert again == first == [Verdict("superseded", late.id)]
    assert bench.listed("superseded") == [late.id]


def test_a_repeat_of_a_duplicates_step_names_the_first_delivery_again(bench: Bench) -> None:
    first = bench.accept_new(resolution("5"))
    duplicate = bench.submission(resolution("5"))
    bench.submit([duplicate])

    again = bench.submit([duplicate])

    assert again == [Verdict("duplicate", first)]


def test_a_repeat_of_a_batch_gives_the_first_answers_and_stores_nothing(bench: Bench) -> None:
    batch = [bench.submission(one) for one in (resolution("1"), reopening("2"), resolution("3"), resolution("2"))]
    first = bench.submit(batch)

    again = bench.submit(batch)

    assert again == first
    assert [verdict.status for verdict in again] == ["queued", "ignored", "queued", "superseded"]
    assert bench.listed("pending") == [batch[2].id]
    assert bench.take_ids() == [batch[2].id]


# Line 2: the identity is known


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(resolution("5"), resolution("5"), id="version"),
        pytest.param(resolution("12.5"), resolution("12.5"), id="decimal version"),
        pytest.param(
            resolution("5", updated_at=MARCH), resolution("5", updated_at=MARCH + 1), id="version before date"
        ),
        pytest.param(resolution(updated_at=MARCH), resolution(updated_at=MARCH), id="date"),
        pytest.param(resolution(), resolution(), id="nothing"),
    ],
)
def test_an_update_whose_identity_is_known_is_a_duplicate(each_once: Bench, first: Update, second: Update) -> None:
    delivery = each_once.accept_new(first)

    verdict = each_once.accept(second)

    assert verdict == Verdict("duplicate", delivery)
    assert each_once.record(delivery)["duplicates"] == "1"
    assert each_once.take_ids() == [delivery]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(resolution("5"), resolution("6"), id="version"),
        pytest.param(resolution("5"), resolution("5.5"), id="decimal version"),
        pytest.param(resolution("5"), resolution("5", state=7), id="IEM state"),
        pytest.param(resolution("5"), resolution("5", ticket=2), id="ticket"),
        pytest.param(resolution(updated_at=MARCH), resolution(updated_at=MARCH + 1), id="date"),
        pytest.param(resolution(), resolution(state=7), id="IEM state of undated ones"),
        pytest.param(resolution(updated_at=MARCH), resolution("1", updated_at=MARCH), id="a version and none"),
    ],
)
def test_an_update_with_another_identity_is_new(each_once: Bench, first: Update, second: Update) -> None:
    each_once.accept_new(first)

    verdict = each_once.accept(second)

    assert verdict.status == "queued"


def test_the_same_update_of_another_integration_is_new(redis: Connection) -> None:
    ours, theirs = Bench(redis), Bench(redis, make_integration("globex"))
    ours.accept_new(resolution("5"))

    verdict = theirs.accept(resolution("5"))

    assert verdict.status == "queued"


def test_an_undated_update_is_known_by_its_idempotency_key(each_once: Bench) -> None:
    first = each_once.accept(resolution(), idempotency_key="msg_1")

    same = each_once.accept(resolution(), idempotency_key="msg_1")
    other = each_once.accept(resolution(), idempotency_key="msg_2")

    assert same == Verdict("duplicate", first.id)
    assert other.status == "queued"


def test_a_version_is_the_identity_whatever_the_idempotency_key(each_once: Bench) -> None:
    first = each_once.accept(resolution("5"), idempotency_key="msg_1")

    verdict = each_once.accept(resolution("5"), idempotency_key="msg_2")

    assert verdict == Verdict("duplicate", first.id)


@pytest.mark.parametrize(
    ("update", "window"),
    [
        pytest.param(resolution("5"), DAY, id="version"),
        pytest.param(resolution(updated_at=MARCH), DAY, id="date"),
        pytest.param(resolution(), 10 * MINUTE, id="undated: ten minutes at most"),
    ],
)
def test_an_identity_is_known_until_its_window_is_over(each_once: Bench, update: Update, window: int) -> None:
    first = each_once.accept_new(update)
    each_once.attempt(DELIVERED)
    each_once.wait(window - 1)
    before = each_once.accept(update)
    each_once.wait(1)

    after = each_once.accept(update)

    assert before == Verdict("duplicate", first)
    assert after.status == "queued"


def test_a_shorter_window_of_the_mapping_counts_for_undated_updates_too(redis: Connection) -> None:
    bench = Bench(redis, make_integration(window=MINUTE, collapse=False))
    bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.wait(MINUTE)

    verdict = bench.accept(resolution())

    assert verdict.status == "queued"


def test_an_identity_is_known_beyond_its_window_while_its_delivery_is_pending(each_once: Bench) -> None:
    first = each_once.accept_new(resolution("5"))
    each_once.attempt(NOT_NOW)
    each_once.wait(2 * DAY)

    verdict = each_once.accept(resolution("5"))

    assert verdict == Verdict("duplicate", first)


@pytest.mark.parametrize("end", [refuse, discard])
def test_a_resend_of_a_dead_delivery_is_new(bench: Bench, end: Callable[[Bench], None]) -> None:
    bench.accept_new(resolution("5"))
    end(bench)

    verdict = bench.accept(resolution("5"))

    assert verdict.status == "queued"
    assert bench.take_ids() == [verdict.id]


def test_a_resend_of_a_superseded_delivery_is_its_duplicate(bench: Bench) -> None:
    first = bench.accept_new(resolution("5", state=3))
    bench.accept_new(resolution("6"))

    verdict = bench.accept(resolution("5", state=3))

    assert verdict == Verdict("duplicate", first)


def test_a_resend_of_a_late_update_is_a_duplicate_of_its_own_delivery(bench: Bench) -> None:
    bench.accept_new(resolution("6"))
    late = bench.accept(resolution("5"))

    verdict = bench.accept(resolution("5"))

    assert verdict == Verdict("duplicate", late.id)


def test_a_resend_of_a_collapsed_update_names_the_delivery_that_it_was_collapsed_into(bench: Bench) -> None:
    first = bench.accept_new(resolution("5"))
    bench.accept(resolution("6"))
    bench.accept_new(resolution("7", state=3))

    verdict = bench.accept(resolution("6"))

    assert verdict == Verdict("duplicate", first)


def test_a_ticket_with_very_many_updates_forgets_identities_whose_window_is_over(redis: Connection) -> None:
    bench = Bench(redis, make_integration(window=MINUTE))
    for number in range(200):
        bench.accept(resolution(str(number)))
        bench.wait(SECOND)

    identities = [field for field in bench.ticket() if field.startswith("i:")]

    # The first ones were kept beyond the window, for their delivery is pending; of what is delivered only a minute is kept.
    assert len(identities) == 200
    bench.attempt(DELIVERED)
    for number in range(200, 400):
        bench.accept(resolution(str(number)))
        bench.wait(SECOND)
    identities = [field for field in bench.ticket() if field.startswith("i:")]
    assert len(identities) <= 60 + 64


def test_one_of_many_senders_of_the_same_update_is_the_first(bench: Bench, redis_url: str) -> None:
    together = Barrier(8)

    def send(number: int) -> Verdict:
        connection = Connection(redis_url, timeout=5)
        sender = Bench(connection)
        sender.now += number  # another id for each
        together.wait()
        verdict = sender.accept(resolution("5"))
        connection.close()
        return verdict

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(send, range(8)))

    assert sorted(verdict.status for verdict in verdicts) == ["duplicate"] * 7 + ["queued"]
    assert len({verdict.id for verdict in verdicts}) == 1
    assert bench.record(verdicts[0].id)["duplicates"] == "7"


# Line 3: older than the ticket's mark


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
def test_an_update_that_is_not_older_is_new(each_once: Bench, first: Update, second: Update) -> None:
    each_once.accept_new(first)

    verdict = each_once.accept(second)

    assert verdict.status == "queued"


@pytest.mark.parametrize("update", [resolution(state=7), resolution(state=7, updated_at=MARCH)])
def test_an_update_that_was_received_earlier_is_older_where_nothing_else_can_be_compared(
    bench: Bench, update: Update
) -> None:
    bench.accept_new(resolution("5"))

    earlier = bench.accept(update, received_at=START - 1)
    same_time = bench.accept(update, received_at=START)

    assert earlier.status == "superseded"
    # The identity is known by now: what was equal would be new otherwise, as the test above shows.
    assert same_time == Verdict("duplicate", earlier.id)


def test_the_mark_is_the_highest_of_each_kind(each_once: Bench) -> None:
    each_once.accept(resolution("5", updated_at=MARCH))
    each_once.accept(resolution(updated_at=MARCH + MINUTE))
    each_once.accept(resolution("6", updated_at=MARCH), received_at=START - MINUTE)

    ticket = each_once.ticket()
    by_version = each_once.accept(resolution("5.9"))
    by_date = each_once.accept(resolution(updated_at=MARCH + MINUTE - 1))
    by_receipt = each_once.accept(resolution(), received_at=START - 1)

    assert (ticket["updated_at"], ticket["received_at"]) == (str(MARCH + MINUTE), str(START))
    assert [by_version.status, by_date.status, by_receipt.status] == ["superseded"] * 3


@pytest.mark.parametrize("version", ["v7", "Kingston", "1.2.3", "1e3"])
def test_a_version_that_is_no_decimal_number_counts_as_absent(bench: Bench, version: str) -> None:
    record = {"sys_id": sys_id(1), "state": "6", "sys_mod_count": version, "sys_updated_on": "2026-03-01 00:00:00"}
    first = map_record(bench.integration, record)
    older = map_record(bench.integration, {**record, "sys_updated_on": "2026-02-28 23:59:59"})
    bench.accept(first)

    verdicts = [bench.accept(first), bench.accept(older)]

    assert [verdict.status for verdict in verdicts] == ["duplicate", "superseded"]
    assert "version" not in bench.ticket()


# Line 4: collapse


@pytest.mark.parametrize("go_on", [leave_pending, deliver])
def test_an_update_to_the_last_accepted_state_is_collapsed(bench: Bench, go_on: Callable[[Bench], None]) -> None:
    resolved = bench.accept_new(resolution("5"))
    go_on(bench)

    closed = bench.accept(resolution("6"))

    assert closed == Verdict("duplicate", resolved)
    assert bench.record(resolved)["duplicates"] == "1"


def test_an_update_is_collapsed_into_a_delivery_that_waits_for_its_retry(bench: Bench) -> None:
    resolved = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW)

    closed = bench.accept(resolution("6"))

    assert closed == Verdict("duplicate", resolved)


@pytest.mark.parametrize("end", [refuse, discard])
def test_an_update_is_not_collapsed_into_a_dead_delivery(bench: Bench, end: Callable[[Bench], None]) -> None:
    bench.accept_new(resolution("5"))
    end(bench)

    closed = bench.accept(resolution("6"))

    assert closed.status == "queued"


def test_an_update_to_another_state_is_not_collapsed(bench: Bench) -> None:
    bench.accept_new(resolution("5"))

    verdict = bench.accept(resolution("6", state=7))

    assert verdict.status == "queued"


def test_an_update_to_a_state_before_the_last_is_not_collapsed(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.accept_new(resolution("6", state=3))

    verdict = bench.accept(resolution("7"))

    assert verdict.status == "queued"


def test_nothing_is_collapsed_where_collapse_is_off(each_once: Bench) -> None:
    resolved = each_once.accept_new(resolution("5"))

    closed = each_once.accept(resolution("6"))

    assert closed.status == "queued"
    assert each_once.status(resolved) == "superseded"


def test_a_collapsed_update_raises_the_mark(bench: Bench) -> None:
    bench.accept_new(resolution("5", updated_at=MARCH))
    bench.wait(SECOND)
    bench.accept(resolution("8", updated_at=MARCH + MINUTE))

    late = bench.accept(resolution("7", state=3))

    assert late.status == "superseded"
    assert bench.ticket()["received_at"] == str(bench.now)
    assert bench.ticket()["updated_at"] == str(MARCH + MINUTE)


# Line 5: queued


def test_a_new_update_is_queued_with_all_that_it_says(bench: Bench) -> None:
    verdict = bench.accept(resolution("5", updated_at=MARCH))

    record = bench.record(verdict.id)
    said = {"sys_id": sys_id(1), "number": "INC0000001", "table": "incident", "itsm_state": "6", "iem_state": "6"}
    said |= {"version": "5", "updated_at": str(MARCH), "resolved_by": "beth.anglin@example.com"}
    known = {"mapping": bench.integration.digest, "from": "servicenow", "created_at": str(START), "status": "queued"}
    assert verdict.status == "queued"
    assert record.items() >= (said | known).items()
    assert bench.listed("pending") == [verdict.id]


def test_a_huge_version_is_kept_digit_by_digit(bench: Bench) -> None:
    version = "1234567890123456789012345678901234567890.12345678901234567891"

    verdict = bench.accept(resolution(version))

    assert bench.record(verdict.id)["version"] == version


def test_an_accepted_update_stands_in_the_audit_trail(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))

    [[_, entry]] = bench.redis.call("XRANGE", bench.key("audit"), "-", "+")

    assert (entry["type"], entry["delivery"], entry["actor"]) == ("accepted", delivery, "servicenow")
    assert entry["resolved_by"] == "beth.anglin@example.com"


def test_an_older_delivery_is_superseded_in_the_queue(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))

    newer = bench.accept_new(resolution("6"))

    record = bench.record(older)
    assert (record["status"], record["reason"], record["superseded_by"]) == ("superseded", "newer_accepted", newer)
    assert bench.take_ids() == [newer]
    assert bench.redis.call("XLEN", bench.key("queue")) == 1


def test_an_older_delivery_is_superseded_while_it_waits_for_its_retry(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.attempt(NOT_NOW)

    newer = bench.accept_new(resolution("6"))
    bench.wait(HOUR)

    assert bench.status(older) == "superseded"
    assert bench.take_ids() == [newer]
    assert bench.redis.call("ZCARD", bench.key("retry")) == 0


def test_an_older_delivery_is_superseded_while_it_waits_behind_the_one_in_flight(bench: Bench) -> None:
    first = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    behind = bench.accept_new(resolution("6"))

    newest = bench.accept_new(resolution("7", state=3))

    assert bench.status(behind) == "superseded"
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert bench.take_ids() == [newest]
    assert bench.record(first)["superseded_by"] == behind


def test_an_older_delivery_is_superseded_while_its_integration_is_parked(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.attempt(WRONG_CREDENTIALS)

    newer = bench.accept_new(resolution("6"))
    bench.wait(HOUR)

    assert bench.status(older) == "superseded"
    assert bench.take_ids() == [newer]


def test_an_older_delivery_in_flight_finishes(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    bench.accept_new(resolution("6"))

    status = bench.settle(in_flight, DELIVERED)

    assert status == bench.status(older) == "delivered"


@pytest.mark.parametrize("outcome", [NOT_NOW, WRONG_CREDENTIALS, None])
def test_an_older_delivery_in_flight_that_fails_is_not_retried(bench: Bench, outcome: Outcome | None) -> None:
    older = bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    newer = bench.accept_new(resolution("6"))

    status = bench.settle(in_flight, outcome)
    bench.wait(HOUR)

    assert status == bench.status(older) == "superseded"
    assert bench.record(older)["superseded_by"] == newer
    assert bench.take_ids() == [newer]


def test_a_delivery_of_another_ticket_is_left_alone(bench: Bench) -> None:
    other = bench.accept_new(resolution("5", ticket=2))

    bench.accept_new(resolution("6"))

    assert bench.status(other) == "queued"


# Ignored updates


def test_an_ignored_update_of_an_unknown_ticket_leaves_nothing_behind(bench: Bench) -> None:
    verdict = bench.accept(reopening("5"))

    assert verdict == Verdict("ignored", "")
    assert bench.redis.call("KEYS", "*") == ["relay:integrations"]


def test_an_ignored_update_never_raises_the_mark_and_supersedes_nothing(bench: Bench) -> None:
    first = bench.accept_new(resolution("5", updated_at=MARCH))
    mark = {name: value for name, value in bench.ticket().items() if name in {"version", "updated_at", "received_at"}}
    bench.wait(MINUTE)

    bench.accept(reopening("9", updated_at=MARCH + MINUTE))

    assert mark.items() <= bench.ticket().items()
    assert bench.status(first) == "queued"
    assert bench.accept(resolution("6", state=3)).status == "queued"


def test_a_resolution_after_an_ignored_update_is_new(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.accept(reopening("6"))

    verdict = bench.accept(resolution("7"))

    assert verdict.status == "queued"


def test_an_older_ignored_update_clears_nothing(bench: Bench) -> None:
    first = bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.accept(reopening("4"))

    verdict = bench.accept(resolution("6"))

    assert verdict == Verdict("duplicate", first)


def test_an_ignored_update_makes_undated_identities_unknown(bench: Bench) -> None:
    bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.accept(reopening())

    verdict = bench.accept(resolution())

    assert verdict.status == "queued"


def test_an_ignored_update_makes_identities_by_key_unknown(bench: Bench) -> None:
    bench.accept(resolution(), idempotency_key="msg_1")
    bench.attempt(DELIVERED)
    bench.accept(reopening())

    verdict = bench.accept(resolution(), idempotency_key="msg_1")

    assert verdict.status == "queued"


@pytest.mark.parametrize("update", [resolution("5"), resolution(updated_at=MARCH)])
def test_an_ignored_update_leaves_identities_by_version_and_date(bench: Bench, update: Update) -> None:
    first = bench.accept_new(update)
    bench.attempt(DELIVERED)
    bench.accept(reopening("6", updated_at=MARCH + 1))

    verdict = bench.accept(update)

    assert verdict == Verdict("duplicate", first)


def test_an_older_ignored_update_leaves_undated_identities(bench: Bench) -> None:
    first = bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.wait(MINUTE)
    bench.accept(reopening(), received_at=START - 1)

    verdict = bench.accept(resolution())

    assert verdict == Verdict("duplicate", first)


# Batches


def test_a_batch_is_judged_record_by_record_in_order(bench: Bench) -> None:
    batch: list[Mapped] = [
        resolution("1"),
        resolution("1"),
        resolution("3", state=3),
        resolution("2"),
        reopening("4"),
        unusable({"state": "6"}),
        resolution("1", ticket=2),
    ]

    verdicts = bench.submit([bench.submission(one) for one in batch])

    statuses = [verdict.status for verdict in verdicts]
    assert statuses == ["queued", "duplicate", "queued", "superseded", "ignored", "rejected", "queued"]
    assert verdicts[1].id == verdicts[0].id
    assert bench.status(verdicts[0].id) == "superseded"
    assert bench.take_ids() == [verdicts[2].id, verdicts[6].id]


def test_a_batch_that_cannot_be_stored_whole_is_not_stored_at_all(bench: Bench) -> None:
    # Redis's own JSON reader refuses a lone surrogate. Web turns one away already: this is the last line.
    good, bad = bench.submission(resolution("1")), bench.submission(resolution("1", ticket=2))
    bad = Submission("\ud800", bad.mapped, bad.received_at, bad.sender)

    with pytest.raises(StoreUnavailableError):
        bench.submit([good, bad])

    assert bench.redis.call("KEYS", "*") == []


def test_a_batch_of_the_largest_size_is_stored_in_one_step(bench: Bench) -> None:
    batch = [bench.submission(resolution("1", ticket=number)) for number in range(500)]

    verdicts = bench.submit(batch)

    assert verdicts == [Verdict("queued", submission.id) for submission in batch]
    assert len(bench.listed("pending")) == 500


# Rejections


def test_a_rejection_is_kept_with_all_that_its_replay_needs(bench: Bench) -> None:
    record = {"state": "6", "short_description": "disk full"}
    submission = bench.submission(unusable(record), idempotency_key="msg_1")

    verdicts = bench.submit([submission])

    kept = bench._hash(f"r:{submission.id}")
    assert verdicts == [Verdict("rejected", submission.id)]
    assert json.loads(kept["record"]) == record
    assert json.loads(kept["errors"]) == [{"field": "sys_id", "problem": "no value at `sys_id`"}]
    assert (kept["from"], kept["idempotency_key"], kept["seen"]) == ("servicenow", "msg_1", "1")
    assert kept["mapping"] == bench.integration.digest


def test_a_rejection_that_comes_again_is_kept_once_and_counted(bench: Bench) -> None:
    submission = bench.submission(unusable({"state": "6"}))
    bench.submit([submission])
    bench.wait(HOUR)

    bench.submit([submission])

    kept = bench._hash(f"r:{submission.id}")
    assert (kept["seen"], kept["created_at"], kept["seen_at"]) == ("2", str(START), str(START + HOUR))
    assert bench.redis.call("ZCARD", bench.key("rejections")) == 1
    assert bench.redis.call("PTTL", bench.key(f"r:{submission.id}")) == -1


# How long it is kept


def sweep(bench: Bench) -> None:
    bench.queue.sweep(cap=100, now=bench.now)


def test_a_ticket_with_pending_work_is_kept_for_ever(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW)
    bench.accept(resolution("6"))
    bench.accept(resolution("4"))

    bench.wait(2 * RETENTION)
    sweep(bench)

    assert bench.ticket()["version"] == "10016"
    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_ticket_with_a_dead_letter_is_kept_as_long_as_that(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    refuse(bench)
    letter = bench.listed("dead")
    bench.accept_new(resolution("6", state=3))
    deliver(bench)

    bench.wait(2 * RETENTION)
    sweep(bench)

    assert bench.listed("delivered") == []
    assert f"d:{letter[0]}" in bench.ticket()
    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_ticket_goes_with_its_last_dead_letter_when_that_was_closed(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    refuse(bench)
    letter = bench.listed("dead")[0]
    bench.accept_new(resolution("6", state=3))
    deliver(bench)
    bench.wait(2 * RETENTION)
    sweep(bench)

    DeadLetterStore(bench.redis).discard("acme", [letter], actor="ops", why="known", now=bench.now)
    bench.wait(RETENTION - SECOND)
    sweep(bench)
    before = bench.ticket()
    bench.wait(SECOND)
    sweep(bench)

    assert f"d:{letter}" in before
    assert bench.ticket() == {}


def test_a_ticket_is_kept_for_the_retention_after_its_last_work(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.wait(DAY)
    deliver(bench)

    bench.wait(RETENTION - SECOND)
    sweep(bench)
    before = bench.ticket()
    bench.wait(SECOND)
    sweep(bench)

    assert before["version"] == "10015"
    assert bench.ticket() == {}


def test_new_work_keeps_its_ticket_again(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.redis.call("PEXPIRE", bench.key(f"t:{sys_id(1)}"), MINUTE)

    bench.accept_new(resolution("6", state=3))

    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_late_update_keeps_its_ticket_as_long_as_it_is_kept_itself(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.wait(RETENTION - MINUTE)
    late = bench.accept(resolution("4"))

    bench.wait(2 * MINUTE)
    sweep(bench)
    after_the_last = bench.ticket()
    bench.wait(RETENTION)
    sweep(bench)

    assert f"d:{late.id}" in after_the_last
    assert bench.ticket() == {}


def test_a_late_update_keeps_a_ticket_that_is_about_to_go(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.redis.call("PEXPIRE", bench.key(f"t:{sys_id(1)}"), MINUTE)

    bench.accept(resolution("4"))

    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_collapsed_update_is_remembered_for_the_retention(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.wait(RETENTION - MINUTE)

    bench.accept(resolution("6"))
    bench.wait(2 * MINUTE)
    sweep(bench)

    assert bench.listed("delivered") == []
    assert bench.ticket()["version"] == "10016"
    left = bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}"))
    assert RETENTION - 3 * MINUTE < left <= RETENTION - 2 * MINUTE
    assert bench.redis.call("HLEN", bench.key("numbers")) == 0


@pytest.mark.parametrize("later", [RETENTION, MINUTE], ids=["as it was", "made shorter meanwhile"])
def test_an_identity_is_known_for_its_window_however_short_the_retention(redis: Connection, later: int) -> None:
    bench = Bench(redis, retention=RETENTION if later == MINUTE else MINUTE)
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.queue = DeliveryQueue(redis, "acme", retention=MINUTE / SECOND)

    bench.wait(HOUR)
    sweep(bench)
    again = bench.accept(resolution("5"))

    assert bench.listed("delivered") == []
    assert again.status == "duplicate"
    assert DAY - HOUR - MINUTE < bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) <= DAY - HOUR


def test_a_repeat_out_of_a_journal_is_known_when_its_ticket_is_forgotten(redis: Connection) -> None:
    bench = Bench(redis, retention=MINUTE)
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    records = encode_submissions(bench.integration, [bench.submission(resolution("4"))], bench.now)
    first = bench.queue.accept_records(records, bench.now)
    bench.redis.call("DEL", bench.key(f"t:{sys_id(1)}"))
    bench.wait(HOUR)

    again = bench.queue.accept_records(records, bench.now)

    assert [verdict.status for verdict in first] == ["superseded"]
    assert again == first
    assert bench.take_ids() == []


def test_a_sweep_looks_at_a_ticket_once_however_much_it_loses(bench: Bench) -> None:
    bench.accept_new(resolution("500"))
    bench.attempt(DELIVERED)
    bench.submit([bench.submission(resolution(str(version))) for version in range(200)])
    bench.wait(RETENTION)
    bench.redis.call("CONFIG", "RESETSTAT")

    sweep(bench)

    looks = bench.redis.call("INFO", "commandstats")["cmdstat_hgetall"]["calls"]
    assert bench.listed("superseded") == []
    assert bench.ticket() == {}
    assert looks == 1


def test_a_dead_delivery_is_kept_for_ever(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))

    bench.attempt(REFUSED)

    assert bench.redis.call("PTTL", bench.key(f"d:{delivery}")) == -1
    assert bench.listed("dead") == [delivery]
