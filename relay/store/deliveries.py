"""Reading delivery records."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key

_PENDING = frozenset({"queued", "retrying"})


class DeliveryReader:
    """Reads what the store knows of deliveries. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status_of(self, integration: str, delivery_id: str) -> str | None:
        """Return the status of a delivery, `parked` where it is pending and its integration is; None: unknown here."""
        status = self._connection.call("HGET", key(integration, f"d:{delivery_id}"), "status")
        if status in _PENDING and self._connection.call("HEXISTS", key(integration, "circuit"), "reason"):
            return "parked"
        return str(status) if status else None
