"""The use case: make one attempt at a delivery. What its answer means is `core.outcomes`, what follows is the store's."""

from __future__ import annotations

from relay.core.integration import Iem
from relay.iem.client import Target
from relay.iem.service import CALLS_PER_TURN, Attempt, IemService

#: The lease on a ticket outlives the slowest attempt by this (seconds).
_LEASE_MARGIN = 5.0


def longest_attempt(iem: Iem) -> float:
    """Return the seconds within which an attempt is over, whatever IEM does."""
    return CALLS_PER_TURN * iem.timeout


def lease_of(iem: Iem) -> float:
    """Return the seconds for which a delivery is lent to a worker: longer than the slowest attempt."""
    return longest_attempt(iem) + _LEASE_MARGIN


class Deliverer:
    """Pushes deliveries of one integration to IEM. Threads share it."""

    def __init__(self, iem: Iem, service: IemService) -> None:
        self._target = Target(iem.customer_id, iem.integration_id)
        self._service = service

    def attempt(self, sys_id: str, state: int, *, deadline: float, is_probe: bool) -> Attempt:
        """Make one attempt, all of it before `deadline` on the monotonic clock.

        Raises:
            StoreUnavailableError: the shared token cannot be read or dropped.
        """
        return self._service.push(self._target, sys_id, state, deadline=deadline, is_probe=is_probe)

    def close(self) -> None:
        """Close the connections to IEM."""
        self._service.close()
