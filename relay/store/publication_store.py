"""The memory of what the relay has published to IEM about an integration, and the lease of the process that publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from relay.core.ids import id_time
from relay.core.integration_health import AttemptCounts, IntegrationHealth
from relay.store.connection import Connection, pairs
from relay.store.keys import key


@dataclass(frozen=True, slots=True)
class PublicationState:
    """The health of an integration, and the publisher's memory of its publications."""

    health: IntegrationHealth
    memory: Mapping[str, str]


class PublicationStore:
    """The lease and the memory of one integration's publisher. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str) -> None:
        self._connection = connection
        self._key = key(integration, "queue")

    def look(self, owner: str, *, for_ms: int, now: int) -> PublicationState | None:
        """Take or extend the publisher's lease, and read the health; None if another process holds the lease."""
        found = self._connection.run("publisher", self._key, [now, "look", owner, for_ms])
        if not found:
            return None
        delivered, retried, dead_ever, latency, pending, oldest, retrying, dead, oldest_dead, parked, since, memory = (
            found
        )
        counts = AttemptCounts(int(delivered), int(retried), int(dead_ever), int(latency))
        health = IntegrationHealth(
            at=now,
            counts=counts,
            pending=int(pending),
            oldest=id_time(oldest) if oldest else None,
            retrying=int(retrying),
            dead=int(dead),
            oldest_dead=id_time(oldest_dead) if oldest_dead else None,
            parked=parked or None,
            parked_since=int(float(since)) if since else None,
        )
        return PublicationState(health, pairs(memory))

    def remember(self, owner: str, changes: Mapping[str, str], *, now: int) -> bool:
        """Store changes of the memory in one step; an empty text removes a field. False if another process holds the lease."""
        return bool(self._connection.run("publisher", self._key, [now, "remember", owner, json.dumps(changes)]))

    def leave(self, owner: str, *, now: int) -> None:
        """Release the lease, so that another process can publish at once."""
        self._connection.run("publisher", self._key, [now, "leave", owner])
