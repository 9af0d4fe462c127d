"""From the journal to Redis: in order, once, whoever dies in between. The real journal, the real accept script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from harness import wait_until
from store.bench import DELIVERED, HOUR, MINUTE, NOT_NOW, Bench, make_integration, reopening, resolution, unusable

from relay.core.model import Mapped
from relay.errors import JournalError
from relay.intake.drainer import Drainer
from relay.intake.journal import Entry, Journal, open_journal
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict, encode_submissions

MIB = 1 << 20
DAY_SECONDS = 86_400


class Forgetful(Journal):
    """A journal whose process dies once, after Redis took an entry and before that is noted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, most_bytes=64 * MIB)
        self.dies = True

    def remove(self, entries: Sequence[Entry]) -> None:
        if self.dies:
            self.dies = False
            raise JournalError("the process died here")
        super().remove(entries)


@pytest.fixture
def bench(redis: Connection) -> Bench:
    return Bench(redis)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path, most_bytes=64 * MIB)
    yield journal
    journal.close()


def write_down(journal: Journal, bench: Bench, *updates: Mapped) -> list[Submission]:
    """Journal each update as a webhook of its own, received now."""
    submissions = [bench.submission(update) for update in updates]
    for submission in submissions:
        records = encode_submissions(bench.integration, [submission], bench.now)
        journal.append(bench.name, submission.id, bench.now, records, patience=10)
    return submissions


def drainer(journal: Journal, bench: Bench) -> Drainer:
    return Drainer(journal, lambda _: bench.queue, lambda: bench.now)


def test_what_waited_is_accepted_as_if_it_came_now(bench: Bench, journal: Journal) -> None:
    [submission] = write_down(journal, bench, resolution("3"))
    bench.wait(MINUTE)

    drainer(journal, bench).drain()

    assert bench.status(submission.id) == "queued"
    assert journal.waiting() == []
    assert bench.attempt(DELIVERED) == "delivered"


def test_it_is_drained_in_the_order_in_which_it_came(bench: Bench, journal: Journal) -> None:
    first, _, second = write_down(journal, bench, resolution(), reopening(), resolution())

    drainer(journal, bench).drain()

    assert bench.status(first.id) == "superseded"
    assert bench.status(second.id) == "queued", "the reopening between the two makes the second resolution a new one"


def test_an_older_update_behind_a_newer_one_is_superseded(bench: Bench, journal: Journal) -> None:
    [old] = write_down(journal, bench, resolution(state=6))
    bench.wait(1)
    newer = bench.accept(resolution(state=7))

    drainer(journal, bench).drain()

    assert bench.status(old.id) == "superseded"
    assert bench.status(newer.id) == "queued"


def test_the_same_update_twice_is_one_delivery(bench: Bench, journal: Journal) -> None:
    first, second = write_down(journal, bench, resolution("3"), resolution("3"))

    drainer(journal, bench).drain()

    assert bench.listed("pending") == [first.id]
    assert bench.record(first.id)["duplicates"] == "1"
    assert bench.record(second.id) == {}


def test_a_crash_before_an_entry_is_removed_repeats_nothing(bench: Bench, journal: Journal, tmp_path: Path) -> None:
    first, second = write_down(journal, bench, resolution("3", ticket=1), resolution("3", ticket=2))
    forgetful = Forgetful(tmp_path)

    drainer(forgetful, bench).drain()
    assert journal.holds(bench.name)
    assert bench.attempt(DELIVERED) == "delivered"
    drainer(journal, bench).drain()

    assert bench.listed("delivered") == [first.id]
    assert bench.listed("pending") == [second.id]
    assert bench.take(10).assignments[0].id == second.id
    assert journal.waiting() == []
    forgetful.close()


def test_what_redis_took_without_an_answer_is_not_taken_again(bench: Bench, journal: Journal) -> None:
    [submission] = write_down(journal, bench, resolution("3"))
    bench.submit([submission])  # its answer was lost: web journaled the update, too

    drainer(journal, bench).drain()

    assert bench.listed("pending") == [submission.id]
    assert len(bench.take(10).assignments) == 1


def test_rejections_are_kept(bench: Bench, journal: Journal) -> None:
    write_down(journal, bench, unusable({"short_description": "no sys_id"}))

    drainer(journal, bench).drain()

    assert bench.redis.call("ZCARD", bench.key("rejections")) == 1


def test_the_clock_of_a_delivery_stands_still_in_the_journal(bench: Bench, journal: Journal) -> None:
    [submission] = write_down(journal, bench, resolution("3"))
    bench.wait(72 * HOUR)  # give_up_after is 48h

    drainer(journal, bench).drain()

    assert bench.attempt(NOT_NOW, delay=0) == "retrying"
    assert int(bench.record(submission.id)["created_at"]) == bench.now - 72 * HOUR
    bench.wait(48 * HOUR)
    assert bench.attempt(NOT_NOW, delay=0) == "dead"


def test_an_integration_that_is_full_does_not_hold_up_another(redis: Connection, journal: Journal) -> None:
    full, other = (Bench(redis, make_integration(name)) for name in ("full", "other"))
    full.queue = DeliveryQueue(redis, "full", retention=DAY_SECONDS, max_pending=1)
    full.accept(resolution("1", ticket=1))
    [waits] = write_down(journal, full, resolution("1", ticket=2))
    [goes] = write_down(journal, other, resolution("1", ticket=2))
    queues = {"full": full.queue, "other": other.queue}

    Drainer(journal, queues.__getitem__, lambda: full.now).drain()

    assert journal.waiting() == ["full"]
    assert other.status(goes.id) == "queued"
    full.attempt(DELIVERED)
    Drainer(journal, queues.__getitem__, lambda: full.now).drain()
    assert full.status(waits.id) == "queued"


def test_an_integration_that_never_gets_empty_leaves_others_their_turn(redis: Connection, journal: Journal) -> None:
    busy, other = (Bench(redis, make_integration(name)) for name in ("busy", "other"))
    tickets = count(1_000)

    class Fed(DeliveryQueue):
        """A queue that a new webhook waits for whenever it has taken some."""

        def accept_records(self, records: Sequence[str], now: int) -> list[Verdict]:
            write_down(journal, busy, *(resolution("1", ticket=next(tickets)) for _ in range(len(records))))
            return super().accept_records(records, now)

    write_down(journal, busy, resolution("1", ticket=1))
    [goes] = write_down(journal, other, resolution("1", ticket=2))
    queues = {"busy": Fed(redis, "busy", retention=DAY_SECONDS), "other": other.queue}

    drained = Drainer(journal, queues.__getitem__, lambda: busy.now).drain()

    assert drained > 1
    assert other.status(goes.id) == "queued"
    assert journal.waiting() == ["busy"]


def test_one_process_drains_and_another_takes_over_when_it_ends(bench: Bench, journal: Journal) -> None:
    one, other = drainer(journal, bench), drainer(journal, bench)
    [first] = write_down(journal, bench, resolution("3", ticket=1))
    one.start()
    wait_until(lambda: bench.record(first.id), "the first one drains")

    assert not other._has_lock()

    one.close()
    assert other._has_lock()
    other.close()


def test_redis_away_leaves_everything_where_it_is(bench: Bench, journal: Journal, tmp_path: Path) -> None:
    nowhere = Connection(f"unix://{tmp_path}/nothing.sock", timeout=1)
    write_down(journal, bench, resolution("3"))

    Drainer(journal, lambda name: DeliveryQueue(nowhere, name, retention=60), lambda: bench.now).drain()

    assert journal.waiting() == [bench.name]
