"""The thread that writes to the intake journal. It puts the entries of all threads of a process into one commit."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from relay.errors import JournalError
from relay.intake.journal_file import BUSY_TIMEOUT, JournalFile

#: Integration, id, time of receipt (Unix ms), and records as JSON.
Row = tuple[str, str, int, str]
#: A row, and the future that is done once the row is on the disk.
_Request = tuple[Row, "Future[None]"]

#: Maximum number of entries in one commit.
_MAX_ROWS = 256
#: After a write timed out, others are refused at once for this time (seconds).
_REFUSE_FOR = 0.5


class JournalWriter:
    """Writes entries in the order in which threads append them. The thread starts with the first entry."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        #: None stops the thread.
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._refuse_until = 0.0

    def append(self, row: Row, *, timeout: float) -> None:
        """Return when `row` is on the disk.

        Raises:
            JournalError: it is not known to be there after `timeout` seconds. A row that times out is not written later.
        """
        if time.monotonic() < self._refuse_until:
            raise JournalError("the journal's disk took too long a moment ago")
        stored: Future[None] = Future()
        self._requests.put((row, stored))
        self._start()
        try:
            stored.result(timeout=timeout)
        except FutureTimeoutError:
            stored.cancel()
            self._refuse_until = time.monotonic() + _REFUSE_FOR
            raise JournalError(f"the journal's disk takes longer than {timeout:.1f} s") from None

    def stop(self) -> bool:
        """Write the waiting entries, and end the thread. Return False if it does not end because the disk hangs."""
        if self._thread and self._thread.is_alive():
            self._requests.put(None)
            self._thread.join(BUSY_TIMEOUT + 1)
            return not self._thread.is_alive()
        return True

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
                    self._thread.start()

    def _write(self) -> None:
        requests: list[_Request | None] = []
        while None not in requests:
            requests = [self._requests.get()]
            with contextlib.suppress(queue.Empty):
                while len(requests) < _MAX_ROWS:
                    requests.append(self._requests.get_nowait())
            # A request that timed out was cancelled. Its sender was refused, and will send the webhook again.
            waiting = [request for request in requests if request and request[1].set_running_or_notify_cancel()]
            if waiting:
                self._commit(waiting)

    def _commit(self, requests: Sequence[_Request]) -> None:
        try:
            rows = [row for row, _ in requests]
            if not (self._insert(rows) or self._insert(rows)):
                raise self._file.error("another program removes its files")
        except JournalError as error:
            for _, stored in requests:
                stored.set_exception(JournalError(str(error)))
        else:
            for _, stored in requests:
                stored.set_result(None)

    def _insert(self, rows: Sequence[Row]) -> bool:
        """Write rows. Return False if they went into a removed file; the next call creates a new one."""
        with self._file.transaction() as connection:
            statement = "INSERT INTO entries (integration, id, received_at, records) VALUES (?, ?, ?, ?)"
            connection.executemany(statement, rows)
        if self._file.is_in_place(connection):
            return True
        self._file.disconnect()
        return False
