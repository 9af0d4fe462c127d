"""The last good version of each mapping file: a broken file on disk cannot take an integration down, not even over a restart."""

from __future__ import annotations

from relay.store.connection import Connection
from relay.store.keys import key


class LastGood:
    """Mapping files as they last were good. They refer to secrets, and hold none. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, integration: str, text: str) -> None:
        """Remember a good version."""
        self._connection.call("SET", key(integration, "mapping:good"), text)

    def forget(self, integration: str) -> None:
        """Forget an integration whose file was removed: a new file of that name is a new one."""
        self._connection.call("DEL", key(integration, "mapping:good"))

    def load(self, integration: str) -> str | None:
        """Return the last good version, or None."""
        text = self._connection.call("GET", key(integration, "mapping:good"))
        return None if text is None else str(text)
