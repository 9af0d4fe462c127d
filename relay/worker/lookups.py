"""The use case: look up in Virima who resolved a ticket, after its delivery was accepted and without delaying it.

Lookups have their own threads; they share only Redis with the deliveries. One process at a time asks for a person, and all
processes use the result for a while.
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
from relay.virima.lookup import Lookup, LookupOutcome, LookupResult
from relay.virima.lookup_reasons import LookupReason

_LOG = logging.getLogger("relay.virima")

#: Lookups in one take, and concurrent calls for one integration in a process: a slow Virima leaves room for others.
_TAKE_LIMIT, CALLS_AT_ONCE = 20, 2
#: Maximum time between two takes from one queue (seconds).
_TAKE_EVERY = 0.5
#: Maximum number of calls in a lookup, and how much longer than these calls its lease lasts (seconds).
_MAX_CALLS, _LEASE_MARGIN = 7, 10.0
#: Wait before the next try while another process asks for the person, and after a failure (ms).
_AGAIN_AFTER, _AGAIN_AFTER_FAILURE = 300, 1_000
#: Failures in a row that park an integration's lookups.
_FAILURES_TO_PARK = 5

#: The audit record of a lookup that failed because of a bug in the relay.
_BUG = {"outcome": "failed", "reason": "bug", "status": None, "duration_ms": 0, "user": None, "cached": False}


@dataclass(slots=True)
class LookupLane:
    """One integration's lookups in this process."""

    integration: str
    mode: Literal["impersonate", "session"]
    lookup: Lookup
    queue: LookupQueue
    #: How long a result is used again (seconds).
    cache: float
    #: Maximum duration of one call (seconds).
    timeout: float
    #: Calls in progress.
    calls: int = 0
    #: When to take lookups next (monotonic seconds).
    due_at: float = 0.0

    @property
    def lease(self) -> int:
        """How long a process leases a lookup (ms)."""
        return int((_MAX_CALLS * self.timeout + _LEASE_MARGIN) * 1000)

    def email_of(self, wanted: LookupAssignment) -> str:
        """Return the email to ask for; empty in mode `session`, which asks for the service account."""
        return wanted.resolved_by.strip() if self.mode == "impersonate" else ""


class Lookups:
    """Looks up the resolvers of all integrations that have a `virima` block."""

    def __init__(self, lanes: Collection[LookupLane], pool: Executor, clock: Clock) -> None:
        self._lanes = lanes
        self._pool = pool
        self._clock = clock
        self._counting = threading.Lock()
        self._has_room = threading.Event()

    def replace_lanes(self, lanes: Collection[LookupLane]) -> None:
        """Use `lanes` from now on. Safe in any thread; lookups in progress finish on the lane that they began with."""
        self._lanes = lanes

    def close(self, *, within: float) -> None:
        """Log the service accounts out, as far as Virima allows that `within` these seconds."""
        ending = [threading.Thread(target=lane.lookup.close, daemon=True) for lane in self._lanes]
        for thread in ending:
            thread.start()
        deadline = self._clock.monotonic() + within
        for thread in ending:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Look up in background threads until `stopping` is set. Another process repeats the lookups in progress then."""
        return every(_TAKE_EVERY, self.turn, name="lookups", stopping=stopping, wake_up=self._has_room)

    def turn(self) -> None:
        """Take the lookups that are due, and begin them. Raises StoreUnavailableError."""
        for lane in self._lanes:
            contain(partial(self._begin_due, lane), partial(self._pause, lane), what=f"lookups for {lane.integration}")

    def _begin_due(self, lane: LookupLane) -> None:
        while lane.calls < CALLS_AT_ONCE and self._clock.monotonic() >= lane.due_at:
            if not self._take(lane):
                break

    def _pause(self, lane: LookupLane) -> None:
        lane.due_at = self._clock.monotonic() + _TAKE_EVERY

    def _take(self, lane: LookupLane) -> bool:
        """Take some lookups and begin them. Return whether more can be taken now."""
        now = self._clock.now_ms()
        taken, again = lane.queue.take(_TAKE_LIMIT, lease=lane.lease, now=now)
        if not taken:
            wait = _TAKE_EVERY if again is None else min(_TAKE_EVERY, max(0.0, (again - now) / 1000))
            lane.due_at = self._clock.monotonic() + wait
        by_email: dict[str, list[LookupAssignment]] = defaultdict(list)
        for wanted in taken:
            by_email[lane.email_of(wanted)].append(wanted)
        room = CALLS_AT_ONCE - lane.calls
        for email, group in by_email.items():
            room -= self._begin(lane, email, group, has_room=room > 0)
        return len(taken) == _TAKE_LIMIT and room > 0

    def _begin(self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], *, has_room: bool) -> bool:
        """Settle a group of lookups from the cache, or ask Virima, or put it back. Return whether Virima is asked."""
        known = lane.queue.known(lane.mode, email)
        if known is not None:
            self._settle_from_cache(lane, group, known)
            return False
        owner = lane.queue.lock(lane.mode, email, for_ms=lane.lease) if has_room else None
        if owner is None:
            again = self._clock.now_ms() + (_AGAIN_AFTER if has_room else 0)
            self._settle(lane, [LookupSettlement(wanted, again=again) for wanted in group])
            return False
        if (known := lane.queue.known(lane.mode, email)) is not None:
            # Another process has found it between the first read of the cache and the lock.
            lane.queue.unlock(lane.mode, email, owner)
            self._settle_from_cache(lane, group, known)
            return False
        self._count(lane, 1)
        self._pool.submit(self._ask, lane, email, group, owner)
        return True

    def _ask(self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], owner: str) -> None:
        """Ask Virima, in a thread of the pool."""

        def ask() -> None:
            result = lane.lookup.look_up(email)
            metrics.LOOKUP_SECONDS.labels(lane.integration).observe(result.duration_ms / 1000)
            self._settle_result(lane, email, group, result)

        def record_bug() -> None:
            bug = _BUG | {"lookup": lane.mode, "email": email or None}
            self._settle(lane, [LookupSettlement(wanted, bug) for wanted in group])

        try:
            contain(ask, record_bug, what=f"a lookup for {lane.integration}")
        except StoreUnavailableError:
            log(_LOG, logging.WARNING, "Redis is unavailable: a lookup will be repeated", integration=lane.integration)
        finally:
            self._count(lane, -1)
            with suppress(StoreUnavailableError):
                lane.queue.unlock(lane.mode, email, owner)
            lane.due_at = 0.0
            self._has_room.set()

    def _settle_result(
        self, lane: LookupLane, email: str, group: Sequence[LookupAssignment], result: LookupResult
    ) -> None:
        """Settle the first lookup of a group with the result. The others get it from the cache, or try again after a failure."""
        first, *rest = group
        found = {"lookup": lane.mode, "email": email or None, **result.as_json()}
        if result.outcome is LookupOutcome.FAILED or (result.reason and result.reason.row.parks == "at_once"):
            again = self._clock.now_ms() + _AGAIN_AFTER_FAILURE
            others = [LookupSettlement(wanted, again=again) for wanted in rest]
        else:
            lane.queue.remember(lane.mode, email, found, for_ms=int(lane.cache * 1000))
            others = [LookupSettlement(wanted, _from_cache(lane, wanted, found)) for wanted in rest]
        settlement = LookupSettlement(first, {**found, "cached": False}, parking=_parking(result.reason))
        self._settle(lane, [settlement, *others])

    def _settle_from_cache(self, lane: LookupLane, group: Sequence[LookupAssignment], known: dict[str, Any]) -> None:
        self._settle(lane, [LookupSettlement(wanted, _from_cache(lane, wanted, known)) for wanted in group])

    def _settle(self, lane: LookupLane, settlements: Sequence[LookupSettlement]) -> None:
        settled = lane.queue.settle(settlements, failures=_FAILURES_TO_PARK, now=self._clock.now_ms())
        for settlement, has_lease in zip(settlements, settled, strict=True):
            if settlement.record is not None and has_lease:
                _report(lane, settlement.wanted, settlement.record)

    def _count(self, lane: LookupLane, change: int) -> None:
        with self._counting:
            lane.calls += change


def _report(lane: LookupLane, wanted: LookupAssignment, record: dict[str, Any]) -> None:
    """Log and count a finished lookup."""
    metrics.LOOKUPS.labels(lane.integration, record["outcome"], str(record["cached"]).lower()).inc()
    log(
        _LOG,
        logging.WARNING if record["outcome"] == "failed" else logging.INFO,
        "lookup",
        integration=lane.integration,
        delivery_id=wanted.id,
        outcome=record["outcome"],
        reason=record["reason"],
        http_status=record["status"],
        cached=record["cached"],
        duration_ms=record["duration_ms"],
    )


def _from_cache(lane: LookupLane, wanted: LookupAssignment, known: dict[str, Any]) -> dict[str, Any]:
    """Return the audit record of a lookup that got an earlier result."""
    email = lane.email_of(wanted) if lane.mode == "impersonate" else None
    return {**known, "email": email, "status": None, "duration_ms": 0, "cached": True}


def _parking(reason: LookupReason | None) -> LookupParking | None:
    """Return how a failure with `reason` parks the lookups, or None if it does not."""
    if reason is None or reason.row.parks == "never":
        return None
    probes = reason.row.probes
    return LookupParking(
        reason.parks_as,
        at_once=reason.row.parks == "at_once",
        probe_first=int(probes.first * 1000),
        probe_most=int(probes.most * 1000),
    )
