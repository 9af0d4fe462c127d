"""Operations on rejections, the webhooks that could not be mapped: find, list, replay, discard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.errors import NotFoundError
from relay.operations.integration_admin import IntegrationAdmin
from relay.operations.replayer import Replayer, ReplayResult
from relay.store.delivery_reader import RecordPage
from relay.store.rejection_store import RejectionStore


@dataclass(frozen=True, slots=True)
class RejectionAdmin:
    """The rejections of all integrations."""

    integrations: IntegrationAdmin
    store: RejectionStore
    replayer: Replayer
    now_ms: Callable[[], int]

    def find(self, rejection_id: str) -> dict[str, Any]:
        """Return one rejection, with the payload that was sent."""
        for name in self.integrations.names():
            if found := self.store.find(name, rejection_id):
                return found
        raise NotFoundError(f"there is no rejection {rejection_id[:64]}")

    def page(self, integration: str | None, *, limit: int, cursor: str | None) -> RecordPage:
        """Return one page of rejections, the most recently seen first."""
        return self.store.page(self.integrations.names(integration), limit=limit, cursor=cursor)

    def walk(self, integration: str | None) -> Iterator[dict[str, Any]]:
        """Return all rejections, the most recently seen first."""
        return self.store.walk(self.integrations.names(integration))

    def replay(self, rejection_id: str, *, actor: str) -> ReplayResult:
        """Accept one rejection with the current mapping. Raises ConflictError if the mapping still rejects it."""
        rejection = self.find(rejection_id)
        integration = self.integrations.usable(rejection["integration"])
        return self.replayer.replay_rejection(integration, rejection, actor=actor).or_conflict(rejection_id)

    def discard(self, rejection_id: str, *, actor: str, why: str) -> None:
        """Close one rejection."""
        name = self.find(rejection_id)["integration"]
        self.store.discard(name, [rejection_id], actor=actor, why=why, now=self.now_ms())
