"""Empties the intake journal into Redis, in the order in which webhooks came: one thread on each machine."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import IO

from relay import metrics
from relay.clock import every
from relay.errors import BacklogFullError, JournalError, StoreUnavailableError
from relay.intake.journal import Entry, Journal
from relay.logs import log
from relay.store.delivery_queue import DeliveryQueue

_LOG = logging.getLogger("relay.journal")

_LOCK = "drain.lock"
#: How often the journal is looked at (seconds).
_LOOK_EVERY = 0.5
#: Entries, and records, that are handed over in one step: after a crash they are accepted once more, to no effect.
_ENTRIES_AT_ONCE, _RECORDS_AT_ONCE = 100, 500
#: Steps for one integration before it is another's turn: what still comes in must not keep others waiting.
_STEPS_A_TURN = 5


class Drainer:
    """Hands the journal's entries to the accept script, which knows an entry that it has seen by its deliveries' ids."""

    def __init__(self, journal: Journal, queue_of: Callable[[str], DeliveryQueue], now_ms: Callable[[], int]) -> None:
        self._journal = journal
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._lock: IO[bytes] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str | None, str] = {}

    def start(self) -> None:
        """Drain in a background thread. One process of a machine drains; the others take over when it ends."""
        self._thread = every(_LOOK_EVERY, self._turn, name="drainer", stopping=self._stopping, at_once=True)

    def close(self) -> None:
        """Stop draining, and let another process take over."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        if self._lock:
            self._lock.close()

    def _turn(self) -> bool:
        try:
            return self._has_lock() and self.drain() > 0
        except (JournalError, OSError) as error:
            self._tell(str(error))
            return False

    def drain(self) -> int:
        """Hand over some of what waits, of one integration after the other; returns how many webhooks. Raises JournalError."""
        total = 0
        for integration in self._journal.waiting():
            drained = 0
            try:
                for _ in range(_STEPS_A_TURN):
                    entries = _some(self._journal.oldest(integration, _ENTRIES_AT_ONCE))
                    if not entries:
                        break
                    self._hand_over(integration, entries)
                    drained += len(entries)
            except (StoreUnavailableError, BacklogFullError) as error:
                self._tell(str(error), integration)
            else:
                self._told.pop(integration, None)
            if drained:
                log(_LOG, logging.INFO, "journal drained", integration=integration, webhooks=drained)
            total += drained
        return total

    def _hand_over(self, integration: str, entries: Sequence[Entry]) -> None:
        """In one step, or where Redis does not take that, one after the other up to the one that it does not take."""
        try:
            self._accept(integration, entries)
        except (StoreUnavailableError, BacklogFullError):
            for entry in entries:
                self._accept(integration, [entry])
                self._journal.remove([entry])
        else:
            self._journal.remove(entries)

    def _accept(self, integration: str, entries: Sequence[Entry]) -> None:
        records = [record for entry in entries for record in entry.records]
        for verdict in self._queue_of(integration).accept_records(records, self._now_ms()):
            metrics.DRAINED.labels(integration, verdict.status).inc()

    def _has_lock(self) -> bool:
        if self._lock is None:
            lock = (self._journal.folder / _LOCK).open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            self._lock = lock
        return True

    def _tell(self, fault: str, integration: str | None = None) -> None:
        """Log a fault once, not each time that it is met again."""
        if fault != self._told.get(integration):
            log(_LOG, logging.WARNING, "the journal is not drained", integration=integration, fault=fault)
        self._told[integration] = fault


def _some(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return as many of the first entries as make one step, at least one."""
    totals = accumulate(len(entry.records) for entry in entries)
    return entries[: max(1, sum(total <= _RECORDS_AT_ONCE for total in totals))]
