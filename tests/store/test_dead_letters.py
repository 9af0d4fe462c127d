"""Replaying and discarding dead letters and rejections."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store.bench import (
    DELIVERED,
    Bench,
    resolution,
    sys_id,
    unmappable,
)

from relay.operations.replayer import Replayer
from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_reader import DeliveryReader
from relay.store.rejection_store import RejectionStore

ANN = "ann"


@pytest.fixture
def dead_letters(redis: Connection) -> DeadLetterStore:
    return DeadLetterStore(redis)


@pytest.fixture
def rejections(redis: Connection) -> RejectionStore:
    return RejectionStore(redis)


@pytest.fixture
def replay(bench: Bench) -> Replayer:
    return Replayer(lambda _: bench.queue, now_ms=lambda: bench.now, new_id=lambda _: bench.new_id())


def audit_types(bench: Bench) -> list[str]:
    entries = bench.redis.call("XRANGE", bench.key("audit"), "-", "+")
    return [fields["type"] for _, fields in entries]


# Dead letters


def test_a_replay_is_a_new_delivery_and_closes_the_dead_letter(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    dead_letter = bench.make_dead_letter(resolution("5"))

    record = reader.find("acme", dead_letter)
    assert record
    replayed = replay.replay_dead_letter(bench.integration, record, actor=ANN)

    assert replayed.status == "queued"
    assert bench.attempt(DELIVERED) == "delivered"
    new, old = reader.find("acme", replayed.id), reader.find("acme", dead_letter)
    assert new
    assert old
    assert (new["status"], new["replay_of"], new["sys_id"]) == ("delivered", dead_letter, sys_id(1))
    assert (old["status"], old["closed"], old["replayed_as"]) == ("discarded", "replayed", replayed.id)
    assert "replayed" in audit_types(bench)


def test_a_dead_letter_is_replayed_only_once(bench: Bench, reader: DeliveryReader, replay: Replayer) -> None:
    record = reader.find("acme", bench.make_dead_letter(resolution("5")))
    assert record
    replay.replay_dead_letter(bench.integration, record, actor=ANN)

    pending = replay.replay_dead_letter(bench.integration, record, actor=ANN)
    bench.attempt(DELIVERED)
    closed = replay.replay_dead_letter(bench.integration, record, actor=ANN)

    assert [pending.status, closed.status] == ["pending", "closed"]
    assert pending.refusal
    assert closed.refusal


def test_a_replay_of_an_older_update_is_superseded(bench: Bench, reader: DeliveryReader, replay: Replayer) -> None:
    record = reader.find("acme", bench.make_dead_letter(resolution("5")))
    assert record
    bench.accept_new(resolution("6"))
    bench.attempt(DELIVERED)

    replayed = replay.replay_dead_letter(bench.integration, record, actor=ANN)

    assert replayed.status == "superseded"
    assert bench.take_ids() == []


def test_a_replay_is_not_a_duplicate_but_a_resend_of_it_is(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    record = reader.find("acme", bench.make_dead_letter(resolution()))
    assert record

    replayed = replay.replay_dead_letter(bench.integration, record, actor=ANN)

    again = bench.accept(resolution())
    assert (again.status, again.id) == ("duplicate", replayed.id)


def test_a_replay_uses_the_current_states_or_the_original_one(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    record = reader.find("acme", bench.make_dead_letter(resolution("5")))
    assert record
    current = replace(bench.integration, states={"7": 6})

    refused = replay.replay_dead_letter(current, record, actor=ANN)
    as_mapped = replay.replay_dead_letter(current, record, actor=ANN, as_mapped=True)

    assert refused.status == "not_relayed"
    assert as_mapped.status == "queued"


def test_a_repeated_replay_returns_its_first_verdict(bench: Bench, reader: DeliveryReader) -> None:
    record = reader.find("acme", bench.make_dead_letter(resolution("5")))
    assert record
    same = Replayer(lambda _: bench.queue, now_ms=lambda: bench.now, new_id=lambda _: "0" * 26)

    first = same.replay_dead_letter(bench.integration, record, actor=ANN)
    repeated = same.replay_dead_letter(bench.integration, record, actor=ANN)

    assert first == repeated
    assert len(bench.listed("pending")) == 1


def test_a_dead_letter_is_discarded_once_and_its_update_can_be_resent(
    bench: Bench, reader: DeliveryReader, dead_letters: DeadLetterStore
) -> None:
    dead_letter = bench.make_dead_letter(resolution("5"))

    closed = [dead_letters.discard("acme", [dead_letter], actor=ANN, why="known", now=bench.now) for _ in range(2)]

    record = reader.find("acme", dead_letter)
    assert record
    assert closed == [1, 0]
    assert (record["status"], record["closed"], record["reason"]) == ("discarded", "known", "refused")
    assert bench.accept(resolution("5")).status == "queued"


def test_a_dead_letter_of_a_removed_ticket_can_be_discarded(bench: Bench, dead_letters: DeadLetterStore) -> None:
    dead_letter = bench.make_dead_letter(resolution("5"))
    bench.redis.call("DEL", bench.key(f"t:{sys_id(1)}"))

    closed = dead_letters.discard("acme", [dead_letter], actor=ANN, why="known", now=bench.now)

    assert closed == 1
    assert bench.listed("discarded") == [dead_letter]


# Rejections


def test_a_rejection_is_replayed_by_accepting_it(bench: Bench, rejections: RejectionStore, replay: Replayer) -> None:
    rejected = bench.accept(unmappable({"sys_id": sys_id(1), "state": "6"}))
    found = rejections.find("acme", rejected.id)
    assert found

    replayed = replay.replay_rejection(bench.integration, found, actor=ANN)

    assert replayed.status == "queued"
    assert rejections.find("acme", rejected.id) is None
    assert rejections.page(["acme"], limit=10).items == ()
    assert audit_types(bench)[-1] == "replayed"


def test_a_rejection_that_still_cannot_be_mapped_is_kept(
    bench: Bench, rejections: RejectionStore, replay: Replayer
) -> None:
    rejected = bench.accept(unmappable({"state": "6"}))
    found = rejections.find("acme", rejected.id)
    assert found

    assert replay.replay_rejection(bench.integration, found, actor=ANN).refusal
    assert rejections.find("acme", rejected.id)


def test_a_discarded_rejection_is_removed(bench: Bench, rejections: RejectionStore) -> None:
    rejected = bench.accept(unmappable({"state": "6"}))

    assert rejections.discard("acme", [rejected.id], actor=ANN, why="a test", now=bench.now) == 1
    assert rejections.find("acme", rejected.id) is None
