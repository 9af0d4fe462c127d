"""The lookups of resolvers in Virima: which ones wait, which process runs them, and a cache of their results."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.token_store import UNLOCK_IF


@dataclass(frozen=True, slots=True)
class LookupAssignment:
    """A lookup that this process took. `due` (Unix ms) is the fence that its settlement must show."""

    id: str
    due: int
    resolved_by: str
    is_probe: bool


@dataclass(frozen=True, slots=True)
class LookupParking:
    """How a failure of Virima as a whole parks the lookups. Probe intervals in milliseconds."""

    reason: str
    #: Whether one such failure is enough.
    at_once: bool
    probe_first: int
    probe_most: int


@dataclass(frozen=True, slots=True)
class LookupSettlement:
    """The result of a lookup: a `record` for the audit trail, or when to try again (`again`, Unix ms)."""

    wanted: LookupAssignment
    record: dict[str, Any] | None = None
    again: int | None = None
    parking: LookupParking | None = None


class LookupQueue:
    """The lookups of one integration. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str, *, config: str) -> None:
        """`config` is a digest of the `virima` block and its secrets."""
        self._connection = connection
        self._integration = integration
        self._config = config
        self._key = key(integration, "queue")

    def take(self, limit: int, *, lease: int, now: int) -> tuple[list[LookupAssignment], int | None]:
        """Take up to `limit` lookups for `lease` ms, only a probe if parked; also return when to look again (Unix ms)."""
        again, *taken = self._connection.run("lookups", self._key, [now, "take", self._config, limit, lease])
        assignments = [
            LookupAssignment(delivery_id, int(due), resolved_by, bool(probe))
            for delivery_id, due, resolved_by, probe in taken
        ]
        return assignments, int(float(again)) if again else None

    def settle(self, results: Sequence[LookupSettlement], *, failures: int, now: int) -> list[bool]:
        """Record the results of lookups in the audit trail; False for a lookup whose lease was lost."""
        arguments = [json.dumps(self._settled(result), separators=(",", ":")) for result in results]
        recorded = self._connection.run("lookups", self._key, [now, "settle", self._config, failures, *arguments])
        return [bool(flag) for flag in recorded]

    def known(self, mode: str, email: str) -> dict[str, Any] | None:
        """Return the cached result for `email`, or None."""
        text = self._connection.call("GET", self._cache_key(mode, email))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def remember(self, mode: str, email: str, found: dict[str, Any], *, for_ms: int) -> None:
        """Cache the result for `email`."""
        self._connection.write("SET", self._cache_key(mode, email), json.dumps(found), "PX", max(1, for_ms))

    def lock(self, mode: str, email: str, *, for_ms: int) -> str | None:
        """Lock the lookup of `email`; returns the owner to unlock it with, or None if another process holds the lock."""
        owner = secrets.token_hex(8)
        taken = self._connection.write("SET", f"{self._cache_key(mode, email)}:lock", owner, "NX", "PX", for_ms)
        return owner if taken else None

    def unlock(self, mode: str, email: str, owner: str) -> None:
        """Release the lock if `owner` still holds it."""
        self._connection.call("EVAL", UNLOCK_IF, 1, f"{self._cache_key(mode, email)}:lock", owner)

    def _cache_key(self, mode: str, email: str) -> str:
        text = "\0".join((self._config, mode, email.strip().lower()))
        return key(self._integration, f"virima:{hashlib.sha256(text.encode()).hexdigest()[:24]}")

    def _settled(self, result: LookupSettlement) -> dict[str, Any]:
        settled: dict[str, Any] = {"id": result.wanted.id, "due": result.wanted.due}
        if result.wanted.is_probe:
            settled["probe"] = True
        if result.again is not None:
            return {**settled, "again": result.again}
        record = {name: value for name, value in (result.record or {}).items() if value is not None}
        settled |= {"record": json.dumps(record, separators=(",", ":")), "cached": record.get("cached") or None}
        if result.parking:
            settled |= {
                "park_as": result.parking.reason,
                "at_once": result.parking.at_once or None,
                "probe_first": result.parking.probe_first,
                "probe_most": result.parking.probe_most,
            }
        return {name: value for name, value in settled.items() if value is not None}
