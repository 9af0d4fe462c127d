"""The circuit of an integration: whether it is parked, why and since when. An operator parks and resumes it here.

The settle and take scripts park, probe and resume it according to IEM's answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.orphan_reasons import OrphanReason
from relay.store.connection import Connection
from relay.store.keys import key


@dataclass(frozen=True, slots=True)
class CircuitState:
    """How an integration is parked. Times in Unix milliseconds."""

    reason: str
    since: int
    #: None: an operator parked it, and nothing is tried.
    next_probe_at: int | None
    #: The operator who parked it, if one did, and the operator's explanation.
    by: str | None
    why: str | None


class Circuit:
    """Parks and resumes integrations. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, integration: str) -> CircuitState | None:
        """Return how an integration is parked, or None if it is not."""
        names = ("reason", "since", "probe_at", "by_hand", "why")
        reason, since, probe_at, by, why = self._connection.call("HMGET", key(integration, "circuit"), *names)
        if reason is None:
            return None
        return CircuitState(reason, int(float(since or 0)), int(float(probe_at)) if probe_at else None, by, why)

    def park(self, integration: str, *, actor: str, why: str, now: int) -> None:
        """Deliver nothing for an integration until `resume`."""
        self._connection.run("circuit", key(integration, "queue"), [now, "park", actor, why])

    def set_aside(self, integration: str, reason: OrphanReason, *, now: int) -> None:
        """Park an integration that no worker delivers for, until a worker takes from it again; no effect if it is parked.

        The time while it is parked does not count towards giving up.
        """
        self._connection.run("circuit", key(integration, "queue"), [now, "set_aside", "relay", reason])

    def resume(self, integration: str, *, actor: str, why: str, now: int) -> str | None:
        """Resume an integration that an operator parked. If IEM's answers parked it, send a probe at once.

        Returns the reason for which it was parked, or None.
        """
        reason = self._connection.run("circuit", key(integration, "queue"), [now, "resume", actor, why])
        return reason or None
