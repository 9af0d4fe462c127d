"""An integration's circuit: whether it is parked, why and since when; and what a person does to it."""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.orphan_reasons import OrphanReason
from relay.store.connection import Connection
from relay.store.keys import key


@dataclass(frozen=True, slots=True)
class CircuitState:
    """Times in Unix milliseconds."""

    reason: str
    since: int
    #: None: parked by hand, nothing is tried.
    next_probe_at: int | None
    #: Who parked it, where a person did; and why.
    by: str | None
    why: str | None


class Circuit:
    """Parks and resumes integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, integration: str) -> CircuitState | None:
        """Return how an integration is parked, or None: it flows."""
        names = ("reason", "since", "probe_at", "by_hand", "why")
        reason, since, probe_at, by, why = self._connection.call("HMGET", key(integration, "circuit"), *names)
        if reason is None:
            return None
        return CircuitState(reason, int(float(since or 0)), int(float(probe_at)) if probe_at else None, by, why)

    def park(self, integration: str, *, actor: str, why: str, now: int) -> None:
        """Deliver nothing for an integration until `resume`."""
        self._connection.run("circuit", key(integration, "queue"), [now, "park", actor, why])

    def set_aside(self, integration: str, absence: OrphanReason, *, now: int) -> None:
        """Stop the clocks of an integration that nobody delivers for, until a worker does; no effect where it is parked."""
        self._connection.run("circuit", key(integration, "queue"), [now, "set_aside", "relay", absence])

    def resume(self, integration: str, *, actor: str, why: str, now: int) -> str | None:
        """Let an integration go on: at once where it was parked by hand, else by a probe at once. Returns the reason before."""
        before = self._connection.run("circuit", key(integration, "queue"), [now, "resume", actor, why])
        return before or None
