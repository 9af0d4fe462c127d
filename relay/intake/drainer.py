"""Moves the intake journal into Redis, in the order in which webhooks arrived. One process of each machine does this."""

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
#: Interval between checks of an empty journal (seconds).
_DRAIN_EVERY = 0.5
#: Maximum number of entries, and of records, in one step.
_MAX_ENTRIES, _MAX_RECORDS = 100, 500
#: Maximum number of steps for one integration before the next one: a busy integration must not delay the others.
_MAX_STEPS = 5


class Drainer:
    """Passes entries to the accept script. A crash can repeat a step: the script ignores ids that it has accepted before."""

    def __init__(self, journal: Journal, queue_of: Callable[[str], DeliveryQueue], now_ms: Callable[[], int]) -> None:
        self._journal = journal
        self._queue_of = queue_of
        self._now_ms = now_ms
        self._lock: IO[bytes] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        #: The fault that was logged last, by integration; None is the journal as a whole.
        self._logged: dict[str | None, str] = {}

    def start(self) -> None:
        """Drain in a background thread. One process of a machine drains; another takes over when it ends."""
        self._thread = every(_DRAIN_EVERY, self._turn, name="drainer", stopping=self._stopping, at_once=True)

    def close(self) -> None:
        """Stop draining, and let another process take over."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        if self._lock:
            self._lock.close()

    def drain(self) -> int:
        """Move some entries of each integration, and return their number. Raises JournalError."""
        total = 0
        for integration in self._journal.integrations():
            drained = 0
            try:
                for _ in range(_MAX_STEPS):
                    entries = _one_step(self._journal.oldest(integration, _MAX_ENTRIES))
                    if not entries:
                        break
                    self._move(integration, entries)
                    drained += len(entries)
            except (StoreUnavailableError, BacklogFullError) as error:
                self._log_fault(str(error), integration)
            else:
                self._logged.pop(integration, None)
            if drained:
                log(_LOG, logging.INFO, "journal drained", integration=integration, webhooks=drained)
            total += drained
        return total

    def _turn(self) -> bool:
        """Drain if this process has the lock. Return whether there can be more."""
        try:
            return self._has_lock() and self.drain() > 0
        except (JournalError, OSError) as error:
            self._log_fault(str(error))
            return False

    def _move(self, integration: str, entries: Sequence[Entry]) -> None:
        """Move entries in one step. If that fails, move them one by one, up to the first that Redis does not accept."""
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
        for verdict in self._queue_of(integration).accept_encoded(records, self._now_ms()):
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

    def _log_fault(self, fault: str, integration: str | None = None) -> None:
        """Log a fault once, and not again while it lasts."""
        if fault != self._logged.get(integration):
            log(_LOG, logging.WARNING, "the journal is not drained", integration=integration, fault=fault)
        self._logged[integration] = fault


def _one_step(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the first entries, as many as one step can hold, but at least one."""
    totals = accumulate(len(entry.records) for entry in entries)
    return entries[: max(1, sum(total <= _MAX_RECORDS for total in totals))]
