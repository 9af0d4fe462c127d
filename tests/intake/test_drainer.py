"""The drainer moves entries from the journal to Redis in order and once, through crashes. Real journal and accept script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from harness import wait_until
from store.bench import DELIVERED, HOUR, MINUTE, NOT_NOW, Bench, make_integration, reopening, resolution, unmappable

from relay.core.model import Mapped
from relay.errors import JournalError
from relay.intake.drainer import Drainer
from relay.intake.journal import Entry, Journal, open_journal
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict, encode_submissions

MIB = 1 << 20
DAY_SECONDS = 86_400


class CrashingJournal(Journal):
    """A journal whose process dies once, after Redis accepted an entry and before the entry is removed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, max_bytes=64 * MIB)
        self.crashes = True

    def remove(self, entries: Sequence[Entry]) -> None:
        if self.crashes:
            self.crashes = False
            raise JournalError("the process died here")
        super().remove(entries)


@pytest.fixture
def bench(redis: Connection) -> Bench:
    return Bench(redis)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path, max_bytes=64 * MIB)
    yield journal
    journal.close()


def append(journal: Journal, bench: Bench, *updates: Mapped) -> list[Submission]:
    """Append each update as a separate webhook that was received now."""
    submissions = [bench.submission(update) for update in updates]
    for submission in submissions:
        records = encode_submissions(bench.integration, [submission], bench.now)
        journal.append(bench.name, submission.id, bench.now, records, timeout=10)
    return submissions


def drainer(journal: Journal, bench: Bench) -> Drainer:
    return Drainer(journal, lambda _: bench.queue, lambda: bench.now)


def test_an_entry_is_accepted_as_if_it_arrived_now(bench: Bench, journal: Journal) -> None:
    [submission] = append(journal, bench, resolution("3"))
    bench.wait(MINUTE)

    drainer(journal, bench).drain()

    assert bench.status(submission.id) == "queued"
    assert journal.integrations() == []
    assert bench.attempt(DELIVERED) == "delivered"


def test_entries_are_drained_in_the_order_of_their_arrival(bench: Bench, journal: Journal) -> None:
    first, _, second = append(journal, bench, resolution(), reopening(), resolution())

    drainer(journal, bench).drain()

    assert bench.status(first.id) == "superseded"
    assert bench.status(second.id) == "queued", "after the reopening, the second resolution is a new update"


def test_an_older_update_is_superseded_by_a_newer_one_in_redis(bench: Bench, journal: Journal) -> None:
    [old] = append(journal, bench, resolution(state=6))
    bench.wait(1)
    newer = bench.accept(resolution(state=7))

    drainer(journal, bench).drain()

    assert bench.status(old.id) == "superseded"
    assert bench.status(newer.id) == "queued"


def test_a_repeated_update_is_one_delivery(bench: Bench, journal: Journal) -> None:
    first, second = append(journal, bench, resolution("3"), resolution("3"))

    drainer(journal, bench).drain()

    assert bench.listed("pending") == [first.id]
    assert bench.record(first.id)["duplicates"] == "1"
    assert bench.record(second.id) == {}


def test_a_crash_before_an_entry_is_removed_repeats_nothing(bench: Bench, journal: Journal, tmp_path: Path) -> None:
    first, second = append(journal, bench, resolution("3", ticket=1), resolution("3", ticket=2))
    crashing = CrashingJournal(tmp_path)

    drainer(crashing, bench).drain()
    assert journal.has_entries(bench.name)
    assert bench.attempt(DELIVERED) == "delivered"
    drainer(journal, bench).drain()

    assert bench.listed("delivered") == [first.id]
    assert bench.listed("pending") == [second.id]
    assert bench.take(10).assignments[0].id == second.id
    assert journal.integrations() == []
    crashing.close()


def test_an_update_whose_answer_was_lost_is_accepted_once(bench: Bench, journal: Journal) -> None:
    [submission] = append(journal, bench, resolution("3"))
    bench.submit([submission])  # its answer was lost, so web appended the update to the journal as well

    drainer(journal, bench).drain()

    assert bench.listed("pending") == [submission.id]
    assert len(bench.take(10).assignments) == 1


def test_rejections_are_stored(bench: Bench, journal: Journal) -> None:
    append(journal, bench, unmappable({"short_description": "no sys_id"}))

    drainer(journal, bench).drain()

    assert bench.redis.call("ZCARD", bench.key("rejections")) == 1


def test_the_time_to_give_up_does_not_run_in_the_journal(bench: Bench, journal: Journal) -> None:
    [submission] = append(journal, bench, resolution("3"))
    bench.wait(72 * HOUR)  # give_up_after is 48h

    drainer(journal, bench).drain()

    assert bench.attempt(NOT_NOW, delay=0) == "retrying"
    assert int(bench.record(submission.id)["created_at"]) == bench.now - 72 * HOUR
    bench.wait(48 * HOUR)
    assert bench.attempt(NOT_NOW, delay=0) == "dead"


def test_a_full_backlog_does_not_delay_another_integration(redis: Connection, journal: Journal) -> None:
    full, other = (Bench(redis, make_integration(name)) for name in ("full", "other"))
    full.queue = DeliveryQueue(redis, "full", retention=DAY_SECONDS, max_pending=1)
    full.accept(resolution("1", ticket=1))
    [waiting] = append(journal, full, resolution("1", ticket=2))
    [drained] = append(journal, other, resolution("1", ticket=2))
    queues = {"full": full.queue, "other": other.queue}

    Drainer(journal, queues.__getitem__, lambda: full.now).drain()

    assert journal.integrations() == ["full"]
    assert other.status(drained.id) == "queued"
    full.attempt(DELIVERED)
    Drainer(journal, queues.__getitem__, lambda: full.now).drain()
    assert full.status(waiting.id) == "queued"


def test_a_busy_integration_does_not_delay_another(redis: Connection, journal: Journal) -> None:
    busy, other = (Bench(redis, make_integration(name)) for name in ("busy", "other"))
    tickets = count(1_000)

    class BusyQueue(DeliveryQueue):
        """A queue that gets new webhooks in the journal whenever it accepts some."""

        def accept_encoded(self, records: Sequence[str], now: int) -> list[Verdict]:
            append(journal, busy, *(resolution("1", ticket=next(tickets)) for _ in range(len(records))))
            return super().accept_encoded(records, now)

    append(journal, busy, resolution("1", ticket=1))
    [drained] = append(journal, other, resolution("1", ticket=2))
    queues = {"busy": BusyQueue(redis, "busy", retention=DAY_SECONDS), "other": other.queue}

    count_drained = Drainer(journal, queues.__getitem__, lambda: busy.now).drain()

    assert count_drained > 1
    assert other.status(drained.id) == "queued"
    assert journal.integrations() == ["busy"]


def test_another_process_takes_over_when_the_first_one_ends(bench: Bench, journal: Journal) -> None:
    first_process, other = drainer(journal, bench), drainer(journal, bench)
    [first] = append(journal, bench, resolution("3", ticket=1))
    first_process.start()
    wait_until(lambda: bench.record(first.id), "the first process drains")

    assert not other._has_lock()

    first_process.close()
    assert other._has_lock()
    other.close()


def test_without_redis_the_entries_stay_in_the_journal(bench: Bench, journal: Journal, tmp_path: Path) -> None:
    nowhere = Connection(f"unix://{tmp_path}/nothing.sock", timeout=1)
    append(journal, bench, resolution("3"))

    Drainer(journal, lambda name: DeliveryQueue(nowhere, name, retention=60), lambda: bench.now).drain()

    assert journal.integrations() == [bench.name]
