"""The last good version of each mapping file, so that a broken file on disk stops no integration, not even after a restart."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key

#: How long the last good version outlives its file (seconds).
_EXPIRES_AFTER = 86_400


class LastGoodMappings:
    """The texts of mapping files. They refer to secrets, but contain none. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, integration: str, text: str) -> None:
        """Store a good version."""
        self._connection.call("SET", key(integration, "mapping:good"), text)

    def expire(self, integration: str) -> None:
        """Expire the version of a removed file in a day, unless a new one is saved before: a deployment can restore the file."""
        self._connection.call("EXPIRE", key(integration, "mapping:good"), _EXPIRES_AFTER)

    def load(self, integration: str) -> str | None:
        """Return the last good version, or None."""
        text = self._connection.call("GET", key(integration, "mapping:good"))
        return None if text is None else str(text)
