"""One attempt at a delivery, in a thread of the attempt pool: push, and work out what to settle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from relay.clock import Clock, contain
from relay.core.outcomes import IemAnswer, Retry
from relay.core.reasons import Reason
from relay.core.retry import MAX_BUGS, retry_delay
from relay.errors import StoreUnavailableError
from relay.iem.service import Attempt
from relay.store.settlements import Assignment, Settlement
from relay.worker.lanes import Lane


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of one attempt, before it is settled."""

    lane: Lane
    settlement: Settlement
    #: None if the delivery is handed back unattempted.
    attempt: Attempt | None


class AttemptRunner:
    """Makes attempts. The threads of the pool share it."""

    def __init__(self, clock: Clock, chance: Callable[[], float], stopping: threading.Event) -> None:
        """`chance` returns a random number from 0 to 1. Once `stopping` is set, deliveries are handed back unattempted."""
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._chance = chance
        self._stopping = stopping

    def run(self, lane: Lane, assignment: Assignment, deadline: float) -> AttemptResult:
        """Make one attempt before `deadline` (monotonic seconds)."""
        at, began = self._now_ms(), self._monotonic()
        # Handed back at once, so that another worker need not wait until the lease expires.
        attempt = None if self._stopping.is_set() else self._push(lane, assignment, deadline)
        duration = self._monotonic() - began
        return AttemptResult(lane, self._settlement(lane, assignment, attempt, at, duration), attempt)

    def _push(self, lane: Lane, assignment: Assignment, deadline: float) -> Attempt | None:
        try:
            return contain(
                partial(lane.push, assignment, deadline),
                lambda: Attempt(Retry(Reason.BUG), IemAnswer(None, fault="a bug in the relay, see its log")),
                what=f"an attempt; the delivery is given up after {MAX_BUGS} such attempts",
            )
        except StoreUnavailableError:
            return None  # not pushed, or refused for its token

    def _settlement(
        self, lane: Lane, assignment: Assignment, attempt: Attempt | None, at: int, duration: float
    ) -> Settlement:
        outcome = attempt.outcome if attempt else None
        schedule = lane.integration.retry
        retry_after = outcome.retry_after if isinstance(outcome, Retry) else None
        delay = retry_delay(schedule, assignment.tries + 1, retry_after, self._chance())
        return Settlement(
            assignment,
            outcome,
            at=at,
            duration=int(duration * 1000),
            status=attempt.answer.status if attempt else None,
            delay=int(delay * 1000),
            give_up_after=int(schedule.give_up_after * 1000),
        )
