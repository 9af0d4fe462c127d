"""How long an attempt can take, and how long a worker's lease on a ticket lasts."""

from __future__ import annotations

from relay.core.integration import IemBlock
from relay.iem.service import CALLS_PER_TURN

#: A lease outlasts the slowest attempt by this time (seconds).
_LEASE_MARGIN = 5.0


def longest_attempt(iem: IemBlock) -> float:
    """Return the seconds within which an attempt ends, whatever IEM does."""
    return CALLS_PER_TURN * iem.timeout


def lease_of(iem: IemBlock) -> float:
    """Return the seconds for which a worker leases a delivery: longer than the slowest attempt."""
    return longest_attempt(iem) + _LEASE_MARGIN
