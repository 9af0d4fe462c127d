"""A journal that was damaged on the disk: cut, overwritten, edited. It reports the damage, or returns what was written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from properties import examples

from relay.errors import ConfigurationError, JournalError
from relay.intake.journal import Journal, open_journal

MIB = 1 << 20
WRITTEN = [("first", '{"a": "ü\\u2028"}'), ("second",), ("third", "{}")]
DAMAGE = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an intact journal with three entries."""
    folder = tmp_path_factory.mktemp("good")
    journal = open_journal(folder, max_bytes=64 * MIB)
    for number, records in enumerate(WRITTEN):
        journal.append("acme", f"ID{number}", 1_000 + number, records, timeout=10)
    journal.close()
    return folder / "intake.db"


def entries_of(folder: Path, content: bytes) -> list[tuple[str, ...]] | str:
    """Return the entries of a journal with this file, after all calls that web and the drainer make, or the error."""
    for path in folder.iterdir():
        path.unlink()
    (folder / "intake.db").write_bytes(content)
    try:
        journal = open_journal(folder, max_bytes=64 * MIB)
    except ConfigurationError as error:
        return str(error)
    try:
        return use(journal)
    except JournalError as error:
        return str(error)
    finally:
        journal.close()


def use(journal: Journal) -> list[tuple[str, ...]]:
    journal.check(2_000)
    journal.has_entries("acme")
    journal.has_entry("acme", "ID1")
    found = journal.oldest("acme", 10) if "acme" in journal.integrations() else []
    journal.append("acme", "ID9", 2_000, ["after"], timeout=10)
    return [entry.records for entry in found]


@DAMAGE
@example(at=3800, piece=b"\x80", how="overwritten")
@given(st.integers(0, 1 << 15), st.binary(max_size=40), st.sampled_from(["cut", "overwritten", "prefixed"]))
def test_a_cut_or_overwritten_file_is_reported_or_returns_texts(
    good: Path, tmp_path: Path, at: int, piece: bytes, how: str
) -> None:
    whole = good.read_bytes()
    at %= len(whole)
    content = {
        "cut": whole[:at],
        "overwritten": whole[:at] + piece + whole[at + len(piece) :],
        "prefixed": piece + whole,
    }[how]

    found = entries_of(tmp_path, content)

    if isinstance(found, str):
        assert f"the journal {tmp_path}" in found
    else:
        assert all(isinstance(record, str) for records in found for record in records)


ROWS = st.one_of(
    st.none(), st.integers(), st.binary(max_size=9), st.text(max_size=9),
    st.sampled_from(['["cut', "[" * 100_000, "[1]", "{}", "null", '["a", null]', "9" * 5_000, "NaN"]),
)  # fmt: skip


def is_damaged(value: object) -> bool:
    """Return whether SQLite accepts the value, and the journal never writes it."""
    storable = value is not None and not (isinstance(value, int) and abs(value) >= 2**63)
    return storable and value not in ("[]", b"[]")


@DAMAGE
@given(st.integers(1, 3), ROWS.filter(is_damaged))
def test_a_damaged_entry_blocks_only_later_entries_of_its_integration(
    good: Path, tmp_path: Path, which: int, content: object
) -> None:
    for found in tmp_path.iterdir():
        found.unlink()
    path = tmp_path / "intake.db"
    path.write_bytes(good.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as edited, edited:
        edited.execute("UPDATE entries SET records = ? WHERE number = ?", (content, which))

    with opened(tmp_path) as journal:
        journal.append("globex", "ID1", 2_000, ["intact"], timeout=10)
        assert [entry.records for entry in journal.oldest("globex", 10)] == [("intact",)]
        if which > 1:
            assert [entry.records for entry in journal.oldest("acme", 10)] == WRITTEN[: which - 1]
        else:
            with pytest.raises(JournalError, match=r"entry 1 of acme is damaged|decode"):
                journal.oldest("acme", 10)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    journal = open_journal(folder, max_bytes=64 * MIB)
    yield journal
    journal.close()
