"""The use case: accept one webhook. Map it, decide on it and store it in one atomic step, and say what became of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, find_records, map_records
from relay.core.model import FieldError, Ignored, Mapped, Rejected
from relay.errors import JournalError, StoreUnavailableError, TooManyRecordsError
from relay.intake.journal import Journal
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict, encode_submissions

#: Senders are told within 2 s, whatever Redis and the journal's disk do (ms).
_TOLD_WITHIN = 1_900
#: What the journal has of it at least where Redis was asked before, and at most where it can be asked afterwards, and what Redis
#: needs then (seconds).
_JOURNAL_LEAST, _JOURNAL_FIRST, _REDIS_LAST = 0.25, 0.8, 1.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one record: `queued`, `duplicate`, `superseded`, `ignored`, `rejected`; or `journaled`, no verdict yet."""

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
        journal: Journal | None = None,
    ) -> None:
        """`new_id` makes a delivery's id from the Unix milliseconds of its acceptance."""
        self._journal = journal
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._new_id = new_id

    def accept(self, integration: Integration, payload: Any, sender: Sender, received_at: int) -> list[Receipt]:
        """Return a receipt for each record of `payload`, in order; all of them are stored, or none.

        Raises:
            StoreUnavailableError: nothing is known to be stored, neither in Redis nor in the journal.
            BacklogFullError: too much is pending already.
            TooManyRecordsError: more than `MAX_RECORDS` of them.
        """
        records = find_records(integration, payload)
        if len(records) > MAX_RECORDS:
            raise TooManyRecordsError(f"{len(records)} records in one payload: send at most {MAX_RECORDS}")
        now = self._now_ms()
        mapped = map_records(integration, records, payload)
        submissions = [self._submit(integration, one, sender, received_at, now) for one in mapped]
        verdicts = self._store(integration, submissions, received_at, now)
        return [_receipt(one, verdict.status, verdict.id) for one, verdict in zip(mapped, verdicts, strict=True)]

    def _store(
        self, integration: Integration, submissions: Sequence[Submission], received_at: int, now: int
    ) -> list[Verdict]:
        """Store in Redis, or else in the journal. While updates of the integration wait there, new ones wait behind them."""
        records = encode_submissions(integration, submissions, now)

        def in_redis() -> list[Verdict]:
            return self._queue_of(integration.name).accept_records(records, now)

        def seconds_left() -> float:
            return min(max((received_at + _TOLD_WITHIN - self._now_ms()) / 1000, 0.0), _TOLD_WITHIN / 1000)

        def in_journal(journal: Journal, most: float) -> list[Verdict]:
            verdicts = [_journaled(submission) for submission in submissions]
            an_id = next((one.id for one in verdicts if one.status == "journaled"), verdicts[0].id)
            patience = min(max(seconds_left(), _JOURNAL_LEAST), most)
            journal.append(integration.name, an_id, received_at, records, patience=patience)
            return verdicts

        if self._journal is None:
            return in_redis()
        try:
            holds = self._journal.holds(integration.name)
            return in_journal(self._journal, _JOURNAL_FIRST) if holds else in_redis()
        except JournalError:
            if seconds_left() < _REDIS_LAST:
                raise
            return in_redis()
        except StoreUnavailableError:
            return in_journal(self._journal, _TOLD_WITHIN / 1000)

    def _submit(
        self, integration: Integration, mapped: Mapped, sender: Sender, received_at: int, now: int
    ) -> Submission:
        an_id = _rejection_id(integration.name, mapped.record) if isinstance(mapped, Rejected) else self._new_id(now)
        return Submission(an_id, mapped, received_at, sender.name, sender.idempotency_key)


def _journaled(submission: Submission) -> Verdict:
    """A rejection is answered as ever; on the rest there is no verdict yet."""
    return Verdict("rejected" if isinstance(submission.mapped, Rejected) else "journaled", submission.id)


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
