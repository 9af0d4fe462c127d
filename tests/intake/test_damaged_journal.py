"""A journal whose disk spoilt it: cut, overwritten, edited. It says so, or gives what was written; never anything else."""

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
SPOILT = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a journal with three entries."""
    folder = tmp_path_factory.mktemp("good")
    journal = open_journal(folder, most_bytes=64 * MIB)
    for number, records in enumerate(WRITTEN):
        journal.append("acme", f"ID{number}", 1_000 + number, records, patience=10)
    journal.close()
    return folder / "intake.db"


def entries_of(folder: Path, content: bytes) -> list[tuple[str, ...]] | str:
    """Return what a journal with this file gives, after all that web and drainer ask of it; or the fault that it tells."""
    for path in folder.iterdir():
        path.unlink()
    (folder / "intake.db").write_bytes(content)
    try:
        journal = open_journal(folder, most_bytes=64 * MIB)
    except ConfigurationError as error:
        return str(error)
    try:
        return asked(journal)
    except JournalError as error:
        return str(error)
    finally:
        journal.close()


def asked(journal: Journal) -> list[tuple[str, ...]]:
    journal.look(2_000)
    journal.holds("acme")
    journal.has("acme", "ID1")
    found = journal.oldest("acme", 10) if "acme" in journal.waiting() else []
    journal.append("acme", "ID9", 2_000, ["after"], patience=10)
    return [entry.records for entry in found]


@SPOILT
@example(at=3800, piece=b"\x80", how="overwritten")
@given(st.integers(0, 1 << 15), st.binary(max_size=40), st.sampled_from(["cut", "overwritten", "put before"]))
def test_a_file_that_is_cut_or_overwritten_is_told_or_gives_texts(
    good: Path, tmp_path: Path, at: int, piece: bytes, how: str
) -> None:
    whole = good.read_bytes()
    at %= len(whole)
    content = {
        "cut": whole[:at],
        "overwritten": whole[:at] + piece + whole[at + len(piece) :],
        "put before": piece + whole,
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


def is_spoilt(value: object) -> bool:
    """Tell whether SQLite takes a value there that the journal never wrote."""
    storable = value is not None and not (isinstance(value, int) and abs(value) >= 2**63)
    return storable and value not in ("[]", b"[]")


@SPOILT
@given(st.integers(1, 3), ROWS.filter(is_spoilt))
def test_an_entry_that_is_none_stops_those_behind_it_and_no_others(
    good: Path, tmp_path: Path, which: int, content: object
) -> None:
    for found in tmp_path.iterdir():
        found.unlink()
    path = tmp_path / "intake.db"
    path.write_bytes(good.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as edited, edited:
        edited.execute("UPDATE entries SET records = ? WHERE number = ?", (content, which))

    with opened(tmp_path) as journal:
        journal.append("globex", "ID1", 2_000, ["another's"], patience=10)
        assert [entry.records for entry in journal.oldest("globex", 10)] == [("another's",)]
        if which > 1:
            assert [entry.records for entry in journal.oldest("acme", 10)] == WRITTEN[: which - 1]
        else:
            with pytest.raises(JournalError, match=r"entry 1 of acme is damaged|decode"):
                journal.oldest("acme", 10)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    journal = open_journal(folder, most_bytes=64 * MIB)
    yield journal
    journal.close()
