"""What a worker does now and then beside delivering: heartbeat, taking back what lost workers had, sweeping."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from relay import metrics
from relay.logs import log
from relay.store.delivery_queue import DeliveryQueue, SweepResult
from relay.store.heartbeats import Heartbeats
from relay.worker.lanes import Lane
from relay.worker.lease import lease_of
from relay.worker.orphaned_integrations import OrphanedIntegrations

_LOG = logging.getLogger("relay.worker")

#: How often each is done (seconds).
_BEAT_EVERY, _RECLAIM_EVERY, _SWEEP_EVERY = 2.0, 5.0, 30.0


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How many dead letters and rejections of each integration are kept, and who sees to those that nobody delivers."""

    dead: int
    #: Who looks after integrations without a lane.
    absences: OrphanedIntegrations | None = None


class Maintenance:
    """Keeps the house of one worker. `keep_house` raises `StoreUnavailableError`, and is tried again then."""

    def __init__(
        self, worker: str, heartbeats: Heartbeats, limits: RetentionLimits, monotonic: Callable[[], float]
    ) -> None:
        self._worker = worker
        self._heartbeats = heartbeats
        self._limits = limits
        self._monotonic = monotonic
        self._beat_at = self._reclaim_at = self._sweep_at = 0.0

    @property
    def due_at(self) -> float:
        """When something is to be done next (monotonic seconds)."""
        return min(self._beat_at, self._reclaim_at, self._sweep_at)

    def sweep_soon(self) -> None:
        """Have the next turn look which integrations nobody delivers for."""
        self._sweep_at = 0.0

    def keep_house(self, lanes: Collection[Lane], now_ms: int) -> None:
        """Do what is due. It comes after the worker's deliveries: a heartbeat means that these got on."""
        now = self._monotonic()
        if now >= self._beat_at:
            self._heartbeats.beat(self._worker, now_ms)
            self._beat_at = now + _BEAT_EVERY
        if now >= self._reclaim_at:
            for lane in lanes:
                self._reclaim(lane, now_ms)
            self._reclaim_at = now + _RECLAIM_EVERY
        if now >= self._sweep_at:
            for lane in lanes:
                self._sweep(lane.integration.name, lane.queue, now_ms)
            self._look_after_absences(now_ms)
            self._sweep_at = now + _SWEEP_EVERY

    def _reclaim(self, lane: Lane, now_ms: int) -> None:
        min_idle = int(lease_of(lane.integration.iem) * 1000)
        put_back, missing = lane.queue.reclaim(self._worker, min_idle=min_idle, now=now_ms)
        name = lane.integration.name
        if put_back:
            metrics.RECLAIMED.labels(name).inc(put_back)
            log(
                _LOG,
                logging.WARNING,
                "took back deliveries of a lost worker",
                integration=name,
                count=put_back,
            )
            lane.look_at = 0.0
        if missing:
            metrics.MISSING_ENTRIES.labels(name).inc(missing)
            log(
                _LOG,
                logging.ERROR,
                "queue entries are missing: something else writes there",
                integration=name,
                count=missing,
            )

    def _look_after_absences(self, now_ms: int) -> None:
        if absences := self._limits.absences:
            for name, deliveries in absences.set_aside(now_ms):
                if self._sweep(name, deliveries, now_ms).left == 0:
                    absences.forget(name)

    def _sweep(self, name: str, deliveries: DeliveryQueue, now_ms: int) -> SweepResult:
        swept = deliveries.sweep(cap=self._limits.dead, now=now_ms)
        if swept.over_cap:
            message = "dead letters or rejections over RELAY_MAX_DEAD are gone: replay or discard them in time"
            log(_LOG, logging.ERROR, message, integration=name, count=swept.over_cap)
        return swept
