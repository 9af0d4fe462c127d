"""Taking, settling and reclaiming deliveries: leases, fences, one push per ticket at a time, retries, ends."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from store.bench import (
    BUG,
    DELIVERED,
    HOUR,
    LEASE,
    MINUTE,
    NOT_FOUND,
    NOT_NOW,
    REFUSED,
    SECOND,
    START,
    TOKEN_REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    Turn,
    answered,
    make_integration,
    resolution,
    sys_id,
)

from relay.core.outcomes import Outcome
from relay.store.connection import Connection

#: Milliseconds: DESIGN's 48 h and 10 min.
GIVE_UP_AFTER, PATIENCE = 48 * HOUR, 10 * MINUTE


def queue_length(bench: Bench) -> int:
    length: int = bench.redis.call("XLEN", bench.key("queue"))
    return length


def snapshot(bench: Bench) -> dict[str, str]:
    """Return a digest of everything that Redis holds, by key."""
    digest = "return redis.sha1hex(redis.call('DUMP', KEYS[1]))"
    return {name: bench.redis.call("EVAL", digest, 1, name) for name in bench.redis.call("KEYS", "*")}


def read_as_a_stranger(bench: Bench) -> None:
    """Read the queue through the workers' own group, and do nothing about it."""
    bench.redis.call("XREADGROUP", "GROUP", "workers", "stranger", "STREAMS", bench.key("queue"), ">")


# Taking


def test_deliveries_are_taken_in_the_order_in_which_they_were_accepted(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)

    assert bench.take_ids() == ids


def test_a_worker_gets_no_more_than_it_has_room_for(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)

    assert bench.take_ids(2) == ids[:2]
    assert bench.take_ids(0) == []
    assert bench.take_ids(2) == ids[2:]


def test_an_assignment_says_all_that_a_push_needs(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5", state=7))
    bench.attempt(NOT_NOW)
    bench.wait(HOUR)

    assignment = bench.take_one()

    assert (assignment.integration, assignment.id, assignment.sys_id) == ("acme", delivery, sys_id(1))
    assert (assignment.iem_state, assignment.tries, assignment.is_probe) == (7, 1, False)
    assert (assignment.created_at, assignment.number) == (START, "INC0000001")


def test_a_delivery_is_handed_to_one_worker_only(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.take_one()

    assert bench.take_ids(worker="worker-2") == []


def test_many_workers_share_the_deliveries_and_push_each_once(bench: Bench, redis_url: str) -> None:
    ids = bench.accept_tickets(*range(200))
    together = Barrier(4)

    def work(number: int) -> list[str]:
        connection = Connection(redis_url, timeout=5)
        worker, done = Bench(connection), []
        worker.now = bench.now
        together.wait()
        while batch := worker.take(3, worker=f"worker-{number}").assignments:
            assert worker.settle_all([worker.settlement(one, DELIVERED) for one in batch]) == ["delivered"] * len(batch)
            done += [assignment.id for assignment in batch]
        connection.close()
        return done

    with ThreadPoolExecutor(4) as pool:
        done = list(itertools.chain.from_iterable(pool.map(work, range(4))))

    assert sorted(done) == ids == bench.listed("delivered")
    assert queue_length(bench) == 0


def test_an_empty_queue_that_was_never_written_to_gives_nothing(bench: Bench) -> None:
    batch = bench.take()

    assert (batch.assignments, batch.parked, batch.look_again_at) == ((), None, None)


def test_a_worker_is_told_when_the_next_retry_is_due(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(NOT_NOW, delay=7 * SECOND)

    assert bench.take().look_again_at == bench.now + 7 * SECOND


def test_what_a_stranger_writes_into_the_queue_is_dropped(bench: Bench) -> None:
    bench.redis.call("XADD", bench.key("queue"), "*", "d", "01NOBODY", "x", "y")
    bench.redis.call("XADD", bench.key("queue"), "*", "anything", "else")
    delivery = bench.accept_new(resolution("5"))

    assert bench.take_ids() == [delivery]
    assert queue_length(bench) == 1


# Settling


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (DELIVERED, "delivered"),
        (REFUSED, "dead"),
        (NOT_NOW, "retrying"),
        (NOT_FOUND, "retrying"),
        (UNREACHABLE, "retrying"),
        (BUG, "retrying"),
        (WRONG_CREDENTIALS, "parked"),
        (TOKEN_REFUSED, "parked"),
        (None, "queued"),
    ],
)
def test_an_outcome_decides_where_a_delivery_goes(bench: Bench, outcome: Outcome | None, status: str) -> None:
    delivery = bench.accept_new(resolution("5"))

    told = bench.attempt(outcome)

    assert told == status
    # That a delivery is parked is derived when it is read: it is so while its integration is.
    assert bench.status(delivery) == {"parked": "queued"}.get(status, status)
    assert "flight" not in bench.ticket()
    assert bench.listed("pending") == ([] if status in {"delivered", "dead"} else [delivery])


@pytest.mark.parametrize(("outcome", "reason"), [(DELIVERED, None), (REFUSED, "refused")])
def test_an_end_is_written_down_with_its_time_and_reason(bench: Bench, outcome: Outcome, reason: str | None) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW)
    bench.wait(HOUR)

    status = bench.attempt(outcome)

    record = bench.record(delivery)
    assert (record["finished_at"], record.get("reason")) == (str(bench.now), reason)
    assert bench.listed(status) == [delivery]
    assert not record.keys() & {"place", "entry", "lease", "next_at"}
    assert queue_length(bench) == 0


def test_every_turn_is_listed_in_the_record(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW, delay=SECOND)
    bench.wait(SECOND)
    bench.attempt(BUG, delay=SECOND)
    bench.wait(SECOND)

    bench.attempt(DELIVERED)

    assert bench.turns(delivery) == [
        Turn(START, "retry", "not_now", counted=True),
        Turn(START + SECOND, "retry", "bug", counted=False),
        Turn(START + 2 * SECOND, "delivered", "", counted=True),
    ]


def test_several_settlements_are_written_in_one_step(bench: Bench) -> None:
    bench.accept_tickets(1, 2, 3)
    first, second, third = bench.take().assignments

    statuses = bench.settle_all(
        [bench.settlement(first, DELIVERED), bench.settlement(second, NOT_NOW), bench.settlement(third, REFUSED)]
    )

    assert statuses == ["delivered", "retrying", "dead"]


def test_a_delivery_that_is_handed_back_can_be_taken_at_once(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)

    bench.attempt(None)

    assert bench.take_ids() == [delivery]
    assert bench.turns(delivery) == []


def test_a_settlement_that_is_written_twice_changes_nothing_more(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    settlement = bench.settlement(bench.take_one(), NOT_NOW)
    bench.settle_all([settlement])
    record = bench.record(delivery)

    again = bench.settle_all([settlement])

    assert again == ["stale"]
    assert bench.record(delivery) == record


# Leases and fences


def test_a_lease_that_is_over_puts_the_delivery_back(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.take_one()
    bench.wait(LEASE)

    assert bench.reclaim() == (1, 0)

    assert bench.take_ids(worker="worker-2") == [delivery]
    assert bench.turns(delivery) == [Turn(bench.now, "interrupted", "worker_lost", counted=False)]
    assert bench.record(delivery).get("tries", "0") == "0"


def test_a_lease_that_is_not_over_holds(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    assignment = bench.take_one()
    bench.wait(LEASE - 1)

    assert bench.reclaim() == (0, 0)

    assert bench.settle(assignment, DELIVERED) == "delivered"


def test_a_delivery_is_not_reclaimed_before_it_was_idle_for_long_enough(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    assignment = bench.take_one()
    bench.wait(LEASE)

    # A clock that goes ahead must not take a lease from a worker that is at it: Redis's own clock has a say too.
    assert bench.queue.reclaim("worker-2", min_idle=LEASE, now=bench.now) == (0, 0)

    assert bench.settle(assignment, DELIVERED) == "delivered"


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED, NOT_NOW, UNREACHABLE, WRONG_CREDENTIALS, BUG, None])
def test_a_stale_settlement_writes_nothing(bench: Bench, outcome: Outcome | None) -> None:
    bench.accept_new(resolution("5"))
    stale = bench.take_one()
    bench.wait(LEASE)
    bench.reclaim()
    bench.take_one(worker="worker-2")
    before = snapshot(bench)

    status = bench.settle(stale, outcome)

    assert status == "stale"
    assert snapshot(bench) == before


def test_a_settlement_after_the_delivery_was_put_back_is_stale_too(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    stale = bench.take_one()
    bench.wait(LEASE)
    bench.reclaim()

    assert bench.settle(stale, DELIVERED) == "stale"

    assert bench.take_ids() == [delivery]


def test_each_lease_has_a_fence_of_its_own(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    fences = set()

    for _ in range(3):
        fences.add(bench.take_one().fence)
        bench.wait(LEASE)
        bench.reclaim()

    assert len(fences) == 3


def test_what_a_lost_worker_had_is_put_back_however_much_it_was(bench: Bench) -> None:
    ids = bench.accept_tickets(*range(250))
    bench.take(250)
    bench.wait(LEASE)

    assert bench.reclaim() == (250, 0)

    assert bench.take_ids(300) == ids


def test_a_superseded_delivery_of_a_lost_worker_is_not_pushed_again(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))
    bench.take_one()
    newer = bench.accept_new(resolution("6"))
    bench.wait(LEASE)

    assert bench.reclaim() == (1, 0)

    assert bench.status(older) == "superseded"
    assert bench.record(older)["superseded_by"] == newer
    assert bench.take_ids() == [newer]


# One push per ticket at a time


def test_a_newer_delivery_waits_behind_the_one_in_flight_and_goes_after_it(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    newer = bench.accept_new(resolution("6"))
    meanwhile = bench.take_ids()

    bench.settle(in_flight, DELIVERED)

    assert meanwhile == []
    assert bench.take_ids() == [newer]


def test_what_waits_behind_one_ticket_holds_up_no_other(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    bench.take_one()
    bench.accept_new(resolution("6"))
    other = bench.accept_new(resolution("5", ticket=2))

    assert bench.take_ids() == [other]


def test_only_the_newest_of_those_behind_goes(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    in_flight = bench.take_one()
    bench.accept_new(resolution("6"))
    bench.accept_new(resolution("7", state=3))
    newest = bench.accept_new(resolution("8"))

    bench.settle(in_flight, REFUSED)

    assert bench.take_ids() == [newest]
    assert len(bench.listed("superseded")) == 2


def test_a_delivery_behind_a_lost_worker_goes_once_the_lease_is_over(bench: Bench) -> None:
    bench.accept_new(resolution("5", state=3))
    bench.take_one()
    behind = bench.accept_new(resolution("6"))
    assert bench.take_ids(worker="worker-2") == []
    bench.wait(LEASE)

    bench.reclaim()

    assert bench.take_ids(worker="worker-2") == [behind]


# Retries


def test_a_retry_is_taken_when_it_is_due_and_not_before(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(NOT_NOW, delay=5 * SECOND)
    bench.wait(5 * SECOND - 1)
    too_early = bench.take_ids()
    bench.wait(1)

    assert too_early == []
    assert bench.take_ids() == [delivery]
    assert "next_at" not in bench.record(delivery)


def test_retries_are_taken_in_the_order_in_which_they_are_due(bench: Bench) -> None:
    first, second, third = bench.accept_tickets(1, 2, 3)
    for delay in (9, 3, 6):
        bench.attempt(NOT_NOW, delay=delay * SECOND)
    bench.wait(MINUTE)

    assert bench.take_ids() == [second, third, first]


def test_more_due_retries_than_there_is_room_for_are_taken_one_turn_after_the_other(bench: Bench) -> None:
    ids = bench.accept_tickets(*range(7))
    for assignment in bench.take().assignments:
        bench.settle(assignment, NOT_NOW, delay=SECOND)
    bench.wait(SECOND)

    turns = [bench.take_ids(3) for _ in range(3)]

    assert list(itertools.chain.from_iterable(turns)) == ids


@pytest.mark.parametrize("status", [408, 425])
def test_the_wait_grows_with_each_counted_attempt(bench: Bench, status: int) -> None:
    delivery = bench.accept_new(resolution("5"))
    waits = []

    for _ in range(9):
        bench.attempt(answered(status))
        waits.append(int(bench.record(delivery)["next_at"]) - bench.now)
        bench.wait(waits[-1])

    assert waits == [seconds * SECOND for seconds in (5, 10, 20, 40, 80, 160, 320, 600, 600)]


# Giving up


def test_a_delivery_is_given_up_after_its_time_with_the_last_reason(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.attempt(UNREACHABLE, delay=GIVE_UP_AFTER - 1)
    bench.wait(GIVE_UP_AFTER - 1)
    almost = bench.attempt(NOT_NOW, delay=MINUTE)
    due = int(bench.record(delivery)["next_at"])
    bench.wait(due - bench.now)

    status = bench.attempt(NOT_NOW)

    assert (almost, status) == ("retrying", "dead")
    assert due == START + GIVE_UP_AFTER  # the last attempt is made when the time is over, not a long delay later
    assert bench.record(delivery)["reason"] == "not_now"


def test_a_delivery_that_waited_too_long_for_a_worker_gets_its_attempt(bench: Bench) -> None:
    bench.accept_tickets(1, 2)
    bench.wait(2 * GIVE_UP_AFTER)

    assert bench.attempt(DELIVERED) == "delivered"
    assert bench.attempt(NOT_NOW) == "dead"


def test_a_ticket_that_iem_does_not_know_is_given_ten_minutes(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    bench.wait(HOUR)  # the ten minutes begin with the first 404, not with the acceptance
    bench.attempt(NOT_FOUND, delay=PATIENCE - 1)
    bench.wait(PATIENCE - 1)
    almost = bench.attempt(NOT_FOUND, delay=HOUR)
    due = int(bench.record(delivery)["next_at"])
    bench.wait(due - bench.now)

    status = bench.attempt(NOT_FOUND)

    assert (almost, status) == ("retrying", "dead")
    assert due == START + HOUR + PATIENCE
    assert bench.record(delivery)["reason"] == "not_found"
    assert [turn.counted for turn in bench.turns(delivery)] == [True, True, True]


def test_a_ticket_that_iem_gets_to_know_is_delivered(bench: Bench) -> None:
    bench.accept_new(resolution("5"))
    bench.attempt(NOT_FOUND)
    bench.wait(MINUTE)

    assert bench.attempt(DELIVERED) == "delivered"


def test_a_delivery_with_three_bugs_dies(bench: Bench) -> None:
    delivery = bench.accept_new(resolution("5"))
    statuses = []

    for _ in range(3):
        statuses.append(bench.attempt(BUG))
        bench.wait(HOUR)

    assert statuses == ["retrying", "retrying", "dead"]
    assert bench.record(delivery)["reason"] == "bug"


# What strangers and restarts do to the queue


@pytest.mark.parametrize("command", [("XGROUP", "DESTROY", "{queue}", "workers")])
def test_a_lost_group_is_made_again_and_nothing_is_pushed_twice(bench: Bench, command: tuple[str, ...]) -> None:
    first, second = bench.accept_tickets(1, 2)
    in_flight = bench.take_one()
    bench.redis.call(*(part.format(queue=bench.key("queue")) for part in command))
    [third] = bench.accept_tickets(3)

    taken = bench.take_ids(worker="worker-2")

    assert in_flight.id == first
    assert taken == [second, third]
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert queue_length(bench) == 2


def test_a_lost_group_and_a_lost_worker_together_lose_nothing(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.take_one()
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")
    bench.take(worker="worker-2")
    bench.wait(LEASE)

    bench.reclaim()

    assert bench.take_ids(worker="worker-2") == [delivery]


def test_settling_and_reclaiming_survive_a_lost_group(bench: Bench) -> None:
    bench.accept_tickets(1)
    in_flight = bench.take_one()
    bench.redis.call("XGROUP", "DESTROY", bench.key("queue"), "workers")

    assert bench.reclaim() == (0, 0)
    assert bench.settle(in_flight, DELIVERED) == "delivered"
    assert queue_length(bench) == 0


def test_a_queue_entry_in_flight_that_a_stranger_deleted_is_counted_and_its_delivery_is_not_lost(bench: Bench) -> None:
    [delivery] = bench.accept_tickets(1)
    bench.take_one()
    bench.redis.call("XDEL", bench.key("queue"), bench.record(delivery)["entry"])
    bench.wait(LEASE)

    _, missing = bench.reclaim()

    assert missing == 1
    assert bench.take_ids() == [delivery]


def test_a_queue_that_a_stranger_deleted_is_counted_and_filled_again(bench: Bench) -> None:
    ids = bench.accept_tickets(1, 2, 3)
    in_flight = bench.take_one()
    bench.redis.call("DEL", bench.key("queue"))
    lost_meanwhile = bench.take_ids()

    put_back, missing = bench.reclaim()

    assert lost_meanwhile == []
    assert (put_back, missing) == (0, 2)
    assert bench.take_ids() == ids[1:]
    assert bench.settle(in_flight, DELIVERED) == "delivered"


def test_a_delivery_that_a_stranger_read_is_put_back(bench: Bench) -> None:
    bench.take()  # makes the group
    [delivery] = bench.accept_tickets(1)
    read_as_a_stranger(bench)
    assert bench.take_ids() == []

    bench.reclaim()

    assert bench.take_ids() == [delivery]


def test_a_healthy_queue_has_nothing_to_put_back(bench: Bench) -> None:
    bench.accept_tickets(*range(5))
    bench.take(2)
    bench.attempt(NOT_NOW)
    before = snapshot(bench)

    assert bench.reclaim() == (0, 0)

    after = snapshot(bench)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {
        bench.key("queue")
    }  # whose turn it is to settle


# The trail


def test_each_end_stands_in_the_audit_trail(redis: Connection) -> None:
    bench = Bench(redis, make_integration(collapse=False))
    bench.accept_new(resolution("1"))
    bench.attempt(DELIVERED)
    bench.accept_new(resolution("2"))
    bench.attempt(REFUSED)
    bench.accept_new(resolution("3"))
    bench.accept_new(resolution("4"))

    kinds = [entry["type"] for _, entry in redis.call("XRANGE", bench.key("audit"), "-", "+")]

    assert kinds == ["accepted", "delivered", "accepted", "dead", "accepted", "superseded", "accepted"]


def test_a_superseded_delivery_leaves_the_list_of_pending_ones(bench: Bench) -> None:
    older = bench.accept_new(resolution("5", state=3))

    newer = bench.accept_new(resolution("6"))

    assert (bench.listed("pending"), bench.listed("superseded")) == ([newer], [older])
