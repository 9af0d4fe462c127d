"""When to try again: the retry schedule of a delivery, and the probe schedules while parked. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.mapping_blocks import RetryBlock

#: A delay varies by up to this fraction, so that deliveries that failed together are not retried together.
JITTER = 0.2
#: A 404 is retried for this long after the first one: perhaps IEM does not know the ticket yet.
NOT_FOUND_PATIENCE = 600.0
#: Failures in a row, of those that count as down, after which the integration is parked as `down`.
FAILURES_TO_PARK = 5
#: Different tickets in a row that IEM does not know, after which the integration is parked as `not_found`.
UNKNOWN_TICKETS_TO_PARK = 5
#: Attempts at one delivery that can raise an exception before it is given up: a bug is not retried like an outage.
MAX_BUGS = 3


@dataclass(frozen=True, slots=True)
class ProbeSchedule:
    """Waits between the probes of a parked integration or its lookups: `first`, then doubling up to `most` (seconds)."""

    first: float
    most: float


WHILE_DOWN = ProbeSchedule(5.0, 300.0)
WHILE_REFUSED = ProbeSchedule(30.0, 900.0)
#: Rare, because repeated refusals can lock an account.
WHILE_CREDENTIALS_ARE_WRONG = ProbeSchedule(300.0, 3600.0)


def retry_delay(schedule: RetryBlock, attempts: int, retry_after: float | None, chance: float) -> float:
    """Return the wait after the `attempts`-th counted attempt: doubling from `first` to `most`, with jitter by `chance` (0…1).

    A longer `retry_after` from IEM replaces it, up to `most`. The store cuts the wait at `give_up_after` (store/lua/settle.lua).
    """
    doubled = schedule.first * 2.0 ** min(max(attempts, 1) - 1, 62)
    own = min(schedule.most, doubled * (1 + JITTER * (2 * chance - 1)))
    return min(schedule.most, max(own, retry_after or 0.0))
