"""Accepting the records of a webhook: new updates, ignored updates, batches and rejections."""

from __future__ import annotations

import json

import pytest
from store.bench import (
    DELIVERED,
    HOUR,
    MINUTE,
    RETENTION,
    SECOND,
    START,
    Bench,
    reopening,
    resolution,
    sys_id,
    unmappable,
)

from relay.core.model import Mapped, Update
from relay.errors import BacklogFullError, StoreUnavailableError
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict

#: Dates of updates (Unix ms): 1 March 2026 and minutes after it.
MARCH = 1_772_323_200_000


# New updates


def test_a_new_update_is_queued_with_all_its_fields(bench: Bench) -> None:
    verdict = bench.accept(resolution("5", updated_at=MARCH))

    record = bench.record(verdict.id)
    from_update = {
        "sys_id": sys_id(1),
        "number": "INC0000001",
        "table": "incident",
        "itsm_state": "6",
        "iem_state": "6",
    }
    from_update |= {"version": "5", "updated_at": str(MARCH), "resolved_by": "beth.anglin@example.com"}
    from_relay = {
        "mapping": bench.integration.digest,
        "from": "servicenow",
        "created_at": str(START),
        "status": "queued",
    }
    assert verdict.status == "queued"
    assert record.items() >= (from_update | from_relay).items()
    assert bench.listed("pending") == [verdict.id]


def test_a_long_version_keeps_all_its_digits(bench: Bench) -> None:
    version = "1234567890123456789012345678901234567890.12345678901234567891"

    verdict = bench.accept(resolution(version))

    assert bench.record(verdict.id)["version"] == version


def test_an_accepted_update_is_in_the_audit_trail(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))

    [[_, entry]] = bench.redis.call("XRANGE", bench.key("audit"), "-", "+")

    assert (entry["type"], entry["delivery"], entry["actor"]) == ("accepted", delivery, "servicenow")
    assert entry["resolved_by"] == "beth.anglin@example.com"


# Ignored updates


def test_an_ignored_update_of_an_unknown_ticket_stores_nothing(bench: Bench) -> None:
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


def test_an_ignored_update_clears_undated_identities(bench: Bench) -> None:
    bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.accept(reopening())

    verdict = bench.accept(resolution())

    assert verdict.status == "queued"


def test_an_ignored_update_clears_identities_by_idempotency_key(bench: Bench) -> None:
    bench.accept(resolution(), idempotency_key="msg_1")
    bench.attempt(DELIVERED)
    bench.accept(reopening())

    verdict = bench.accept(resolution(), idempotency_key="msg_1")

    assert verdict.status == "queued"


@pytest.mark.parametrize("update", [resolution("5"), resolution(updated_at=MARCH)])
def test_an_ignored_update_keeps_identities_by_version_or_date(bench: Bench, update: Update) -> None:
    first = bench.accept_new(update)
    bench.attempt(DELIVERED)
    bench.accept(reopening("6", updated_at=MARCH + 1))

    verdict = bench.accept(update)

    assert verdict == Verdict("duplicate", first)


def test_an_older_ignored_update_keeps_undated_identities(bench: Bench) -> None:
    first = bench.accept_new(resolution())
    bench.attempt(DELIVERED)
    bench.wait(MINUTE)
    bench.accept(reopening(), received_at=START - 1)

    verdict = bench.accept(resolution())

    assert verdict == Verdict("duplicate", first)


# Batches


def test_the_records_of_a_batch_are_decided_in_order(bench: Bench) -> None:
    batch: list[Mapped] = [
        resolution("1"),
        resolution("1"),
        resolution("3", state=3),
        resolution("2"),
        reopening("4"),
        unmappable({"state": "6"}),
        resolution("1", ticket=2),
    ]

    verdicts = bench.submit([bench.submission(mapped) for mapped in batch])

    statuses = [verdict.status for verdict in verdicts]
    assert statuses == ["queued", "duplicate", "queued", "superseded", "ignored", "rejected", "queued"]
    assert verdicts[1].id == verdicts[0].id
    assert bench.status(verdicts[0].id) == "superseded"
    assert bench.take_ids() == [verdicts[2].id, verdicts[6].id]


def test_a_batch_is_stored_completely_or_not_at_all(bench: Bench) -> None:
    # Redis's JSON decoder refuses a lone surrogate. Web refuses it earlier; this is the last check.
    good, bad = bench.submission(resolution("1")), bench.submission(resolution("1", ticket=2))
    bad = Submission("\ud800", bad.mapped, bad.received_at, bad.sender)

    with pytest.raises(StoreUnavailableError):
        bench.submit([good, bad])

    assert bench.redis.call("KEYS", "*") == []


def test_a_batch_of_500_records_is_stored_in_one_step(bench: Bench) -> None:
    batch = [bench.submission(resolution("1", ticket=number)) for number in range(500)]

    verdicts = bench.submit(batch)

    assert verdicts == [Verdict("queued", submission.id) for submission in batch]
    assert len(bench.listed("pending")) == 500


def test_a_full_backlog_refuses_a_batch_and_stores_nothing(bench: Bench, redis: Connection) -> None:
    bench.queue = DeliveryQueue(redis, "acme", retention=RETENTION / SECOND, max_pending=2)
    bench.accept_new(resolution("5", ticket=1))

    with pytest.raises(BacklogFullError, match="2 pending"):
        bench.submit([bench.submission(resolution("5", ticket=ticket)) for ticket in (2, 3)])

    assert len(bench.listed("pending")) == 1


# Rejections


def test_a_rejection_is_stored_with_all_that_a_replay_needs(bench: Bench) -> None:
    record = {"state": "6", "short_description": "disk full"}
    submission = bench.submission(unmappable(record), idempotency_key="msg_1")

    verdicts = bench.submit([submission])

    kept = bench.hash(f"r:{submission.id}")
    assert verdicts == [Verdict("rejected", submission.id)]
    assert json.loads(kept["record"]) == record
    assert json.loads(kept["errors"]) == [{"field": "sys_id", "problem": "no value at `sys_id`"}]
    assert (kept["from"], kept["idempotency_key"], kept["seen"]) == ("servicenow", "msg_1", "1")
    assert kept["mapping"] == bench.integration.digest


def test_a_repeated_rejection_is_stored_once_and_counted(bench: Bench) -> None:
    submission = bench.submission(unmappable({"state": "6"}))
    bench.submit([submission])
    bench.wait(HOUR)

    bench.submit([submission])

    kept = bench.hash(f"r:{submission.id}")
    assert (kept["seen"], kept["created_at"], kept["seen_at"]) == ("2", str(START), str(START + HOUR))
    assert bench.redis.call("ZCARD", bench.key("rejections")) == 1
    assert bench.redis.call("PTTL", bench.key(f"r:{submission.id}")) == -1
