"""The delivery loop of a worker: take, attempt, settle; and finish what is in flight when it is stopped.

One thread, the loop, uses the queues. A pool of threads makes the attempts, and puts their results into the inbox. While Redis
is unavailable, the loop waits; it keeps the results, and settles them later. Clock and executor are passed in, so that a
simulation can run the loop turn by turn.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor

from relay.clock import Clock
from relay.errors import StoreUnavailableError
from relay.logs import log
from relay.store.connection import Connection
from relay.store.settlements import Assignment
from relay.worker.attempt_report import SettledAttempt, report_attempt
from relay.worker.attempts import AttemptResult, AttemptRunner
from relay.worker.inbox import Event, Inbox, LanesChanged, WakeUp
from relay.worker.lanes import Lane, LaneSet
from relay.worker.lease import lease_of, longest_attempt
from relay.worker.maintenance import Maintenance
from relay.worker.store_backoff import StoreBackoff

_LOG = logging.getLogger("relay.worker")

#: Maximum time between two takes from one queue: a wake-up can get lost (seconds).
_TAKE_EVERY = 1.0
#: Maximum duration of one turn while the worker stops (seconds).
_DRAIN_TURN = 0.2


class Worker:
    """Delivers what is in the queues of the integrations, until it is stopped."""

    def __init__(
        self,
        name: str,
        lanes: LaneSet,
        connection: Connection,
        maintenance: Maintenance,
        *,
        executor: Executor,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`name` is unique among all workers; `executor` makes the attempts; `chance` returns a random number from 0 to 1."""
        self._name = name
        self._lanes = lanes
        self._connection = connection
        self._executor = executor
        self._maintenance = maintenance
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._chance = chance
        self._inbox = Inbox()
        self._stopping = threading.Event()
        self._attempts = AttemptRunner(clock, chance, self._stopping)
        #: By integration.
        self._unsettled: dict[str, list[AttemptResult]] = defaultdict(list)
        self._unreported: list[SettledAttempt] = []
        self._backoff = StoreBackoff(clock.monotonic)

    def stop(self) -> None:
        """Take no more deliveries, finish those in flight, and let `run` return. Safe in a signal handler."""
        self._stopping.set()
        self._inbox.put(WakeUp(None))

    def update_lanes(self, changed: Sequence[Lane], removed: Collection[str]) -> None:
        """Use the lanes `changed` for their integrations, and stop delivering for those `removed`. Safe in any thread.

        Attempts in flight finish on the lane that they began with.
        """
        self._inbox.put(LanesChanged(tuple(changed), frozenset(removed)))

    def run(self, *, grace: float) -> bool:
        """Deliver until `stop`, then finish what is in flight within `grace` seconds. Return whether all of it finished.

        Unfinished deliveries are not lost: their leases expire, and another worker takes them.
        """
        log(_LOG, logging.INFO, "worker started", worker=self._name, integrations=list(self._lanes.current))
        self._inbox.listen(self._connection, self._stopping)
        while not self._stopping.is_set():
            self._receive(wait=self._idle_seconds())
            self.turn()
        return self._drain(self._monotonic() + grace)

    def turn(self) -> None:
        """Handle the events so far, and do what is due. Waits for nothing but Redis."""
        self._receive(wait=0.0)
        if self._monotonic() < self._backoff.until:
            return
        try:
            self._settle()
            self._take()
            self._maintenance.run_due(self._lanes.current.values(), self._now_ms())
        except StoreUnavailableError as error:
            self._backoff.failed(error)
        else:
            self._backoff.succeeded()
        finally:
            self._report()

    def _idle_seconds(self) -> float:
        """Return the time until something is due, if no event arrives."""
        now = self._monotonic()
        if now < self._backoff.until:
            return self._backoff.until - now
        takes = [lane.due_at for lane in self._lanes.current.values() if self._lanes.room_for(lane) > 0]
        return max(0.0, min([*takes, self._maintenance.due_at]) - now)

    def _receive(self, *, wait: float) -> None:
        for event in self._inbox.take_all(wait=wait):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case AttemptResult(lane=lane):
                lane.in_flight -= 1
                self._unsettled[lane.integration.name].append(event)
            case WakeUp(integration=None):
                for lane in self._lanes.current.values():
                    lane.due_at = 0.0
            case WakeUp(integration=str(name)):
                if woken := self._lanes.current.get(name):
                    woken.due_at = 0.0
            case LanesChanged(lanes=lanes, removed=removed):
                self._lanes.update(lanes, removed)
                self._maintenance.sweep_soon()
                names = [lane.integration.name for lane in lanes]
                log(_LOG, logging.INFO, "integrations changed", changed=names, gone=sorted(removed))

    def _take(self) -> None:
        now = self._monotonic()
        due = [lane for lane in self._lanes.current.values() if lane.due_at <= now]
        due.sort(key=lambda _: self._chance())  # so that no integration is always the last one
        for lane in due:
            room = self._lanes.room_for(lane)
            if room > 0:
                self._take_from(lane, room)

    def _take_from(self, lane: Lane, room: int) -> None:
        iem = lane.integration.iem
        deadline = self._monotonic() + longest_attempt(iem)
        lease = int(lease_of(iem) * 1000)
        taken = lane.queue.take(self._name, room, lease=lease, config=lane.config, now=self._now_ms())
        has_more = len(taken.assignments) == room
        lane.due_at = 0.0 if has_more else self._next_take(taken.look_again_at)
        for assignment in taken.assignments:
            lane.in_flight += 1
            self._executor.submit(self._attempt, lane, assignment, deadline)

    def _next_take(self, due_ms: int | None) -> float:
        wait = _TAKE_EVERY if due_ms is None else min(_TAKE_EVERY, max(0.0, (due_ms - self._now_ms()) / 1000))
        return self._monotonic() + wait

    def _attempt(self, lane: Lane, assignment: Assignment, deadline: float) -> None:
        self._inbox.put(self._attempts.run(lane, assignment, deadline))

    def _settle(self) -> None:
        for name, results in self._unsettled.items():
            if results:
                now = self._now_ms()
                statuses = results[-1].lane.queue.settle([result.settlement for result in results], now=now)
                settled = zip(results, statuses, strict=True)
                self._unreported += [SettledAttempt(result, status, now) for result, status in settled]
                results.clear()
                if lane := self._lanes.current.get(name):
                    lane.due_at = 0.0

    def _report(self) -> None:
        """Log and count settled attempts. This comes last in a turn, so that it does not delay the next attempts."""
        for settled in self._unreported:
            report_attempt(settled)
        self._unreported.clear()

    def _drain(self, deadline: float) -> bool:
        while self._unfinished() and self._monotonic() < deadline:
            self._receive(wait=max(0.0, min(_DRAIN_TURN, deadline - self._monotonic())))
            try:
                self._settle()
            except StoreUnavailableError as error:
                self._backoff.failed(error)
            finally:
                self._report()
        unfinished = self._unfinished()
        try:
            self._maintenance.retire()
        except StoreUnavailableError:
            log(_LOG, logging.WARNING, "Redis is unavailable while the worker stops")
        log(_LOG, logging.INFO, "worker stopped", worker=self._name, left_in_flight=unfinished or None)
        return unfinished == 0

    def _unfinished(self) -> int:
        """Return how many attempts are in flight or not settled."""
        return self._lanes.in_flight + sum(map(len, self._unsettled.values()))
