"""The use case: publish the relay's own health to IEM, as a mapping's `publish` block asks.

It has its own threads and connections, so that no failure here affects a delivery. For each integration one process publishes
at a time. What was published, and when to try again after a failure, is in Redis, so that another process can continue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial

from relay import metrics
from relay.clock import Clock, contain, every
from relay.core.integration_health import IntegrationHealth, ProblemNotice, ReportedProblem
from relay.core.outcomes import Delivered, Park
from relay.core.reasons import Reason
from relay.errors import StoreUnavailableError
from relay.iem import reports
from relay.iem.publish_bodies import Publication
from relay.iem.reports import ReportSubject
from relay.iem.service import Attempt
from relay.logs import log
from relay.store.publication_store import PublicationState
from relay.worker.publication_plan import (
    REFUSED_MAX,
    PublicationKind,
    PublishingLane,
    after_failure,
    after_success,
    messages,
    reported_problems,
)

_LOG = logging.getLogger("relay.publisher")

#: Interval of `turn` (seconds).
_TURN_EVERY = 1.0
#: Poll interval of the publishing process, of the standby processes, and after a bug (seconds).
_POLL_EVERY, _STANDBY_EVERY, _AFTER_BUG = 5.0, 10.0, 300.0
#: How much longer than the slowest call the lease on publishing lasts (seconds).
_LEASE_MARGIN = 15.0


class Publisher:
    """Publishes what is new about each lane's integration. One thread calls `turn`."""

    def __init__(self, owner: str, lanes: Collection[PublishingLane], pool: Executor, clock: Clock) -> None:
        """`owner`: the unique name of this process."""
        self._owner = owner
        self._lanes = {lane.name: lane for lane in lanes}
        #: Lanes that were replaced or removed, until they are closed.
        self._leaving: list[PublishingLane] = []
        self._pool = pool
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        #: By integration (monotonic seconds).
        self._due_at: dict[str, float] = {}
        #: The integrations whose topology this process has published.
        self._introduced: set[ReportSubject] = set()

    def update_lanes(self, changed: Collection[PublishingLane], removed: Collection[str]) -> None:
        """Use the lanes `changed` for their integrations, and stop publishing for those `removed`. Safe in any thread."""
        with self._lock:
            for name in {*removed, *(lane.name for lane in changed)}:
                if lane := self._lanes.pop(name, None):
                    self._leaving.append(lane)
                self._due_at.pop(name, None)
            self._lanes.update((lane.name, lane) for lane in changed)

    def start(self, stopping: threading.Event) -> None:
        """Publish in background threads until `stopping` is set."""
        every(_TURN_EVERY, self.turn, name="publisher", stopping=stopping)

    def turn(self) -> None:
        """Begin to publish for the integrations that are due."""
        now = self._clock.monotonic()
        with self._lock:
            due = [lane for lane in self._leaving if lane.name not in self._busy]
            leaving = {lane.name for lane in self._leaving}
            due += [
                lane
                for name, lane in self._lanes.items()
                if name not in self._busy | leaving and now >= self._due_at.get(name, 0.0)
            ]
        for lane in due:
            self._begin(lane)

    def close(self) -> None:
        """Give up the leases, so that other processes can publish at once."""
        for lane in self._lanes.values():
            with suppress(StoreUnavailableError):
                lane.store.leave(self._owner, now=self._clock.now_ms())

    def _begin(self, lane: PublishingLane) -> None:
        with self._lock:
            if lane.name in self._busy:
                return
            self._busy.add(lane.name)
            is_leaving = lane in self._leaving
        try:
            self._pool.submit(self._visit, lane, is_leaving=is_leaving)
        except RuntimeError:  # no thread could be started: in the next turn
            self._busy.discard(lane.name)

    def _visit(self, lane: PublishingLane, *, is_leaving: bool) -> None:
        wait = _POLL_EVERY
        visit = partial(self._leave if is_leaving else self._publish_due, lane)
        try:
            wait = contain(visit, lambda: _AFTER_BUG, what=f"publishing to IEM for {lane.name}")
        except StoreUnavailableError:
            pass  # the delivery loop logs that Redis is unavailable
        finally:
            with self._lock:
                self._due_at[lane.name] = self._clock.monotonic() + wait
                if is_leaving:
                    self._leaving.remove(lane)
                self._busy.discard(lane.name)

    def _lease(self, lane: PublishingLane) -> PublicationState | None:
        """Take or extend the lease, and return the state; None if another process has the lease."""
        lease = int((lane.longest_turn + _LEASE_MARGIN) * 1000)
        return lane.store.look(self._owner, for_ms=lease, now=self._clock.now_ms())

    def _publish_due(self, lane: PublishingLane) -> float:
        """Publish the kinds that are due. Return the wait until the next check (seconds)."""
        state = self._lease(lane)
        if state is None:
            return _STANDBY_EVERY
        if state.health.parked == Reason.WRONG_CREDENTIALS:
            return _POLL_EVERY  # more attempts could lock the account
        memory = self._current_memory(lane, state)
        for kind in PublicationKind:
            if self._is_due(lane, kind, memory, state.health.at) and not self._publish(
                lane, kind, state.health, memory
            ):
                break
        return _POLL_EVERY

    def _current_memory(self, lane: PublishingLane, state: PublicationState) -> Mapping[str, str]:
        """Return what was published for the customer, without waits that may no longer be needed.

        A wait is no longer needed if the account has changed, or if a delivery has succeeded since.
        """
        memory, changes = dict(state.memory), {}
        current = {"customer": lane.subject.customer_id, "config": lane.config}
        if memory.get("customer", lane.subject.customer_id) != lane.subject.customer_id:
            changes = dict.fromkeys(memory, "")
        locked = memory.get("locked")
        is_unlocked = locked is not None and state.health.counts.delivered > int(locked)
        if is_unlocked or memory.get("config", lane.config) != lane.config:
            delayed = {name.removesuffix(":wait") for name in memory if name.endswith(":wait")}
            changes |= {"locked": "", **{f"{kind}:{field}": "" for kind in delayed for field in ("next", "wait")}}
        if changes or not current.items() <= memory.items():
            changes |= current
            lane.store.remember(self._owner, changes, now=state.health.at)
        return {name: text for name, text in {**memory, **changes}.items() if text}

    def _is_due(self, lane: PublishingLane, kind: PublicationKind, memory: Mapping[str, str], at: int) -> bool:
        interval = lane.interval(kind)
        if interval is None:
            return False
        if kind is PublicationKind.TOPOLOGY and lane.subject not in self._introduced and f"{kind}:wait" not in memory:
            return True
        # After a clock was set back, no kind waits longer than its maximum.
        ahead = int(memory.get(f"{kind}:next", "0")) - at
        return ahead <= 0 or ahead > 1000 * max(interval, REFUSED_MAX)

    def _publish(
        self, lane: PublishingLane, kind: PublicationKind, health: IntegrationHealth, memory: Mapping[str, str]
    ) -> bool:
        """Publish the messages of one kind. Return False if the other kinds would fail as well."""
        success, has_published = after_success(lane, kind, health), False
        for publication, body, changes in messages(lane, kind, health, memory):
            if self._lease(lane) is None:
                return False
            attempt = lane.service.publish(publication, body)
            self._count(lane, publication, attempt)
            if not isinstance(attempt.outcome, Delivered):
                # Metrics that IEM has accepted are not repeated: the rest follows with the next ones.
                is_partly_published = kind is PublicationKind.METRICS and has_published
                failure = after_failure(lane, kind, attempt.outcome, memory, health)
                lane.store.remember(self._owner, success if is_partly_published else failure, now=health.at)
                self._log_failure(lane, kind, attempt, memory)
                return attempt.outcome != Park(Reason.WRONG_CREDENTIALS)
            has_published = True
            lane.store.remember(self._owner, changes, now=health.at)
        if kind is PublicationKind.TOPOLOGY:
            self._introduced.add(lane.subject)
        if (has_published and kind is not PublicationKind.EVENTS) or f"{kind}:wait" in memory:
            lane.store.remember(self._owner, success, now=health.at)
        return True

    def _count(self, lane: PublishingLane, publication: Publication, attempt: Attempt) -> None:
        outcome = "published" if isinstance(attempt.outcome, Delivered) else str(attempt.outcome.reason)
        metrics.PUBLICATIONS.labels(lane.name, publication, outcome).inc()

    def _log_failure(
        self, lane: PublishingLane, kind: PublicationKind, attempt: Attempt, memory: Mapping[str, str]
    ) -> None:
        assert not isinstance(attempt.outcome, Delivered)
        if f"{kind}:wait" in memory:
            return  # the first failure was logged
        log(
            _LOG,
            logging.WARNING,
            "publishing to IEM failed and will be tried again; deliveries are not affected",
            integration=lane.name,
            what=kind,
            reason=attempt.outcome.reason,
            http_status=attempt.answer.status,
            fault=attempt.answer.fault,
        )

    def _leave(self, lane: PublishingLane) -> float:
        """End the open events of a customer that will get no more publications, and close the connections."""
        try:
            with self._lock:
                successor = self._lanes.get(lane.name)
            if successor and successor.subject.customer_id == lane.subject.customer_id:
                return 0.0
            if state := self._lease(lane):
                self._end_events(lane, state)
                lane.store.remember(self._owner, dict.fromkeys(state.memory, ""), now=state.health.at)
                lane.store.leave(self._owner, now=state.health.at)
            return 0.0
        finally:
            lane.service.close()

    def _end_events(self, lane: PublishingLane, state: PublicationState) -> None:
        at = state.health.at
        for problem, known in reported_problems(state.memory).items():
            if not known.is_over:
                over = ReportedProblem(known.since, at, known.detail, is_over=True)
                notice = ProblemNotice(problem, "the relay no longer publishes for this integration", over)
                lane.service.publish(Publication.EVENTS, reports.event(lane.subject, notice, at))
