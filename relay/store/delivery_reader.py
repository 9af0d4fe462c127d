"""Reads delivery records: one by its id, or pages of them, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.ids import first_id_at
from relay.core.values import format_time
from relay.store.connection import Connection, pairs
from relay.store.keys import key

#: The statuses that a reader sees. `parked` is derived: the delivery is pending and its integration is parked.
STATUSES = ("queued", "retrying", "parked", "delivered", "superseded", "dead", "discarded")
_PENDING = frozenset({"queued", "retrying"})
_INDEXES = ("pending", "delivered", "superseded", "dead", "discarded")
#: Records that one script reads. A ticket may have had many deliveries: reading them must not block the server.
_FIND_LIMIT = 200
_FACTS = ("sys_id", "number", "table", "itsm_state", "version", "resolved_by", "from", "mapping")


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """A filter of deliveries. Times in Unix milliseconds; None matches any."""

    status: str | None = None
    sys_id: str | None = None
    number: str | None = None
    reason: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, newest first, and the cursor of the next page; None on the last page."""

    items: tuple[dict[str, Any], ...]
    next_cursor: str | None


class DeliveryReader:
    """Reads the deliveries of all integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status_of(self, integration: str, delivery_id: str) -> str | None:
        """Return the status of a delivery, or None if it is not known."""
        status = self._fields(integration, [delivery_id]).get(delivery_id, {}).get("status")
        if status in _PENDING and self._parked(integration):
            return "parked"
        return status

    def find(self, integration: str, delivery_id: str) -> dict[str, Any] | None:
        """Return the record of a delivery as the operator API returns it (`docs/operating/operator-api.md`), or None."""
        fields = self._fields(integration, [delivery_id]).get(delivery_id)
        return _read(integration, delivery_id, fields, self._parked(integration)) if fields else None

    def locate(self, integrations: Sequence[str], delivery_id: str) -> dict[str, Any] | None:
        """Return the record of the delivery in whichever of `integrations` has it, or None."""
        return next((found for name in integrations if (found := self.find(name, delivery_id))), None)

    def page(
        self, integrations: Sequence[str], query: DeliveryQuery, *, limit: int, cursor: str | None = None
    ) -> RecordPage:
        """Return up to `limit` deliveries of `integrations`, newest first, after `cursor`."""
        items: list[dict[str, Any]] = []
        ends: list[str] = []
        for name in integrations:
            found, end = self._page_of(name, query, limit, cursor or "")
            items += found
            ends += [end] if end else []
        items.sort(key=lambda item: (item["created_at"], item["id"]), reverse=True)
        page = items[:limit]
        if len(items) > limit:
            return RecordPage(tuple(page), page[-1]["id"])
        return RecordPage(tuple(page), max(ends) if ends else None)

    def walk(self, integrations: Sequence[str], query: DeliveryQuery) -> Iterator[dict[str, Any]]:
        """Return all deliveries that match `query`, newest first, read a page at a time."""
        cursor: str | None = None
        while True:
            page = self.page(integrations, query, limit=500, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _page_of(self, name: str, query: DeliveryQuery, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str]:
        parked = self._parked(name)
        if query.sys_id or query.number:
            return self._of_ticket(name, query, limit, cursor, parked=parked), ""
        if (query.status == "parked" and not parked) or (parked and query.status in _PENDING):
            return [], ""
        required = {"status": query.status} if query.status and query.status != "parked" else {}
        if query.reason:
            required["reason"] = query.reason
        end = "" if query.until is None else first_id_at(query.until + 1)
        arguments: list[str | int] = [
            limit,
            "" if query.since is None else first_id_at(query.since),
            min(cursor or end, end or cursor),
            json.dumps([_index_of(query.status)] if query.status else _INDEXES),
            json.dumps(required),
        ]
        more, last, *found = self._connection.run("page", key(name, "queue"), [0, *arguments])
        items = [_read(name, delivery_id, pairs(flat), parked) for delivery_id, flat in found]
        return items, last if more else ""

    def _of_ticket(
        self, name: str, query: DeliveryQuery, limit: int, cursor: str, *, parked: bool
    ) -> list[dict[str, Any]]:
        """Return the deliveries of a ticket: its hash lists the last one and all previous ones."""
        sys_id = query.sys_id or self._connection.call("HGET", key(name, "numbers"), query.number)
        fields = pairs(self._connection.call("HGETALL", key(name, f"t:{sys_id}"))) if sys_id else {}
        known = {field[2:] for field in fields if field.startswith("d:")} | {fields.get("last", "")}
        wanted = (delivery_id for delivery_id in known if delivery_id and (not cursor or delivery_id < cursor))
        ids = sorted(wanted, reverse=True)
        items: list[dict[str, Any]] = []
        for first in range(0, len(ids), _FIND_LIMIT):
            found = self._fields(name, ids[first : first + _FIND_LIMIT])
            read = (_read(name, delivery_id, record, parked) for delivery_id, record in found.items())
            items += [item for item in read if _matches(item, query)]
            if len(items) > limit:
                break
        return items[: limit + 1]

    def _fields(self, name: str, ids: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Return the records by id; unknown ids are left out."""
        found = self._connection.run("find", key(name, "queue"), [0, *ids])
        return {delivery_id: pairs(flat) for delivery_id, flat in found}

    def _parked(self, name: str) -> bool:
        return bool(self._connection.call("HEXISTS", key(name, "circuit"), "reason"))


def _index_of(status: str) -> str:
    return "pending" if status in _PENDING or status == "parked" else status


def _matches(item: Mapping[str, Any], query: DeliveryQuery) -> bool:
    return (
        (query.status is None or item["status"] == query.status)
        and (query.number is None or item["number"] == query.number)
        and (query.reason is None or item["reason"] == query.reason)
        and (query.since is None or item["created_at"] >= format_time(query.since))
        and (query.until is None or item["created_at"] <= format_time(query.until))
    )


def _read(integration: str, delivery_id: str, fields: Mapping[str, str], parked: bool) -> dict[str, Any]:  # noqa: FBT001
    status = fields["status"]
    return {
        "id": delivery_id,
        "integration": integration,
        **{name: fields.get(name) for name in _FACTS},
        "iem_state": int(fields["iem_state"]),
        "updated_at": _time(fields.get("updated_at")),
        "status": "parked" if parked and status in _PENDING else status,
        "reason": fields.get("reason"),
        "created_at": _time(fields["created_at"]),
        "finished_at": _time(fields.get("finished_at")),
        "next_attempt_at": _time(fields.get("next_at")),
        "attempts": [
            _read_attempt(fields[name]) for name in sorted((n for n in fields if _is_attempt(n)), key=_number)
        ],
        "duplicates": int(fields.get("duplicates", "0")),
        "superseded_by": fields.get("superseded_by"),
        "replay_of": fields.get("replay_of"),
        "replayed_as": fields.get("replayed_as"),
        "closed": fields.get("closed"),
        "via": {name: int(which) for name, which in (item.split(":") for item in fields.get("via", "").split())},
    }


def _read_attempt(line: str) -> dict[str, Any]:
    at, outcome, reason, status, duration, counted = line.split("|")
    attempt = {
        "at": _time(at),
        "outcome": outcome,
        "reason": reason or None,
        "status": int(status) if status else None,
        "duration_ms": int(duration) if duration else None,
    }
    return attempt if counted == "1" else {**attempt, "counted": False}


def _is_attempt(name: str) -> bool:
    return name[0] == "a" and name[1:].isdigit()


def _number(name: str) -> int:
    return int(name[1:])


def _time(text: str | None) -> str | None:
    return format_time(int(float(text))) if text else None
