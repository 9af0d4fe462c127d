"""Reads the audit trails: by page, by filter, from one end to the other. The seals over them are in `store.seal_chain`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.seals import AuditRecord, id_order
from relay.core.values import format_time
from relay.store.connection import Connection, pairs
from relay.store.delivery_reader import RecordPage
from relay.store.keys import key

TYPES = (
    "accepted",
    "delivered",
    "superseded",
    "dead",
    "rejected",
    "replayed",
    "parked",
    "resumed",
    "mapping_loaded",
    "mapping_refused",
    "virima_lookup",
)
#: The members that every record has.
_COMMON = frozenset({"id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor"})
#: The members with a separate stream field. All others are in the field `more`.
_OWN_FIELDS: dict[str, Callable[[str], str | int]] = {
    "itsm_state": str,
    "iem_state": int,
    "resolved_by": str,
    "mapping": str,
    "attempts": int,
}
#: The members that every record of a lookup has.
_LOOKUP = dict.fromkeys(("lookup", "email", "outcome", "reason", "cached", "user", "status", "duration_ms"))
#: The position of a record among those of all integrations: the two numbers of its id, then the integration.
_Position = tuple[int, int, str]
_PAGE = 1_000
#: Faults of a mapping file that one record lists.
_MAX_FAULTS = 10
#: Records that are read for one page, however few of them match the filter.
_MAX_SCANNED = 10_000


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """A filter of records. Times in Unix milliseconds; None matches any. `user` is an id, a name or an email address."""

    sys_id: str | None = None
    number: str | None = None
    delivery_id: str | None = None
    user: str | None = None
    type: str | None = None
    since: int | None = None
    until: int | None = None

    def matches(self, record: AuditRecord) -> bool:
        """Return whether a record matches; its time is not checked."""
        for name in ("sys_id", "number", "delivery_id", "type"):
            value = getattr(self, name)
            if value is not None and record[name] != value:
                return False
        return self.user is None or self.user.casefold() in _users_of(record)


class Trail:
    """The audit trails of all integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def walk(self, integration: str, *, since: int | None = None, until: int | None = None) -> Iterator[dict[str, Any]]:
        """Return the records of an integration, oldest first, read a page at a time."""
        start, end = "-" if since is None else str(max(0, since)), "+" if until is None else str(max(0, until))
        while True:
            found = self._connection.call("XRANGE", key(integration, "audit"), start, end, "COUNT", _PAGE)
            yield from (_read(integration, record_id, flat) for record_id, flat in found)
            if len(found) < _PAGE:
                return
            start = f"({found[-1][0]}"

    def walk_after(self, integration: str, after: str | None, *, up_to: str = "+") -> Iterator[dict[str, Any]]:
        """Return the records after the record `after`, up to `up_to`, oldest first, read a page at a time."""
        while records := self.read_after(integration, after, up_to=up_to):
            yield from records
            after = records[-1]["id"]

    def count(self, integration: str) -> int:
        """Return how many records an integration has."""
        return int(self._connection.call("XLEN", key(integration, "audit")))

    def page(
        self, integrations: Sequence[str], query: TrailQuery, *, limit: int, cursor: str | None = None
    ) -> RecordPage:
        """Return up to `limit` records of `integrations`, newest first, after `cursor`.

        If few records match, the page ends early, and the next page continues there.
        """
        found: list[tuple[_Position, dict[str, Any]]] = []
        stops: list[_Position] = []
        for name in integrations:
            records, stop = self._page_of(name, query, limit, cursor)
            found += [(_position(record["id"], name), record) for record in records]
            stops += [stop] if stop else []
        # If one trail was not read to its end, older records of other trails wait for the next page.
        floor = max(stops, default=None)
        ready = [entry for entry in found if floor is None or entry[0] >= floor]
        ready.sort(key=lambda entry: entry[0], reverse=True)
        page = ready[:limit]
        last = page[-1][0] if len(ready) > limit else floor
        return RecordPage(tuple(record for _, record in page), f"{last[0]}-{last[1]}@{last[2]}" if last else None)

    def _page_of(
        self, name: str, query: TrailQuery, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], _Position | None]:
        """Return matching records, newest first, and the position at which reading stopped before the end."""
        top = _below(cursor, name) if cursor else "+" if query.until is None else str(max(0, query.until))
        bottom = "-" if query.since is None else str(max(0, query.since))
        records: list[dict[str, Any]] = []
        for _ in range(_MAX_SCANNED // _PAGE):
            found = self._connection.call("XREVRANGE", key(name, "audit"), top, bottom, "COUNT", _PAGE)
            records += [record for record_id, flat in found if query.matches(record := _read(name, record_id, flat))]
            if len(records) > limit:
                return records[: limit + 1], _position(records[limit]["id"], name)
            if len(found) < _PAGE:
                return records, None
            top = f"({found[-1][0]}"
        return records, _position(found[-1][0], name)

    def record_mapping(self, integration: str, *, digest: str | None, faults: Sequence[str], now: int) -> bool:
        """Record the active mapping, or why its file was refused (`digest` None), unless the trail already has that state."""
        kind = "mapping_loaded" if digest else "mapping_refused"
        members = {"mapping": digest} if digest else {"faults": list(faults)[:_MAX_FAULTS]}
        state = digest or "refused " + hashlib.sha256("\n".join(faults).encode()).hexdigest()[:12]
        arguments: list[str | int] = [now, "mapping", kind, state, json.dumps(members)]
        return bool(self._connection.run("trail", key(integration, "queue"), arguments))

    def mapping_recorded_at(self, integration: str) -> int | None:
        """Return since when (Unix ms) the mapping file has been in its recorded state, or None."""
        since = self._connection.call("HGET", key(integration, "mapping"), "since")
        return int(since) if since else None

    def read_after(
        self, integration: str, after: str | None, *, up_to: str = "+", limit: int = _PAGE
    ) -> list[dict[str, Any]]:
        """Return up to `limit` records after the record `after` (None: from the beginning), up to `up_to`."""
        start = "-" if after is None else f"({after}"
        found = self._connection.call("XRANGE", key(integration, "audit"), start, up_to, "COUNT", limit)
        return [_read(integration, record_id, flat) for record_id, flat in found]


def _read(integration: str, record_id: str, flat: Any) -> dict[str, Any]:
    """Return an audit record as the operator API returns it (`docs/audit/audit-trail.md`)."""
    fields = pairs(flat)
    record = {
        "id": record_id,
        "at": None,
        "type": fields.get("type", "damaged"),
        "integration": integration,
        "delivery_id": fields.get("delivery") or None,
        "sys_id": fields.get("sys_id") or None,
        "number": fields.get("number") or None,
        "actor": fields.get("actor") or None,
        **(_LOOKUP if fields.get("type") == "virima_lookup" else {}),
    }
    try:
        record["at"] = format_time(int(float(fields["at"])))
        record |= {name: read(fields[name]) for name, read in _OWN_FIELDS.items() if fields.get(name)}
        more: dict[str, Any] = json.loads(fields["more"]) if fields.get("more") else {}
        return {**record, **{name: value for name, value in more.items() if name not in _COMMON}}
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return {**record, "damaged": "the relay did not write this record"}


def _users_of(record: AuditRecord) -> set[str]:
    lookup_user = record.get("user")
    user = lookup_user if isinstance(lookup_user, dict) else {}
    names = [record.get(name) for name in ("actor", "resolved_by", "email")]
    names += [user.get(name) for name in ("id", "userName", "displayName", "email")]
    return {str(name).casefold() for name in names if name}


def _position(record_id: str, name: str) -> _Position:
    return (*id_order(record_id), name)


def _below(cursor: str, name: str) -> str:
    """Return the highest id of trail `name` after `cursor`, in the order newest first, then by name."""
    record_id, _, other = cursor.partition("@")
    return record_id if name < other else f"({record_id}"
