"""The audit trail in Redis: pages and filters, sealing by several processes, and dropping it by seal."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store.bench import (
    DAY,
    DELIVERED,
    REFUSED,
    SECOND,
    Bench,
    make_integration,
    reopening,
    resolution,
    sys_id,
    unmappable,
)

from relay.clock import now_ms
from relay.core.seals import SealingKey, make_anchor
from relay.core.trail_verification import verify_trail
from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail, TrailQuery
from relay.worker.sealing import Sealer

KEY = SealingKey("the auditors' key")


@pytest.fixture
def bench(redis: Connection) -> Bench:
    return Bench(redis)


@pytest.fixture
def trail(redis: Connection) -> Trail:
    return Trail(redis)


@pytest.fixture
def chain(redis: Connection) -> SealChain:
    return SealChain(redis)


def sealer(trail: Trail, *, retention: float = 90 * DAY / SECOND, later: int = 0) -> Sealer:
    return Sealer(
        trail, SealChain(trail._connection), KEY, lambda: ["acme"], retention=retention, now_ms=lambda: now_ms() + later
    )


def is_good(trail: Trail) -> bool:
    chain = SealChain(trail._connection)
    anchor = chain.anchor("acme")
    behind = trail.walk_after("acme", anchor.last if anchor else None)
    return verify_trail("acme", behind, chain.seals("acme"), [KEY], anchor).finding is None


def walk(trail: Trail, names: list[str], query: TrailQuery, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = trail.page(names, query, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_each_step_of_a_delivery_is_recorded(bench: Bench, trail: Trail) -> None:
    verdict = bench.accept(resolution("1"))
    bench.attempt(DELIVERED)

    records = list(trail.walk("acme"))

    assert [(record["type"], record["delivery_id"], record["sys_id"], record["number"]) for record in records] == [
        ("accepted", verdict.id, sys_id(1), "INC0000001"),
        ("delivered", verdict.id, sys_id(1), "INC0000001"),
    ]
    assert records[0]["actor"] == "servicenow"
    assert records[0]["resolved_by"] == "beth.anglin@example.com"
    assert records[1]["attempts"] == 1


@pytest.mark.parametrize(
    ("query", "types"),
    [
        (TrailQuery(), ["rejected", "dead", "accepted", "delivered", "accepted"]),
        (TrailQuery(type="dead"), ["dead"]),
        (TrailQuery(number="INC0000002"), ["dead", "accepted"]),
        (TrailQuery(sys_id=sys_id(1)), ["delivered", "accepted"]),
        (TrailQuery(user="Beth.Anglin@example.com"), ["accepted", "accepted"]),
        (TrailQuery(user="unknown"), []),
        (TrailQuery(since=now_ms() + DAY), []),
        (TrailQuery(until=now_ms() - DAY), []),
    ],
)
def test_records_are_filtered_by_their_fields(bench: Bench, trail: Trail, query: TrailQuery, types: list[str]) -> None:
    bench.accept(resolution("1", ticket=1))
    bench.attempt(DELIVERED)
    bench.accept(resolution("1", ticket=2))
    bench.attempt(REFUSED)
    bench.accept(unmappable({}))
    bench.accept(reopening("2"))

    assert [record["type"] for record in walk(trail, ["acme"], query, limit=2)] == types


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_merge_several_integrations_in_order(redis: Connection, trail: Trail, limit: int) -> None:
    benches = [Bench(redis, make_integration(name)) for name in ("alpha", "beta", "gamma")]
    for ticket in range(9):
        benches[ticket * ticket % 3].accept(resolution("1", ticket=ticket))
    names = ["alpha", "beta", "gamma"]

    found = walk(trail, names, TrailQuery(), limit)

    positions = [(*map(int, record["id"].split("-")), record["integration"]) for record in found]
    assert positions == sorted(positions, reverse=True)
    assert len(set(positions)) == 9


def test_pages_of_a_filter_with_few_matches_end_early(bench: Bench, trail: Trail) -> None:
    bench.accept(resolution("1", ticket=1))
    entry = ["type", "parked", "at", "1", "delivery", "", "sys_id", "", "number", "", "actor", "", "more", ""]
    script = "for i = 1, 25000 do redis.call('XADD', KEYS[1], '*', unpack(ARGV)) end"
    bench.redis.call("EVAL", script, 1, bench.key("audit"), *entry)

    first = trail.page(["acme"], TrailQuery(type="accepted"), limit=10)

    assert (first.items, first.next_cursor is None) == ((), False)
    assert [record["type"] for record in walk(trail, ["acme"], TrailQuery(type="accepted"), limit=10)] == ["accepted"]


def test_only_new_records_are_sealed(bench: Bench, trail: Trail, chain: SealChain) -> None:
    for ticket in range(300):
        bench.accept(resolution("1", ticket=ticket))
    first = sealer(trail).seal("acme")
    bench.accept(resolution("1", ticket=300))

    second = sealer(trail).seal("acme")

    assert (first, second, sealer(trail).seal("acme")) == (300, 1, 0)
    assert [len(seal.records) for seal in chain.seals("acme")] == [256, 44, 1]
    assert is_good(trail)


def test_several_processes_make_one_chain(bench: Bench, trail: Trail, redis_url: str, chain: SealChain) -> None:
    connections = [Connection(redis_url, timeout=5) for _ in range(4)]

    def seal_on(connection: Connection) -> int:
        return sum(sealer(Trail(connection)).seal("acme") for _ in range(30))

    with ThreadPoolExecutor(5) as pool:
        sealing = [pool.submit(seal_on, connection) for connection in connections]
        for ticket in range(200):
            bench.accept(resolution("1", ticket=ticket))
        done = sum(future.result() for future in sealing)
    done += sealer(trail).seal("acme")

    assert done == 200
    assert [seal.number for seal in chain.seals("acme")] == list(range(1, len(list(chain.seals("acme"))) + 1))
    assert is_good(trail)
    for connection in connections:
        connection.close()


def test_old_records_are_dropped_by_seal_and_the_chain_continues(bench: Bench, trail: Trail, chain: SealChain) -> None:
    for ticket in range(3):
        bench.accept(resolution("1", ticket=ticket))
        sealer(trail).seal("acme")
    bench.accept(resolution("1", ticket=3))

    sealer(trail, retention=60, later=120_000).drop_old("acme")
    sealer(trail).seal("acme")

    assert [record["number"] for record in trail.walk("acme")] == ["INC0000003"]
    assert [seal.number for seal in chain.seals("acme")] == [4]
    anchor = chain.anchor("acme")
    assert anchor is not None
    assert anchor.number == 3
    assert is_good(trail)


def test_unsealed_records_are_not_dropped(bench: Bench, trail: Trail) -> None:
    bench.accept(resolution("1"))

    sealer(trail, retention=60, later=120_000).drop_old("acme")

    assert trail.count("acme") == 1


def test_records_within_the_retention_are_kept(bench: Bench, trail: Trail, chain: SealChain) -> None:
    bench.accept(resolution("1"))
    sealer(trail).seal("acme")

    sealer(trail).drop_old("acme")

    assert trail.count("acme") == 1
    assert chain.anchor("acme") is None


def rewrite(redis: Connection, trail_key: str, change: dict[str, str] | None, which: int) -> None:
    """Create the stream again, with one entry changed or removed (None), as an attacker with access to Redis can."""
    entries = redis.call("XRANGE", trail_key, "-", "+")
    redis.call("DEL", trail_key)
    for number, (record_id, flat) in enumerate(entries):
        fields = dict(flat if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True))
        if number == which and change is None:
            continue
        fields |= change if number == which and change else {}
        redis.call("XADD", trail_key, record_id, *[part for pair in fields.items() for part in pair])


@pytest.mark.parametrize(
    "change", [None, {"actor": "another actor"}, {"more": '{"resolved_by":"x@example.com"}'}, {"at": "1"}]
)
def test_a_changed_or_removed_record_is_found(
    bench: Bench, trail: Trail, redis: Connection, change: dict[str, str] | None, chain: SealChain
) -> None:
    for ticket in range(5):
        bench.accept(resolution("1", ticket=ticket))
    sealer(trail).seal("acme")
    changed_id = list(trail.walk("acme"))[2]["id"]

    rewrite(redis, bench.key("audit"), change, 2)

    report = verify_trail("acme", trail.walk("acme"), chain.seals("acme"), [KEY])
    assert report.finding is not None
    assert (report.finding.kind, report.finding.record) == ("removed" if change is None else "edited", changed_id)


def test_dropping_less_than_another_process_changes_nothing(bench: Bench, trail: Trail, chain: SealChain) -> None:
    for ticket in range(4):
        bench.accept(resolution("1", ticket=ticket))
        sealer(trail).seal("acme")
    seals = list(chain.seals("acme"))
    chain.drop(make_anchor(KEY, seals[2]))

    chain.drop(make_anchor(KEY, seals[1]))

    anchor = chain.anchor("acme")
    assert anchor is not None
    assert anchor.number == 3
    assert is_good(trail)


def test_a_record_added_before_the_anchor_is_found(bench: Bench, trail: Trail, chain: SealChain) -> None:
    for ticket in range(3):
        bench.accept(resolution("1", ticket=ticket))
        sealer(trail).seal("acme")
    seals = list(chain.seals("acme"))
    kept = bench.redis.call("XRANGE", bench.key("audit"), f"({seals[1].last}", "+")
    chain.drop(make_anchor(KEY, seals[1]))
    bench.redis.call("DEL", bench.key("audit"))
    bench.redis.call("XADD", bench.key("audit"), seals[0].last, "type", "dead", "at", "1")
    for record_id, flat in kept:
        fields = dict(flat if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True))
        bench.redis.call("XADD", bench.key("audit"), record_id, *[part for pair in fields.items() for part in pair])

    report = verify_trail("acme", trail.walk("acme"), chain.seals("acme"), [KEY], chain.anchor("acme"))

    assert report.finding is not None
    assert (report.finding.kind, report.finding.record) == ("added", seals[0].last)


def test_a_rewritten_chain_is_not_sealed_again(
    bench: Bench, trail: Trail, chain: SealChain, caplog: pytest.LogCaptureFixture
) -> None:
    same_sealer = sealer(trail)
    bench.accept(resolution("1", ticket=1))
    same_sealer.seal("acme")
    bench.redis.call("DEL", bench.key("seals"))
    bench.accept(resolution("1", ticket=2))

    assert same_sealer.seal("acme") == 0

    assert list(chain.seals("acme")) == []
    assert "sealing has stopped" in caplog.text


def test_a_damaged_trail_does_not_stop_the_sealing_of_others(redis: Connection, trail: Trail, chain: SealChain) -> None:
    broken, good = (Bench(redis, make_integration(name)) for name in ("broken", "good"))
    good.accept(resolution("1"))
    redis.call("XADD", broken.key("seals"), "1-0", "nonsense", "1")
    redis.call("XADD", broken.key("audit"), "*", "nonsense", "1")

    Sealer(trail, chain, KEY, lambda: ["broken", "good"], retention=86_400, now_ms=now_ms).seal_all()

    assert [seal.number for seal in chain.seals("good")] == [1]


def test_the_chain_continues_after_a_failover_lost_seals(
    bench: Bench, trail: Trail, chain: SealChain, caplog: pytest.LogCaptureFixture
) -> None:
    same_sealer = sealer(trail)
    for ticket in range(3):
        bench.accept(resolution("1", ticket=ticket))
        same_sealer.seal("acme")
    seals = list(chain.seals("acme"))
    bench.redis.call("DEL", bench.key("seals"))
    for seal in seals[:2]:
        chain.add(seal)

    sealed = same_sealer.seal("acme")

    assert sealed == 1
    assert "has lost its last seals" in caplog.text
    assert is_good(trail)


FOREIGN = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=9),
    st.sampled_from(
        [
            "",
            "9" * 400,
            "1e999",
            "nan",
            "-1",
            "{",
            "[]",
            '{"id": 1, "at": 2}',
            '{"a": NaN}',
            "[" * 3_000,
            "virima_lookup",
        ]
    ),
    st.sampled_from(
        ['{"user": 5}', '{"user": {"email": [1]}}', '{"email": {}}', '{"resolved_by": null}', "1790000000000"]
    ),
)
SEALED = st.sampled_from(["5 0-0 x", "5 -1--1 x", "0 0-0", "9" * 5_000 + " 0-0 x"])
FOREIGN_FIELDS = st.dictionaries(
    st.sampled_from(["at", "type", "more", "delivery", "sys_id", "actor", "number", "x"]),
    FOREIGN,
    min_size=1,
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(FOREIGN_FIELDS, min_size=1, max_size=3))
def test_foreign_records_can_be_read_filtered_and_serialised(
    redis: Connection, trail: Trail, added: list[dict[str, str]]
) -> None:
    redis.call("DEL", key("acme", "audit"))
    for fields in added:
        redis.call("XADD", key("acme", "audit"), "*", *[part for pair in fields.items() for part in pair])

    page = trail.page(["acme"], TrailQuery(), limit=10)
    by_user = trail.page(["acme"], TrailQuery(user="Jane@example.com"), limit=10)

    assert len(page.items) == len(added)
    assert set(map(str, by_user.items)) <= set(map(str, page.items))
    assert all(json.loads(json.dumps(record))["integration"] == "acme" for record in page.items)
    assert all(record["at"] is None or len(record["at"]) == 24 for record in page.items)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from(["previous", "key", "records", "mac"]),
    FOREIGN | SEALED,
)
def test_a_forged_seal_is_found(
    redis: Connection, trail: Trail, chain: SealChain, number: int, member: str, value: str
) -> None:
    redis.call("DEL", key("acme", "audit"), key("acme", "seals"))
    at = redis.call("XADD", key("acme", "audit"), "1790000000000-0", "at", "1790000000000", "type", "accepted")
    fields = {
        "previous": "",
        "key": KEY.name,
        "records": f"1790000000000 0-0 {'x' * 20}",
        "mac": "0" * 64,
        member: value,
    }
    redis.call("XADD", key("acme", "seals"), f"{number}-0", *[part for pair in fields.items() for part in pair])

    report = verify_trail("acme", trail.walk_after("acme", None), chain.seals("acme"), [KEY], None)

    assert at
    assert report.finding is not None
    assert report.finding.kind == "seal"
