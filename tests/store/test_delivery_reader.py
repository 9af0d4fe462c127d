"""Reading deliveries: pages, filters, and the times of the oldest pending and dead ones."""

from __future__ import annotations

import pytest
from store.bench import (
    DAY,
    DELIVERED,
    MINUTE,
    NOT_NOW,
    REFUSED,
    WRONG_CREDENTIALS,
    Bench,
    reopening,
    resolution,
    sys_id,
)

from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryQuery, DeliveryReader
from relay.store.heartbeats import Heartbeats
from relay.store.publication_store import PublicationStore


@pytest.fixture
def days(bench: Bench) -> list[str]:
    """Deliveries of three days: two are finished, the last is pending."""
    found = []
    for ticket in range(3):
        found.append(bench.accept_new(resolution("5", ticket=ticket)))
        if ticket < 2:
            bench.attempt(DELIVERED)
        bench.wait(DAY)
    return found


# Pages


def test_pages_contain_every_delivery_newest_first(bench: Bench, reader: DeliveryReader) -> None:
    accepted = []
    for ticket in range(60):
        accepted.append(bench.accept_new(resolution("5", ticket=ticket)))
        bench.wait(ticket % 3)  # some have the same millisecond
    bench.settle(bench.take_one(), DELIVERED)

    seen, cursor = [], None
    while True:
        page = reader.page(["acme"], DeliveryQuery(), limit=7, cursor=cursor)
        seen += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == accepted[::-1]


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [(None, None, [2, 1, 0]), (1, None, [2, 1]), (None, 1, [1, 0]), (1, 1, [1]), (-(10**6), 10**6, [2, 1, 0])],
)
def test_pages_contain_pending_and_finished_deliveries(
    bench: Bench, reader: DeliveryReader, days: list[str], since: int | None, until: int | None, found: list[int]
) -> None:
    start = bench.now - 3 * DAY
    query = DeliveryQuery(
        since=None if since is None else start + since * DAY, until=None if until is None else start + until * DAY
    )

    one_by_one, cursor = [], None
    for _ in found:
        page = reader.page(["acme"], query, limit=1, cursor=cursor)
        one_by_one += [item["id"] for item in page.items]
        cursor = page.next_cursor

    assert [item["id"] for item in reader.walk(["acme"], query)] == [days[day] for day in found]
    assert one_by_one == [days[day] for day in found]


# Filters


@pytest.mark.parametrize("status", ["queued", "retrying", "delivered", "dead", "superseded"])
def test_a_filter_by_status_finds_exactly_its_deliveries(bench: Bench, reader: DeliveryReader, status: str) -> None:
    for ticket in range(6):
        bench.accept_new(resolution("5", ticket=ticket))
    late = bench.accept(resolution("4", ticket=5)).id
    delivered, died, retried, *_ = (bench.take_one() for _ in range(3))
    bench.settle(delivered, DELIVERED)
    bench.settle(died, REFUSED)
    bench.settle(retried, NOT_NOW)

    found = [item["id"] for item in reader.walk(["acme"], DeliveryQuery(status=status))]

    expected = {"delivered": [delivered.id], "dead": [died.id], "retrying": [retried.id], "superseded": [late]}
    assert found == expected.get(status, found)
    assert len(found) == (3 if status == "queued" else 1)


def test_pending_deliveries_of_a_parked_integration_are_parked(bench: Bench, reader: DeliveryReader) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(WRONG_CREDENTIALS)

    assert [item["id"] for item in reader.walk(["acme"], DeliveryQuery(status="parked"))] == [delivery]
    assert list(reader.walk(["acme"], DeliveryQuery(status="queued"))) == []
    assert reader.status_of("acme", delivery) == "parked"


def test_the_deliveries_of_a_ticket_are_found_by_sys_id_and_number(bench: Bench, reader: DeliveryReader) -> None:
    first = bench.accept_new(resolution("5", ticket=3))
    bench.attempt(DELIVERED)
    bench.accept(reopening("6", ticket=3))
    second = bench.accept_new(resolution("7", ticket=3))
    bench.accept_new(resolution("5", ticket=4))

    by_sys_id = [item["id"] for item in reader.walk(["acme"], DeliveryQuery(sys_id=sys_id(3)))]
    by_number = [item["id"] for item in reader.walk(["acme"], DeliveryQuery(number="INC0000003"))]

    assert by_sys_id == by_number == [second, first]


def test_pages_that_are_filtered_by_reason_skip_nothing(bench: Bench, reader: DeliveryReader) -> None:
    for ticket in range(150):
        bench.accept_new(resolution("5", ticket=ticket))
        bench.attempt(DELIVERED)
        bench.wait(1)
    wanted = []
    for ticket in range(150, 460):
        dead_letter = bench.accept_new(resolution("5", ticket=ticket))
        is_refused = ticket < 160
        bench.attempt(REFUSED if is_refused else Dead(Reason.NOT_FOUND))
        wanted += [dead_letter] if is_refused else []
        bench.wait(1)

    found, cursor = [], None
    for _ in range(20):
        page = reader.page(["acme"], DeliveryQuery(reason="refused"), limit=50, cursor=cursor)
        found += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == wanted[::-1]


# The oldest


def test_the_times_of_the_oldest_pending_and_dead_are_returned(bench: Bench, redis: Connection) -> None:
    bench.make_dead_letter(resolution("5", ticket=1))
    died = bench.now
    bench.wait(MINUTE)
    bench.accept_new(resolution("5", ticket=2))
    accepted = bench.now
    bench.wait(MINUTE)
    bench.accept_new(resolution("5", ticket=3))

    [backlog] = Heartbeats(redis).backlogs(["acme"])
    state = PublicationStore(redis, "acme").look("worker-1", for_ms=1000, now=bench.now)

    assert backlog.oldest == accepted
    assert state
    assert (state.health.oldest, state.health.oldest_dead) == (accepted, died)
