"""Operations on the audit trail in Redis: list, trace one delivery, verify the seals. Exported trails are in `trail_file`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.seals import SealingKey
from relay.core.trail_verification import TrailReport, verify_trail
from relay.core.values import parse_date_time
from relay.operations.integration_admin import IntegrationAdmin
from relay.store.delivery_reader import RecordPage
from relay.store.seal_chain import SealChain
from relay.store.trail import Trail, TrailQuery

#: The trail's ids come from Redis's clock, the times in a record from the clocks of web and workers (ms).
_MAX_CLOCK_SKEW = 120_000
#: The pages of a long trail that are searched for one delivery.
_MAX_PAGES = 20


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The audit trails of all integrations."""

    integrations: IntegrationAdmin
    trail: Trail
    chain: SealChain

    def page(self, integration: str | None, query: TrailQuery, *, limit: int, cursor: str | None) -> RecordPage:
        """Return one page of audit records, newest first."""
        return self.trail.page(self.integrations.names(integration), query, limit=limit, cursor=cursor)

    def of_delivery(self, delivery: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the audit records of one delivery, oldest first."""
        since = (parse_date_time(delivery["created_at"]) or 0) - _MAX_CLOCK_SKEW
        finished = parse_date_time(delivery["finished_at"]) if delivery["finished_at"] else None
        until = finished + _MAX_CLOCK_SKEW if finished and delivery["status"] != "dead" else None
        query, names = TrailQuery(delivery_id=delivery["id"], since=since, until=until), [delivery["integration"]]
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = self.trail.page(names, query, limit=100, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            # `accepted` is the first record of every delivery.
            if cursor is None or (found and found[-1]["type"] == "accepted"):
                break
        return found[::-1]

    def verify(self, integration: str | None, keys: Sequence[SealingKey]) -> Iterator[TrailReport]:
        """Check the trails in Redis against their seals, one integration after the other."""
        for name in self.integrations.names(integration):
            yield self._verify(name, keys)

    def _verify(self, name: str, keys: Sequence[SealingKey]) -> TrailReport:
        while True:
            anchor = self.chain.anchor(name)
            report = verify_trail(name, self.trail.walk_after(name, None), self.chain.seals(name), keys, anchor)
            # Retention can drop old records during the check; they are not missing.
            if report.finding is None or self.chain.anchor(name) == anchor:
                return report
