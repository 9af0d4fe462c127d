"""The loop of a worker: take, attempt, settle; drain when it is told to stop.

One thread (the loop) talks to the queues; a pool of threads makes the attempts. They meet at `_events`. Redis being away is
waited out for ever: what was attempted meanwhile is settled when it is back. The clock and the pool come in from outside, so that
a simulation can play every turn of it.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass

from relay import metrics
from relay.clock import Clock
from relay.core.outcomes import IemAnswer, Park, Retry, name_outcome
from relay.core.reasons import Reason
from relay.core.retry import BUGS_TO_DIE, retry_delay
from relay.errors import StoreUnavailableError
from relay.iem.service import Attempt
from relay.logs import log
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.keys import WAKE_CHANNEL
from relay.store.settlements import Assignment, Settlement
from relay.worker.lanes import Lane, busy, room_for
from relay.worker.lease import lease_of, longest_attempt
from relay.worker.maintenance import Maintenance, RetentionLimits

_LOG = logging.getLogger("relay.worker")

#: Wake-ups can get lost: every integration is looked at this often anyway (seconds).
_LOOK_EVERY = 1.0
#: After the connection for wake-ups was lost it is opened again so soon (seconds).
_LISTEN_AGAIN = 0.5
#: Wait for Redis: doubling from the first to the most (seconds).
_STORE_WAIT_FIRST, _STORE_WAIT_MOST = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class AttemptPool:
    """Who makes the attempts: a pool, and how many it makes at once."""

    pool: Executor
    size: int


@dataclass(frozen=True, slots=True)
class _Result:
    lane: Lane
    settlement: Settlement
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class _Change:
    """Lanes that are new or different since a mapping file changed, and the integrations that are delivered no more."""

    lanes: Sequence[Lane]
    gone: Collection[str]


@dataclass(frozen=True, slots=True)
class _Wake:
    #: None: everything.
    integration: str | None


@dataclass(slots=True)
class _StoreWait:
    """How long to leave Redis alone after it did not answer."""

    until: float = 0.0
    delay: float = 0.0
    lost: bool = False


class Worker:
    """Delivers what the integrations' queues hold, until it is told to stop."""

    def __init__(
        self,
        name: str,
        lanes: Iterable[Lane],
        connection: Connection,
        crew: AttemptPool,
        *,
        limits: RetentionLimits,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._lanes = {lane.integration.name: lane for lane in lanes}
        self._heartbeats = Heartbeats(connection)
        self._connection = connection
        self._crew = crew
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._chance = chance
        self._events: queue.SimpleQueue[_Result | _Wake | _Change] = queue.SimpleQueue()
        #: Those that are delivered no more, while attempts of theirs are in flight.
        self._retired: list[Lane] = []
        self._unsettled: dict[str, list[_Result]] = defaultdict(list)
        #: What was settled, with its status and when (Unix ms), and not logged yet.
        self._untold: list[tuple[_Result, str, int]] = []
        self._stopping = threading.Event()
        self._store = _StoreWait()
        self._housekeeper = Maintenance(name, self._heartbeats, limits, clock.monotonic)

    def stop(self) -> None:
        """Take nothing more, finish what is in flight, and let `run` return. Safe in a signal handler."""
        self._stopping.set()
        self._events.put(_Wake(None))

    def change(self, lanes: Sequence[Lane], gone: Collection[str]) -> None:
        """Deliver by `lanes` from now on, for their integrations, and no more for those `gone`. Safe in any thread.

        What is in flight ends by the lane that it began with.
        """
        self._events.put(_Change(tuple(lanes), frozenset(gone)))

    def run(self, *, grace: float) -> bool:
        """Work until `stop`; then finish what is in flight within `grace` seconds. False where some was left behind.

        What is left behind is not lost: its lease runs out, and another worker takes it.
        """
        log(_LOG, logging.INFO, "worker started", worker=self._name, integrations=list(self._lanes))
        listener = threading.Thread(target=self._listen, name="wake-ups", daemon=True)
        listener.start()
        while not self._stopping.is_set():
            self._gather(self._pause())
            self.turn()
        return self._drain(self._monotonic() + grace)

    def turn(self) -> None:
        """Note what has happened and do what is due, without waiting for anything but Redis."""
        self._gather(0.0)
        if self._monotonic() < self._store.until:
            return
        try:
            self._settle()
            self._take()
            self._housekeeper.keep_house(self._lanes.values(), self._now_ms())
        except StoreUnavailableError as error:
            self._lose_store(error)
        else:
            self._find_store()
        finally:
            self._tell()

    def _drain(self, deadline: float) -> bool:
        while (busy(self._busy_lanes()) or any(self._unsettled.values())) and self._monotonic() < deadline:
            self._gather(max(0.0, min(0.2, deadline - self._monotonic())))
            try:
                self._settle()
            except StoreUnavailableError as error:
                self._lose_store(error)
            finally:
                self._tell()
        left = busy(self._busy_lanes()) + sum(map(len, self._unsettled.values()))
        try:
            self._heartbeats.retire(self._name)
        except StoreUnavailableError:
            log(_LOG, logging.WARNING, "Redis is away while the worker stops")
        log(_LOG, logging.INFO, "worker stopped", worker=self._name, left_in_flight=left or None)
        return left == 0

    def _busy_lanes(self) -> list[Lane]:
        """Return every lane that has, or may have, something in flight."""
        return [*self._lanes.values(), *(lane for lane in self._retired if lane.in_flight)]

    # What comes in

    def _pause(self) -> float:
        """Return how long there is nothing to do (seconds), events excepted."""
        now = self._monotonic()
        if now < self._store.until:
            return self._store.until - now
        wanting = [
            lane.look_at for lane in self._lanes.values() if room_for(lane, self._busy_lanes(), self._crew.size) > 0
        ]
        return max(0.0, min([*wanting, self._housekeeper.due_at]) - now)

    def _gather(self, wait: float) -> None:
        """Take in what has happened, waiting up to `wait` seconds for the first of it."""
        try:
            event = self._events.get(timeout=wait) if wait > 0 else self._events.get_nowait()
            while True:
                self._note(event)
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _note(self, event: _Result | _Wake | _Change) -> None:
        match event:
            case _Change(lanes=lanes, gone=gone):
                self._adopt(lanes, gone)
            case _Result(lane=lane):
                lane.in_flight -= 1
                self._unsettled[lane.integration.name].append(event)
            case _Wake(integration=None):
                for lane in self._lanes.values():
                    lane.look_at = 0.0
            case _Wake(integration=str(name)):
                if name in self._lanes:
                    self._lanes[name].look_at = 0.0

    def _adopt(self, lanes: Sequence[Lane], gone: Collection[str]) -> None:
        for name in {*gone, *(lane.integration.name for lane in lanes)}:
            if old := self._lanes.pop(name, None):
                self._retired.append(old)
        self._lanes.update((lane.integration.name, lane) for lane in lanes)
        self._retired = [lane for lane in self._retired if lane.in_flight]
        self._housekeeper.sweep_soon()
        log(
            _LOG,
            logging.INFO,
            "integrations changed",
            changed=[lane.integration.name for lane in lanes],
            gone=sorted(gone),
        )

    def _listen(self) -> None:
        """Turn wake-ups into events. They are hints: losing some only costs time."""
        while not self._stopping.is_set():
            try:
                subscriber = self._connection.subscribe(WAKE_CHANNEL)
                with closing(subscriber):
                    self._events.put(_Wake(None))
                    while not self._stopping.is_set():
                        if name := subscriber.next(timeout=1.0):
                            self._events.put(_Wake(name))
            except StoreUnavailableError:
                self._stopping.wait(_LISTEN_AGAIN)

    # What goes out

    def _take(self) -> None:
        now = self._monotonic()
        due = [lane for lane in self._lanes.values() if lane.look_at <= now]
        due.sort(key=lambda _: self._chance())  # no integration is always the last
        for lane in due:
            room = room_for(lane, self._busy_lanes(), self._crew.size)
            if room > 0:
                self._take_from(lane, room)

    def _take_from(self, lane: Lane, room: int) -> None:
        iem = lane.integration.iem
        deadline = self._monotonic() + longest_attempt(iem)
        batch = lane.queue.take(
            self._name, room, lease=int(lease_of(iem) * 1000), config=lane.config, now=self._now_ms()
        )
        lane.look_at = self._next_look(len(batch.assignments) == room, batch.look_again_at)
        for assignment in batch.assignments:
            lane.in_flight += 1
            self._crew.pool.submit(self._attempt, lane, assignment, deadline)

    def _next_look(self, may_hold_more: bool, at_ms: int | None) -> float:  # noqa: FBT001
        if may_hold_more:
            return 0.0
        wait = _LOOK_EVERY if at_ms is None else min(_LOOK_EVERY, max(0.0, (at_ms - self._now_ms()) / 1000))
        return self._monotonic() + wait

    def _attempt(self, lane: Lane, assignment: Assignment, deadline: float) -> None:
        """Make one attempt (in a thread of the pool), and put what it came to before the loop."""
        at, began = self._now_ms(), self._monotonic()
        attempt: Attempt | None
        try:
            if self._stopping.is_set():
                attempt = None  # not begun: another worker need not wait for the lease
            elif lane.service is None:
                attempt = Attempt(Park(Reason.MISCONFIGURED), IemAnswer(None, fault=lane.fault))
            else:
                attempt = lane.service.push(
                    lane.target,
                    assignment.sys_id,
                    assignment.iem_state,
                    deadline=deadline,
                    is_probe=assignment.is_probe,
                )
        except StoreUnavailableError:
            attempt = None  # not pushed, or refused: it goes back as it came
        except Exception:  # noqa: BLE001 - the one broad handler of the worker: a bug must not stop the others
            _LOG.exception("a bug in an attempt; the delivery is tried %s times", BUGS_TO_DIE)
            attempt = Attempt(Retry(Reason.BUG), IemAnswer(None, fault="a bug of the relay, see the log"))
        duration = self._monotonic() - began
        self._events.put(_Result(lane, self._settlement(lane, assignment, attempt, at, duration), attempt))

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

    # What is written down

    def _settle(self) -> None:
        for name, results in self._unsettled.items():
            if results:
                now = self._now_ms()
                statuses = results[-1].lane.queue.settle([one.settlement for one in results], now=now)
                self._untold += [(result, status, now) for result, status in zip(results, statuses, strict=True)]
                results.clear()
                if name in self._lanes:
                    self._lanes[name].look_at = 0.0

    def _tell(self) -> None:
        """Log and count what was written down. It can wait until the places that it left are taken."""
        for result, status, at in self._untold:
            self._tell_one(result, status, at)
        self._untold.clear()

    def _tell_one(self, result: _Result, status: str, now: int) -> None:
        settlement, assignment = result.settlement, result.settlement.assignment
        outcome, reason = name_outcome(settlement.outcome)
        metrics.ATTEMPTS.labels(assignment.integration, outcome, reason or "").inc()
        metrics.ATTEMPT_SECONDS.labels(assignment.integration).observe(settlement.duration / 1000)
        if status == "delivered":
            metrics.DELIVERY_SECONDS.labels(assignment.integration).observe((now - assignment.created_at) / 1000)
        log(
            _LOG,
            logging.INFO if status in {"delivered", "superseded", "queued"} else logging.WARNING,
            "attempt",
            outcome=outcome,
            delivery_status=status,
            integration=assignment.integration,
            delivery_id=assignment.id,
            number=assignment.number or None,
            attempt=assignment.tries + 1,
            reason=reason,
            http_status=settlement.status,
            fault=result.attempt.answer.fault if result.attempt else None,
            duration_ms=settlement.duration,
            next_attempt_in_ms=settlement.delay if status == "retrying" else None,
            probe=assignment.is_probe or None,
        )

    def _lose_store(self, error: StoreUnavailableError) -> None:
        wait = self._store
        wait.delay = min(_STORE_WAIT_MOST, wait.delay * 2 or _STORE_WAIT_FIRST)
        wait.until = self._monotonic() + wait.delay
        if not wait.lost:
            log(_LOG, logging.ERROR, "Redis is away: the worker waits for it", fault=str(error))
        wait.lost = True

    def _find_store(self) -> None:
        if self._store.lost:
            log(_LOG, logging.INFO, "Redis is back")
            self._store = _StoreWait()
