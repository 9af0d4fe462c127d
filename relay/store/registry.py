"""Which integrations have ever had an update: the mapping folder tells only which there are now."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import INTEGRATIONS


class Registry:
    """The names of integrations that Redis has something of. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self) -> set[str]:
        """Return all of them."""
        return set(self._connection.call("SMEMBERS", INTEGRATIONS))

    def add(self, *integrations: str) -> None:
        """Know `integrations` from now on."""
        if integrations:
            self._connection.write("SADD", INTEGRATIONS, *integrations)

    def forget(self, integration: str) -> None:
        """Nothing is left of `integration`."""
        self._connection.write("SREM", INTEGRATIONS, integration)
