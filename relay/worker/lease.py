"""How long an attempt can take, and how long a worker's lease on a ticket lasts."""

from __future__ import annotations

from relay.core.mapping_blocks import IemBlock
from relay.iem.service import CALLS_PER_ATTEMPT

#: How much longer than the slowest attempt a lease lasts (seconds).
_LEASE_MARGIN = 5.0


def longest_attempt(iem: IemBlock) -> float:
    """Return the maximum duration of an attempt (seconds), whatever IEM does."""
    return CALLS_PER_ATTEMPT * iem.timeout


def lease_of(iem: IemBlock) -> float:
    """Return how long a worker leases a delivery (seconds): longer than the slowest attempt."""
    return longest_attempt(iem) + _LEASE_MARGIN
