"""The audit trails: reading them, by page, by filter, from one end to the other. `store.seal_chain` has what vouches for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.core.seal import Record, id_order
from relay.core.values import format_time
from relay.store.connection import Connection, pairs
from relay.store.delivery_reader import DeliveryPage
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
#: Members that every record has, whatever else it tells.
_OWN = frozenset({"id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor"})
#: What a field of its own tells, the rest stands in `more`.
_TOLD: dict[str, Callable[[str], str | int]] = {
    "itsm_state": str,
    "iem_state": int,
    "resolved_by": str,
    "mapping": str,
    "attempts": int,
}
#: What a lookup's record has in any case.
_LOOKUP = dict.fromkeys(("lookup", "email", "outcome", "reason", "cached", "user", "status", "duration_ms"))
#: Where a record stands among those of all integrations: its id's two numbers, then the integration.
_Place = tuple[int, int, str]
_PAGE = 1_000
#: Of a mapping file's faults so many are recorded.
_MOST_FAULTS = 10
#: So many records at most are looked through for one page of a filter that few of them pass.
_MOST_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """Which records are wanted. Times in Unix milliseconds; None: any. `user`: whoever is named by it in a record."""

    sys_id: str | None = None
    number: str | None = None
    delivery_id: str | None = None
    user: str | None = None
    type: str | None = None
    since: int | None = None
    until: int | None = None

    def wants(self, record: Record) -> bool:
        """Tell whether a record passes, its time excepted."""
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
        """Return an integration's records, oldest first, a page at a time."""
        start, end = "-" if since is None else str(max(0, since)), "+" if until is None else str(max(0, until))
        while True:
            found = self._connection.call("XRANGE", key(integration, "audit"), start, end, "COUNT", _PAGE)
            yield from (_read(integration, an_id, flat) for an_id, flat in found)
            if len(found) < _PAGE:
                return
            start = f"({found[-1][0]}"

    def walk_after(self, integration: str, after: str | None, *, up_to: str = "+") -> Iterator[dict[str, Any]]:
        """Return the records behind the record `after`, none behind `up_to`, oldest first, a page at a time."""
        while records := self.read_after(integration, after, up_to=up_to):
            yield from records
            after = records[-1]["id"]

    def count(self, integration: str) -> int:
        """Return how many records an integration has."""
        return int(self._connection.call("XLEN", key(integration, "audit")))

    def page(
        self, integrations: Sequence[str], query: TrailQuery, *, limit: int, cursor: str | None = None
    ) -> DeliveryPage:
        """Return up to `limit` records of `integrations`, newest first, that come after `cursor`.

        Where few pass, the page ends early, and the next one goes on from there.
        """
        found: list[tuple[_Place, dict[str, Any]]] = []
        stops: list[_Place] = []
        for name in integrations:
            records, stop = self._page_of(name, query, limit, cursor)
            found += [(_place(record["id"], name), record) for record in records]
            stops += [stop] if stop else []
        # Where one trail was not looked through to its end, older records of others wait for the next page.
        floor = max(stops, default=None)
        safe = sorted((one for one in found if floor is None or one[0] >= floor), key=lambda one: one[0], reverse=True)
        told = safe[:limit]
        last = told[-1][0] if len(safe) > limit else floor
        return DeliveryPage(tuple(record for _, record in told), f"{last[0]}-{last[1]}@{last[2]}" if last else None)

    def _page_of(
        self, name: str, query: TrailQuery, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], _Place | None]:
        """Return matching records, newest first, and where looking for them stopped before the end."""
        top = _below(cursor, name) if cursor else "+" if query.until is None else str(max(0, query.until))
        bottom = "-" if query.since is None else str(max(0, query.since))
        records: list[dict[str, Any]] = []
        for _ in range(_MOST_LOOKED_AT // _PAGE):
            found = self._connection.call("XREVRANGE", key(name, "audit"), top, bottom, "COUNT", _PAGE)
            records += [record for an_id, flat in found if query.wants(record := _read(name, an_id, flat))]
            if len(records) > limit:
                return records[: limit + 1], _place(records[limit]["id"], name)
            if len(found) < _PAGE:
                return records, None
            top = f"({found[-1][0]}"
        return records, _place(found[-1][0], name)

    def record_mapping(self, integration: str, *, digest: str | None, faults: Sequence[str], now: int) -> bool:
        """Record which mapping is at work, or why its file was refused (`digest` None), unless that is what was recorded last."""
        kind = "mapping_loaded" if digest else "mapping_refused"
        told = {"mapping": digest} if digest else {"faults": list(faults)[:_MOST_FAULTS]}
        state = digest or "refused " + hashlib.sha256("\n".join(faults).encode()).hexdigest()[:12]
        arguments: list[str | int] = [now, "mapping", kind, state, json.dumps(told)]
        return bool(self._connection.run("trail", key(integration, "queue"), arguments))

    def mapping_recorded_at(self, integration: str) -> int | None:
        """Return since when (Unix ms) the mapping file is as the trail recorded it last."""
        since = self._connection.call("HGET", key(integration, "mapping"), "since")
        return int(since) if since else None

    def read_after(
        self, integration: str, after: str | None, *, up_to: str = "+", limit: int = _PAGE
    ) -> list[dict[str, Any]]:
        """Return up to `limit` records behind the record `after` (None: from the beginning), none behind `up_to`."""
        start = "-" if after is None else f"({after}"
        found = self._connection.call("XRANGE", key(integration, "audit"), start, up_to, "COUNT", limit)
        return [_read(integration, an_id, flat) for an_id, flat in found]


def _read(integration: str, an_id: str, flat: Any) -> dict[str, Any]:
    """Return an audit record as DESIGN section 3 reads it."""
    fields = pairs(flat)
    record = {
        "id": an_id,
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
        record |= {name: read(fields[name]) for name, read in _TOLD.items() if fields.get(name)}
        more: dict[str, Any] = json.loads(fields["more"]) if fields.get("more") else {}
        return {**record, **{name: value for name, value in more.items() if name not in _OWN}}
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return {**record, "damaged": "somebody else wrote this: it is no record of the relay's"}


def _users_of(record: Record) -> set[str]:
    told = record.get("user")
    user = told if isinstance(told, dict) else {}
    named = [record.get(name) for name in ("actor", "resolved_by", "email")]
    named += [user.get(name) for name in ("id", "userName", "displayName", "email")]
    return {str(one).casefold() for one in named if one}


def _place(an_id: str, name: str) -> _Place:
    return (*id_order(an_id), name)


def _below(cursor: str, name: str) -> str:
    """Return the highest id of trail `name` that comes behind `cursor`: newest first, and by name within one id."""
    an_id, _, other = cursor.partition("@")
    return an_id if name < other else f"({an_id}"
