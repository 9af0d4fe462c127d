"""The use case: accept one webhook. Map its records, decide on them and store them in one atomic step."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, find_records, map_records
from relay.core.model import FieldError, Ignored, Mapped, Rejected
from relay.errors import TooManyRecordsError
from relay.intake.journal import Journal
from relay.intake.storing import WebhookStore
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict

#: Senders get an answer within 2 s, even if Redis or the journal's disk hangs: the time to store a webhook (seconds).
_STORE_WITHIN = 1.9


@dataclass(frozen=True, slots=True)
class Receipt:
    """The verdict on one record: `queued`, `duplicate`, `superseded`, `ignored`, `rejected`; or `journaled`, no verdict yet."""

    status: str
    #: The id of the delivery or of the rejection; empty for an ignored record.
    id: str
    #: Why the record was ignored.
    reason: str = ""
    #: Why the record was rejected.
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who posted the webhook, and the key that identifies a repeated one."""

    name: str
    idempotency_key: str | None = None


class Intake:
    """Accepts webhooks for all integrations."""

    def __init__(
        self,
        queue_of: Callable[[str], DeliveryQueue],
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[int], str],
        journal: Journal | None = None,
    ) -> None:
        """`new_id` returns a delivery id, given the time of acceptance (Unix ms)."""
        self._webhook_store = WebhookStore(queue_of, journal, now_ms=now_ms, within=_STORE_WITHIN)
        self._now_ms = now_ms
        self._new_id = new_id

    def accept(self, integration: Integration, payload: Any, sender: Sender, received_at: int) -> list[Receipt]:
        """Store all records of `payload`, or none, and return a receipt for each, in order. `received_at` in Unix ms.

        Raises:
            StoreUnavailableError: nothing is known to be stored, neither in Redis nor in the journal.
            BacklogFullError: too many deliveries are pending.
            TooManyRecordsError: more than `MAX_RECORDS` records.
        """
        records = find_records(integration, payload)
        if len(records) > MAX_RECORDS:
            raise TooManyRecordsError(f"{len(records)} records in one payload: send at most {MAX_RECORDS}")
        now = self._now_ms()
        mapped = map_records(integration, records, payload)
        submissions = [self._submission(integration, result, sender, received_at, now) for result in mapped]
        verdicts = self._webhook_store.store(integration, submissions, received_at, now)
        return [_receipt(result, verdict) for result, verdict in zip(mapped, verdicts, strict=True)]

    def _submission(
        self, integration: Integration, mapped: Mapped, sender: Sender, received_at: int, now: int
    ) -> Submission:
        stored_id = _rejection_id(integration, mapped) if isinstance(mapped, Rejected) else self._new_id(now)
        return Submission(stored_id, mapped, received_at, sender.name, sender.idempotency_key)


def _rejection_id(integration: Integration, rejected: Rejected) -> str:
    """Return the id of a rejected record. It depends on the content alone: a record that is sent again is stored once."""
    text = json.dumps([integration.name, rejected.record], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return "R" + base64.b32encode(digest).decode()[:25]


def _receipt(mapped: Mapped, verdict: Verdict) -> Receipt:
    match mapped:
        case Ignored(reason=reason):
            return Receipt(verdict.status, verdict.id, reason=reason)
        case Rejected(errors=errors):
            return Receipt(verdict.status, verdict.id, errors=errors)
        case _:
            return Receipt(verdict.status, verdict.id)
