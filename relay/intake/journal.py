"""The intake journal: what web accepted while Redis was away, on this machine's disk until Redis has it.

One SQLite file (WAL, synchronous FULL: a commit is on the disk) that all web processes of a machine share. Each process has one
writer, which puts what its threads bring into one commit. Entries leave in the order in which they came (`relay.drainer`).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from relay.errors import ConfigurationError, JournalError

_FILE = "intake.db"
#: Marks a SQLite file as ours ("itsm").
_APPLICATION_ID = 0x6974736D
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY AUTOINCREMENT, integration TEXT NOT NULL, id TEXT NOT NULL,
                                    received_at INTEGER NOT NULL, records TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS of_integration ON entries (integration, number);
CREATE TABLE IF NOT EXISTS probe (name TEXT PRIMARY KEY, at INTEGER NOT NULL);
"""
#: How long one process waits for another's commit (seconds).
_BUSY = 1.0
#: Most entries in one commit.
_AT_ONCE = 256
#: With less than this left, in the file or on the disk, the journal counts as full (bytes).
_LEAST_FREE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One webhook that waits; `records` are as `store.submissions` encodes them for the accept script."""

    number: int
    integration: str
    received_at: int
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalState:
    """How the journal stands; `oldest` (Unix ms) is None where nothing waits, `fault` says why it would take nothing."""

    entries: int = 0
    oldest: int | None = None
    fault: str | None = None


#: After the disk took too long, those who come within this time are told so at once (seconds).
_REST = 0.5

_FileId = tuple[int, int] | None
_Ask = tuple[tuple[str, str, int, str], "Future[None]"]


class Journal:
    """The journal of this machine. Threads share it; processes share its file (make it after the fork)."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """`folder` is on a local disk: SQLite's WAL needs memory that its processes share."""
        self.folder = folder
        self._most_bytes = most_bytes
        self._threads = threading.local()
        #: Each connection with what it opened: which file that is.
        self._opened: dict[sqlite3.Connection, _FileId] = {}
        #: None: there will be no more.
        self._asks: queue.SimpleQueue[_Ask | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._writer: threading.Thread | None = None
        self._rests_until = 0.0

    def append(
        self, integration: str, an_id: str, received_at: int, records: Sequence[str], *, patience: float
    ) -> None:
        """Return when `records` are on the disk, within `patience` seconds.

        Raises:
            JournalError: they are not known to be there.
        """
        if time.monotonic() < self._rests_until:
            raise JournalError("the journal's disk took too long a moment ago")
        stored: Future[None] = Future()
        self._asks.put(((integration, an_id, received_at, json.dumps(records, separators=(",", ":"))), stored))
        self._start_writer()
        try:
            stored.result(timeout=patience)
        except FutureTimeoutError:
            stored.cancel()
            self._rests_until = time.monotonic() + _REST
            raise JournalError(f"the journal's disk takes longer than {patience:.1f} s") from None

    def holds(self, integration: str) -> bool:
        """Tell whether updates of `integration` wait here. False too where that cannot be read: Redis alone decides then."""
        try:
            with self._using() as connection:
                found = connection.execute("SELECT 1 FROM entries WHERE integration = ? LIMIT 1", (integration,))
                return found.fetchone() is not None
        except JournalError:
            return False

    def has(self, integration: str, an_id: str) -> bool:
        """Tell whether the webhook that was answered with `an_id` waits here. Raises JournalError."""
        with self._using() as connection:
            asked = "SELECT 1 FROM entries WHERE integration = ? AND id = ?"
            return connection.execute(asked, (integration, an_id)).fetchone() is not None

    def waiting(self) -> list[str]:
        """Return the integrations that have entries. Raises JournalError."""
        with self._using() as connection:
            return [name for (name,) in connection.execute("SELECT DISTINCT integration FROM entries")]

    def oldest(self, integration: str, most: int) -> list[Entry]:
        """Return up to `most` entries of `integration`, in the order in which they came. Raises JournalError."""
        with self._using() as connection:
            asked = "SELECT number, received_at, records FROM entries WHERE integration = ? ORDER BY number LIMIT ?"
            found = connection.execute(asked, (integration, most)).fetchall()
        entries = list(takewhile(bool, (_read_entry(integration, *row) for row in found)))
        if found and not entries:
            where = f"the journal {self.folder / _FILE}: entry {found[0][0]} of {integration}"
            raise JournalError(f"{where} is damaged, and those behind it wait: delete it, or put the file away")
        return [entry for entry in entries if entry]

    def remove(self, entries: Sequence[Entry]) -> None:
        """Forget entries that Redis has. Raises JournalError: they are still there."""
        with self._using() as connection:
            connection.executemany("DELETE FROM entries WHERE number = ?", [(entry.number,) for entry in entries])

    def look(self, now: int) -> JournalState:
        """Return how the journal stands, having written to it (`now`: Unix ms)."""
        try:
            with self._using() as connection:
                connection.execute("INSERT OR REPLACE INTO probe VALUES ('look', ?)", (now,))
            # Not within the write: counting a long journal takes a while, and appends wait for that lock.
            with self._using() as connection:
                [count] = connection.execute("SELECT count(*) FROM entries INDEXED BY of_integration").fetchone()
                oldest = connection.execute("SELECT received_at FROM entries ORDER BY number LIMIT 1").fetchone()
                return JournalState(count, oldest[0] if oldest else None, self._fullness(connection))
        except JournalError as error:
            return JournalState(fault=str(error))

    def close(self) -> None:
        """Close the file; nothing may use the journal any more. While the disk hangs the file stays open to the process's end."""
        if self._writer and self._writer.is_alive():
            self._asks.put(None)
            self._writer.join(_BUSY + 1)
            if self._writer.is_alive():
                return  # SQLite does not survive that a connection at work is closed
        while self._opened:
            self._opened.popitem()[0].close()

    def _fullness(self, connection: sqlite3.Connection) -> str | None:
        def pragma(name: str) -> int:
            number: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
            return number

        used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
        if self._most_bytes - used < _LEAST_FREE:
            return f"it is full: {used >> 20} MiB of at most {self._most_bytes >> 20} MiB (RELAY_JOURNAL_MAX)"
        if shutil.disk_usage(self.folder).free < _LEAST_FREE:
            return f"the disk of {self.folder} is full"
        return None

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection for one transaction, which is on the disk when this returns."""
        try:
            with self._connected() as connection:
                yield connection
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last where SQLite quotes what a disk spoilt
            self._disconnect()
            raise JournalError(f"the journal {self.folder / _FILE}: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is not None and not self._is_of_the_file(connection):
            self._disconnect()
            connection = None
        if connection is None:
            connection = self._threads.connection = self._connect()
        return connection

    def _is_of_the_file(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the file of this name still is the one that was opened: somebody may have put another one there."""
        try:
            return _file_id(self.folder / _FILE) == self._opened.get(connection)
        except OSError:
            return False

    def _disconnect(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        self._threads.connection = None
        if connection is not None:
            self._opened.pop(connection, None)
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        path = self.folder / _FILE
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # tickets are nobody else's business
        connection = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)
        try:
            self._set_up(connection)
            self._opened[connection] = _file_id(path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        (whose,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and whose != _APPLICATION_ID:
            raise sqlite3.DatabaseError("this is another program's database: name an empty folder")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {self._most_bytes // page_size}")
        if not tables:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.executescript(_SCHEMA)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # The writer

    def _start_writer(self) -> None:
        if self._writer is None or not self._writer.is_alive():
            with self._starting:
                if self._writer is None or not self._writer.is_alive():
                    self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
                    self._writer.start()

    def _write(self) -> None:
        asks: list[_Ask | None] = []
        while None not in asks:
            asks = [self._asks.get()]
            with contextlib.suppress(queue.Empty):
                while len(asks) < _AT_ONCE:
                    asks.append(self._asks.get_nowait())
            # Who waited too long was told so already, and sends it again: it is not stored behind their back.
            if waiting := [ask for ask in asks if ask and ask[1].set_running_or_notify_cancel()]:
                self._store(waiting)

    def _store(self, asks: Sequence[_Ask]) -> None:
        try:
            rows = [row for row, _ in asks]
            # A file that was removed takes commits as if nothing had happened, until its last user ends: then a new one does.
            if not (self._insert(rows) or self._insert(rows)):
                raise JournalError(f"the journal {self.folder / _FILE}: somebody removes its files")
        except JournalError as error:
            for _, stored in asks:
                stored.set_exception(JournalError(str(error)))
        else:
            for _, stored in asks:
                stored.set_result(None)

    def _insert(self, rows: Sequence[tuple[str, str, int, str]]) -> bool:
        """Store rows; False where they went into files that are not in their place any more."""
        with self._using() as connection:
            asked = "INSERT INTO entries (integration, id, received_at, records) VALUES (?, ?, ?, ?)"
            connection.executemany(asked, rows)
        if self._is_in_place(connection):
            return True
        self._disconnect()
        return False

    def _is_in_place(self, connection: sqlite3.Connection) -> bool:
        try:
            log_size = (self.folder / f"{_FILE}-wal").stat().st_size
        except OSError:
            return False
        return log_size > 0 and self._is_of_the_file(connection)


def _read_entry(integration: str, number: int, at: Any, records: Any) -> Entry | None:
    """Return an entry, or None where it is none that was written here: a disk may spoil what SQLite does not check."""
    try:
        read = json.loads(records)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(at, int) or not isinstance(read, list) or not all(isinstance(one, str) for one in read):
        return None
    return Entry(number, integration, at, tuple(read))


def _file_id(path: Path) -> _FileId:
    """Return what tells a file from another one of its name; of an emptied file nothing."""
    found = path.stat()
    return (found.st_dev, found.st_ino) if found.st_size else None


def open_journal(folder: Path, *, most_bytes: int) -> Journal:
    """Return the journal of `folder`, made where it is missing.

    Raises:
        ConfigurationError: it cannot be written there, or what is there is no journal.
    """
    journal = Journal(folder, most_bytes=most_bytes)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(folder / _FILE, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError([f"RELAY_JOURNAL: the folder {folder} cannot be written: {error.strerror}"]) from None
    try:
        journal.waiting()
    except JournalError as error:
        raise ConfigurationError([f"RELAY_JOURNAL: {error}"]) from None
    return journal
