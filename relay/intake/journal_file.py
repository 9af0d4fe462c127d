"""The SQLite file of the intake journal: connections, transactions, and checks that the file is still in its place.

Write-ahead log and synchronous FULL: after a commit the data is on the disk. `journal` describes the content of the tables.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from relay.errors import JournalError

_NAME = "intake.db"
#: Marks a SQLite file as an intake journal ("itsm").
_APPLICATION_ID = 0x6974736D
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY AUTOINCREMENT, integration TEXT NOT NULL, id TEXT NOT NULL,
                                    received_at INTEGER NOT NULL, records TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS of_integration ON entries (integration, number);
CREATE TABLE IF NOT EXISTS probe (name TEXT PRIMARY KEY, at INTEGER NOT NULL);
"""
#: How long one process waits for the commit of another (seconds).
BUSY_TIMEOUT = 1.0
#: With less space than this, in the file or on the disk, the journal counts as full (bytes).
_MIN_FREE = 1 << 20

_FileId = tuple[int, int] | None


class JournalFile:
    """The file in one process. Each thread has a separate connection."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """`folder` must be on a local disk: SQLite's write-ahead log needs memory that the processes share."""
        self.folder = folder
        self.path = folder / _NAME
        self._max_bytes = max_bytes
        self._threads = threading.local()
        #: Each connection, with the identity of the file that it opened.
        self._opened: dict[sqlite3.Connection, _FileId] = {}

    def create(self) -> None:
        """Create the folder and the file if they do not exist. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Readable by the relay's user alone: entries hold tickets.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection for one transaction, which is on the disk when the block ends.

        Raises:
            JournalError: the transaction is not known to be on the disk.
        """
        try:
            with self._connection() as connection:
                yield connection
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last: SQLite quotes damaged data
            self.disconnect()
            raise self.error(error) from error

    def error(self, problem: object) -> JournalError:
        """Return an error that names the file."""
        return JournalError(f"the journal {self.path}: {problem}")

    def disconnect(self) -> None:
        """Close this thread's connection. The next transaction opens the file again."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        self._threads.connection = None
        if connection is not None:
            self._opened.pop(connection, None)
            connection.close()

    def is_in_place(self, connection: sqlite3.Connection) -> bool:
        """Return whether the last commit on `connection` went into the files of this name.

        SQLite also commits to a file that was removed: it exists until the last process closes it.
        """
        try:
            log_size = self.path.with_name(f"{_NAME}-wal").stat().st_size
        except OSError:
            return False
        return log_size > 0 and self._is_current(connection)

    def fullness(self, connection: sqlite3.Connection) -> str | None:
        """Return a sentence if the journal is full, or None."""

        def pragma(name: str) -> int:
            number: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
            return number

        used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
        if self._max_bytes - used < _MIN_FREE:
            return f"the journal is full: {used >> 20} MiB of {self._max_bytes >> 20} MiB (RELAY_JOURNAL_MAX)"
        if shutil.disk_usage(self.folder).free < _MIN_FREE:
            return f"the disk of {self.folder} is full"
        return None

    def close(self) -> None:
        """Close the connections of all threads. No thread can use the file after that."""
        while self._opened:
            self._opened.popitem()[0].close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is not None and not self._is_current(connection):
            self.disconnect()
            connection = None
        if connection is None:
            connection = self._threads.connection = self._connect()
        return connection

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Return whether `connection` opened the file that now has this name: another program may have replaced it."""
        try:
            return _file_id(self.path) == self._opened.get(connection)
        except OSError:
            return False

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, check_same_thread=False)
        try:
            self._set_up(connection)
            self._opened[connection] = _file_id(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application_id != _APPLICATION_ID:
            raise sqlite3.DatabaseError("the database belongs to another program: use an empty folder")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {self._max_bytes // page_size}")
        if not tables:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.executescript(_SCHEMA)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _file_id(path: Path) -> _FileId:
    """Return what distinguishes a file from another one with its name, or None if the file is empty."""
    found = path.stat()
    return (found.st_dev, found.st_ino) if found.st_size else None
