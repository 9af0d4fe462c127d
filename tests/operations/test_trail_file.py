"""An exported trail that was edited, truncated or forged never verifies other records: the result is a finding or an error."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import StringIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.cli.audit import _parse
from relay.core.seals import Seal, SealingKey, id_order, make_seal
from relay.core.trail_verification import TrailReport
from relay.operations.trail_file import check_file

KEY = SealingKey("the auditors' key")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def export() -> list[dict[str, Any]]:
    """Return the lines of an export of two seals and one record that is not sealed yet."""
    records = [
        {"id": f"{1_000 + number}-0", "at": "2026-11-22T10:20:30.000Z", "type": "accepted", "integration": "acme",
         "delivery_id": None, "sys_id": f"{number:032x}", "number": None, "actor": "ü\u2028", "reason": {"a": [1.5, -0.0]}}
        for number in range(5)
    ]  # fmt: skip
    head = {"export": {"version": 1, "integration": "acme", "complete": True, "from_start": True}}
    lines: list[dict[str, Any]] = [head]
    before: Seal | None = None
    for group in (records[:2], records[2:4]):
        before = make_seal(KEY, "acme", before, group)
        lines += [*({"record": record} for record in group), {"seal": asdict(before)}]
    return [*lines, {"record": records[4]}, {"end": "acme"}]


TEXT = "".join(f"{json.dumps(line)}\n" for line in export())


def checked(text: str) -> list[TrailReport] | str:
    """Return the reports of `relay audit verify FILE`, or its error message."""
    try:
        return list(check_file(_parse(StringIO(text)), [KEY]))
    except ValueError as error:
        return str(error)


def between(text: str, report: TrailReport) -> list[dict[str, Any]]:
    """Return the records that a report verifies; a member that is null counts as absent."""
    first, last = id_order(report.first or "0-0"), id_order(report.last or "0-0")
    lines = (json.loads(line) for line in text.splitlines())
    records = [line["record"] for line in lines if "record" in line]
    found = [record for record in records if first <= id_order(record["id"]) <= last]
    return [{name: value for name, value in record.items() if value is not None} for record in found]


def assert_only_original_records_are_verified(text: str, found: list[TrailReport] | str) -> None:
    """Assert that the reports verify exactly the records of the original export."""
    for report in [] if isinstance(found, str) else found:
        if report.finding is None:
            assert between(text, report) == between(TEXT, report)
            assert len(between(text, report)) == report.sealed


def test_an_unchanged_export_is_verified() -> None:
    (report,) = check_file(_parse(StringIO(TEXT)), [KEY])

    assert (report.finding, report.seals, report.sealed, report.unsealed, report.anchored) == (None, 2, 4, 1, True)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 12),
    st.text(st.sampled_from('"{}[]:,0123456789abcdef-\\\nu \x00\u202e'), max_size=6),
)
def test_an_edited_file_verifies_only_original_records(at: int, gone: int, put: str) -> None:
    text = TEXT[:at] + put + TEXT[at + gone :]

    found = checked(text)

    assert found
    assert_only_original_records_are_verified(text, found)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(0, 8), max_size=12))
def test_reordered_lines_verify_only_original_records(order: list[int]) -> None:
    lines = TEXT.splitlines(keepends=True)
    text = "".join(lines[number] for number in order)

    assert_only_original_records_are_verified(text, checked(text))


NEARLY = st.sampled_from(["1-0", "9" * 19 + "-0", "٣-0", [["1-0", 5]], [["1-0"]], 2**70])
MEMBERS = st.sampled_from(
    [
        "export",
        "record",
        "seal",
        "anchor",
        "end",
        "id",
        "integration",
        "number",
        "records",
        "mac",
        "key",
        "previous",
        "last",
        "version",
    ]
)


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_changed_members_lead_to_reports_or_an_error_message(data: st.DataObject) -> None:
    lines = export()
    for _ in range(data.draw(st.integers(1, 3))):
        line = lines[data.draw(st.integers(0, len(lines) - 1))]
        inner = next(
            (member for member in line.values() if isinstance(member, dict) and data.draw(st.booleans())), line
        )
        inner[data.draw(MEMBERS)] = data.draw(VALUES | NEARLY)

    found = checked("".join(f"{json.dumps(line)}\n" for line in lines))

    assert found
    assert isinstance(found, str) or all(report.finding is None or report.finding.sentence for report in found)


@given(
    st.text(st.characters()) | st.lists(VALUES.map(json.dumps)).map("\n".join) | st.integers(1, 3_000).map("[".__mul__)
)
def test_other_text_is_not_an_export(text: str) -> None:
    assert isinstance(checked(text), str)
