"""Stores an accepted webhook in Redis or in the journal, in one of two orders, before its sender stops waiting.

Redis first, and the journal if Redis does not answer. While the journal has entries of the integration, new webhooks must
follow them there: the journal first, and Redis if the journal fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.core.integration import Integration
from relay.core.model import Rejected
from relay.errors import JournalError, StoreUnavailableError
from relay.intake.journal import Journal
from relay.store.delivery_queue import DeliveryQueue
from relay.store.submissions import Submission, Verdict, encode_submissions

#: The journal's share of the time (seconds): the minimum after Redis was tried, the maximum before Redis is tried.
_MIN_JOURNAL, _MAX_JOURNAL_FIRST = 0.25, 0.8
#: Redis is tried after the journal only if this much time is left (seconds).
_MIN_REDIS = 1.0


@dataclass(frozen=True, slots=True)
class _EncodedWebhook:
    """The records of one webhook, and their encoded form. Times in Unix milliseconds."""

    integration: str
    submissions: Sequence[Submission]
    records: Sequence[str]
    received_at: int
    accepted_at: int


class WebhookStore:
    """Stores the records of a webhook, all or none."""

    def __init__(
        self,
        queue_of: Callable[[str], DeliveryQueue],
        journal: Journal | None,
        *,
        now_ms: Callable[[], int],
        within: float,
    ) -> None:
        """`within` is the time to store a webhook, counted from its receipt (seconds)."""
        self._queue_of = queue_of
        self._journal = journal
        self._now_ms = now_ms
        self._within = within

    def store(
        self, integration: Integration, submissions: Sequence[Submission], received_at: int, now: int
    ) -> list[Verdict]:
        """Return a verdict for each submission. Times in Unix milliseconds.

        Raises:
            StoreUnavailableError: nothing is known to be stored, neither in Redis nor in the journal.
            BacklogFullError: too many deliveries are pending.
        """
        records = encode_submissions(integration, submissions, now)
        webhook = _EncodedWebhook(integration.name, submissions, records, received_at, now)
        if self._journal is None:
            return self._store_in_redis(webhook)
        try:
            if self._journal.has_entries(integration.name):
                return self._store_in_journal(self._journal, webhook, at_most=_MAX_JOURNAL_FIRST)
        except JournalError:
            if self._seconds_left(webhook) < _MIN_REDIS:
                raise
            return self._store_in_redis(webhook)
        return self._store_in_redis_first(self._journal, webhook)

    def _store_in_redis_first(self, journal: Journal, webhook: _EncodedWebhook) -> list[Verdict]:
        try:
            return self._store_in_redis(webhook)
        except StoreUnavailableError:
            return self._store_in_journal(journal, webhook, at_most=self._within)

    def _store_in_redis(self, webhook: _EncodedWebhook) -> list[Verdict]:
        return self._queue_of(webhook.integration).accept_encoded(webhook.records, webhook.accepted_at)

    def _store_in_journal(self, journal: Journal, webhook: _EncodedWebhook, *, at_most: float) -> list[Verdict]:
        """Append an entry, in `at_most` seconds."""
        verdicts = [_journal_verdict(submission) for submission in webhook.submissions]
        # The id in the answer: that of the first delivery, if there is one.
        entry_id = next((verdict.id for verdict in verdicts if verdict.status == "journaled"), verdicts[0].id)
        timeout = min(max(self._seconds_left(webhook), _MIN_JOURNAL), at_most)
        journal.append(webhook.integration, entry_id, webhook.received_at, webhook.records, timeout=timeout)
        return verdicts

    def _seconds_left(self, webhook: _EncodedWebhook) -> float:
        waited = (self._now_ms() - webhook.received_at) / 1000
        return min(max(self._within - waited, 0.0), self._within)


def _journal_verdict(submission: Submission) -> Verdict:
    """Return the verdict on a record in the journal: only a rejection is already known."""
    return Verdict("rejected" if isinstance(submission.mapped, Rejected) else "journaled", submission.id)
