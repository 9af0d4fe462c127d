"""Rejections: webhooks of authenticated senders that could not be mapped. Kept until they are replayed or discarded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from relay.core.values import format_time
from relay.store.connection import Connection
from relay.store.delivery_reader import RecordPage
from relay.store.keys import key

#: Rejections that were last seen in the same millisecond as the cursor are read again, and skipped.
_SAME_MILLISECOND = 500


class RejectionStore:
    """Reads and discards the rejections of all integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, integration: str, rejection_id: str) -> dict[str, Any] | None:
        """Return a rejection with the record that was sent, or None."""
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

    def page(self, integrations: Sequence[str], *, limit: int, cursor: str | None = None) -> RecordPage:
        """Return up to `limit` rejections, the last seen first. A cursor is `<Unix ms>.<id>` of the previous page's last."""
        before = int(cursor.split(".")[0]) if cursor else None
        entries: list[tuple[int, str, str]] = []
        for name in integrations:
            top = "+inf" if before is None else before
            limits = ("LIMIT", 0, limit + _SAME_MILLISECOND + 1)
            arguments = (key(name, "rejections"), top, "-inf", "BYSCORE", "REV", *limits, "WITHSCORES")
            flat = self._connection.call("ZRANGE", *arguments)
            entries += [
                (int(float(seen_at)), rejection_id, name)
                for rejection_id, seen_at in zip(flat[::2], flat[1::2], strict=True)
            ]
        entries = sorted((entry for entry in entries if cursor is None or _cursor_of(entry) < cursor), reverse=True)
        found = [self.find(name, rejection_id) for _, rejection_id, name in entries[:limit]]
        next_cursor = _cursor_of(entries[limit - 1]) if len(entries) > limit else None
        return RecordPage(tuple(rejection for rejection in found if rejection), next_cursor)

    def walk(self, integrations: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Return all rejections, read a page at a time."""
        cursor: str | None = None
        while True:
            page = self.page(integrations, limit=500, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def discard(self, integration: str, rejection_ids: Sequence[str], *, actor: str, why: str, now: int) -> int:
        """Close rejections for good; returns how many of them existed."""
        arguments: list[str | int] = [now, actor, why, *rejection_ids]
        return int(self._connection.run("discard", key(integration, "queue"), arguments))


def _cursor_of(entry: tuple[int, str, str]) -> str:
    seen_at, rejection_id, _ = entry
    return f"{seen_at}.{rejection_id}"
