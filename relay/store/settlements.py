"""The deliveries that a worker takes from the queue, and the results that it writes back after attempts.

`encode_settlement` writes the JSON object that `lua/settle.lua` reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.core.outcomes import Outcome, name_outcome
from relay.store.submissions import encode_object


@dataclass(frozen=True, slots=True)
class Assignment:
    """A delivery that a worker took, with the fence that its settlement must show."""

    integration: str
    id: str
    fence: str
    sys_id: str
    iem_state: int
    #: Counted attempts so far.
    tries: int
    is_probe: bool
    #: Unix milliseconds.
    created_at: int
    number: str
    #: Digest of the IEM configuration that the worker had when it took the delivery.
    config: str


@dataclass(frozen=True, slots=True)
class TakeResult:
    """What `take` found: assignments, the reason if the integration is parked, and when to look again (Unix ms)."""

    assignments: tuple[Assignment, ...]
    parked: str | None
    look_again_at: int | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of an attempt. Times in Unix milliseconds, durations in milliseconds."""

    assignment: Assignment
    #: None: the worker returns the delivery without an attempt.
    outcome: Outcome | None
    at: int = 0
    duration: int = 0
    status: int | None = None
    #: Wait before the next attempt, if there is one.
    delay: int = 0
    give_up_after: int = 0


def encode_settlement(settlement: Settlement) -> str:
    """Return a settlement as the settle script reads it."""
    outcome, reason = name_outcome(settlement.outcome)
    parks_as = reason.parks_as if reason else None
    probes = parks_as.row.probes if parks_as else None
    return encode_object(
        {
            "id": settlement.assignment.id,
            "fence": settlement.assignment.fence,
            "outcome": outcome,
            "reason": reason,
            "speaks_of_iem": True if outcome == "retry" and reason and reason.row.counts_as_down else None,
            "park_as": parks_as,
            "probe_first": int(probes.first * 1000) if probes else None,
            "probe_most": int(probes.most * 1000) if probes else None,
            "probe": True if settlement.assignment.is_probe else None,
            "delay": settlement.delay,
            "give_up_after": settlement.give_up_after,
            "config": settlement.assignment.config,
            "attempt": f"{settlement.at}|{outcome}|{reason or ''}|{settlement.status or ''}|{settlement.duration}",
        }
    )
