"""The use case: accept one webhook. Map it, decide on it and store it in one atomic step, and say what became of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, find_records, map_payload
from relay.core.model import FieldError, Ignored, Mapped, Rejected
from relay.errors import TooManyRecordsError
from relay.store.queue import DeliveryQueue, Submission


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one record: `queued`, `duplicate`, `superseded`, `ignored` or `rejected`."""

    status: str
    #: The delivery's id, or the rejection's; empty for an ignored record.
    id: str
    #: Why it was ignored.
    reason: str = ""
    #: Why it was rejected.
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who posted the webhook, and the key that makes a repeat of it known where its payload cannot."""

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
    ) -> None:
        """`new_id` makes a delivery's id from the Unix milliseconds of its acceptance."""
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._new_id = new_id

    def accept(self, integration: Integration, payload: Any, sender: Sender, received_at: int) -> list[Receipt]:
        """Return a receipt for each record of `payload`, in order; all of them are stored, or none.

        Raises:
            StoreUnavailableError: nothing is known to be stored.
            TooManyRecordsError: more than `MAX_RECORDS` of them.
        """
        count = len(find_records(integration, payload))
        if count > MAX_RECORDS:
            raise TooManyRecordsError(f"{count} records in one payload: send at most {MAX_RECORDS}")
        now = self._now_ms()
        mapped = map_payload(integration, payload)
        submissions = [self._submit(integration, one, sender, received_at, now) for one in mapped]
        verdicts = self._queue_of(integration.name).accept(integration, submissions, now)
        return [_receipt(one, verdict.status, verdict.id) for one, verdict in zip(mapped, verdicts, strict=True)]

    def _submit(
        self, integration: Integration, mapped: Mapped, sender: Sender, received_at: int, now: int
    ) -> Submission:
        an_id = _rejection_id(integration.name, mapped.record) if isinstance(mapped, Rejected) else self._new_id(now)
        return Submission(an_id, mapped, received_at, sender.name, sender.idempotency_key)


def _rejection_id(integration: str, record: Any) -> str:
    """Return an id that the same record always gets: one that is sent again and again is kept once, and counted."""
    text = json.dumps([integration, record], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return "R" + base64.b32encode(digest).decode()[:25]


def _receipt(mapped: Mapped, status: str, an_id: str) -> Receipt:
    match mapped:
        case Ignored(reason=reason):
            return Receipt(status, an_id, reason=reason)
        case Rejected(errors=errors):
            return Receipt(status, an_id, errors=errors)
        case _:
            return Receipt(status, an_id)
