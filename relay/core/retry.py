"""When to try again: the retry schedule of a delivery, and the probe schedule of a parked integration. Seconds."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.integration import RetryBlock as RetrySchedule
from relay.core.outcomes import Reason

#: A delay is stretched or shortened by up to this part of it, so that what failed together does not come back together.
JITTER = 0.2
#: A 404 is retried for this long from the first one: IEM may not know the ticket yet.
NOT_FOUND_PATIENCE = 600.0
#: Failures in a row that speak of IEM as a whole, after which the integration is parked as `down`.
FAILURES_TO_PARK = 5
#: Different tickets in a row that IEM does not know, after which the integration is parked as `not_found`.
UNKNOWN_TICKETS_TO_PARK = 5
#: Exceptions that an attempt at one delivery may raise before it is given up: a bug is not retried like an outage.
BUGS_TO_DIE = 3


def retry_delay(schedule: RetrySchedule, attempts: int, retry_after: float | None, chance: float) -> float:
    """Return the wait after the `attempts`-th counted attempt: doubling from `first` to `most`, jittered by `chance` (0…1).

    A `retry_after` of IEM's counts where it is longer, up to `most`.
    """
    doubled = schedule.first * 2.0 ** min(max(attempts, 1) - 1, 62)
    own = min(schedule.most, doubled * (1 + JITTER * (2 * chance - 1)))
    return min(schedule.most, max(own, retry_after or 0.0))


@dataclass(frozen=True, slots=True)
class ProbeSchedule:
    """Waits between the probes of a parked integration: `first`, doubling up to `most`."""

    first: float
    most: float


_DOWN = ProbeSchedule(5.0, 300.0)
_REFUSED = ProbeSchedule(30.0, 900.0)
_CREDENTIALS = ProbeSchedule(300.0, 3600.0)


def probe_schedule(reason: Reason) -> ProbeSchedule:
    """Return how often an integration that is parked for `reason` is probed."""
    if reason is Reason.DOWN:
        return _DOWN
    return _CREDENTIALS if reason is Reason.WRONG_CREDENTIALS else _REFUSED
