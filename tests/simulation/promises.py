"""What DESIGN section 2 promises, a function each. `Snapshot` is all that Redis holds of an integration, in one look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Any, cast

from simulation.customer import Customer
from simulation.ledger import Book, Ledger
from simulation.site import Site

from relay.store.connection import Connection

ENDS = ("delivered", "superseded", "dead", "discarded")
#: IEM's word for a delivery that it will never take.
_OWN_FAULT = {"refused", "not_found"}

#: A refusal is the answer for everybody who asks within this time (ms).
_REFUSAL_HOLDS = 2_000
#: Waits between the probes of an account that IEM refuses (ms).
_FIRST_PROBE, _LAST_PROBE = 300_000, 3_600_000

_PRELUDE = files("relay.store").joinpath("lua", "prelude.lua").read_text("utf-8")
_LOOK = """
local base, found = ARGV[2], { lists = {}, records = {}, tickets = {}, queue = {}, retry = {} }
local function hash(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for index = 1, #flat, 2 do fields[flat[index]] = flat[index + 1] end
  return fields
end
for _, status in ipairs({ 'pending', 'delivered', 'superseded', 'dead', 'discarded' }) do
  for _, member in ipairs(redis.call('ZRANGE', base .. 'in:' .. status, 0, -1)) do
    local id = string.match(member, '^%w+')
    table.insert(found.lists, { status, id })
    found.records[id] = find_delivery(id) or {}
    local sys_id = found.records[id].sys_id
    if sys_id then found.tickets[sys_id] = hash(base .. 't:' .. sys_id) end
  end
end
for _, entry in ipairs(redis.call('XRANGE', base .. 'queue', '-', '+')) do
  table.insert(found.queue, { entry[1], entry[2][2] })
end
for _, id in ipairs(redis.call('ZRANGE', base .. 'retry', 0, -1)) do table.insert(found.retry, id) end
local read = redis.call('EXISTS', base .. 'queue') == 1 and redis.pcall('XPENDING', base .. 'queue', 'workers')
found.unacknowledged = read and read[1]
return cjson.encode(found)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An integration in Redis."""

    #: Status of its list, and id.
    lists: list[tuple[str, str]]
    records: dict[str, dict[str, str]]
    tickets: dict[str, dict[str, str]]
    #: Entry, and delivery.
    queue: list[tuple[str, str]]
    retry: list[str]
    #: How many entries were read and never acknowledged.
    unacknowledged: int

    @property
    def pending(self) -> list[str]:
        """The ids of what is not over."""
        return [an_id for status, an_id in self.lists if status == "pending"]


def look(server: Connection, integration: str) -> Snapshot:
    """Return what Redis holds of an integration now."""
    base = f"relay:{{{integration}}}:"
    found = cast("dict[str, Any]", json.loads(server.call("EVAL", _PRELUDE + _LOOK, 1, f"{base}queue", 0, base)))
    return Snapshot(
        [(status, an_id) for status, an_id in found["lists"]],
        dict(found["records"]),
        dict(found["tickets"]),
        [(entry, an_id) for entry, an_id in found["queue"]],
        list(found["retry"]),
        found.get("unacknowledged") or 0,
    )


# What always holds


def everything_accepted_is_listed_once(book: Book, seen: Snapshot) -> None:
    """Nothing is lost, and there is nothing that nobody sent."""
    assert sorted(an_id for _, an_id in seen.lists) == sorted(book.accepted)


def a_list_holds_what_its_records_say(seen: Snapshot) -> None:
    """The indexes are right."""
    for status, an_id in seen.lists:
        stored = seen.records[an_id]["status"]
        assert status == ("pending" if stored in {"queued", "retrying"} else stored)


def what_is_pending_waits_where_it_says(seen: Snapshot) -> None:
    """Some worker comes upon it sooner or later."""
    for an_id in seen.pending:
        record = seen.records[an_id]
        flight = seen.tickets[record["sys_id"]].get("flight")
        match record["place"]:
            case "queue":
                assert (record["entry"], an_id) in seen.queue
            case "retry":
                assert an_id in seen.retry
            case "flight":
                assert flight == an_id
            case place:
                assert place == "behind"
                assert flight is not None
                assert seen.records[flight]["place"] == "flight"


def pushes_of_a_ticket_never_go_backwards(book: Book, customer: Customer) -> None:
    """Nothing older is pushed behind something newer, nor lands there."""
    for sys_id in book.tickets:
        begun = [push for push in customer.pushes if push.attempt.sys_id == sys_id]
        for order in (begun, customer.landed(sys_id)):
            places = [book.accepted[push.attempt.delivery].place for push in order]
            assert places == sorted(places)


def a_push_says_what_was_accepted(book: Book, customer: Customer) -> None:
    """The state is the delivery's."""
    for push in customer.pushes:
        accepted = book.accepted[push.attempt.delivery]
        assert (push.attempt.sys_id, push.state) == (accepted.sys_id, accepted.iem_state)


def no_attempt_met_a_bug(seen: Snapshot) -> None:
    """The worker's one broad handler had nothing to do."""
    for record in seen.records.values():
        assert not [line for line in _lines(record) if "|bug|" in line]


def wrong_credentials_are_tried_seldom(customer: Customer, ledger: Ledger, *, at_once: int, faults: int) -> None:
    """However many deliveries wait: those that were under way when it began share an answer, then there are probes alone.

    A probe counts when its end is written down: on that of a worker that hangs for longer than a lease the next follows at once.
    `at_once`: how many can be under way; `faults`: how many calls and processes were lost meanwhile.
    """
    refused = [call for call in customer.token_calls if call.is_refused and call.begun_at >= customer.mood_since]
    for before, call in pairwise(refused):
        is_late = call.faults > before.faults or call.begun_at - before.begun_at > _REFUSAL_HOLDS
        assert call.attempt.is_probe or is_late
    due, wait, left = 0, _FIRST_PROBE, customer.stage.now - customer.mood_since
    while left >= wait:
        due, left, wait = due + 1, left - wait, min(2 * wait, _LAST_PROBE)
    probes = [call.attempt for call in refused if call.attempt.is_probe]
    assert len([one for one in probes if (one.delivery, one.fence) in ledger.in_time]) <= 1 + due + faults
    assert len(refused) - len(probes) <= at_once + faults


# What holds in the end


def everything_accepted_has_ended(book: Book, seen: Snapshot) -> None:
    """Each accepted update ends in exactly one of three ways, of which an operator can close the third."""
    assert sorted(an_id for status, an_id in seen.lists if status in ENDS) == sorted(book.accepted)


def only_what_iem_refused_is_dead(seen: Snapshot) -> None:
    """Nothing is given up for an outage that is shorter than `give_up_after`."""
    for status, an_id in seen.lists:
        assert status != "dead" or seen.records[an_id]["reason"] in _OWN_FAULT


def nothing_is_left_behind(seen: Snapshot) -> None:
    """Queue, retries and the leases on tickets are empty."""
    assert (seen.queue, seen.retry, seen.unacknowledged) == ([], [], 0)
    assert not [sys_id for sys_id, ticket in seen.tickets.items() if "flight" in ticket]


def the_newest_update_landed_last(book: Book, customer: Customer, seen: Snapshot) -> None:
    """IEM knows what the ITSM tool said last, unless it refused that."""
    for sys_id in seen.tickets:
        newest = book.newest(sys_id)
        if newest is None or seen.records[newest.id]["status"] in {"dead", "discarded"}:
            continue
        assert seen.records[newest.id]["status"] == "delivered"
        assert customer.landed(sys_id)[-1].attempt.delivery == newest.id


def a_push_is_repeated_only_where_its_answer_was_lost(book: Book, customer: Customer, seen: Snapshot) -> None:
    """What landed more than once is accounted for: by IEM's silence, or by a worker that was lost."""
    for an_id in book.accepted:
        landed = [push for push in customer.pushes if push.attempt.delivery == an_id and push.landed_at is not None]
        lines = _lines(seen.records[an_id])
        silent = [line for line in lines if "|interrupted|" in line or "|retry|unreachable|" in line]
        assert len(landed) <= len(silent) + (seen.records[an_id]["status"] == "delivered")
        assert landed or seen.records[an_id]["status"] != "delivered"


def what_a_living_worker_attempted_is_written_down(site: Site) -> None:
    """Redis being away for a while makes no worker forget what an attempt came to."""
    for task, assignment in site.attempts.items():
        assert task.process.is_dead or (assignment.id, assignment.fence) in site.ledger.settled


def _lines(record: dict[str, str]) -> list[str]:
    return [record[f"a{number + 1}"] for number in range(int(record.get("attempts", 0))) if f"a{number + 1}" in record]
