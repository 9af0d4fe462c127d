"""The guarantees of docs/reference/guarantees-and-limits.md, one function each. They compare Redis, IEM and the oracle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Any, cast

from simulation.deployment import Deployment
from simulation.iem_model import IemModel
from simulation.oracle import IntegrationModel, StoreOracle

from relay.store.connection import Connection

FINAL_STATUSES = ("delivered", "superseded", "dead", "discarded")
#: The reasons for which IEM will never accept a delivery.
_REFUSED_BY_IEM = {"refused", "not_found"}

#: Within this time all processes share one refusal of the credentials (ms).
_REFUSAL_IS_SHARED_FOR = 2_000
#: First and maximum wait between the probes of an account that IEM refuses (ms).
_FIRST_PROBE, _LAST_PROBE = 300_000, 3_600_000

_PRELUDE = files("relay.store").joinpath("lua", "prelude.lua").read_text("utf-8")
_SNAPSHOT = """
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
    """All data of an integration in Redis at one moment."""

    #: Status of the list, and delivery.
    lists: list[tuple[str, str]]
    records: dict[str, dict[str, str]]
    tickets: dict[str, dict[str, str]]
    #: Queue entry, and delivery.
    queue: list[tuple[str, str]]
    retry: list[str]
    #: The number of queue entries that were read and not acknowledged.
    unacknowledged: int

    @property
    def pending(self) -> list[str]:
        """The deliveries that have not ended."""
        return [delivery_id for status, delivery_id in self.lists if status == "pending"]


def take_snapshot(server: Connection, integration: str) -> Snapshot:
    """Return what Redis now holds of an integration."""
    base = f"relay:{{{integration}}}:"
    found = cast("dict[str, Any]", json.loads(server.call("EVAL", _PRELUDE + _SNAPSHOT, 1, f"{base}queue", 0, base)))
    return Snapshot(
        [(status, delivery_id) for status, delivery_id in found["lists"]],
        dict(found["records"]),
        dict(found["tickets"]),
        [(entry, delivery_id) for entry, delivery_id in found["queue"]],
        list(found["retry"]),
        found.get("unacknowledged") or 0,
    )


# Invariants that hold at any time


def accepted_deliveries_are_listed_once(model: IntegrationModel, snapshot: Snapshot) -> None:
    """No accepted delivery is lost, and no other delivery exists."""
    assert sorted(delivery_id for _, delivery_id in snapshot.lists) == sorted(model.accepted)


def lists_match_the_records(snapshot: Snapshot) -> None:
    """Each delivery is in the list of its status."""
    for status, delivery_id in snapshot.lists:
        stored = snapshot.records[delivery_id]["status"]
        assert status == ("pending" if stored in {"queued", "retrying"} else stored)


def pending_deliveries_are_where_their_records_say(snapshot: Snapshot) -> None:
    """A worker will find each pending delivery."""
    for delivery_id in snapshot.pending:
        record = snapshot.records[delivery_id]
        flight = snapshot.tickets[record["sys_id"]].get("flight")
        match record["place"]:
            case "queue":
                assert (record["entry"], delivery_id) in snapshot.queue
            case "retry":
                assert delivery_id in snapshot.retry
            case "flight":
                assert flight == delivery_id
            case place:
                assert place == "behind"
                assert flight is not None
                assert snapshot.records[flight]["place"] == "flight"


def pushes_of_a_ticket_never_go_backwards(model: IntegrationModel, iem: IemModel) -> None:
    """After a newer update, an older one is neither pushed nor applied."""
    for sys_id in model.tickets:
        begun = [push for push in iem.pushes if push.attempt.sys_id == sys_id]
        for pushes in (begun, iem.applied(sys_id)):
            numbers = [model.accepted[push.attempt.delivery].number for push in pushes]
            assert numbers == sorted(numbers)


def pushes_match_their_deliveries(model: IntegrationModel, iem: IemModel) -> None:
    """Each push has the ticket and the state of its delivery."""
    for push in iem.pushes:
        accepted = model.accepted[push.attempt.delivery]
        assert (push.attempt.sys_id, push.state) == (accepted.sys_id, accepted.iem_state)


def no_attempt_had_a_bug(snapshot: Snapshot) -> None:
    """No attempt raised an unexpected exception."""
    for record in snapshot.records.values():
        assert not [line for line in _attempts(record) if "|bug|" in line]


def wrong_credentials_are_tried_rarely(iem: IemModel, oracle: StoreOracle, *, max_in_flight: int, faults: int) -> None:
    """The number of tries does not depend on the number of waiting deliveries.

    The attempts that are in flight at the beginning share one refusal. After that, only probes are made. A probe counts when it
    is settled: if a worker hangs for longer than a lease, the next probe follows at once. `faults`: the number of failed calls
    and killed processes since the credentials became wrong.
    """
    refused = [call for call in iem.token_calls if call.is_refused and call.begun_at >= iem.behaves_since]
    for previous, call in pairwise(refused):
        is_late = call.faults > previous.faults or call.begun_at - previous.begun_at > _REFUSAL_IS_SHARED_FOR
        assert call.attempt.is_probe or is_late
    due, wait, remaining = 0, _FIRST_PROBE, iem.scheduler.now - iem.behaves_since
    while remaining >= wait:
        due, remaining, wait = due + 1, remaining - wait, min(2 * wait, _LAST_PROBE)
    probes = [call.attempt for call in refused if call.attempt.is_probe]
    assert len([probe for probe in probes if (probe.delivery, probe.fence) in oracle.in_time]) <= 1 + due + faults
    assert len(refused) - len(probes) <= max_in_flight + faults


# Invariants that hold at the end


def all_deliveries_have_ended(model: IntegrationModel, snapshot: Snapshot) -> None:
    """Each accepted update has one final status."""
    ended = [delivery_id for status, delivery_id in snapshot.lists if status in FINAL_STATUSES]
    assert sorted(ended) == sorted(model.accepted)


def only_refused_deliveries_are_dead(snapshot: Snapshot) -> None:
    """No delivery is given up because of an outage that is shorter than `give_up_after`."""
    for status, delivery_id in snapshot.lists:
        assert status != "dead" or snapshot.records[delivery_id]["reason"] in _REFUSED_BY_IEM


def no_work_is_left(snapshot: Snapshot) -> None:
    """The queue and the retries are empty, and no ticket has a lease."""
    assert (snapshot.queue, snapshot.retry, snapshot.unacknowledged) == ([], [], 0)
    assert not [sys_id for sys_id, ticket in snapshot.tickets.items() if "flight" in ticket]


def the_newest_update_was_applied_last(model: IntegrationModel, iem: IemModel, snapshot: Snapshot) -> None:
    """IEM has the newest state of each ticket, unless it refused that update."""
    for sys_id in snapshot.tickets:
        newest = model.newest(sys_id)
        if newest is None or snapshot.records[newest.id]["status"] in {"dead", "discarded"}:
            continue
        assert snapshot.records[newest.id]["status"] == "delivered"
        assert iem.applied(sys_id)[-1].attempt.delivery == newest.id


def a_push_is_repeated_only_if_its_answer_was_lost(model: IntegrationModel, iem: IemModel, snapshot: Snapshot) -> None:
    """Each repeated push has a cause: IEM did not answer, or the worker was lost."""
    for delivery_id in model.accepted:
        pushes = [push for push in iem.pushes if push.attempt.delivery == delivery_id]
        applied = [push for push in pushes if push.applied_at is not None]
        attempts = _attempts(snapshot.records[delivery_id])
        unanswered = [line for line in attempts if "|interrupted|" in line or "|retry|unreachable|" in line]
        is_delivered = snapshot.records[delivery_id]["status"] == "delivered"
        assert len(applied) <= len(unanswered) + is_delivered
        assert applied or not is_delivered


def attempts_of_living_workers_are_settled(deployment: Deployment) -> None:
    """A worker does not forget the result of an attempt while Redis is unavailable."""
    for task, assignment in deployment.attempts.items():
        assert task.process.is_dead or (assignment.id, assignment.fence) in deployment.oracle.settled


def _attempts(record: dict[str, str]) -> list[str]:
    names = [f"a{number + 1}" for number in range(int(record.get("attempts", 0)))]
    return [record[name] for name in names if name in record]
