"""Lookups of resolvers in Redis: what waits, what was found (for a while), and who is at it."""

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
    """A lookup that was lent to this process; `due` (Unix ms) is the fence that its settlement must show."""

    id: str
    due: int
    resolved_by: str
    is_probe: bool


@dataclass(frozen=True, slots=True)
class LookupParking:
    """What a failure that speaks of Virima as a whole parks the lookups as, and how often they are probed then (ms)."""

    reason: str
    at_once: bool
    probe_first: int
    probe_most: int


@dataclass(frozen=True, slots=True)
class LookupSettlement:
    """What became of one: `record` for the trail, or `again` (Unix ms) where nothing was found out."""

    wanted: LookupAssignment
    record: dict[str, Any] | None = None
    again: int | None = None
    parking: LookupParking | None = None


class LookupQueue:
    """The lookups of one integration. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str, *, config: str) -> None:
        """`config`: digest of the `virima` block and its secrets."""
        self._connection = connection
        self._integration = integration
        self._config = config
        self._key = key(integration, "queue")

    def take(self, most: int, *, lease: int, now: int) -> tuple[list[LookupAssignment], int | None]:
        """Lend up to `most` lookups for `lease` milliseconds; also when to look again (Unix ms). Where parked, only a probe."""
        again, *taken = self._connection.run("lookups", self._key, [now, "take", self._config, most, lease])
        wanted = [LookupAssignment(an_id, int(due), by, bool(probe)) for an_id, due, by, probe in taken]
        return wanted, int(float(again)) if again else None

    def settle(self, results: Sequence[LookupSettlement], *, failures: int, now: int) -> list[bool]:
        """Write down what lookups came to, each with its record in the trail; False where it was lent to another since."""
        arguments = [json.dumps(self._settled(one), separators=(",", ":")) for one in results]
        found = self._connection.run("lookups", self._key, [now, "settle", self._config, failures, *arguments])
        return [bool(one) for one in found]

    def known(self, mode: str, email: str) -> dict[str, Any] | None:
        """Return what was found out of `email` lately, or None."""
        text = self._connection.call("GET", self._cache_key(mode, email))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def remember(self, mode: str, email: str, found: dict[str, Any], *, for_ms: int) -> None:
        """Keep what was found out of `email` for a while."""
        self._connection.write("SET", self._cache_key(mode, email), json.dumps(found), "PX", max(1, for_ms))

    def lock(self, mode: str, email: str, *, for_ms: int) -> str | None:
        """Take the right to look `email` up; returns what to unlock it with, None where another process is at it."""
        owner = secrets.token_hex(8)
        taken = self._connection.write("SET", f"{self._cache_key(mode, email)}:lock", owner, "NX", "PX", for_ms)
        return owner if taken else None

    def unlock(self, mode: str, email: str, owner: str) -> None:
        """Give that right back, if it still is the `owner`'s."""
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
