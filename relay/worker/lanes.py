"""The lanes of a worker: for each integration its queue, its connection to IEM, and its share of the attempts in flight."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from relay.core.integration import Integration
from relay.core.outcomes import IemAnswer, Park
from relay.core.reasons import Reason
from relay.iem.calls import Target
from relay.iem.service import Attempt, IemService
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Assignment


@dataclass(slots=True)
class Lane:
    """One integration in this worker."""

    integration: Integration
    queue: DeliveryQueue
    #: None if the integration's secrets cannot be read; `fault` then names the secret.
    service: IemService | None
    #: Digest of the `iem` block and its secrets.
    config: str
    fault: str | None = None
    in_flight: int = 0
    #: When to take deliveries next (monotonic seconds); 0 means now.
    due_at: float = 0.0

    def push(self, assignment: Assignment, deadline: float) -> Attempt:
        """Push a delivery to IEM before `deadline` (monotonic seconds). Raises StoreUnavailableError."""
        if self.service is None:
            return Attempt(Park(Reason.MISCONFIGURED), IemAnswer(None, fault=self.fault))
        iem = self.integration.iem
        return self.service.push(
            Target(iem.customer_id, iem.integration_id),
            assignment.sys_id,
            assignment.iem_state,
            deadline=deadline,
            is_probe=assignment.is_probe,
        )


class LaneSet:
    """The current lanes of a worker, and replaced lanes that still have attempts in flight."""

    def __init__(self, lanes: Iterable[Lane], concurrency: int) -> None:
        """`concurrency`: the maximum number of attempts in flight over all lanes."""
        self.current = {lane.integration.name: lane for lane in lanes}
        self._replaced: list[Lane] = []
        self._concurrency = concurrency

    @property
    def in_flight(self) -> int:
        """The number of attempts in flight."""
        return sum(lane.in_flight for lane in self._all())

    def update(self, changed: Sequence[Lane], removed: Collection[str]) -> None:
        """Replace the lanes of the integrations of `changed`, and drop the lanes of the integrations `removed`."""
        for name in {*removed, *(lane.integration.name for lane in changed)}:
            if lane := self.current.pop(name, None):
                self._replaced.append(lane)
        self.current.update((lane.integration.name, lane) for lane in changed)
        self._replaced = [lane for lane in self._replaced if lane.in_flight]

    def room_for(self, lane: Lane) -> int:
        """Return how many more attempts `lane` can begin.

        Half of all places are reserved, one for each other integration without an attempt in flight: slow integrations
        leave room for the others.
        """
        lanes = self._all()
        free = self._concurrency - sum(other.in_flight for other in lanes)
        idle = sum(1 for other in lanes if other.in_flight == 0 and other is not lane)
        room = free - min(idle, self._concurrency // 2)
        if lane.in_flight == 0:
            room = max(room, min(1, free))
        return min(room, lane.integration.iem.max_in_flight - lane.in_flight)

    def _all(self) -> list[Lane]:
        return [*self.current.values(), *(lane for lane in self._replaced if lane.in_flight)]
