"""The history of one ticket in sentences: the webhook, its mapping, each attempt, the resolver, the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping_blocks import FIELDS
from relay.core.orphan_reasons import OrphanReason
from relay.core.plural import count_of
from relay.core.reasons import Reason
from relay.core.values import format_time
from relay.errors import NotFoundError
from relay.operations.operations import Operations
from relay.store.delivery_reader import DeliveryQuery

Delivery = Mapping[str, Any]
#: Deliveries of one ticket that are shown; older ones are counted.
_MAX_DELIVERIES = 50

_FINAL_STATUS = {
    "delivered": "delivered: IEM answered Success at {finished_at}",
    "dead": "dead letter: given up at {finished_at} ({reason}). "
    "Send it again with `relay deliveries replay {id}`, or close it with `relay deliveries discard {id}`",
    "discarded": "discarded: the dead letter was closed at {finished_at} ({closed})",
}
_NEXT_STEP = {"retry": "the relay tries again later", "park": "the integration is parked", "dead": "the relay gave up"}


def explain_ticket(operations: Operations, wanted: str) -> list[str]:
    """Return the history of the ticket with the sys_id or number `wanted`, or of the delivery with that id, as lines.

    Raises:
        NotFoundError: no accepted update has that sys_id, number or id.
        StoreUnavailableError: Redis does not answer.
    """
    tickets: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in _find(operations, wanted):
        tickets.setdefault((delivery["integration"], delivery["sys_id"]), []).append(delivery)
    lines: list[str] = []
    for (integration, sys_id), deliveries in tickets.items():
        number = f" {deliveries[-1]['number']}" if deliveries[-1]["number"] else ""
        lines += ["", f"Ticket{number} (sys_id {sys_id}) of the integration {integration}"]
        for delivery in deliveries[-_MAX_DELIVERIES:]:
            lines += ["", *_explain(operations, delivery)]
        if len(deliveries) > _MAX_DELIVERIES:
            older = count_of(len(deliveries) - _MAX_DELIVERIES, "older delivery", "older deliveries")
            lines.append(f"\n{older} not shown: see `relay deliveries list`")
    return lines[1:]


def _find(operations: Operations, wanted: str) -> list[Delivery]:
    """Return all deliveries of a ticket, oldest first, or the delivery with the id."""
    for query in (DeliveryQuery(sys_id=wanted), DeliveryQuery(number=wanted)):
        if found := list(operations.deliveries.walk(None, query)):
            return sorted(found, key=lambda delivery: (delivery["created_at"], delivery["id"]))
    try:
        return [operations.deliveries.find(wanted)]
    except NotFoundError:
        journal = "updates in an intake journal are not accepted yet"
        raise NotFoundError(f"No accepted update found for {wanted[:64]} ({journal})") from None


def _explain(operations: Operations, delivery: Delivery) -> Iterator[str]:
    integration = _integration(operations, delivery)
    records = operations.audit.of_delivery(delivery)
    itsm_state, iem_state, mapping = delivery["itsm_state"], delivery["iem_state"], delivery["mapping"]
    yield f"Delivery {delivery['id']}"
    yield f"  {delivery['created_at']}  received from {delivery['from'] or 'an unknown sender'}"
    if delivery["replay_of"]:
        yield f"      replay of the dead letter {delivery['replay_of']}"
    yield from _field_lines(delivery, integration)
    yield f"      {_source(integration)} state {itsm_state} maps to IEM state {iem_state} (mapping {mapping})"
    yield f"      verdict: {_verdict(delivery)}"
    yield from _attempt_lines(delivery["attempts"])
    yield from _lookup_lines(records, integration)
    yield f"  now: {_outlook(operations, delivery)}"


def _integration(operations: Operations, delivery: Delivery) -> Integration | None:
    """Return the mapping that mapped the delivery, or None if it has changed since."""
    file = operations.integrations.mapping_file(delivery["integration"])
    integration = file.integration if file else None
    return integration if integration and integration.digest == delivery["mapping"] else None


def _source(integration: Integration | None) -> str:
    names = {"servicenow": "ServiceNow", "service-exchange": "Service Exchange"}
    return names.get(integration.source, "ITSM") if integration else "ITSM"


def _field_lines(delivery: Delivery, integration: Integration | None) -> Iterator[str]:
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
        newer = delivery["superseded_by"] or "id unknown"
        return f"superseded: a newer update of the ticket ({newer}) was accepted before this one arrived"
    if delivery["duplicates"]:
        return f"queued; {count_of(delivery['duplicates'], 'duplicate')} received later"
    return "queued"


def _attempt_lines(attempts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for attempt in attempts:
        status = f"HTTP {attempt['status']}" if attempt["status"] else ""
        duration = f"{attempt['duration_ms']} ms" if attempt["duration_ms"] is not None else ""
        details = ", ".join(part for part in (attempt["reason"], status, duration) if part)
        yield f"  {attempt['at']}  {_outcome(attempt)}" + (f" ({details})" if details else "")


def _outcome(attempt: Mapping[str, Any]) -> str:
    outcome = attempt["outcome"]
    if outcome == "delivered":
        return "pushed to IEM"
    cause = f": {Reason(attempt['reason']).row.summary}" if attempt["reason"] in set(Reason) else ""
    next_step = f"; {_NEXT_STEP[outcome]}" if outcome in _NEXT_STEP else ""
    uncounted = "" if attempt.get("counted", True) else ", and this attempt does not count"
    return f"not delivered{cause}{next_step}{uncounted}"


def _lookup_lines(records: Sequence[Mapping[str, Any]], integration: Integration | None) -> Iterator[str]:
    lookups = [record for record in records if record["type"] == "virima_lookup"]
    for record in lookups:
        yield f"  {record['at']}  resolver in Virima: {_resolver(record)}"
    if not lookups and integration and integration.virima:
        yield "      resolver in Virima: no lookup yet, or its record is no longer in the audit trail"


def _resolver(record: Mapping[str, Any]) -> str:
    user = record["user"]
    if user:
        organization = f", {user['organizationName']}" if user.get("organizationName") else ""
        name = user.get("displayName") or user.get("userName")
        cached = ", cached from an earlier lookup" if record["cached"] else ""
        mfa = ", second factor pending" if record["outcome"] == "mfa_pending" else ""
        return f"{name} <{user.get('email')}> (id {user.get('id')}{organization}){mfa}{cached}"
    asked = record["email"] or record.get("resolver") or "the update names no resolver"
    reason = f": {record['reason']}" if record["reason"] else ""
    return f"{record['outcome'].replace('_', ' ')}{reason} ({asked})"


def _outlook(operations: Operations, delivery: Delivery) -> str:
    status = delivery["status"]
    if status in _FINAL_STATUS:
        return _FINAL_STATUS[status].format(**delivery)
    if status == "superseded":
        return f"superseded by a newer update of the ticket ({delivery['superseded_by'] or 'id unknown'})"
    if status == "parked":
        return _parked(operations, delivery["integration"])
    if delivery["next_attempt_at"]:
        return f"the next attempt is at {delivery['next_attempt_at']} ({delivery['reason']})"
    if not operations.integrations.is_worker_running():
        return "waiting for a worker, but no worker is running: start `relay worker`"
    return "waiting for a free worker, or being pushed"


def _parked(operations: Operations, integration: str) -> str:
    state = operations.integrations.parking(integration)
    if state is None:
        return "the integration has just been resumed, and the delivery will be pushed next"
    since = f"the integration has been parked since {format_time(state.since)}"
    if state.by:
        why = f": {state.why}" if state.why else ""
        return f"{since} by {state.by}{why}. Resume it with `relay integrations resume {integration}`"
    if state.next_probe_at:
        probe = format_time(state.next_probe_at)
        return f"{since} ({state.reason}). The oldest delivery is sent as a probe at {probe}; if it succeeds, all others follow"
    if state.reason in set(OrphanReason):
        return f"{since}: {OrphanReason(state.reason).row.advice}"
    return f"{since} ({state.reason})"
