"""The use case: replay what was given up or refused. A dead letter becomes a new delivery, a rejection an ordinary accept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import is_whole_payload, map_payload, map_record, relayed_state
from relay.core.model import Facts, Mapped, Rejected, Update
from relay.core.values import parse_date_time
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission

#: Why a dead letter was not replayed, for people.
HINDRANCES = {
    "unknown": "there is no such dead letter",
    "pending": "its replay is still on its way",
    "closed": "it is not a dead letter (any more)",
    "not_relayed": "the mapping does not relay its state any more: replay it as it was mapped",
    "rejected": "the mapping still does not find a usable sys_id or state in it",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replay: a verdict (`queued`, `superseded`, …) with the new delivery's id, or a hindrance."""

    status: str
    id: str

    @property
    def hindrance(self) -> str | None:
        """Why it was not replayed, or None: it was."""
        return HINDRANCES.get(self.status)


class Replay:
    """Replays for all integrations. Every method raises `StoreUnavailableError` and `BacklogFullError`."""

    def __init__(
        self, queue_of: Callable[[str], DeliveryQueue], *, now_ms: Callable[[], int], new_id: Callable[[int], str]
    ) -> None:
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._new_id = new_id

    def replay_letter(
        self, integration: Integration, letter: Mapping[str, Any], *, actor: str, as_mapped: bool = False
    ) -> Replayed:
        """Deliver a dead letter's update again: with today's states, or with the one that it was mapped to then."""
        facts = Facts(
            sys_id=letter["sys_id"],
            itsm_state=letter["itsm_state"],
            table=letter["table"],
            number=letter["number"],
            version=letter["version"],
            updated_at=_milliseconds(letter["updated_at"]),
            resolved_by=letter["resolved_by"],
        )
        state = letter["iem_state"] if as_mapped else relayed_state(integration, facts.table, facts.itsm_state)
        if state is None:
            return Replayed("not_relayed", letter["id"])
        now = self._now_ms()
        created_at = _milliseconds(letter["created_at"]) or now
        submission = Submission(
            self._new_id(now),
            Update(facts, state),
            created_at,
            letter["from"] or "",
            replay_of=letter["id"],
            actor=actor,
        )
        return self._accept(integration, [submission], now)

    def replay_rejection(self, integration: Integration, rejection: Mapping[str, Any], *, actor: str) -> Replayed:
        """Accept a rejected record as if it came now, by today's mapping; it is a rejection no more where that maps it."""
        mapped = _map_again(integration, rejection)
        if any(isinstance(one, Rejected) for one in mapped):
            return Replayed("rejected", rejection["id"])
        now = self._now_ms()
        received_at = _milliseconds(rejection["created_at"]) or now
        sender, idempotency_key = rejection["from"] or "", rejection["idempotency_key"]
        submissions = [
            Submission(
                self._new_id(now), one, received_at, sender, idempotency_key, rejection=rejection["id"], actor=actor
            )
            for one in mapped
        ]
        return self._accept(integration, submissions, now)

    def _accept(self, integration: Integration, submissions: Sequence[Submission], now: int) -> Replayed:
        first, *_ = self._queue_of(integration.name).accept(integration, submissions, now)
        return Replayed(first.status, first.id)


def _map_again(integration: Integration, rejection: Mapping[str, Any]) -> list[Mapped]:
    """Return what a rejection comes to now; where no record was found in it, it is the whole payload."""
    if is_whole_payload(rejection):
        return map_payload(integration, rejection["record"])
    return [map_record(integration, rejection["record"])]


def _milliseconds(text: str | None) -> int | None:
    return parse_date_time(text) if text else None
