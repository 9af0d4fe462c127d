"""The records of a webhook on their way into the queue, and the verdicts on them.

`encode_submissions` writes the JSON objects that `lua/accept.lua` reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.dedupe import identify, identity_window, version_key
from relay.core.integration import Integration
from relay.core.lookup_skip import skip_reason
from relay.core.model import Ignored, Mapped, Rejected, Update

_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Submission:
    """One record of a webhook: the result of its mapping, and the id under which it is stored. Times in Unix milliseconds."""

    id: str
    mapped: Mapped
    received_at: int
    #: The sender's name, for the audit trail.
    sender: str
    idempotency_key: str | None = None
    #: The dead letter that this submission delivers again.
    replay_of: str | None = None
    #: The rejection that this submission was.
    rejection: str | None = None
    #: The operator who replays it.
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a submission. `id` names a delivery, or the rejection if it was rejected; empty if it was ignored."""

    status: str
    id: str


def encode_submissions(integration: Integration, submissions: Sequence[Submission], now: int) -> list[str]:
    """Return the records of one webhook as the accept script reads them. `now` (Unix ms) is the time of acceptance.

    Intake journals contain these texts: a later version of the relay must still read what this version wrote.
    """
    return [encode_object(_record_of(integration, submission, now)) for submission in submissions]


def encode_object(members: dict[str, Any]) -> str:
    """Return `members` as compact JSON, without those that are None."""
    return _to_json({name: value for name, value in members.items() if value is not None})


def _record_of(integration: Integration, submission: Submission, now: int) -> dict[str, Any]:
    match submission.mapped:
        case Update() as update:
            return {**_update_members(integration, submission, update), "created_at": now}
        case Ignored(ticket=ticket):
            return {
                "kind": "ignore",
                "sys_id": ticket.sys_id,
                "version_key": version_key(ticket.version) or None,
                "updated_at": ticket.updated_at,
                "received_at": submission.received_at,
                "rejection": submission.rejection,
                "actor": submission.actor,
                "id": submission.id,
            }
        case Rejected(errors=errors, record=record):
            return {
                "kind": "reject",
                "id": submission.id,
                "created_at": now,
                "record": json.dumps(record, separators=(",", ":")),
                "errors": json.dumps([error.as_dict() for error in errors], separators=(",", ":")),
                "mapping": integration.digest,
                "from": submission.sender,
                "idempotency_key": submission.idempotency_key,
            }


def _update_members(integration: Integration, submission: Submission, update: Update) -> dict[str, Any]:
    ticket = update.ticket
    identity = identify(update, submission.idempotency_key)
    return {
        "kind": "relay",
        "id": submission.id,
        "sys_id": ticket.sys_id,
        "iem_state": update.iem_state,
        "itsm_state": ticket.itsm_state,
        "number": ticket.number,
        "table": ticket.table,
        "version": ticket.version,
        "version_key": version_key(ticket.version) or None,
        "updated_at": ticket.updated_at,
        "resolved_by": ticket.resolved_by,
        "identity": identity.text,
        "window": int(identity_window(identity, integration.dedupe.window) * 1000),
        "collapse": integration.dedupe.collapse,
        "received_at": submission.received_at,
        "mapping": integration.digest,
        "from": submission.sender,
        "replay_of": submission.replay_of,
        "rejection": submission.rejection,
        "actor": submission.actor,
        "lookup": _lookup_of(integration, ticket.resolved_by),
        "via": " ".join(f"{name}:{which}" for name, which in ticket.via.items()) or None,
    }


def _lookup_of(integration: Integration, resolved_by: str | None) -> dict[str, str] | None:
    if integration.virima is None:
        return None
    mode = integration.virima.lookup
    skip = skip_reason(mode, resolved_by)
    return {"mode": mode, "skip": skip} if skip else {"mode": mode}
