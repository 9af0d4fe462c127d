"""How long deliveries, tickets and identities are kept, and what the sweep removes."""

from __future__ import annotations

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
    Bench,
    resolution,
    sys_id,
)

from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_queue import DeliveryQueue
from relay.store.delivery_reader import DeliveryReader
from relay.store.submissions import encode_submissions


def sweep(bench: Bench, *, cap: int = 100) -> tuple[int, int]:
    swept = bench.queue.sweep(cap=cap, now=bench.now)
    return swept.expired, swept.over_cap


# Deliveries


def test_the_sweep_removes_what_was_finished_before_the_retention(bench: Bench, reader: DeliveryReader) -> None:
    old = bench.accept_new(resolution("5", ticket=1))
    bench.attempt(DELIVERED)
    pending = bench.accept_new(resolution("5", ticket=2))
    bench.wait(RETENTION - MINUTE)
    young = bench.accept_new(resolution("5", ticket=3))
    dead_letter = bench.take_one()
    bench.settle(dead_letter, REFUSED)
    bench.wait(2 * MINUTE)

    assert sweep(bench) == (1, 0)
    assert reader.find("acme", old) is None
    assert reader.find("acme", pending)
    assert reader.find("acme", young)
    assert bench.listed("delivered") == []


def test_the_retention_begins_when_a_delivery_is_finished(bench: Bench, reader: DeliveryReader) -> None:
    early, slow = bench.accept_new(resolution("5", ticket=1)), bench.accept_new(resolution("5", ticket=2))
    first, second = bench.take(2).assignments
    bench.settle(first, DELIVERED)
    bench.wait(DAY)
    bench.settle(second, DELIVERED)

    bench.wait(RETENTION - SECOND)
    bench.queue.sweep(cap=100, now=bench.now)

    assert reader.find("acme", early) is None
    assert reader.find("acme", slow)


def test_the_sweep_removes_the_oldest_dead_letters_over_the_cap(bench: Bench, reader: DeliveryReader) -> None:
    died = [bench.make_dead_letter(resolution("5", ticket=ticket)) for ticket in range(5)]
    bench.wait(2 * RETENTION)

    under, over = sweep(bench), sweep(bench, cap=3)

    assert (under, over) == ((0, 0), (0, 2))
    assert [bool(reader.find("acme", delivery_id)) for delivery_id in died] == [False, False, True, True, True]


def test_a_dead_letter_never_expires(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))

    bench.attempt(REFUSED)

    assert bench.redis.call("PTTL", bench.key(f"d:{delivery}")) == -1
    assert bench.listed("dead") == [delivery]


# Tickets


def test_a_ticket_with_a_pending_delivery_never_expires(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW)
    bench.accept(resolution("6"))
    bench.accept(resolution("4"))

    bench.wait(2 * RETENTION)
    sweep(bench)

    assert bench.ticket()["version"] == "10016"
    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_ticket_is_kept_as_long_as_its_dead_letter(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(REFUSED)
    [dead_letter] = bench.listed("dead")
    bench.accept_new(resolution("6", state=3))
    bench.attempt(DELIVERED)

    bench.wait(2 * RETENTION)
    sweep(bench)

    assert bench.listed("delivered") == []
    assert f"d:{dead_letter}" in bench.ticket()
    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_ticket_is_removed_with_its_discarded_dead_letter(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(REFUSED)
    dead_letter = bench.listed("dead")[0]
    bench.accept_new(resolution("6", state=3))
    bench.attempt(DELIVERED)
    bench.wait(2 * RETENTION)
    sweep(bench)

    DeadLetterStore(bench.redis).discard("acme", [dead_letter], actor="ops", why="known", now=bench.now)
    bench.wait(RETENTION - SECOND)
    sweep(bench)
    before = bench.ticket()
    bench.wait(SECOND)
    sweep(bench)

    assert f"d:{dead_letter}" in before
    assert bench.ticket() == {}


def test_a_ticket_is_kept_for_the_retention_after_its_last_delivery(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.wait(DAY)
    bench.attempt(DELIVERED)

    bench.wait(RETENTION - SECOND)
    sweep(bench)
    before = bench.ticket()
    bench.wait(SECOND)
    sweep(bench)

    assert before["version"] == "10015"
    assert bench.ticket() == {}


def test_a_new_delivery_stops_the_expiry_of_its_ticket(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.redis.call("PEXPIRE", bench.key(f"t:{sys_id(1)}"), MINUTE)

    bench.accept_new(resolution("6", state=3))

    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_a_ticket_is_kept_as_long_as_its_late_update(bench: Bench) -> None:
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


def test_a_late_update_stops_the_expiry_of_its_ticket(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    bench.redis.call("PEXPIRE", bench.key(f"t:{sys_id(1)}"), MINUTE)

    bench.accept(resolution("4"))

    assert bench.redis.call("PTTL", bench.key(f"t:{sys_id(1)}")) == -1


def test_the_mark_of_a_collapsed_update_is_kept_for_the_retention(bench: Bench) -> None:
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


def test_a_ticket_does_not_list_removed_deliveries(bench: Bench, redis: Connection) -> None:
    dead_letter = bench.make_dead_letter(resolution("5"))
    forgotten = bench.accept_new(resolution("6"))
    bench.attempt(DELIVERED)
    bench.wait(RETENTION + MINUTE)
    assert sweep(bench) == (1, 0)

    bench.accept_new(resolution("7"))

    fields = redis.call("HKEYS", bench.key(f"t:{sys_id(1)}"))
    assert f"d:{dead_letter}" in fields
    assert f"d:{forgotten}" not in fields


def test_a_sweep_reads_each_ticket_once(bench: Bench) -> None:
    bench.accept_new(resolution("500"))
    bench.attempt(DELIVERED)
    bench.submit([bench.submission(resolution(str(version))) for version in range(200)])
    bench.wait(RETENTION)
    bench.redis.call("CONFIG", "RESETSTAT")

    sweep(bench)

    reads = bench.redis.call("INFO", "commandstats")["cmdstat_hgetall"]["calls"]
    assert bench.listed("superseded") == []
    assert bench.ticket() == {}
    assert reads == 1


# Identities


@pytest.mark.parametrize("later", [RETENTION, MINUTE], ids=["unchanged", "shortened later"])
def test_an_identity_is_known_for_its_window_despite_a_short_retention(redis: Connection, later: int) -> None:
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


def test_a_repeat_from_a_journal_is_known_after_its_ticket_expired(redis: Connection) -> None:
    bench = Bench(redis, retention=MINUTE)
    bench.accept_new(resolution("5"))
    bench.attempt(DELIVERED)
    records = encode_submissions(bench.integration, [bench.submission(resolution("4"))], bench.now)
    first = bench.queue.accept_encoded(records, bench.now)
    bench.redis.call("DEL", bench.key(f"t:{sys_id(1)}"))
    bench.wait(HOUR)

    again = bench.queue.accept_encoded(records, bench.now)

    assert [verdict.status for verdict in first] == ["superseded"]
    assert again == first
    assert bench.take_ids() == []
