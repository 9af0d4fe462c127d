"""The integrations that have records in Redis. The mapping folder lists only those that are configured now."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import INTEGRATIONS


class Registry:
    """The names of the integrations that have records in Redis. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self) -> set[str]:
        """Return all names."""
        return set(self._connection.call("SMEMBERS", INTEGRATIONS))

    def add(self, *integrations: str) -> None:
        """Add integrations."""
        if integrations:
            self._connection.write("SADD", INTEGRATIONS, *integrations)

    def forget(self, integration: str) -> None:
        """Remove an integration that has no records left."""
        self._connection.write("SREM", INTEGRATIONS, integration)
