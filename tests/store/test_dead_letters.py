"""What persons do: replay and discard dead letters and rejections, park and resume; and what the sweep forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store.bench import (
    DAY,
    DELIVERED,
    MINUTE,
    NOT_NOW,
    REFUSED,
    RETENTION,
    SECOND,
    WRONG_CREDENTIALS,
    Bench,
    reopening,
    resolution,
    sys_id,
    unusable,
)

from relay.core.model import Update
from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.core.values import format_time
from relay.errors import BacklogFullError
from relay.operations.replayer import Replayer
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_queue import DeliveryQueue
from relay.store.delivery_reader import DeliveryQuery, DeliveryReader
from relay.store.heartbeats import Heartbeats
from relay.store.publication_store import PublicationStore
from relay.store.rejection_store import RejectionStore

ANN = "ann"


@pytest.fixture
def reader(redis: Connection) -> DeliveryReader:
    return DeliveryReader(redis)


@pytest.fixture
def dead_letters(redis: Connection) -> DeadLetterStore:
    return DeadLetterStore(redis)


@pytest.fixture
def rejections(redis: Connection) -> RejectionStore:
    return RejectionStore(redis)


@pytest.fixture
def replay(bench: Bench) -> Replayer:
    return Replayer(lambda _: bench.queue, now_ms=lambda: bench.now, new_id=lambda _: bench.new_id())


def dead(bench: Bench, update: Update) -> str:
    """Return the id of a dead letter of `update`."""
    letter = bench.accept_new(update)
    assert bench.attempt(REFUSED) == "dead"
    return letter


def audit_types(bench: Bench) -> list[str]:
    entries = bench.redis.call("XRANGE", bench.key("audit"), "-", "+")
    return [fields["type"] for _, fields in entries]


def test_a_replay_is_a_new_delivery_and_closes_the_dead_letter(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    letter = dead(bench, resolution("5"))

    record = reader.find("acme", letter)
    assert record
    replayed = replay.replay_letter(bench.integration, record, actor=ANN)

    assert replayed.status == "queued"
    assert bench.attempt(DELIVERED) == "delivered"
    new, old = reader.find("acme", replayed.id), reader.find("acme", letter)
    assert new
    assert old
    assert (new["status"], new["replay_of"], new["sys_id"]) == ("delivered", letter, sys_id(1))
    assert (old["status"], old["closed"], old["replayed_as"]) == ("discarded", "replayed", replayed.id)
    assert "replayed" in audit_types(bench)


def test_a_replay_is_hindered_while_one_is_pending_and_afterwards(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    record = reader.find("acme", dead(bench, resolution("5")))
    assert record
    replay.replay_letter(bench.integration, record, actor=ANN)

    pending = replay.replay_letter(bench.integration, record, actor=ANN)
    bench.attempt(DELIVERED)
    closed = replay.replay_letter(bench.integration, record, actor=ANN)

    assert [pending.status, closed.status] == ["pending", "closed"]
    assert pending.refusal
    assert closed.refusal


def test_a_replay_never_goes_behind_a_newer_update(bench: Bench, reader: DeliveryReader, replay: Replayer) -> None:
    record = reader.find("acme", dead(bench, resolution("5")))
    assert record
    bench.accept_new(resolution("6"))
    bench.attempt(DELIVERED)

    replayed = replay.replay_letter(bench.integration, record, actor=ANN)

    assert replayed.status == "superseded"
    assert bench.take_ids() == []


def test_a_replay_skips_what_makes_duplicates_and_its_resend_is_one(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    record = reader.find("acme", dead(bench, resolution()))
    assert record

    replayed = replay.replay_letter(bench.integration, record, actor=ANN)

    again = bench.accept(resolution())
    assert (again.status, again.id) == ("duplicate", replayed.id)


def test_a_replay_goes_by_todays_states_or_as_it_was_mapped(
    bench: Bench, reader: DeliveryReader, replay: Replayer
) -> None:
    record = reader.find("acme", dead(bench, resolution("5")))
    assert record
    today = replace(bench.integration, states={"7": 6})

    hindered = replay.replay_letter(today, record, actor=ANN)
    as_mapped = replay.replay_letter(today, record, actor=ANN, as_mapped=True)

    assert hindered.status == "not_relayed"
    assert as_mapped.status == "queued"


def test_a_replay_of_the_very_same_step_gives_the_first_answer(bench: Bench, reader: DeliveryReader) -> None:
    record = reader.find("acme", dead(bench, resolution("5")))
    assert record
    same = Replayer(lambda _: bench.queue, now_ms=lambda: bench.now, new_id=lambda _: "0" * 26)

    first = same.replay_letter(bench.integration, record, actor=ANN)
    repeated = same.replay_letter(bench.integration, record, actor=ANN)

    assert first == repeated
    assert len(bench.listed("pending")) == 1


def test_a_discarded_letter_is_closed_once_and_its_update_can_come_again(
    bench: Bench, reader: DeliveryReader, dead_letters: DeadLetterStore
) -> None:
    letter = dead(bench, resolution("5"))

    closed = [dead_letters.discard("acme", [letter], actor=ANN, why="known", now=bench.now) for _ in range(2)]

    record = reader.find("acme", letter)
    assert record
    assert closed == [1, 0]
    assert (record["status"], record["closed"], record["reason"]) == ("discarded", "known", "refused")
    assert bench.accept(resolution("5")).status == "queued"


def test_a_rejection_is_replayed_by_an_ordinary_accept(
    bench: Bench, rejections: RejectionStore, replay: Replayer
) -> None:
    rejected = bench.accept(unusable({"sys_id": sys_id(1), "state": "6"}))
    found = rejections.find("acme", rejected.id)
    assert found

    replayed = replay.replay_rejection(bench.integration, found, actor=ANN)

    assert replayed.status == "queued"
    assert rejections.find("acme", rejected.id) is None
    assert rejections.page(["acme"], limit=10).items == ()
    assert audit_types(bench)[-1] == "replayed"


def test_a_rejection_that_still_cannot_be_mapped_stays(
    bench: Bench, rejections: RejectionStore, replay: Replayer
) -> None:
    rejected = bench.accept(unusable({"state": "6"}))
    found = rejections.find("acme", rejected.id)
    assert found

    assert replay.replay_rejection(bench.integration, found, actor=ANN).refusal
    assert rejections.find("acme", rejected.id)


def test_a_discarded_rejection_is_gone(bench: Bench, rejections: RejectionStore) -> None:
    rejected = bench.accept(unusable({"state": "6"}))

    assert rejections.discard("acme", [rejected.id], actor=ANN, why="a test", now=bench.now) == 1
    assert rejections.find("acme", rejected.id) is None


def test_what_a_person_parked_is_not_probed_and_flows_when_resumed(bench: Bench, redis: Connection) -> None:
    circuit = Circuit(redis)
    delivery = bench.accept_new(resolution("5"))
    circuit.park("acme", actor=ANN, why="maintenance", now=bench.now)

    bench.wait(DAY)
    while_parked = bench.take_ids()
    state = circuit.read("acme")
    before = circuit.resume("acme", actor=ANN, why="done", now=bench.now)

    assert while_parked == []
    assert state
    assert (state.reason, state.by, state.why, state.next_probe_at) == ("by_hand", ANN, "maintenance", None)
    assert before == "by_hand"
    assert bench.take_ids() == [delivery]
    assert circuit.read("acme") is None


def test_resuming_what_iem_refused_probes_at_once_and_flows_on_success(bench: Bench, redis: Connection) -> None:
    circuit = Circuit(redis)
    for ticket in (1, 2):
        bench.accept_new(resolution("5", ticket=ticket))
    bench.attempt(WRONG_CREDENTIALS)

    before_resume = bench.take_ids()
    circuit.resume("acme", actor=ANN, why="mended", now=bench.now)
    probe = bench.take_one()

    assert before_resume == []
    assert probe.is_probe
    assert bench.settle(probe, DELIVERED) == "delivered"
    assert len(bench.take_ids()) == 1


def test_resuming_what_flows_does_nothing(bench: Bench, redis: Connection) -> None:
    assert Circuit(redis).resume("acme", actor=ANN, why="", now=bench.now) is None


def test_pages_go_from_the_newest_to_the_oldest_and_lose_none(bench: Bench, reader: DeliveryReader) -> None:
    accepted = []
    for ticket in range(60):
        accepted.append(bench.accept_new(resolution("5", ticket=ticket)))
        bench.wait(ticket % 3)  # some of the same millisecond
    bench.settle(bench.take_one(), DELIVERED)

    seen, cursor = [], None
    while True:
        page = reader.page(["acme"], DeliveryQuery(), limit=7, cursor=cursor)
        seen += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == accepted[::-1]


@pytest.mark.parametrize("status", ["queued", "retrying", "delivered", "dead", "superseded"])
def test_a_filter_by_status_finds_exactly_those(bench: Bench, reader: DeliveryReader, status: str) -> None:
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


def test_a_parked_integrations_pending_deliveries_read_as_parked(bench: Bench, reader: DeliveryReader) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(WRONG_CREDENTIALS)

    assert [item["id"] for item in reader.walk(["acme"], DeliveryQuery(status="parked"))] == [delivery]
    assert list(reader.walk(["acme"], DeliveryQuery(status="queued"))) == []
    assert reader.status_of("acme", delivery) == "parked"


def test_a_tickets_deliveries_are_found_by_sys_id_and_by_number(bench: Bench, reader: DeliveryReader) -> None:
    first = bench.accept_new(resolution("5", ticket=3))
    bench.attempt(DELIVERED)
    bench.accept(reopening("6", ticket=3))
    second = bench.accept_new(resolution("7", ticket=3))
    bench.accept_new(resolution("5", ticket=4))

    by_sys_id = [item["id"] for item in reader.walk(["acme"], DeliveryQuery(sys_id=sys_id(3)))]
    by_number = [item["id"] for item in reader.walk(["acme"], DeliveryQuery(number="INC0000003"))]

    assert by_sys_id == by_number == [second, first]


def sweep(bench: Bench, *, cap: int = 100) -> tuple[int, int]:
    swept = bench.queue.sweep(cap=cap, now=bench.now)
    return swept.gone, swept.over_cap


def test_the_sweep_forgets_what_was_finished_longer_than_the_retention_ago(
    bench: Bench, reader: DeliveryReader
) -> None:
    old = bench.accept_new(resolution("5", ticket=1))
    bench.attempt(DELIVERED)
    pending = bench.accept_new(resolution("5", ticket=2))
    bench.wait(RETENTION - MINUTE)
    young = bench.accept_new(resolution("5", ticket=3))
    letter = bench.take_one()
    bench.settle(letter, REFUSED)
    bench.wait(2 * MINUTE)

    assert sweep(bench) == (1, 0)
    assert reader.find("acme", old) is None
    assert reader.find("acme", pending)
    assert reader.find("acme", young)
    assert bench.listed("delivered") == []


def test_a_ticket_that_outlives_its_deliveries_names_none_that_was_forgotten(bench: Bench, redis: Connection) -> None:
    letter = dead(bench, resolution("5"))
    forgotten = bench.accept_new(resolution("6"))
    bench.attempt(DELIVERED)
    bench.wait(RETENTION + MINUTE)
    assert sweep(bench) == (1, 0)

    bench.accept_new(resolution("7"))

    fields = redis.call("HKEYS", bench.key(f"t:{sys_id(1)}"))
    assert f"d:{letter}" in fields
    assert f"d:{forgotten}" not in fields


def test_the_sweep_leaves_dead_letters_up_to_the_cap_and_the_oldest_go_first(
    bench: Bench, reader: DeliveryReader
) -> None:
    died = [dead(bench, resolution("5", ticket=ticket)) for ticket in range(5)]
    bench.wait(2 * RETENTION)

    under, over = sweep(bench), sweep(bench, cap=3)

    assert (under, over) == ((0, 0), (0, 2))
    assert [bool(reader.find("acme", one)) for one in died] == [False, False, True, True, True]


def test_a_full_backlog_refuses_and_stores_nothing(bench: Bench, redis: Connection) -> None:
    bench.queue = DeliveryQueue(redis, "acme", retention=RETENTION / SECOND, max_pending=2)
    bench.accept_new(resolution("5", ticket=1))

    with pytest.raises(BacklogFullError, match="2 pending"):
        bench.submit([bench.submission(resolution("5", ticket=ticket)) for ticket in (2, 3)])

    assert len(bench.listed("pending")) == 1


def test_of_very_many_attempts_the_first_and_the_last_are_listed(bench: Bench, reader: DeliveryReader) -> None:
    delivery = bench.accept_new(resolution("5"))
    began = bench.now
    for _ in range(70):
        bench.settle(bench.take_one(), NOT_NOW, delay=SECOND)
        bench.wait(SECOND)

    record = reader.find("acme", delivery)
    assert record
    assert len(record["attempts"]) == 50
    assert record["attempts"][0]["at"] == format_time(began)
    assert record["attempts"][-1]["at"] == format_time(bench.now - SECOND)


def test_a_dead_letter_whose_ticket_is_gone_can_be_discarded(bench: Bench, dead_letters: DeadLetterStore) -> None:
    letter = dead(bench, resolution("5"))
    bench.redis.call("DEL", bench.key(f"t:{sys_id(1)}"))

    closed = dead_letters.discard("acme", [letter], actor=ANN, why="known", now=bench.now)

    assert closed == 1
    assert bench.listed("discarded") == [letter]


def test_a_page_by_reason_passes_over_nothing(bench: Bench, reader: DeliveryReader) -> None:
    for ticket in range(150):
        bench.accept_new(resolution("5", ticket=ticket))
        bench.attempt(DELIVERED)
        bench.wait(1)
    wanted = []
    for ticket in range(150, 460):
        letter = bench.accept_new(resolution("5", ticket=ticket))
        is_refused = ticket < 160
        bench.attempt(REFUSED if is_refused else Dead(Reason.NOT_FOUND))
        wanted += [letter] if is_refused else []
        bench.wait(1)

    found, cursor = [], None
    for _ in range(20):
        page = reader.page(["acme"], DeliveryQuery(reason="refused"), limit=50, cursor=cursor)
        found += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == wanted[::-1]


def test_how_long_the_oldest_waits_and_is_dead_is_told(bench: Bench, redis: Connection) -> None:
    dead(bench, resolution("5", ticket=1))
    died = bench.now
    bench.wait(MINUTE)
    bench.accept_new(resolution("5", ticket=2))
    accepted = bench.now
    bench.wait(MINUTE)
    bench.accept_new(resolution("5", ticket=3))

    [backlog] = Heartbeats(redis).backlogs(["acme"])
    look = PublicationStore(redis, "acme").look("one", for_ms=1000, now=bench.now)

    assert backlog.oldest == accepted
    assert look
    assert (look.health.oldest, look.health.oldest_dead) == (accepted, died)
