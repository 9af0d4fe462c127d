"""Duplicates: repeated steps, known identities and collapsed updates (docs/mapping-files/ordering-and-deduplication.md)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    DAY,
    DELIVERED,
    MINUTE,
    NOT_NOW,
    REFUSED,
    SECOND,
    Bench,
    make_integration,
    reopening,
    resolution,
)

from relay.core.model import Update
from relay.store.connection import Connection
from relay.store.submissions import Verdict

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


# The same step again, because its answer was lost


@pytest.mark.parametrize("proceed", [leave_pending, deliver, supersede, refuse])
def test_a_repeated_step_returns_its_first_verdict(bench: Bench, proceed: Callable[[Bench], None]) -> None:
    submission = bench.submission(resolution("5"))
    first = bench.submit([submission])
    proceed(bench)
    pending = bench.listed("pending")

    again = bench.submit([submission])

    assert again == first == [Verdict("queued", submission.id)]
    assert bench.listed("pending") == pending
    assert "duplicates" not in bench.record(submission.id)


def test_a_repeated_late_update_is_superseded_again(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    late = bench.submission(resolution("4"))
    first = bench.submit([late])

    again = bench.submit([late])

    assert again == first == [Verdict("superseded", late.id)]
    assert bench.listed("superseded") == [late.id]


def test_a_repeated_duplicate_returns_the_first_delivery(bench: Bench) -> None:
    first = bench.accept_new(resolution("5"))
    duplicate = bench.submission(resolution("5"))
    bench.submit([duplicate])

    again = bench.submit([duplicate])

    assert again == [Verdict("duplicate", first)]


def test_a_repeated_batch_returns_its_first_verdicts_and_stores_nothing(bench: Bench) -> None:
    batch = [bench.submission(mapped) for mapped in (resolution("1"), reopening("2"), resolution("3"), resolution("2"))]
    first = bench.submit(batch)

    again = bench.submit(batch)

    assert again == first
    assert [verdict.status for verdict in again] == ["queued", "ignored", "queued", "superseded"]
    assert bench.listed("pending") == [batch[2].id]
    assert bench.take_ids() == [batch[2].id]


# The identity is known


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
def test_an_update_with_a_known_identity_is_a_duplicate(
    bench_without_collapse: Bench, first: Update, second: Update
) -> None:
    delivery = bench_without_collapse.accept_new(first)

    verdict = bench_without_collapse.accept(second)

    assert verdict == Verdict("duplicate", delivery)
    assert bench_without_collapse.record(delivery)["duplicates"] == "1"
    assert bench_without_collapse.take_ids() == [delivery]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(resolution("5"), resolution("6"), id="version"),
        pytest.param(resolution("5"), resolution("5.5"), id="decimal version"),
        pytest.param(resolution("5"), resolution("5", state=7), id="IEM state"),
        pytest.param(resolution("5"), resolution("5", ticket=2), id="ticket"),
        pytest.param(resolution(updated_at=MARCH), resolution(updated_at=MARCH + 1), id="date"),
        pytest.param(resolution(), resolution(state=7), id="IEM state, undated"),
        pytest.param(resolution(updated_at=MARCH), resolution("1", updated_at=MARCH), id="with and without a version"),
    ],
)
def test_an_update_with_another_identity_is_new(bench_without_collapse: Bench, first: Update, second: Update) -> None:
    bench_without_collapse.accept_new(first)

    verdict = bench_without_collapse.accept(second)

    assert verdict.status == "queued"


def test_the_same_update_of_another_integration_is_new(redis: Connection) -> None:
    ours, theirs = Bench(redis), Bench(redis, make_integration("globex"))
    ours.accept_new(resolution("5"))

    verdict = theirs.accept(resolution("5"))

    assert verdict.status == "queued"


def test_an_undated_update_is_identified_by_its_idempotency_key(bench_without_collapse: Bench) -> None:
    first = bench_without_collapse.accept(resolution(), idempotency_key="msg_1")

    same = bench_without_collapse.accept(resolution(), idempotency_key="msg_1")
    other = bench_without_collapse.accept(resolution(), idempotency_key="msg_2")

    assert same == Verdict("duplicate", first.id)
    assert other.status == "queued"


def test_a_version_takes_precedence_over_the_idempotency_key(bench_without_collapse: Bench) -> None:
    first = bench_without_collapse.accept(resolution("5"), idempotency_key="msg_1")

    verdict = bench_without_collapse.accept(resolution("5"), idempotency_key="msg_2")

    assert verdict == Verdict("duplicate", first.id)


@pytest.mark.parametrize(
    ("update", "window"),
    [
        pytest.param(resolution("5"), DAY, id="version"),
        pytest.param(resolution(updated_at=MARCH), DAY, id="date"),
        pytest.param(resolution(), 10 * MINUTE, id="undated: at most ten minutes"),
    ],
)
def test_an_identity_is_known_until_its_window_ends(bench_without_collapse: Bench, update: Update, window: int) -> None:
    first = bench_without_collapse.accept_new(update)
    bench_without_collapse.attempt(DELIVERED)
    bench_without_collapse.wait(window - 1)
    before = bench_without_collapse.accept(update)
    bench_without_collapse.wait(1)

    after = bench_without_collapse.accept(update)

    assert before == Verdict("duplicate", first)
    assert after.status == "queued"


def test_a_short_dedupe_window_applies_to_undated_updates_too(redis: Connection) -> None:
    bench = Bench(redis, make_integration(window=MINUTE, collapse=False))
    bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.wait(MINUTE)

    verdict = bench.accept(resolution())

    assert verdict.status == "queued"


def test_an_identity_outlives_its_window_while_its_delivery_is_pending(bench_without_collapse: Bench) -> None:
    first = bench_without_collapse.accept_new(resolution("5"))
    bench_without_collapse.attempt(NOT_NOW)
    bench_without_collapse.wait(2 * DAY)

    verdict = bench_without_collapse.accept(resolution("5"))

    assert verdict == Verdict("duplicate", first)


@pytest.mark.parametrize("end", [refuse, discard])
def test_an_update_can_be_sent_again_after_its_delivery_was_given_up(
    bench: Bench, end: Callable[[Bench], None]
) -> None:
    bench.accept_new(resolution("5"))
    end(bench)

    verdict = bench.accept(resolution("5"))

    assert verdict.status == "queued"
    assert bench.take_ids() == [verdict.id]


def test_a_resend_of_a_superseded_update_is_a_duplicate(bench: Bench) -> None:
    first = bench.accept_new(resolution("5", state=3))
    bench.accept_new(resolution("6"))

    verdict = bench.accept(resolution("5", state=3))

    assert verdict == Verdict("duplicate", first)


def test_a_resend_of_a_late_update_is_a_duplicate_of_itself(bench: Bench) -> None:
    bench.accept_new(resolution("6"))
    late = bench.accept(resolution("5"))

    verdict = bench.accept(resolution("5"))

    assert verdict == Verdict("duplicate", late.id)


def test_a_resend_of_a_collapsed_update_is_a_duplicate(bench: Bench) -> None:
    first = bench.accept_new(resolution("5"))
    bench.accept(resolution("6"))
    bench.accept_new(resolution("7", state=3))

    verdict = bench.accept(resolution("6"))

    assert verdict == Verdict("duplicate", first)


def test_a_ticket_with_many_updates_forgets_expired_identities(redis: Connection) -> None:
    bench = Bench(redis, make_integration(window=MINUTE))
    for number in range(200):
        bench.accept(resolution(str(number)))
        bench.wait(SECOND)

    identities = [field for field in bench.ticket() if field.startswith("i:")]

    # All outlived the window while their delivery was pending. After its delivery, only those of the last minute are kept.
    assert len(identities) == 200
    bench.attempt(DELIVERED)
    for number in range(200, 400):
        bench.accept(resolution(str(number)))
        bench.wait(SECOND)
    identities = [field for field in bench.ticket() if field.startswith("i:")]
    assert len(identities) <= 60 + 64


def test_only_one_of_many_concurrent_senders_is_queued(bench: Bench, redis_url: str) -> None:
    together = Barrier(8)

    def send(number: int) -> Verdict:
        connection = Connection(redis_url, timeout=5)
        sender = Bench(connection)
        sender.now += number  # gives each sender another id
        together.wait()
        verdict = sender.accept(resolution("5"))
        connection.close()
        return verdict

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(send, range(8)))

    assert sorted(verdict.status for verdict in verdicts) == ["duplicate"] * 7 + ["queued"]
    assert len({verdict.id for verdict in verdicts}) == 1
    assert bench.record(verdicts[0].id)["duplicates"] == "7"


# Collapse


@pytest.mark.parametrize("proceed", [leave_pending, deliver])
def test_an_update_to_the_last_accepted_state_is_collapsed(bench: Bench, proceed: Callable[[Bench], None]) -> None:
    resolved = bench.accept_new(resolution("5"))
    proceed(bench)

    closed = bench.accept(resolution("6"))

    assert closed == Verdict("duplicate", resolved)
    assert bench.record(resolved)["duplicates"] == "1"


def test_an_update_is_collapsed_into_a_retrying_delivery(bench: Bench) -> None:
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


def test_an_update_to_an_earlier_state_is_not_collapsed(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.accept_new(resolution("6", state=3))

    verdict = bench.accept(resolution("7"))

    assert verdict.status == "queued"


def test_nothing_is_collapsed_if_collapse_is_off(bench_without_collapse: Bench) -> None:
    resolved = bench_without_collapse.accept_new(resolution("5"))

    closed = bench_without_collapse.accept(resolution("6"))

    assert closed.status == "queued"
    assert bench_without_collapse.status(resolved) == "superseded"


def test_a_collapsed_update_raises_the_mark(bench: Bench) -> None:
    bench.accept_new(resolution("5", updated_at=MARCH))
    bench.wait(SECOND)
    bench.accept(resolution("8", updated_at=MARCH + MINUTE))

    late = bench.accept(resolution("7", state=3))

    assert late.status == "superseded"
    assert bench.ticket()["received_at"] == str(bench.now)
    assert bench.ticket()["updated_at"] == str(MARCH + MINUTE)
