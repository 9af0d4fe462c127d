"""Looking at Redis and at the journal for the probes and the metrics: in threads of their own, kept for a second."""

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

#: A probe has this long (seconds): the answer leaves within a second.
_PATIENCE = 0.85
_KEPT = 1.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """What one look at Redis found."""

    at: int
    durability: Durability | None = None
    youngest_beat: int | None = None
    backlogs: tuple[Backlog, ...] = ()
    fault: str | None = None
    #: None: there is to be none.
    journal: JournalState | None = None


class _Background(Generic[_T]):
    """Something that is found out in a thread of its own, by one question at a time."""

    def __init__(self, find: Callable[[], _T]) -> None:
        self._find = find
        self._pool = ThreadPoolExecutor(1, "health")
        self._running: Future[_T] | None = None

    def begin(self) -> None:
        """Ask, unless the last question is still out."""
        if self._running is None or self._running.done():
            self._running = self._pool.submit(self._find)

    def result(self, deadline: float) -> _T | None:
        """Return the answer, or None where there is none by `deadline` (monotonic seconds)."""
        assert self._running is not None
        try:
            return self._running.result(timeout=max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            return None


class StoreWatch:
    """Looks at Redis and at the journal's disk in threads of their own, so that one that hangs does not hang the asker."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        names: Callable[[], list[str]],
        journal: Journal | None,
        is_cooling_down: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_cooling_down`: whether webhooks have just found that Redis does not answer; then it is not asked again."""
        self._is_cooling_down = is_cooling_down
        self._heartbeats = heartbeats
        self._names = names
        self._journal = journal
        self._redis_look = _Background(self._look)
        self._journal_look = _Background(self._look_at_journal)
        self._last: StoreSnapshot | None = None
        self._last_at = 0.0

    def look(self) -> StoreSnapshot:
        """Return what was found within the last second, or now; a look that takes too long is a fault."""
        if self._last is not None and time.monotonic() - self._last_at < _KEPT:
            return self._last
        deadline = time.monotonic() + _PATIENCE
        self._redis_look.begin()
        self._journal_look.begin()
        found = self._redis_look.result(time.monotonic() if self._is_cooling_down() else deadline)
        found = found or StoreSnapshot(now_ms(), fault=f"Redis does not answer within {_PATIENCE} s")
        if self._journal:
            journal = self._journal_look.result(deadline)
            found = replace(found, journal=journal or JournalState(fault=f"its disk takes longer than {_PATIENCE} s"))
        self._last, self._last_at = found, time.monotonic()
        return found

    def _look_at_journal(self) -> JournalState | None:
        return self._journal.look(now_ms()) if self._journal else None

    def _look(self) -> StoreSnapshot:
        try:
            self._heartbeats.probe_write(now_ms())
            return StoreSnapshot(
                now_ms(),
                durability=read_durability(self._heartbeats.connection),
                youngest_beat=self._heartbeats.youngest_beat(),
                backlogs=tuple(self._heartbeats.backlogs(self._names())),
            )
        except StoreUnavailableError as error:
            return StoreSnapshot(now_ms(), fault=str(error))


def make_watch(
    heartbeats: Heartbeats, catalogue: Catalogue, journal: Journal | None, is_cooling_down: Callable[[], bool]
) -> StoreWatch:
    """Return the watch over Redis, over the integrations of `catalogue` and over the journal, if there is one."""
    registry = Registry(heartbeats.connection)
    return StoreWatch(
        heartbeats,
        lambda: sorted({*(file.name for file in catalogue.files()), *registry.names()}),
        journal,
        is_cooling_down,
    )
