"""Limits how fast the senders of an integration can post, over all web processes."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key


class RateLimiter:
    """Counts webhooks against the rate limits of their integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, integration: str, per_second: int, *, now: int) -> float:
        """Count one webhook. Return 0 if it is within the limit, otherwise the seconds until the next one is accepted."""
        wait = self._connection.run("rate", key(integration, "queue"), [now, per_second])
        return int(wait) / 1000
