"""Replays: a dead letter becomes a new delivery; a rejection becomes an ordinary accepted update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import is_whole_payload, map_payload, map_record, mapped_state
from relay.core.model import Mapped, Rejected, TicketFields, Update
from relay.core.values import parse_date_time
from relay.errors import ConflictError
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission

#: The results of a refused replay, each with the reason.
REPLAY_REFUSALS = {
    "unknown": "there is no such dead letter",
    "pending": "its last replay is still pending",
    "closed": "it is no longer a dead letter",
    "not_relayed": "the mapping no longer relays its state: replay it as mapped (`--as-mapped`) to send the original IEM state",
    "rejected": "the mapping still finds no usable sys_id or state in it",
}


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay: a verdict (`queued`, `superseded`, …) and the id of the new delivery, or a refusal."""

    status: str
    id: str

    @property
    def refusal(self) -> str | None:
        """Why nothing was replayed; None after a successful replay."""
        return REPLAY_REFUSALS.get(self.status)

    def or_conflict(self, replayed_id: str) -> ReplayResult:
        """Return this result, or raise ConflictError if nothing was replayed."""
        if self.refusal:
            raise ConflictError(f"{replayed_id}: {self.refusal}")
        return self


class Replayer:
    """Replays for all integrations. Every method raises `StoreUnavailableError` and `BacklogFullError`."""

    def __init__(
        self, queue_of: Callable[[str], DeliveryQueue], *, now_ms: Callable[[], int], new_id: Callable[[int], str]
    ) -> None:
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._new_id = new_id

    def replay_dead_letter(
        self, integration: Integration, dead_letter: Mapping[str, Any], *, actor: str, as_mapped: bool = False
    ) -> ReplayResult:
        """Deliver a dead letter again, with the IEM state of the current mapping, or as it was mapped originally."""
        ticket = TicketFields(
            sys_id=dead_letter["sys_id"],
            itsm_state=dead_letter["itsm_state"],
            table=dead_letter["table"],
            number=dead_letter["number"],
            version=dead_letter["version"],
            updated_at=_milliseconds(dead_letter["updated_at"]),
            resolved_by=dead_letter["resolved_by"],
        )
        state = dead_letter["iem_state"] if as_mapped else mapped_state(integration, ticket.table, ticket.itsm_state)
        if state is None:
            return ReplayResult("not_relayed", dead_letter["id"])
        now = self._now_ms()
        created_at = _milliseconds(dead_letter["created_at"]) or now
        submission = Submission(
            self._new_id(now),
            Update(ticket, state),
            created_at,
            dead_letter["from"] or "",
            replay_of=dead_letter["id"],
            actor=actor,
        )
        return self._accept(integration, [submission], now)

    def replay_rejection(self, integration: Integration, rejection: Mapping[str, Any], *, actor: str) -> ReplayResult:
        """Accept a rejected record with the current mapping. If the mapping can map it, the rejection is closed."""
        mapped = _map_again(integration, rejection)
        if any(isinstance(result, Rejected) for result in mapped):
            return ReplayResult("rejected", rejection["id"])
        now = self._now_ms()
        received_at = _milliseconds(rejection["created_at"]) or now
        sender, idempotency_key = rejection["from"] or "", rejection["idempotency_key"]
        submissions = [
            Submission(
                self._new_id(now), result, received_at, sender, idempotency_key, rejection=rejection["id"], actor=actor
            )
            for result in mapped
        ]
        return self._accept(integration, submissions, now)

    def _accept(self, integration: Integration, submissions: Sequence[Submission], now: int) -> ReplayResult:
        first, *_ = self._queue_of(integration.name).accept(integration, submissions, now)
        return ReplayResult(first.status, first.id)


def _map_again(integration: Integration, rejection: Mapping[str, Any]) -> list[Mapped]:
    """Map a rejection with the current mapping. If no record was found in the payload, the rejection contains all of it."""
    if is_whole_payload(rejection):
        return map_payload(integration, rejection["record"])
    return [map_record(integration, rejection["record"])]


def _milliseconds(text: str | None) -> int | None:
    return parse_date_time(text) if text else None
