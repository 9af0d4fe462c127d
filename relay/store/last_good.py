"""The last good version of each mapping file: a broken file on disk cannot take an integration down, not even over a restart."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key

#: How long the last good version outlives its file (seconds).
_STAYS = 86_400


class LastGoodMappings:
    """Mapping files as they last were good. They refer to secrets, and hold none. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, integration: str, text: str) -> None:
        """Remember a good version."""
        self._connection.call("SET", key(integration, "mapping:good"), text)

    def expire(self, integration: str) -> None:
        """Forget an integration whose file was removed in a day, unless a good one comes back: a deploy may remove it first."""
        self._connection.call("EXPIRE", key(integration, "mapping:good"), _STAYS)

    def load(self, integration: str) -> str | None:
        """Return the last good version, or None."""
        text = self._connection.call("GET", key(integration, "mapping:good"))
        return None if text is None else str(text)
