"""Discarding dead letters. `store.delivery_reader` reads them, `operations.replay` replays them."""

from __future__ import annotations

from collections.abc import Sequence

from relay.store.connection import Connection
from relay.store.keys import key


class DeadLetterStore:
    """The dead letters of all integrations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def discard(self, integration: str, delivery_ids: Sequence[str], *, actor: str, why: str, now: int) -> int:
        """Close dead letters for good; returns how many of the deliveries were dead letters.

        Raises:
            StoreUnavailableError: Redis did not answer, or refused.
        """
        arguments: list[str | int] = [now, actor, why, *delivery_ids]
        return int(self._connection.run("discard", key(integration, "queue"), arguments))
