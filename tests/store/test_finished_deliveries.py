"""Finished deliveries: each is one member of the sorted set of its status, with all the fields of its record."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from store.bench import DELIVERED, NOT_NOW, SECOND, Bench, make_integration, resolution, sys_id

from relay.core.model import TicketFields, Update
from relay.core.values import format_time
from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader

NAMES = count(1)


#: Any text that JSON can bring into a record, including the separators of the stored form.
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=100)


#: Years 1 to 9999, and times just outside them because of an offset.
DATES = st.none() | st.integers(-62_135_596_800_000, 253_402_300_799_999)


UPDATES = st.builds(
    Update,
    st.builds(
        TicketFields,
        sys_id=st.just(sys_id(1)),
        itsm_state=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        table=TEXTS,
        number=TEXTS,
        version=st.none() | st.integers(-(10**30), 10**30).map(str),
        updated_at=DATES,
        resolved_by=TEXTS,
        via=st.dictionaries(st.sampled_from(["sys_id", "number", "resolved_by"]), st.integers(1, 9)),
    ),
    st.integers(-(2**31), 2**31),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(update=UPDATES, failures=st.integers(0, 2))
@example(update=Update(TicketFields(sys_id(1), "6", number=" a1\t\x00\xff", resolved_by=""), 6), failures=0)
def test_a_finished_delivery_keeps_all_its_fields(redis: Connection, update: Update, failures: int) -> None:
    bench, reader = Bench(redis, make_integration(f"example-{next(NAMES)}")), DeliveryReader(redis)
    delivery = bench.accept_new(update)
    for _ in range(failures):
        bench.attempt(NOT_NOW, delay=SECOND)
        bench.wait(SECOND)
    before = reader.find(bench.name, delivery)

    bench.attempt(DELIVERED)

    after = reader.find(bench.name, delivery)
    assert before
    assert after
    changed = {"status", "reason", "finished_at", "attempts", "next_attempt_at"}
    assert {name: value for name, value in after.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }
    assert after["attempts"][:-1] == before["attempts"]
    assert after["attempts"][-1]["outcome"] == "delivered"
    assert (after["status"], after["finished_at"]) == ("delivered", format_time(bench.now))


def test_a_finished_delivery_has_no_key_of_its_own(bench: Bench) -> None:
    delivered = bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    late = bench.accept(resolution("4"))
    bench.accept_new(resolution("6", state=3))

    keys = [str(name) for name in bench.redis.call("KEYS", bench.key("d:*"))]

    assert bench.listed("delivered") == [delivered]
    assert bench.listed("superseded") == [late.id]
    assert len(keys) == 1


def test_a_duplicate_of_a_finished_delivery_is_counted(bench: Bench, reader: DeliveryReader) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)

    repeats = [bench.accept(resolution("5")) for _ in range(3)]

    record = reader.find("acme", delivery)
    assert {(verdict.status, verdict.id) for verdict in repeats} == {("duplicate", delivery)}
    assert record
    assert record["duplicates"] == 3
    assert bench.listed("delivered") == [delivery]


def test_a_repeated_accept_of_a_finished_delivery_has_its_first_verdict(bench: Bench) -> None:
    submissions = [bench.submission(resolution("5")), bench.submission(resolution("4"))]
    first = bench.submit(submissions)
    bench.attempt(DELIVERED)
    bench.accept_new(resolution("6", state=3))
    bench.attempt(DELIVERED)

    again = bench.submit(submissions)

    assert [verdict.status for verdict in first] == ["queued", "superseded"]
    assert again == first
    assert len(bench.listed("delivered")) == 2


def test_a_settlement_of_a_finished_delivery_is_stale(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    assignment = bench.take_one()
    bench.settle(assignment, DELIVERED)

    assert bench.settle(assignment, DELIVERED) == "stale"


def test_a_damaged_record_is_not_lost_when_its_delivery_ends(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW, delay=SECOND)
    bench.wait(SECOND)
    bench.redis.call("HSET", bench.key(f"d:{delivery}"), "a1", "written by another program")
    assignment = bench.take_one()

    with pytest.raises(StoreUnavailableError):
        bench.settle(assignment, DELIVERED)

    assert bench.listed("pending") == [delivery]
    assert bench.record(delivery)["status"] == "retrying"
