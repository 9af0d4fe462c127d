"""The intake journal keeps what was appended, in order, through crashes and faults of the disk. Real SQLite on a real disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import wait_until

from relay.errors import ConfigurationError, JournalError
from relay.intake.journal import Journal, open_journal

MIB = 1 << 20
TIMEOUT = 10.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path, max_bytes=64 * MIB)
    yield journal
    journal.close()


def append(journal: Journal, *ids: str, integration: str = "acme", record: str = "{}") -> None:
    for entry_id in ids:
        journal.append(integration, entry_id, 1_000, [record], timeout=TIMEOUT)


def is_appended(journal: Journal, entry_id: str, *, record: str = "{}") -> bool:
    try:
        append(journal, entry_id, record=record)
    except JournalError:
        return False
    return True


def records(journal: Journal, integration: str = "acme") -> list[str]:
    return [record for entry in journal.oldest(integration, 1_000) for record in entry.records]


def test_entries_are_returned_in_the_order_of_their_arrival(journal: Journal) -> None:
    for number in range(20):
        journal.append("acme", f"ID{number}", 1_000 - number, [f"first {number}", f"second {number}"], timeout=TIMEOUT)

    entries = journal.oldest("acme", 15)

    assert [entry.records for entry in entries] == [(f"first {n}", f"second {n}") for n in range(15)]
    assert [entry.received_at for entry in entries] == [1_000 - n for n in range(15)]


def test_only_removed_entries_are_gone(journal: Journal) -> None:
    append(journal, "ID1", "ID2", "ID3")

    journal.remove(journal.oldest("acme", 2))

    assert [journal.has_entry("acme", entry_id) for entry_id in ("ID1", "ID2", "ID3")] == [False, False, True]


def test_integrations_are_separate(journal: Journal) -> None:
    append(journal, "ID1", integration="acme")
    append(journal, "ID2", integration="globex")

    journal.remove(journal.oldest("acme", 1))

    assert journal.integrations() == ["globex"]
    assert (journal.has_entries("acme"), journal.has_entries("globex")) == (False, True)


def test_threads_of_two_processes_lose_no_entry(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        journals = [open_journal(tmp_path, max_bytes=64 * MIB) for _ in range(2)]
        for number in range(200):
            pool.submit(append, journals[number % 2], f"ID{number}", record=f"record {number}")

    assert sorted(records(journals[0])) == sorted(f"record {number}" for number in range(200))
    for journal in journals:
        journal.close()


def test_an_appended_entry_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from relay.intake.journal import open_journal\n"
        "journal = open_journal(Path(sys.argv[1]), max_bytes=1 << 26)\n"
        "for number in range(10**6):\n"
        "    journal.append('acme', f'ID{number}', 0, [f'{number}'], timeout=10)\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    appended = [int(line) for line in lines if line.endswith("\n")]

    journal = open_journal(tmp_path, max_bytes=64 * MIB)

    found = [int(record) for record in records(journal)]
    assert found[: len(appended)] == appended
    assert len(found) <= len(appended) + 1
    journal.close()


def test_a_full_journal_refuses_entries_and_keeps_the_others(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=4 * MIB)
    taken = 0

    with pytest.raises(JournalError, match="full"):  # noqa: PT012 - it is not known which append fails
        while True:
            append(journal, f"ID{taken}", record="x" * 100_000)
            taken += 1

    assert taken > 10
    assert len(records(journal)) == taken
    fault = journal.check(0).fault
    assert fault is not None
    assert "RELAY_JOURNAL_MAX" in fault
    journal.close()


def test_a_full_journal_can_be_opened(tmp_path: Path) -> None:
    full = open_journal(tmp_path, max_bytes=4 * MIB)
    with pytest.raises(JournalError):  # noqa: PT012 - it is not known which append fails
        while True:
            append(full, "ID", record="x" * 100_000)
    full.close()

    journal = open_journal(tmp_path, max_bytes=4 * MIB)

    assert journal.integrations() == ["acme"]
    journal.close()


@pytest.mark.parametrize("fault", ["full", "damaged"])
def test_a_failing_journal_leaves_no_file_open(tmp_path: Path, fault: str) -> None:
    journal = open_journal(tmp_path, max_bytes=4 * MIB)
    if fault == "full":
        for size in (100_000, 1_000, 1):
            while is_appended(journal, "ID", record="x" * size):
                pass
    else:
        journal.close()
        for path in tmp_path.iterdir():
            path.write_bytes(b"damaged" * 1_000)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(20):
        assert not is_appended(journal, "ID")
        journal.has_entries("acme")
        journal.check(0)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 6
    journal.close()


@pytest.mark.parametrize("removed", ["intake.db", "intake.db-wal", "all", "emptied"])
def test_an_appended_entry_is_kept_although_the_files_were_removed(tmp_path: Path, removed: str) -> None:
    folder = tmp_path / "journal"
    journal = open_journal(folder, max_bytes=64 * MIB)
    append(journal, "ID1")
    journal.remove(journal.oldest("acme", 1))
    match removed:
        case "all":
            for path in list(folder.iterdir()):
                path.unlink()
        case "emptied":
            os.truncate(folder / "intake.db", 0)
        case _:
            (folder / removed).unlink()

    appended = is_appended(journal, "ID2")

    script = "import sys; from pathlib import Path; from relay.intake.journal import Journal\n"
    script += "print(Journal(Path(sys.argv[1]), max_bytes=1 << 26).has_entry('acme', 'ID2'))"
    found = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)
    journal.close()
    assert not appended or found.stdout == "True\n", found.stderr


def test_a_replaced_file_is_opened_again(tmp_path: Path, journal: Journal) -> None:
    append(journal, "ID1")
    entries_before = journal.oldest("acme", 10)
    for path in list(tmp_path.iterdir()):
        path.unlink()

    append(journal, "ID2")

    assert len(entries_before) == 1
    assert journal.has_entries("acme")
    assert journal.check(0).entries == 1


def test_a_drained_journal_accepts_entries_again(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=4 * MIB)
    with pytest.raises(JournalError):  # noqa: PT012 - it is not known which append fails
        while True:
            append(journal, "ID", record="x" * 100_000)

    journal.remove(journal.oldest("acme", 1_000))

    append(journal, "ID", record="x" * 100_000)
    assert journal.check(0).fault is None
    journal.close()


def test_a_hanging_disk_is_reported_in_time(tmp_path: Path, journal: Journal) -> None:
    blocker = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalError, match=r"longer than 0\.1 s"):
        journal.append("acme", "ID1", 0, ["{}"], timeout=0.1)

    blocker.execute("ROLLBACK")
    blocker.close()
    wait_until(lambda: is_appended(journal, "ID2"), "the disk is used again")
    assert journal.has_entry("acme", "ID2")


def test_after_a_timeout_further_appends_fail_at_once(tmp_path: Path, journal: Journal) -> None:
    blocker = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError):
        journal.append("acme", "ID1", 0, ["{}"], timeout=0.05)

    began = time.monotonic()
    with pytest.raises(JournalError, match="a moment ago"):
        append(journal, "ID2")

    assert time.monotonic() - began < 0.05
    blocker.execute("ROLLBACK")
    blocker.close()


def test_a_timed_out_append_is_not_committed(tmp_path: Path, journal: Journal) -> None:
    blocker = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    first = threading.Thread(target=lambda: append(journal, "ID1"))
    first.start()
    wait_until(
        lambda: journal._writer._thread and journal._writer._requests.empty(), "the writer is busy with the first entry"
    )

    with pytest.raises(JournalError):
        journal.append("acme", "ID2", 0, ["{}"], timeout=0.05)
    blocker.execute("ROLLBACK")
    blocker.close()
    first.join()
    wait_until(lambda: is_appended(journal, "ID3"), "the disk is used again")

    assert not journal.has_entry("acme", "ID2")


def test_a_check_returns_the_number_and_the_age_of_entries(journal: Journal) -> None:
    journal.append("acme", "ID1", 4_000, ["{}"], timeout=TIMEOUT)
    journal.append("globex", "ID2", 5_000, ["{}"], timeout=TIMEOUT)

    state = journal.check(9_000)

    assert (state.entries, state.oldest, state.fault) == (2, 4_000, None)


def test_only_the_user_of_the_relay_can_read_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal", max_bytes=64 * MIB)
    append(journal, "ID1")

    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "journal").iterdir()} == {0}
    journal.close()


@pytest.mark.parametrize("content", ["a file", "a foreign database", "no database"])
def test_an_unusable_folder_is_a_configuration_error(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "journal"
    match content:
        case "a file":
            folder.write_text("")
        case "a foreign database":
            folder.mkdir()
            with sqlite3.connect(folder / "intake.db") as other:
                other.execute("CREATE TABLE foreign_table (text TEXT)")
            other.close()
        case _:
            folder.mkdir()
            (folder / "intake.db").write_bytes(os.urandom(8192))

    with pytest.raises(ConfigurationError, match=r"^RELAY_JOURNAL: .*journal"):
        open_journal(folder, max_bytes=64 * MIB)


def test_an_unreadable_journal_has_no_entries_and_accepts_none(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=64 * MIB)
    append(journal, "ID1")
    journal.close()
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged" * 1_000)

    damaged = Journal(tmp_path, max_bytes=64 * MIB)

    assert not damaged.has_entries("acme")
    with pytest.raises(JournalError):
        damaged.append("acme", "ID2", 0, ["{}"], timeout=TIMEOUT)
    damaged.close()


def test_close_waits_for_the_write_in_progress(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=64 * MIB)
    append(journal, "first")
    blocker = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError):
        journal.append("acme", "second", 1_000, ["{}"], timeout=0.05)
    writer = journal._writer._thread

    journal.close()

    assert writer is not None
    assert not writer.is_alive(), "SQLite can crash if a connection is closed during a write"
    blocker.close()
