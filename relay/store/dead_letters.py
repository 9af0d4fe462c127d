"""What waits for a person: rejections (kept webhooks that could not be mapped), and closing them and dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from relay.core.values import format_time
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryPage
from relay.store.keys import key


class DeadLetters:
    """Reads rejections, closes rejections and dead letters. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_rejection(self, integration: str, rejection_id: str) -> dict[str, Any] | None:
        """Return a rejection with its record, or None."""
        names = ("record", "errors", "mapping", "from", "idempotency_key", "created_at", "seen_at", "seen")
        found = self._connection.call("HMGET", key(integration, f"r:{rejection_id}"), *names)
        fields = dict(zip(names, found, strict=True))
        if fields["record"] is None:
            return None
        return {
            "id": rejection_id,
            "integration": integration,
            "created_at": format_time(int(fields["created_at"])),
            "seen_at": format_time(int(fields["seen_at"])),
            "seen": int(fields["seen"]),
            "from": fields["from"],
            "mapping": fields["mapping"],
            "idempotency_key": fields["idempotency_key"],
            "errors": json.loads(fields["errors"]),
            "record": json.loads(fields["record"]),
        }

    def rejections(self, integrations: Sequence[str], *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Return up to `limit` rejections, the last seen first. A cursor is `<Unix ms>.<id>` of the last one before."""
        before = int(cursor.split(".")[0]) if cursor else None
        ids: list[tuple[int, str, str]] = []
        for name in integrations:
            top = "+inf" if before is None else before
            arguments = (key(name, "rejections"), top, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit + 501, "WITHSCORES")
            flat = self._connection.call("ZRANGE", *arguments)
            ids += [(int(float(at)), an_id, name) for an_id, at in zip(flat[::2], flat[1::2], strict=True)]
        ids = sorted((one for one in ids if cursor is None or f"{one[0]}.{one[1]}" < cursor), reverse=True)
        found = [self.find_rejection(name, an_id) for _, an_id, name in ids[:limit]]
        more = f"{ids[limit - 1][0]}.{ids[limit - 1][1]}" if len(ids) > limit else None
        return DeliveryPage(tuple(one for one in found if one), more)

    def walk_rejections(self, integrations: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Return all rejections, a page at a time."""
        cursor: str | None = None
        while True:
            page = self.rejections(integrations, limit=500, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def discard(self, integration: str, ids: Sequence[str], *, actor: str, why: str, now: int) -> int:
        """Close dead letters or rejections; returns how many of `ids` were open ones."""
        arguments: list[str | int] = [now, actor, why, *ids]
        return int(self._connection.run("discard", key(integration, "queue"), arguments))
