"""Heartbeats of workers, the backlog, and whether Redis takes writes: what readiness and metrics look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.core.ids import time_of
from relay.store.connection import Connection
from relay.store.keys import READINESS_PROBE, WORKERS, key

#: No heartbeat of any worker for this long: nobody delivers (ms).
SILENT_AFTER = 15_000
#: A worker that has not been heard of for this long is forgotten (ms).
_FORGET_AFTER = 600_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """How one integration stands. Times in Unix milliseconds."""

    integration: str
    pending: int
    #: When the oldest pending delivery was accepted; None: there is none.
    oldest: int | None
    retrying: int
    dead: int
    rejections: int
    parked: str | None
    #: Resolvers that wait to be looked up in Virima, and why it is left alone, if it is.
    lookups: int = 0
    virima_parked: str | None = None


class Heartbeats:
    """Reads and writes signs of life. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def probe_write(self, now: int) -> None:
        """Write something, so that a Redis that only reads (full, replica) is not taken for a good one."""
        self.connection.call("SET", READINESS_PROBE, now, "PX", 60_000)

    def beat(self, worker: str, now: int) -> None:
        """Say that `worker` makes progress, and forget workers that are long gone."""
        self.connection.write("ZADD", WORKERS, now, worker)
        self.connection.call("ZREMRANGEBYSCORE", WORKERS, "-inf", now - _FORGET_AFTER)

    def retire(self, worker: str) -> None:
        """Say that `worker` stopped of its own accord."""
        self.connection.call("ZREM", WORKERS, worker)

    def youngest_beat(self) -> int | None:
        """Return when a worker was last heard of, or None."""
        found = self.connection.call("ZRANGE", WORKERS, 0, 0, "REV", "WITHSCORES")
        return int(float(found[1])) if found else None

    def workers(self) -> dict[str, int]:
        """Return when each worker was last heard of."""
        found = self.connection.call("ZRANGE", WORKERS, 0, -1, "WITHSCORES")
        return {name: int(float(at)) for name, at in zip(found[::2], found[1::2], strict=True)}

    def backlogs(self, integrations: Iterable[str]) -> list[Backlog]:
        """Return how each of `integrations` stands."""
        return [self._backlog(name) for name in integrations]

    def _backlog(self, name: str) -> Backlog:
        found = self.connection.run("backlog", key(name, "queue"), [0])
        pending, oldest, retrying, dead, rejections, parked, lookups, virima_parked = found
        return Backlog(
            integration=name,
            pending=pending,
            oldest=time_of(oldest) if oldest else None,
            retrying=retrying,
            dead=dead,
            rejections=rejections,
            parked=parked or None,
            lookups=lookups,
            virima_parked=virima_parked or None,
        )
