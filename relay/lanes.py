"""A worker's lanes, one for each integration: its queue, its way to IEM, and how many places it may take."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from relay.bootstrap import Foundation, build_outbound
from relay.core.integration import Integration
from relay.delivery import Deliverer
from relay.errors import SecretMissingError
from relay.logs import log
from relay.store.connection import Connection
from relay.store.queue import DeliveryQueue

_LOG = logging.getLogger("relay.worker")


@dataclass(slots=True)
class Lane:
    """One integration in this worker."""

    integration: Integration
    queue: DeliveryQueue
    #: None: its secrets cannot be read; `fault` says which.
    deliverer: Deliverer | None
    #: Digest of the `iem` block and its secrets.
    config: str
    fault: str | None = None
    in_flight: int = 0
    #: When to ask for deliveries again (monotonic seconds); 0: now.
    look_at: float = 0.0


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


def open_lanes(foundation: Foundation, integrations: Iterable[Integration], connection: Connection) -> list[Lane]:
    """Return a lane for each enabled integration; one whose secrets cannot be read says so and parks its deliveries."""
    return [_open_lane(foundation, one, connection) for one in integrations if one.enabled]


def _open_lane(foundation: Foundation, integration: Integration, connection: Connection) -> Lane:
    deliveries = DeliveryQueue(connection, integration.name, retention=foundation.settings.retention)
    try:
        outbound = build_outbound(integration, foundation, connection)
    except SecretMissingError as error:
        log(_LOG, logging.ERROR, "integration cannot deliver", integration=integration.name, fault=str(error))
        return Lane(integration, deliveries, None, "unreadable", str(error))
    except Exception:  # noqa: BLE001 - a bug in one integration's set-up must not keep the others from being delivered
        _LOG.exception("a bug in setting up the integration %s: its deliveries are parked", integration.name)
        return Lane(integration, deliveries, None, "unreadable", "a bug of the relay, see the log")
    return Lane(integration, deliveries, outbound.deliverer, outbound.config)
