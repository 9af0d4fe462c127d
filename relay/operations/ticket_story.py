"""One ticket's whole story in plain words: what came, what it meant, what became of it, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping_blocks import FIELDS
from relay.core.values import format_time
from relay.errors import NotFoundError
from relay.operations.operations import Operations
from relay.store.delivery_reader import DeliveryQuery

Delivery = Mapping[str, Any]
#: A ticket's deliveries that are told; more are counted.
_MOST_TOLD = 50

_ENDS = {
    "delivered": "IEM said Success at {finished_at}. Nothing more happens.",
    "dead": "Given up at {finished_at} ({reason}). It waits for somebody: `relay deliveries replay {id}` or `discard`.",
    "discarded": "A dead letter that was closed at {finished_at} ({closed}).",
}


def explain(operations: Operations, wanted: str) -> list[str]:
    """Return the story of the ticket with that sys_id or number, or of one delivery, a line each.

    Raises:
        NotFoundError: nothing of that name is known here.
        StoreUnavailableError: Redis does not answer.
    """
    tickets: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in _find(operations, wanted):
        tickets.setdefault((delivery["integration"], delivery["sys_id"]), []).append(delivery)
    lines: list[str] = []
    for (integration, sys_id), deliveries in tickets.items():
        number = f" {deliveries[-1]['number']}" if deliveries[-1]["number"] else ""
        lines += ["", f"Ticket{number} (sys_id {sys_id}) of the integration {integration}"]
        for delivery in deliveries[-_MOST_TOLD:]:
            lines += ["", *_tell(operations, delivery)]
        if len(deliveries) > _MOST_TOLD:
            lines.append(
                f"\n{len(deliveries) - _MOST_TOLD} older deliveries are not told here: `relay deliveries list`"
            )
    return lines[1:]


def _find(operations: Operations, wanted: str) -> list[Delivery]:
    """Return deliveries, oldest first: of a ticket all, of a delivery's id that one."""
    for query in (DeliveryQuery(sys_id=wanted), DeliveryQuery(number=wanted)):
        if found := list(operations.deliveries.walk(None, query)):
            return sorted(found, key=lambda one: (one["created_at"], one["id"]))
    try:
        return [operations.deliveries.find(wanted)]
    except NotFoundError:
        journal = "an update in the journal of a web machine is accepted when Redis is back"
        raise NotFoundError(f"No accepted update found for {wanted[:64]} ({journal})") from None


def _tell(operations: Operations, delivery: Delivery) -> Iterator[str]:
    integration = _integration(operations, delivery)
    story = operations.audit.of_delivery(delivery)
    yield f"Delivery {delivery['id']}"
    yield f"  {delivery['created_at']}  received from {delivery['from'] or 'an unknown sender'}"
    if delivery["replay_of"]:
        yield f"      a replay of the dead letter {delivery['replay_of']}"
    yield from _tell_fields(delivery, integration)
    yield f"      state {delivery['itsm_state']} there is state {delivery['iem_state']} in IEM (mapping {delivery['mapping']})"
    yield f"      verdict: {_verdict(delivery)}"
    yield from _tell_attempts(delivery["attempts"])
    yield from _tell_lookups(story, integration)
    yield f"  now: {_outlook(operations, delivery)}"


def _integration(operations: Operations, delivery: Delivery) -> Integration | None:
    """Return the mapping that the delivery was made by, None where that is not at hand any more."""
    file = operations.integrations.mapping_file(delivery["integration"])
    one = file.integration if file else None
    return one if one and one.digest == delivery["mapping"] else None


def _tell_fields(delivery: Delivery, integration: Integration | None) -> Iterator[str]:
    for name in FIELDS:
        value = delivery["itsm_state" if name == "state" else name]
        if value is None:
            continue
        path = ""
        if integration and (paths := integration.fields.get(name)):
            path = f" from `{paths[min(delivery['via'].get(name, 0), len(paths) - 1)].expression}`"
        yield f"      {name:<12}{value}{path}"


def _verdict(delivery: Delivery) -> str:
    if delivery["reason"] == "late":
        return f"superseded: a newer update was accepted before this one came ({delivery['superseded_by'] or 'id unknown'})"
    again = delivery["duplicates"]
    if again:
        return f"queued; it came {again} more time{'s' if again > 1 else ''}, and that changed nothing"
    return "queued"


def _tell_attempts(attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in attempts:
        why = f", {one['reason']}" if one["reason"] else ""
        status = f", HTTP {one['status']}" if one["status"] else ""
        took = f", {one['duration_ms']} ms" if one["duration_ms"] is not None else ""
        spent = "" if one.get("counted", True) else " (not counted: it spends no attempt)"
        yield f"  {one['at']}  pushed to IEM: {one['outcome']}{why}{status}{took}{spent}"


def _tell_lookups(story: Sequence[Mapping[str, Any]], integration: Integration | None) -> Iterator[str]:
    lookups = [one for one in story if one["type"] == "virima_lookup"]
    for one in lookups:
        yield f"  {one['at']}  who resolved it, by Virima: {_found(one)}"
    if not lookups and integration and integration.virima:
        yield "      who resolved it: not looked up in Virima yet, or so long ago that the trail does not know any more"


def _found(record: Mapping[str, Any]) -> str:
    user = record["user"]
    if user:
        organization = f", {user['organizationName']}" if user.get("organizationName") else ""
        who = f"{user.get('displayName') or user.get('userName')} <{user.get('email')}> (id {user.get('id')}{organization})"
        known = ", known from an earlier lookup" if record["cached"] else ""
        note = ", whose second factor is pending" if record["outcome"] == "mfa_pending" else ""
        return f"{who}{note}{known}"
    asked = record["email"] or record.get("resolver") or "nobody was named"
    why = f": {record['reason']}" if record["reason"] else ""
    return f"{record['outcome'].replace('_', ' ')}{why} ({asked})"


def _outlook(operations: Operations, delivery: Delivery) -> str:
    status = delivery["status"]
    if status in _ENDS:
        return _ENDS[status].format(**delivery)
    if status == "superseded":
        return f"A newer update took its place ({delivery['superseded_by'] or 'id unknown'}). Nothing more happens."
    if status == "parked":
        return _parked(operations, delivery["integration"])
    if delivery["next_attempt_at"]:
        return f"It waits for the next attempt, at {delivery['next_attempt_at']} ({delivery['reason']})."
    if not operations.integrations.is_worker_running():
        return "It waits for a worker: none has been heard of lately. Start `relay worker`."
    return "It is pushed as soon as a worker is free, or is being pushed right now."


def _parked(operations: Operations, integration: str) -> str:
    state = operations.integrations.parking(integration)
    if state is None:
        return "The integration has just been resumed: it is pushed next."
    since = f"The integration is parked since {format_time(state.since)} ({state.reason})"
    if state.by:
        why = f", because: {state.why}" if state.why else ""
        return f"{since}, by {state.by}{why}. It goes on with `relay integrations resume {integration}`."
    if state.next_probe_at:
        return (
            f"{since}. The oldest delivery is tried at {format_time(state.next_probe_at)}; when that works, all go on."
        )
    return f"{since}. It goes on when its mapping file allows it."
