"""Examines Redis and the journal for the probes and the metrics, in background threads. A result is reused for one second."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from relay.clock import now_ms
from relay.errors import StoreUnavailableError
from relay.intake.journal import Journal, JournalState
from relay.mapping_files.catalogue import Catalogue
from relay.store.durability import Durability, read_durability
from relay.store.heartbeats import Backlog, Heartbeats
from relay.store.registry import Registry

#: How long a probe waits for an examination (seconds): the answer leaves within one second.
_TIMEOUT = 0.85
#: How long a snapshot is reused (seconds).
_REUSED_FOR = 1.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """The state of Redis and of the journal at one moment. Times in ms."""

    at: int
    durability: Durability | None = None
    latest_heartbeat: int | None = None
    backlogs: tuple[Backlog, ...] = ()
    fault: str | None = None
    #: None: the journal is off.
    journal: JournalState | None = None


class _BackgroundCall(Generic[_T]):
    """Runs a function in a separate thread, one call at a time."""

    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self._pool = ThreadPoolExecutor(1, "health")
        self._running: Future[_T] | None = None

    def start(self) -> None:
        """Call the function, unless the previous call has not returned yet."""
        if self._running is None or self._running.done():
            self._running = self._pool.submit(self._function)

    def result(self, deadline: float) -> _T | None:
        """Return the function's result, or None if there is no result by `deadline` (monotonic seconds)."""
        assert self._running is not None
        try:
            return self._running.result(timeout=max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            return None


class StoreMonitor:
    """Examines Redis and the journal's disk in separate threads, so that a hanging one does not block the caller."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        names: Callable[[], list[str]],
        journal: Journal | None,
        is_cooling_down: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_cooling_down`: whether a webhook has just found that Redis does not answer. A probe does not wait for it then."""
        self._is_cooling_down = is_cooling_down
        self._heartbeats = heartbeats
        self._names = names
        self._journal = journal
        self._redis_call = _BackgroundCall(self._examine_redis)
        self._journal_call = _BackgroundCall(self._examine_journal)
        self._last: StoreSnapshot | None = None
        self._last_at = 0.0

    def snapshot(self) -> StoreSnapshot:
        """Return the state, at most one second old. An examination that takes too long is reported as a fault."""
        if self._last is not None and time.monotonic() - self._last_at < _REUSED_FOR:
            return self._last
        deadline = time.monotonic() + _TIMEOUT
        self._redis_call.start()
        self._journal_call.start()
        snapshot = self._redis_call.result(time.monotonic() if self._is_cooling_down() else deadline)
        snapshot = snapshot or StoreSnapshot(now_ms(), fault=f"Redis does not answer within {_TIMEOUT} s")
        if self._journal:
            journal = self._journal_call.result(deadline) or JournalState(
                fault=f"the journal's disk takes longer than {_TIMEOUT} s"
            )
            snapshot = replace(snapshot, journal=journal)
        self._last, self._last_at = snapshot, time.monotonic()
        return snapshot

    def _examine_journal(self) -> JournalState | None:
        return self._journal.check(now_ms()) if self._journal else None

    def _examine_redis(self) -> StoreSnapshot:
        try:
            self._heartbeats.probe_write(now_ms())
            return StoreSnapshot(
                now_ms(),
                durability=read_durability(self._heartbeats.connection),
                latest_heartbeat=self._heartbeats.youngest_beat(),
                backlogs=tuple(self._heartbeats.backlogs(self._names())),
            )
        except StoreUnavailableError as error:
            return StoreSnapshot(now_ms(), fault=str(error))


def make_store_monitor(
    heartbeats: Heartbeats, catalogue: Catalogue, journal: Journal | None, is_cooling_down: Callable[[], bool]
) -> StoreMonitor:
    """Return a monitor of Redis, of the backlogs of all integrations, and of the journal if it is on."""
    registry = Registry(heartbeats.connection)
    return StoreMonitor(
        heartbeats,
        lambda: sorted({*(file.name for file in catalogue.files()), *registry.names()}),
        journal,
        is_cooling_down,
    )
