"""The periodic tasks of a worker: heartbeats, reclaiming, and sweeping."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from relay import metrics
from relay.logs import log
from relay.store.delivery_queue import DeliveryQueue, SweepResult
from relay.store.heartbeats import Heartbeats
from relay.worker.lanes import Lane
from relay.worker.lease import lease_of
from relay.worker.orphaned_integrations import OrphanedIntegrations

_LOG = logging.getLogger("relay.worker")

#: Seconds.
_BEAT_EVERY, _RECLAIM_EVERY, _SWEEP_EVERY = 2.0, 5.0, 30.0


class Maintenance:
    """Sends heartbeats, reclaims the deliveries of lost workers, and removes old records."""

    def __init__(
        self,
        worker: str,
        heartbeats: Heartbeats,
        *,
        max_dead: int,
        monotonic: Callable[[], float],
        orphaned: OrphanedIntegrations | None = None,
    ) -> None:
        """`max_dead`: how many dead letters and how many rejections of each integration are kept."""
        self._worker = worker
        self._heartbeats = heartbeats
        self._max_dead = max_dead
        self._orphaned = orphaned
        self._monotonic = monotonic
        self._beat_at = self._reclaim_at = self._sweep_at = 0.0

    @property
    def due_at(self) -> float:
        """When `run_due` has something to do next (monotonic seconds)."""
        return min(self._beat_at, self._reclaim_at, self._sweep_at)

    def sweep_soon(self) -> None:
        """Sweep in the next turn, which also parks integrations that no longer have a mapping file."""
        self._sweep_at = 0.0

    def run_due(self, lanes: Collection[Lane], now_ms: int) -> None:
        """Do what is due. Call it after the worker has delivered: a heartbeat shows that deliveries make progress.

        Raises:
            StoreUnavailableError: the rest is done in the next turn.
        """
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
            self._sweep_orphaned(now_ms)
            self._sweep_at = now + _SWEEP_EVERY

    def retire(self) -> None:
        """Record that the worker has stopped. Raises StoreUnavailableError."""
        self._heartbeats.retire(self._worker)

    def _reclaim(self, lane: Lane, now_ms: int) -> None:
        min_idle = int(lease_of(lane.integration.iem) * 1000)
        put_back, missing = lane.queue.reclaim(self._worker, min_idle=min_idle, now=now_ms)
        name = lane.integration.name
        if put_back:
            metrics.RECLAIMED.labels(name).inc(put_back)
            log(_LOG, logging.WARNING, "reclaimed deliveries of a lost worker", integration=name, count=put_back)
            lane.due_at = 0.0
        if missing:
            metrics.MISSING_ENTRIES.labels(name).inc(missing)
            message = "queue entries are missing: another program deletes them"
            log(_LOG, logging.ERROR, message, integration=name, count=missing)

    def _sweep_orphaned(self, now_ms: int) -> None:
        if orphaned := self._orphaned:
            for name, deliveries in orphaned.park(now_ms):
                if self._sweep(name, deliveries, now_ms).left == 0:
                    orphaned.forget(name)

    def _sweep(self, name: str, deliveries: DeliveryQueue, now_ms: int) -> SweepResult:
        swept = deliveries.sweep(cap=self._max_dead, now=now_ms)
        if swept.over_cap:
            message = "dead letters or rejections over RELAY_MAX_DEAD were deleted: replay or discard them in time"
            log(_LOG, logging.ERROR, message, integration=name, count=swept.over_cap)
        return swept
