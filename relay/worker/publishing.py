"""The use case: tell IEM of the relay itself, as `publish:` of a mapping asks: topology, events, heartbeat, metrics.

Beside delivering, by threads and connections of its own: nothing that goes wrong here touches a delivery. Of all processes one
tells of an integration. What IEM was told, and how long to leave it alone after it refused, is in Redis: another one goes on.
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
from relay.core.integration_health import IntegrationHealth, Known, Notice
from relay.core.outcomes import Delivered, Park
from relay.core.reasons import Reason
from relay.errors import StoreUnavailableError
from relay.iem import reports
from relay.iem.publish_bodies import Publication
from relay.iem.reports import Subject
from relay.iem.service import Attempt
from relay.logs import log
from relay.store.publication_store import PublicationState
from relay.worker.publications import (
    REFUSED_MOST,
    PublicationKind,
    PublishingLane,
    done_with,
    known_problems,
    messages,
    put_off,
)

_LOG = logging.getLogger("relay.publisher")

#: How often it is looked whether somebody is due (seconds).
_TURN_EVERY = 1.0
#: How often who tells looks how the integration stands, and others whether nobody tells any more (seconds).
_LOOK_EVERY, _OTHERS_EVERY, _AFTER_A_BUG = 5.0, 10.0, 300.0
#: The right to tell outlives the slowest turn by this (seconds).
_LEASE_MARGIN = 15.0


class Publisher:
    """Tells IEM what is new of each lane's integration. `turn` is called by one thread."""

    def __init__(self, owner: str, lanes: Collection[PublishingLane], pool: Executor, clock: Clock) -> None:
        """`owner`: a name of this process that no other one has."""
        self._owner = owner
        self._lanes = {lane.name: lane for lane in lanes}
        #: Lanes that were replaced or are gone, until they have taken leave.
        self._leaving: list[PublishingLane] = []
        self._pool = pool
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._look_at: dict[str, float] = {}
        #: Whose topology this process has told.
        self._introduced: set[Subject] = set()

    def change(self, lanes: Collection[PublishingLane], gone: Collection[str]) -> None:
        """Tell by `lanes` from now on, for their integrations, and no more of those `gone`. Safe in any thread."""
        with self._lock:
            for name in {*gone, *(lane.name for lane in lanes)}:
                if old := self._lanes.pop(name, None):
                    self._leaving.append(old)
                self._look_at.pop(name, None)
            self._lanes.update((lane.name, lane) for lane in lanes)

    def start(self, stopping: threading.Event) -> None:
        """Publish in background threads until `stopping` is set."""
        every(_TURN_EVERY, self.turn, name="publisher", stopping=stopping)

    def turn(self) -> None:
        """Have everybody told of who is due, and whom nobody tells of at this moment."""
        now = self._clock.monotonic()
        with self._lock:
            due = [lane for lane in self._leaving if lane.name not in self._busy]
            leaving = {lane.name for lane in self._leaving}
            due += [
                lane
                for name, lane in self._lanes.items()
                if name not in self._busy | leaving and now >= self._look_at.get(name, 0.0)
            ]
        for lane in due:
            self._begin(lane)

    def close(self) -> None:
        """Let other processes tell at once."""
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
        except RuntimeError:  # no thread to be had: at the next turn
            self._busy.discard(lane.name)

    def _visit(self, lane: PublishingLane, *, is_leaving: bool) -> None:
        wait = _LOOK_EVERY
        visit = partial(self._take_leave if is_leaving else self._tell, lane)
        try:
            wait = contain(visit, lambda: _AFTER_A_BUG, what=f"publishing to IEM for {lane.name}")
        except StoreUnavailableError:
            pass  # the delivery loop logs that Redis is away
        finally:
            with self._lock:
                self._look_at[lane.name] = self._clock.monotonic() + wait
                if is_leaving:
                    self._leaving.remove(lane)
                self._busy.discard(lane.name)

    def _look(self, lane: PublishingLane) -> PublicationState | None:
        lease = int((lane.longest_turn + _LEASE_MARGIN) * 1000)
        return lane.store.look(self._owner, for_ms=lease, now=self._clock.now_ms())

    def _tell(self, lane: PublishingLane) -> float:
        """Do the duties that are due; return when to look again (seconds)."""
        look = self._look(lane)
        if look is None:
            return _OTHERS_EVERY
        if look.health.parked == Reason.WRONG_CREDENTIALS:
            return _LOOK_EVERY  # one more asker would help to lock the account
        memory = self._memory(lane, look)
        for duty in PublicationKind:
            if self._is_due(lane, duty, memory, look.health.at) and not self._do(lane, duty, look.health, memory):
                break
        return _LOOK_EVERY

    def _memory(self, lane: PublishingLane, look: PublicationState) -> Mapping[str, str]:
        """Return what IEM was told, of this customer; what held it up is forgotten when that may be mended.

        It may be when the account is another one, or when a delivery got through since.
        """
        memory, changes = dict(look.memory), {}
        told_of = {"customer": lane.subject.customer_id, "config": lane.config}
        if memory.get("customer", lane.subject.customer_id) != lane.subject.customer_id:
            changes = dict.fromkeys(memory, "")
        locked = memory.get("locked")
        is_mended = locked is not None and look.health.counts.delivered > int(locked)
        if is_mended or memory.get("config", lane.config) != lane.config:
            held_up = {name.removesuffix(":wait") for name in memory if name.endswith(":wait")}
            changes |= {"locked": "", **{f"{one}:{what}": "" for one in held_up for what in ("next", "wait")}}
        if changes or not told_of.items() <= memory.items():
            changes |= told_of
            lane.store.remember(self._owner, changes, now=look.health.at)
        return {name: text for name, text in {**memory, **changes}.items() if text}

    def _is_due(self, lane: PublishingLane, duty: PublicationKind, memory: Mapping[str, str], at: int) -> bool:
        interval = lane.interval(duty)
        if interval is None:
            return False
        if duty is PublicationKind.TOPOLOGY and lane.subject not in self._introduced and f"{duty}:wait" not in memory:
            return True
        # A clock that was set back must not keep a duty waiting for longer than it ever may.
        ahead = int(memory.get(f"{duty}:next", "0")) - at
        return ahead <= 0 or ahead > 1000 * max(interval, REFUSED_MOST)

    def _do(
        self, lane: PublishingLane, duty: PublicationKind, now: IntegrationHealth, memory: Mapping[str, str]
    ) -> bool:
        """Do one duty; False where no other one would fare better."""
        done, has_told = done_with(lane, duty, now), False
        for publication, body, changes in messages(lane, duty, now, memory):
            if self._look(lane) is None:
                return False
            attempt = lane.service.publish(publication, body)
            self._count(lane, publication, attempt)
            if not isinstance(attempt.outcome, Delivered):
                # Half of the metrics is not told twice: the rest comes with the next ones.
                is_half_done = duty is PublicationKind.METRICS and has_told
                left = done if is_half_done else put_off(lane, duty, attempt.outcome, memory, now)
                lane.store.remember(self._owner, left, now=now.at)
                self._tell_log(lane, duty, attempt, memory)
                return attempt.outcome != Park(Reason.WRONG_CREDENTIALS)
            has_told = True
            lane.store.remember(self._owner, changes, now=now.at)
        if duty is PublicationKind.TOPOLOGY:
            self._introduced.add(lane.subject)
        if (has_told and duty is not PublicationKind.EVENTS) or f"{duty}:wait" in memory:
            lane.store.remember(self._owner, done, now=now.at)
        return True

    def _count(self, lane: PublishingLane, publication: Publication, attempt: Attempt) -> None:
        outcome = "published" if isinstance(attempt.outcome, Delivered) else str(attempt.outcome.reason)
        metrics.PUBLICATIONS.labels(lane.name, publication, outcome).inc()

    def _tell_log(
        self, lane: PublishingLane, duty: PublicationKind, attempt: Attempt, memory: Mapping[str, str]
    ) -> None:
        assert not isinstance(attempt.outcome, Delivered)
        if f"{duty}:wait" in memory:
            return  # told when it began
        log(
            _LOG,
            logging.WARNING,
            "publishing to IEM fails: it is tried again, and deliveries go on",
            integration=lane.name,
            what=duty,
            reason=attempt.outcome.reason,
            http_status=attempt.answer.status,
            fault=attempt.answer.fault,
        )

    def _take_leave(self, lane: PublishingLane) -> float:
        """Tell a customer, of whom nothing will be told any more, that what is open is over; then close the connections."""
        try:
            with self._lock:
                successor = self._lanes.get(lane.name)
            if successor and successor.subject.customer_id == lane.subject.customer_id:
                return 0.0
            if look := self._look(lane):
                for problem, known in known_problems(look.memory).items():
                    if not known.is_over:
                        over = Known(known.since, look.health.at, known.detail, is_over=True)
                        notice = Notice(problem, "the relay tells no more of this integration", over)
                        lane.service.publish(Publication.EVENTS, reports.event(lane.subject, notice, look.health.at))
                lane.store.remember(self._owner, dict.fromkeys(look.memory, ""), now=look.health.at)
                lane.store.leave(self._owner, now=look.health.at)
            return 0.0
        finally:
            lane.service.close()
