"""A worker's lanes, one for each integration: its queue, its way to IEM, and how many places it may take."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from relay.core.integration import Integration
from relay.iem.calls import Target
from relay.iem.service import IemService
from relay.store.delivery_queue import DeliveryQueue


@dataclass(slots=True)
class Lane:
    """One integration in this worker."""

    integration: Integration
    queue: DeliveryQueue
    #: None where the integration's secrets cannot be read: `fault` names the secret.
    service: IemService | None
    #: Digest of the `iem` block and its secrets.
    config: str
    fault: str | None = None
    in_flight: int = 0
    #: When to ask for deliveries again (monotonic seconds); 0: now.
    look_at: float = 0.0
    #: Whose tickets the pushes are about.
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        """Derive the target of pushes from the `iem` block."""
        self.target = Target(self.integration.iem.customer_id, self.integration.iem.integration_id)


def busy(lanes: Iterable[Lane]) -> int:
    """Return how many deliveries are in flight over all `lanes`."""
    return sum(lane.in_flight for lane in lanes)


def room_for(lane: Lane, lanes: Collection[Lane], concurrency: int) -> int:
    """Return how many more deliveries `lane` may have in flight where `concurrency` is the most of all `lanes` together.

    The last half of the places is kept, one each, for other integrations that have none in flight: slow ones leave room.
    """
    free = concurrency - busy(lanes)
    idle = sum(1 for other in lanes if other.in_flight == 0 and other is not lane)
    room = free - min(idle, concurrency // 2)
    if lane.in_flight == 0:
        room = max(room, min(1, free))
    return min(room, lane.integration.iem.max_in_flight - lane.in_flight)
