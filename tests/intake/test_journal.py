"""The journal's file: what was appended is there, in order, whoever dies. Real SQLite on a real disk."""

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
PATIENCE = 10.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path, most_bytes=64 * MIB)
    yield journal
    journal.close()


def append(journal: Journal, *ids: str, integration: str = "acme", record: str = "{}") -> None:
    for an_id in ids:
        journal.append(integration, an_id, 1_000, [record], patience=PATIENCE)


def is_appended(journal: Journal, an_id: str, *, record: str = "{}") -> bool:
    try:
        append(journal, an_id, record=record)
    except JournalError:
        return False
    return True


def records(journal: Journal, integration: str = "acme") -> list[str]:
    return [record for entry in journal.oldest(integration, 1_000) for record in entry.records]


def test_entries_come_back_in_the_order_in_which_they_came(journal: Journal) -> None:
    for number in range(20):
        journal.append(
            "acme", f"ID{number}", 1_000 - number, [f"first {number}", f"second {number}"], patience=PATIENCE
        )

    entries = journal.oldest("acme", 15)

    assert [entry.records for entry in entries] == [(f"first {n}", f"second {n}") for n in range(15)]
    assert [entry.received_at for entry in entries] == [1_000 - n for n in range(15)]


def test_what_was_removed_is_gone_and_the_rest_stays(journal: Journal) -> None:
    append(journal, "ID1", "ID2", "ID3")

    journal.remove(journal.oldest("acme", 2))

    assert [journal.has("acme", an_id) for an_id in ("ID1", "ID2", "ID3")] == [False, False, True]


def test_integrations_wait_apart(journal: Journal) -> None:
    append(journal, "ID1", integration="acme")
    append(journal, "ID2", integration="globex")

    journal.remove(journal.oldest("acme", 1))

    assert journal.waiting() == ["globex"]
    assert (journal.holds("acme"), journal.holds("globex")) == (False, True)


def test_threads_of_two_processes_lose_nothing_of_one_another(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        journals = [open_journal(tmp_path, most_bytes=64 * MIB) for _ in range(2)]
        for number in range(200):
            pool.submit(append, journals[number % 2], f"ID{number}", record=f"record {number}")

    assert sorted(records(journals[0])) == sorted(f"record {number}" for number in range(200))
    for journal in journals:
        journal.close()


def test_what_append_returned_for_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from relay.intake.journal import open_journal\n"
        "journal = open_journal(Path(sys.argv[1]), most_bytes=1 << 26)\n"
        "for number in range(10**6):\n"
        "    journal.append('acme', f'ID{number}', 0, [f'{number}'], patience=10)\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    told_in_full = [int(line) for line in told if line.endswith("\n")]

    journal = open_journal(tmp_path, most_bytes=64 * MIB)

    found = [int(record) for record in records(journal)]
    assert found[: len(told_in_full)] == told_in_full
    assert len(found) <= len(told_in_full) + 1
    journal.close()


def test_a_full_journal_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, most_bytes=4 * MIB)
    taken = 0

    with pytest.raises(JournalError, match="full"):  # noqa: PT012 - which append is the last is not known
        while True:
            append(journal, f"ID{taken}", record="x" * 100_000)
            taken += 1

    assert taken > 10
    assert len(records(journal)) == taken
    fault = journal.look(0).fault
    assert fault is not None
    assert "RELAY_JOURNAL_MAX" in fault
    journal.close()


def test_a_full_journal_is_opened_all_the_same(tmp_path: Path) -> None:
    full = open_journal(tmp_path, most_bytes=4 * MIB)
    with pytest.raises(JournalError):  # noqa: PT012 - which append is the last is not known
        while True:
            append(full, "ID", record="x" * 100_000)
    full.close()

    journal = open_journal(tmp_path, most_bytes=4 * MIB)

    assert journal.waiting() == ["acme"]
    journal.close()


@pytest.mark.parametrize("trouble", ["full", "broken"])
def test_a_journal_that_fails_again_and_again_keeps_no_file_open(tmp_path: Path, trouble: str) -> None:
    journal = open_journal(tmp_path, most_bytes=4 * MIB)
    if trouble == "full":
        for size in (100_000, 1_000, 1):
            while is_appended(journal, "ID", record="x" * size):
                pass
    else:
        journal.close()
        for path in tmp_path.iterdir():
            path.write_bytes(b"broken" * 1_000)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(20):
        assert not is_appended(journal, "ID")
        journal.holds("acme")
        journal.look(0)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 6
    journal.close()


@pytest.mark.parametrize("gone", ["intake.db", "intake.db-wal", "all", "emptied"])
def test_what_is_answered_is_there_though_somebody_removed_the_files(tmp_path: Path, gone: str) -> None:
    folder = tmp_path / "journal"
    journal = open_journal(folder, most_bytes=64 * MIB)
    append(journal, "ID1")
    journal.remove(journal.oldest("acme", 1))
    match gone:
        case "all":
            for path in list(folder.iterdir()):
                path.unlink()
        case "emptied":
            os.truncate(folder / "intake.db", 0)
        case _:
            (folder / gone).unlink()

    answered = is_appended(journal, "ID2")

    script = "import sys; from pathlib import Path; from relay.intake.journal import Journal\n"
    script += "print(Journal(Path(sys.argv[1]), most_bytes=1 << 26).has('acme', 'ID2'))"
    found = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)
    journal.close()
    assert not answered or found.stdout == "True\n", found.stderr


def test_who_had_the_old_file_open_sees_the_new_one(tmp_path: Path, journal: Journal) -> None:
    append(journal, "ID1")
    seen_before = journal.oldest("acme", 10)
    for path in list(tmp_path.iterdir()):
        path.unlink()

    append(journal, "ID2")

    assert len(seen_before) == 1
    assert journal.holds("acme")
    assert journal.look(0).entries == 1


def test_a_journal_that_was_full_takes_more_when_it_is_drained(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, most_bytes=4 * MIB)
    with pytest.raises(JournalError):  # noqa: PT012 - which append is the last is not known
        while True:
            append(journal, "ID", record="x" * 100_000)

    journal.remove(journal.oldest("acme", 1_000))

    append(journal, "ID", record="x" * 100_000)
    assert journal.look(0).fault is None
    journal.close()


def test_a_disk_that_hangs_is_told_in_time(tmp_path: Path, journal: Journal) -> None:
    other = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalError, match=r"longer than 0\.1 s"):
        journal.append("acme", "ID1", 0, ["{}"], patience=0.1)

    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: is_appended(journal, "ID2"), "the disk is asked again")
    assert journal.has("acme", "ID2")


def test_after_the_disk_took_too_long_those_behind_are_told_at_once(tmp_path: Path, journal: Journal) -> None:
    other = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError):
        journal.append("acme", "ID1", 0, ["{}"], patience=0.05)

    began = time.monotonic()
    with pytest.raises(JournalError, match="a moment ago"):
        append(journal, "ID2")

    assert time.monotonic() - began < 0.05
    other.execute("ROLLBACK")
    other.close()


def test_who_gave_up_waiting_is_not_stored_behind_their_back(tmp_path: Path, journal: Journal) -> None:
    other = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = threading.Thread(target=lambda: append(journal, "ID1"))
    first.start()
    wait_until(lambda: journal._writer and journal._asks.empty(), "the writer is busy with the first")

    with pytest.raises(JournalError):
        journal.append("acme", "ID2", 0, ["{}"], patience=0.05)
    other.execute("ROLLBACK")
    other.close()
    first.join()
    wait_until(lambda: is_appended(journal, "ID3"), "the disk is asked again")

    assert not journal.has("acme", "ID2")


def test_a_look_tells_how_many_wait_and_since_when(journal: Journal) -> None:
    journal.append("acme", "ID1", 4_000, ["{}"], patience=PATIENCE)
    journal.append("globex", "ID2", 5_000, ["{}"], patience=PATIENCE)

    state = journal.look(9_000)

    assert (state.entries, state.oldest, state.fault) == (2, 4_000, None)


def test_only_the_relays_own_user_can_read_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal", most_bytes=64 * MIB)
    append(journal, "ID1")

    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "journal").iterdir()} == {0}
    journal.close()


@pytest.mark.parametrize("there", ["a file", "a foreign database", "no database"])
def test_a_folder_that_cannot_be_one_ends_the_start(tmp_path: Path, there: str) -> None:
    folder = tmp_path / "journal"
    match there:
        case "a file":
            folder.write_text("")
        case "a foreign database":
            folder.mkdir()
            with sqlite3.connect(folder / "intake.db") as other:
                other.execute("CREATE TABLE somebody_elses (it TEXT)")
            other.close()
        case _:
            folder.mkdir()
            (folder / "intake.db").write_bytes(os.urandom(8192))

    with pytest.raises(ConfigurationError, match=r"^RELAY_JOURNAL: .*journal"):
        open_journal(folder, most_bytes=64 * MIB)


def test_reading_a_journal_that_cannot_be_read_leaves_the_decision_to_redis(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, most_bytes=64 * MIB)
    append(journal, "ID1")
    journal.close()
    for path in tmp_path.iterdir():
        path.write_bytes(b"broken" * 1_000)

    broken = Journal(tmp_path, most_bytes=64 * MIB)

    assert not broken.holds("acme")
    with pytest.raises(JournalError):
        broken.append("acme", "ID2", 0, ["{}"], patience=PATIENCE)
    broken.close()


def test_closing_waits_for_the_write_that_is_under_way(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, most_bytes=64 * MIB)
    append(journal, "first")
    other = sqlite3.connect(tmp_path / "intake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError):
        journal.append("acme", "second", 1_000, ["{}"], patience=0.05)
    writer = journal._writer

    journal.close()

    assert writer is not None
    assert not writer.is_alive(), "SQLite crashes where a connection is closed that is at work"
    other.close()
