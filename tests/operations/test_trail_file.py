"""An exported trail that somebody edited, cut or made up: a finding or a sentence, never a good report of other records."""

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
        lines += [*({"record": one} for one in group), {"seal": asdict(before)}]
    return [*lines, {"record": records[4]}, {"end": "acme"}]


TEXT = "".join(f"{json.dumps(line)}\n" for line in export())


def checked(text: str) -> list[TrailReport] | str:
    """Return what `relay audit verify FILE` finds, or the sentence that it ends with."""
    try:
        return list(check_file(_parse(StringIO(text)), [KEY]))
    except ValueError as error:
        return str(error)


def between(text: str, report: TrailReport) -> list[dict[str, Any]]:
    """Return what the records say that a report vouches for; a member that is null counts as absent."""
    first, last = id_order(report.first or "0-0"), id_order(report.last or "0-0")
    lines = (json.loads(line) for line in text.splitlines())
    records = [line["record"] for line in lines if "record" in line]
    found = [one for one in records if first <= id_order(one["id"]) <= last]
    return [{name: value for name, value in one.items() if value is not None} for one in found]


def assert_vouched_for_as_written(text: str, found: list[TrailReport] | str) -> None:
    """What a file is found good for stands there as it was written, all of it and nothing else."""
    for report in [] if isinstance(found, str) else found:
        if report.finding is None:
            assert between(text, report) == between(TEXT, report)
            assert len(between(text, report)) == report.sealed


def test_the_export_is_good() -> None:
    (report,) = check_file(_parse(StringIO(TEXT)), [KEY])

    assert (report.finding, report.seals, report.sealed, report.unsealed, report.anchored) == (None, 2, 4, 1, True)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 12),
    st.text(st.sampled_from('"{}[]:,0123456789abcdef-\\\nu \x00\u202e'), max_size=6),
)
def test_whatever_is_changed_in_a_file_what_it_is_good_for_is_as_it_was_written(at: int, gone: int, put: str) -> None:
    text = TEXT[:at] + put + TEXT[at + gone :]

    found = checked(text)

    assert found
    assert_vouched_for_as_written(text, found)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(0, 8), max_size=12))
def test_whatever_the_order_of_lines_what_they_are_good_for_is_as_it_was_written(order: list[int]) -> None:
    lines = TEXT.splitlines(keepends=True)
    text = "".join(lines[number] for number in order)

    assert_vouched_for_as_written(text, checked(text))


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
def test_any_lines_of_json_are_reports_or_a_sentence(data: st.DataObject) -> None:
    lines = export()
    for _ in range(data.draw(st.integers(1, 3))):
        line = lines[data.draw(st.integers(0, len(lines) - 1))]
        inner = next((one for one in line.values() if isinstance(one, dict) and data.draw(st.booleans())), line)
        inner[data.draw(MEMBERS)] = data.draw(VALUES | NEARLY)

    found = checked("".join(f"{json.dumps(line)}\n" for line in lines))

    assert found
    assert isinstance(found, str) or all(one.finding is None or one.finding.sentence for one in found)


@given(
    st.text(st.characters()) | st.lists(VALUES.map(json.dumps)).map("\n".join) | st.integers(1, 3_000).map("[".__mul__)
)
def test_any_text_is_no_export(text: str) -> None:
    assert isinstance(checked(text), str)
