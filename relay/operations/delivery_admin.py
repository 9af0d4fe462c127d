"""Operations on deliveries: find, list, replay, discard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.errors import ConflictError, NotFoundError
from relay.operations.integration_admin import IntegrationAdmin
from relay.operations.replayer import Replayer, ReplayResult
from relay.store.dead_letter_store import DeadLetterStore
from relay.store.delivery_reader import DeliveryQuery, DeliveryReader, RecordPage


@dataclass(frozen=True, slots=True)
class DeliveryAdmin:
    """The deliveries of all integrations."""

    integrations: IntegrationAdmin
    reader: DeliveryReader
    dead_letters: DeadLetterStore
    replayer: Replayer
    now_ms: Callable[[], int]

    def find(self, delivery_id: str) -> dict[str, Any]:
        """Return one delivery."""
        found = self.reader.locate(self.integrations.names(), delivery_id)
        if found is None:
            raise NotFoundError(f"there is no delivery {delivery_id[:64]}")
        return found

    def page(self, integration: str | None, query: DeliveryQuery, *, limit: int, cursor: str | None) -> RecordPage:
        """Return one page of the deliveries that match, newest first."""
        return self.reader.page(self.integrations.names(integration), query, limit=limit, cursor=cursor)

    def walk(self, integration: str | None, query: DeliveryQuery) -> Iterator[dict[str, Any]]:
        """Return all deliveries that match, newest first."""
        return self.reader.walk(self.integrations.names(integration), query)

    def in_replay_order(self, integration: str | None, query: DeliveryQuery) -> list[dict[str, Any]]:
        """Return all deliveries that match, oldest first: in that order, newer updates supersede older ones."""
        return list(self.walk(integration, query))[::-1]

    def replay(self, delivery_id: str, *, actor: str, as_mapped: bool = False) -> ReplayResult:
        """Replay one dead letter. Raises ConflictError if it cannot be replayed."""
        dead_letter = self.find(delivery_id)
        integration = self.integrations.usable(dead_letter["integration"])
        result = self.replayer.replay_dead_letter(integration, dead_letter, actor=actor, as_mapped=as_mapped)
        return result.or_conflict(delivery_id)

    def discard(self, delivery_id: str, *, actor: str, why: str) -> dict[str, Any]:
        """Close one dead letter. Raises ConflictError if it is not a dead letter."""
        dead_letter = self.find(delivery_id)
        if not self.dead_letters.discard(
            dead_letter["integration"], [delivery_id], actor=actor, why=why, now=self.now_ms()
        ):
            raise ConflictError(f"{delivery_id}: it is not a dead letter; its status is {dead_letter['status']}")
        return self.find(delivery_id)
