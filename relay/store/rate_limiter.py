"""How fast an integration's senders may post, over all web processes."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key


class RateLimiter:
    """Counts webhooks against the rates of their integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, integration: str, per_second: int, *, now: int) -> float:
        """Count one webhook; return 0 where it may pass, else after how long the next one may (seconds)."""
        wait = self._connection.run("rate", key(integration, "queue"), [now, per_second])
        return int(wait) / 1000
