"""The data for readiness and metrics: the heartbeats of the workers, the backlogs, and whether Redis accepts writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.core.ids import id_time
from relay.store.connection import Connection
from relay.store.keys import READINESS_PROBE, WORKERS, key

#: Without a heartbeat for this long (ms), no worker counts as running.
SILENT_AFTER = 15_000
#: A worker without a heartbeat for this long is forgotten (ms).
_FORGET_AFTER = 600_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of one integration. Times in Unix milliseconds."""

    integration: str
    pending: int
    #: When the oldest pending delivery was accepted; None if none is pending.
    oldest: int | None
    retrying: int
    dead: int
    rejections: int
    parked: str | None
    #: Resolvers that wait for their lookup in Virima, and the reason if the lookups are parked.
    lookups: int = 0
    virima_parked: str | None = None


class Heartbeats:
    """Reads and writes heartbeats, and reads backlogs. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def probe_write(self, now: int) -> None:
        """Write something, so that a Redis that accepts no writes (full, or a replica) does not pass as ready."""
        self.connection.call("SET", READINESS_PROBE, now, "PX", 60_000)

    def beat(self, worker: str, now: int) -> None:
        """Record that `worker` makes progress, and forget workers that disappeared long ago."""
        self.connection.write("ZADD", WORKERS, now, worker)
        self.connection.call("ZREMRANGEBYSCORE", WORKERS, "-inf", now - _FORGET_AFTER)

    def retire(self, worker: str) -> None:
        """Record that `worker` has stopped."""
        self.connection.call("ZREM", WORKERS, worker)

    def youngest_beat(self) -> int | None:
        """Return the time of the latest heartbeat of any worker, or None."""
        found = self.connection.call("ZRANGE", WORKERS, 0, 0, "REV", "WITHSCORES")
        return int(float(found[1])) if found else None

    def workers(self) -> dict[str, int]:
        """Return the time of each worker's latest heartbeat."""
        found = self.connection.call("ZRANGE", WORKERS, 0, -1, "WITHSCORES")
        return {name: int(float(at)) for name, at in zip(found[::2], found[1::2], strict=True)}

    def backlogs(self, integrations: Iterable[str]) -> list[Backlog]:
        """Return the backlog of each of `integrations`."""
        return [self._backlog(name) for name in integrations]

    def _backlog(self, name: str) -> Backlog:
        found = self.connection.run("backlog", key(name, "queue"), [0])
        pending, oldest, retrying, dead, rejections, parked, lookups, virima_parked = found
        return Backlog(
            integration=name,
            pending=pending,
            oldest=id_time(oldest) if oldest else None,
            retrying=retrying,
            dead=dead,
            rejections=rejections,
            parked=parked or None,
            lookups=lookups,
            virima_parked=virima_parked or None,
        )
