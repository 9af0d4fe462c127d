"""The log line and the metrics of a settled attempt."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from relay import metrics
from relay.core.outcomes import name_outcome
from relay.logs import log
from relay.worker.attempts import AttemptResult

_LOG = logging.getLogger("relay.worker")

#: Statuses of a delivery after which nothing needs attention.
_GOOD = frozenset({"delivered", "superseded", "queued"})


@dataclass(frozen=True, slots=True)
class SettledAttempt:
    """An attempt that Redis has recorded."""

    result: AttemptResult
    #: The delivery's status afterwards.
    status: str
    #: Unix milliseconds.
    settled_at: int


def report_attempt(settled: SettledAttempt) -> None:
    """Log and count a settled attempt."""
    settlement, attempt = settled.result.settlement, settled.result.attempt
    assignment = settlement.assignment
    outcome, reason = name_outcome(settlement.outcome)
    metrics.ATTEMPTS.labels(assignment.integration, outcome, reason or "").inc()
    metrics.ATTEMPT_SECONDS.labels(assignment.integration).observe(settlement.duration / 1000)
    if settled.status == "delivered":
        seconds = (settled.settled_at - assignment.created_at) / 1000
        metrics.DELIVERY_SECONDS.labels(assignment.integration).observe(seconds)
    log(
        _LOG,
        logging.INFO if settled.status in _GOOD else logging.WARNING,
        "attempt",
        outcome=outcome,
        delivery_status=settled.status,
        integration=assignment.integration,
        delivery_id=assignment.id,
        number=assignment.number or None,
        attempt=assignment.tries + 1,
        reason=reason,
        http_status=settlement.status,
        fault=attempt.answer.fault if attempt else None,
        duration_ms=settlement.duration,
        next_attempt_in_ms=settlement.delay if settled.status == "retrying" else None,
        probe=assignment.is_probe or None,
    )
