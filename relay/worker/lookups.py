"""The use case: look up in Virima who resolved a ticket; after its delivery was accepted, and never in its way.

A thread of its own takes what waits, a pool of its own asks Virima; deliveries share nothing with them but the store. One person
is asked for by one process at a time, and what was found answers for everybody else for a while.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from relay import metrics
from relay.clock import Clock, contain, every
from relay.errors import StoreUnavailableError
from relay.logs import log
from relay.store.lookup_queue import LookupAssignment, LookupParking, LookupQueue, LookupSettlement
from relay.virima.lookup import Lookup, LookupResult, Outcome
from relay.virima.results import LookupReason

_LOG = logging.getLogger("relay.virima")

#: Lookups that are taken at a time, and calls under way for one integration in a process: a slow Virima leaves room for others.
_TAKEN_AT_ONCE, CALLS_AT_ONCE = 20, 2
#: How often it is looked whether something waits (seconds).
_LOOK_EVERY = 0.5
#: A lookup makes at most so many calls; the lease on it outlives them by so much (seconds).
_MOST_CALLS, _LEASE_MARGIN = 7, 10.0
#: Somebody else is at it: try again after this (ms); and after a failure (ms).
_AGAIN_AFTER, _AGAIN_AFTER_FAILURE = 300, 1_000
#: Failures in a row that park an integration's lookups.
_FAILURES_TO_PARK = 5

#: What the trail tells where the relay itself is at fault.
_BUG = {"outcome": "failed", "reason": "bug", "status": None, "duration_ms": 0, "user": None, "cached": False}
_SECOND, _MINUTE = 1_000, 60_000
#: What says that no lookup can succeed until somebody mends something: one is enough.
_REFUSALS = {
    LookupReason.WRONG_CREDENTIALS: (5 * _MINUTE, 60 * _MINUTE),
    LookupReason.SERVICE_ACCOUNT_MFA: (5 * _MINUTE, 60 * _MINUTE),
    LookupReason.WRONG_URL: (30 * _SECOND, 15 * _MINUTE),
    LookupReason.REDIRECTED: (30 * _SECOND, 15 * _MINUTE),
}
#: What parks when it comes five times in a row: Virima is down, or does not let the account impersonate anybody.
_IN_A_ROW = {
    LookupReason.UNREACHABLE: ("down", 5 * _SECOND, 5 * _MINUTE),
    LookupReason.SERVER_ERROR: ("down", 5 * _SECOND, 5 * _MINUTE),
    LookupReason.RATE_LIMITED: ("down", 5 * _SECOND, 5 * _MINUTE),
    LookupReason.UNEXPECTED_ANSWER: ("down", 5 * _SECOND, 5 * _MINUTE),
    LookupReason.INCOMPLETE_ANSWER: ("down", 5 * _SECOND, 5 * _MINUTE),
    LookupReason.REFUSED: ("refused", 30 * _SECOND, 15 * _MINUTE),
}


@dataclass(slots=True)
class LookupLane:
    """One integration's lookups in this process."""

    integration: str
    mode: Literal["impersonate", "session"]
    lookup: Lookup
    queue: LookupQueue
    #: Seconds: for how long what was found is kept, and how long one call may take.
    cache: float
    timeout: float
    calls: int = 0
    #: When to look for more (monotonic seconds).
    look_at: float = 0.0

    @property
    def lease(self) -> int:
        """For how long a lookup is lent (ms)."""
        return int((_MOST_CALLS * self.timeout + _LEASE_MARGIN) * 1000)


class Lookups:
    """Looks up what waits, for all integrations that have a `virima` block."""

    def __init__(self, lanes: Collection[LookupLane], pool: Executor, clock: Clock) -> None:
        self._lanes = lanes
        self._pool = pool
        self._clock = clock
        self._counting = threading.Lock()
        self._has_room = threading.Event()

    def replace(self, lanes: Collection[LookupLane]) -> None:
        """Look up by `lanes` from now on. Safe in any thread; what is under way ends as it began."""
        self._lanes = lanes

    def close(self, *, within: float) -> None:
        """Log the service accounts out, as far as Virima lets us `within` so many seconds."""
        ending = [threading.Thread(target=lane.lookup.close, daemon=True) for lane in self._lanes]
        for thread in ending:
            thread.start()
        deadline = self._clock.monotonic() + within
        for thread in ending:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Look up in background threads until `stopping` is set. Another process repeats the lookups in progress then."""
        return every(_LOOK_EVERY, self.turn, name="lookups", stopping=stopping, wake_up=self._has_room)

    def turn(self) -> None:
        """Take what waits and may be asked for now. Raises StoreUnavailableError."""
        for lane in self._lanes:
            contain(partial(self._begin_due, lane), partial(self._pause, lane), what=f"lookups for {lane.integration}")

    def _begin_due(self, lane: LookupLane) -> None:
        while lane.calls < CALLS_AT_ONCE and self._clock.monotonic() >= lane.look_at:
            if not self._take(lane):
                break

    def _pause(self, lane: LookupLane) -> None:
        lane.look_at = self._clock.monotonic() + _LOOK_EVERY

    def _take(self, lane: LookupLane) -> bool:
        """Take some lookups; False where no more are to be had now."""
        now = self._clock.now_ms()
        wanted, again = lane.queue.take(_TAKEN_AT_ONCE, lease=lane.lease, now=now)
        if not wanted:
            wait = _LOOK_EVERY if again is None else min(_LOOK_EVERY, max(0.0, (again - now) / 1000))
            lane.look_at = self._clock.monotonic() + wait
        by_email: dict[str, list[LookupAssignment]] = defaultdict(list)
        for one in wanted:
            by_email[self._asked_for(lane, one)].append(one)
        room = CALLS_AT_ONCE - lane.calls
        for email, group in by_email.items():
            room -= self._begin(lane, email, group, has_room=room > 0)
        return len(wanted) == _TAKEN_AT_ONCE and room > 0

    def _asked_for(self, lane: LookupLane, wanted: LookupAssignment) -> str:
        return wanted.resolved_by.strip() if lane.mode == "impersonate" else ""

    def _begin(self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], *, has_room: bool) -> bool:
        """Settle a group by what is known of its email, or have it asked for; True for that. Else it goes back and waits."""
        known = lane.queue.known(lane.mode, email)
        if known is not None:
            self._settle_as_known(lane, group, known)
            return False
        owner = lane.queue.lock(lane.mode, email, for_ms=lane.lease) if has_room else None
        if owner is None:
            again = self._clock.now_ms() + (_AGAIN_AFTER if has_room else 0)
            self._settle(lane, [LookupSettlement(one, again=again) for one in group])
            return False
        if (known := lane.queue.known(lane.mode, email)) is not None:
            # Somebody else found it out between that look and the lock.
            lane.queue.unlock(lane.mode, email, owner)
            self._settle_as_known(lane, group, known)
            return False
        self._count(lane, 1)
        self._pool.submit(self._ask, lane, email, group, owner)
        return True

    def _ask(self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], owner: str) -> None:
        def ask() -> None:
            result = lane.lookup.look_up(email)
            metrics.LOOKUP_SECONDS.labels(lane.integration).observe(result.duration_ms / 1000)
            self._write_down(lane, email, group, result)

        def record_bug() -> None:
            bug = _BUG | {"lookup": lane.mode, "email": email or None}
            self._settle(lane, [LookupSettlement(wanted, bug) for wanted in group])

        try:
            contain(ask, record_bug, what=f"a lookup for {lane.integration}")
        except StoreUnavailableError:
            log(_LOG, logging.WARNING, "Redis is away: a lookup is made again", integration=lane.integration)
        finally:
            self._count(lane, -1)
            with suppress(StoreUnavailableError):
                lane.queue.unlock(lane.mode, email, owner)
            lane.look_at = 0.0
            self._has_room.set()

    def _write_down(
        self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], result: LookupResult
    ) -> None:
        """Leave the record of the one that was asked for; the rest of its group is answered by it, or asked for again."""
        first, *rest = group
        found = {"lookup": lane.mode, "email": email or None, **result.as_json()}
        if result.outcome is Outcome.FAILED or result.reason in _REFUSALS:
            again = self._clock.now_ms() + _AGAIN_AFTER_FAILURE
            others = [LookupSettlement(one, again=again) for one in rest]
        else:
            lane.queue.remember(lane.mode, email, found, for_ms=int(lane.cache * 1000))
            others = [LookupSettlement(one, _cached(lane, one, found)) for one in rest]
        self._settle(
            lane, [LookupSettlement(first, {**found, "cached": False}, parking=_parking(result.reason)), *others]
        )

    def _settle_as_known(self, lane: LookupLane, group: Sequence[LookupAssignment], known: dict[str, Any]) -> None:
        self._settle(lane, [LookupSettlement(one, _cached(lane, one, known)) for one in group])

    def _settle(self, lane: LookupLane, results: Sequence[LookupSettlement]) -> None:
        written = lane.queue.settle(results, failures=_FAILURES_TO_PARK, now=self._clock.now_ms())
        for result, is_ours in zip(results, written, strict=True):
            if result.record is None or not is_ours:
                continue
            record = result.record
            metrics.LOOKUPS.labels(lane.integration, record["outcome"], str(record["cached"]).lower()).inc()
            log(
                _LOG,
                logging.WARNING if record["outcome"] == "failed" else logging.INFO,
                "lookup",
                integration=lane.integration,
                delivery_id=result.wanted.id,
                outcome=record["outcome"],
                reason=record["reason"],
                http_status=record["status"],
                cached=record["cached"],
                duration_ms=record["duration_ms"],
            )

    def _count(self, lane: LookupLane, change: int) -> None:
        with self._counting:
            lane.calls += change


def _cached(lane: LookupLane, wanted: LookupAssignment, found: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a lookup that was answered by what an earlier one found."""
    email = wanted.resolved_by.strip() if lane.mode == "impersonate" else None
    return {**found, "email": email, "status": None, "duration_ms": 0, "cached": True}


def _parking(reason: LookupReason | None) -> LookupParking | None:
    if reason in _REFUSALS:
        first, most = _REFUSALS[reason]
        return LookupParking(reason.value, at_once=True, probe_first=first, probe_most=most)
    if reason in _IN_A_ROW:
        name, first, most = _IN_A_ROW[reason]
        return LookupParking(name, at_once=False, probe_first=first, probe_most=most)
    return None
