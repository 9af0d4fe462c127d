"""The intake journal: webhooks that web accepted while Redis was unavailable, on the local disk until Redis has them.

All web processes of a machine share one file. The drainer removes entries in the order in which they arrived.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from relay.errors import ConfigurationError, JournalError
from relay.intake.journal_file import JournalFile
from relay.intake.journal_writer import JournalWriter


@dataclass(frozen=True, slots=True)
class Entry:
    """One waiting webhook. `records` are encoded by `store.submissions`, for the accept script."""

    number: int
    integration: str
    #: Unix milliseconds.
    received_at: int
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the journal holds, and whether it accepts more."""

    entries: int = 0
    #: When the oldest entry was received (Unix ms); None if there is no entry.
    oldest: int | None = None
    #: Why the journal accepts no entries; None if it does.
    fault: str | None = None


class Journal:
    """The journal of this machine. Threads share it; create it after the fork, because processes share only the file."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self._file = JournalFile(folder, max_bytes=max_bytes)
        self._writer = JournalWriter(self._file)

    def append(
        self, integration: str, entry_id: str, received_at: int, records: Sequence[str], *, timeout: float
    ) -> None:
        """Return when `records` are on the disk.

        Raises:
            JournalError: they are not known to be there after `timeout` seconds.
        """
        row = (integration, entry_id, received_at, json.dumps(records, separators=(",", ":")))
        self._writer.append(row, timeout=timeout)

    def has_entries(self, integration: str) -> bool:
        """Return whether `integration` has entries. False if the file cannot be read: then only Redis counts."""
        try:
            with self._file.transaction() as connection:
                found = connection.execute("SELECT 1 FROM entries WHERE integration = ? LIMIT 1", (integration,))
                return found.fetchone() is not None
        except JournalError:
            return False

    def has_entry(self, integration: str, entry_id: str) -> bool:
        """Return whether the webhook that was answered with `entry_id` is waiting. Raises JournalError."""
        with self._file.transaction() as connection:
            query = "SELECT 1 FROM entries WHERE integration = ? AND id = ?"
            return connection.execute(query, (integration, entry_id)).fetchone() is not None

    def integrations(self) -> list[str]:
        """Return the integrations that have entries. Raises JournalError."""
        with self._file.transaction() as connection:
            return [name for (name,) in connection.execute("SELECT DISTINCT integration FROM entries")]

    def oldest(self, integration: str, limit: int) -> list[Entry]:
        """Return up to `limit` entries of `integration`, in the order of their arrival. Raises JournalError."""
        with self._file.transaction() as connection:
            query = "SELECT number, received_at, records FROM entries WHERE integration = ? ORDER BY number LIMIT ?"
            found = connection.execute(query, (integration, limit)).fetchall()
        entries = list(takewhile(bool, (_read_entry(integration, *row) for row in found)))
        if found and not entries:
            problem = f"entry {found[0][0]} of {integration} is damaged, and later entries wait behind it"
            raise self._file.error(f"{problem}: delete the entry, or move the file away")
        return [entry for entry in entries if entry]

    def remove(self, entries: Sequence[Entry]) -> None:
        """Remove entries that Redis has. Raises JournalError: they are still there."""
        with self._file.transaction() as connection:
            connection.executemany("DELETE FROM entries WHERE number = ?", [(entry.number,) for entry in entries])

    def check(self, now: int) -> JournalState:
        """Return the state of the journal after a write to it. `now` in Unix milliseconds."""
        try:
            with self._file.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO probe VALUES ('look', ?)", (now,))
            # In a second transaction: counting takes a while, and a write transaction would block appends.
            with self._file.transaction() as connection:
                [count] = connection.execute("SELECT count(*) FROM entries INDEXED BY of_integration").fetchone()
                oldest = connection.execute("SELECT received_at FROM entries ORDER BY number LIMIT 1").fetchone()
                return JournalState(count, oldest[0] if oldest else None, self._file.fullness(connection))
        except JournalError as error:
            return JournalState(fault=str(error))

    def close(self) -> None:
        """Close the file. While the disk hangs, the file stays open until the process ends."""
        # SQLite can crash if a connection is closed during a write.
        if self._writer.stop():
            self._file.close()


def open_journal(folder: Path, *, max_bytes: int) -> Journal:
    """Return the journal in `folder`, which is created if it does not exist.

    Raises:
        ConfigurationError: the folder is not writable, or its file is not a journal.
    """
    try:
        JournalFile(folder, max_bytes=max_bytes).create()
    except OSError as error:
        raise ConfigurationError([f"RELAY_JOURNAL: the folder {folder} cannot be written: {error.strerror}"]) from None
    journal = Journal(folder, max_bytes=max_bytes)
    try:
        journal.integrations()
    except JournalError as error:
        raise ConfigurationError([f"RELAY_JOURNAL: {error}"]) from None
    return journal


def _read_entry(integration: str, number: int, received_at: Any, records: Any) -> Entry | None:
    """Return an entry, or None if its content is not what the relay wrote: SQLite does not detect all damage."""
    try:
        read = json.loads(records)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(received_at, int) or not isinstance(read, list):
        return None
    if not all(isinstance(record, str) for record in read):
        return None
    return Entry(number, integration, received_at, tuple(read))
