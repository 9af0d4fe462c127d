"""The verification of a sealed trail finds the first record that was edited, removed, added or moved, and wrong seals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from relay.core.seals import Anchor, Seal, SealingKey, digest_of, id_order, make_anchor, make_seal
from relay.core.trail_verification import TrailReport, verify_trail

KEY = SealingKey("a key of the auditors")
OTHER = SealingKey("another key")
PLAIN = SealingKey(None)
Trail = list[dict[str, Any]]


def trail(count: int) -> Trail:
    return [
        {
            "id": f"{1_000 + number // 2}-{number % 2}",
            "at": f"t{number}",
            "type": "accepted",
            "integration": "acme",
            "n": number,
        }
        for number in range(count)
    ]


def chain(records: Trail, sizes: Sequence[int], key: SealingKey = KEY) -> list[Seal]:
    seals: list[Seal] = []
    start = 0
    for size in sizes:
        seals.append(make_seal(key, "acme", seals[-1] if seals else None, records[start : start + size]))
        start += size
    return seals


def check(records: Trail, seals: Sequence[Seal], *keys: SealingKey, anchor: Anchor | None = None) -> TrailReport:
    return verify_trail("acme", records, seals, keys or (KEY,), anchor)


def found(report: TrailReport) -> tuple[str, str]:
    assert report.finding is not None
    return report.finding.kind, report.finding.record


def test_an_unchanged_trail_is_valid() -> None:
    records = trail(10)

    report = check(records, chain(records, [4, 3]))

    assert report == TrailReport("acme", seals=2, sealed=7, unsealed=3, first="1000-0", last="1003-0", anchored=True)


def test_a_trail_without_seals_is_unsealed() -> None:
    assert check(trail(3), []) == TrailReport("acme", unsealed=3)


@given(st.integers(0, 9), st.integers(1, 10))
def test_an_edited_record_is_named(which: int, size: int) -> None:
    records = trail(10)
    seals = chain(records, [size, 10 - size] if size < 10 else [10])
    records[which]["type"] = "delivered"

    assert found(check(records, seals)) == ("edited", records[which]["id"])


@given(st.integers(0, 9), st.integers(1, 10))
def test_a_removed_record_is_named(which: int, size: int) -> None:
    records = trail(10)
    seals = chain(records, [size, 10 - size] if size < 10 else [10])
    removed = records.pop(which)

    assert found(check(records, seals)) == ("removed", removed["id"])


@pytest.mark.parametrize("second", range(5))
def test_an_added_record_is_named(second: int) -> None:
    records = trail(10)
    seals = chain(records, [5, 5])
    added = {**records[0], "id": f"{1_000 + second}-9", "n": "more"}
    records.append(added)
    records.sort(key=lambda record: id_order(record["id"]))

    report = check(records, seals)

    if second == 4:
        assert (report.finding, report.unsealed) == (None, 1), "behind the last seal it is simply not sealed"
    else:
        assert found(report) == ("added", added["id"])


@given(st.permutations(range(6)).filter(lambda order: list(order) != list(range(6))))
def test_reordered_records_are_found(order: list[int]) -> None:
    records = trail(6)
    seals = chain(records, [6])
    contents = [{**records[place], "id": records[number]["id"]} for number, place in enumerate(order)]
    first = next(number for number, place in enumerate(order) if number != place)

    assert found(check(contents, seals)) == ("moved", records[first]["id"])


def test_a_record_with_another_id_is_moved() -> None:
    records = trail(6)
    seals = chain(records, [6])
    moved = records.pop(1)
    records.insert(3, {**moved, "id": "1001-9"})

    assert found(check(records, seals)) == ("moved", moved["id"])


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_removed_seal_is_found(which: int) -> None:
    records = trail(9)
    seals = chain(records, [3, 3, 3])
    del seals[which]

    report = check(records, seals)

    if which == 2:
        assert (report.finding, report.unsealed) == (None, 3), "a tail that was cut off whole cannot be vouched for"
    else:
        assert report.finding is not None
        assert report.finding.sentence.startswith(f"seal {which + 1} is missing")


def test_a_chain_that_was_recreated_without_the_key_is_found() -> None:
    records = trail(6)
    chain(records, [3, 3])
    records[2]["type"] = "forged"
    forged = [replace(seal, key=KEY.name) for seal in chain(records, [3, 3], OTHER)]

    assert found(check(records, forged)) == ("seal", "")
    assert check(records, chain(records, [3, 3], OTHER), KEY).finding is not None


def test_a_chain_without_a_key_shows_accidents_only() -> None:
    records = trail(4)
    seals = chain(records, [4], PLAIN)
    records[1]["type"] = "edited"

    assert found(check(records, seals, PLAIN)) == ("edited", records[1]["id"])
    assert check(records, chain(records, [4], PLAIN), PLAIN).finding is None


def test_keys_can_change_and_seals_name_theirs() -> None:
    records = trail(6)
    first = make_seal(PLAIN, "acme", None, records[:2])
    second = make_seal(KEY, "acme", first, records[2:4])
    third = make_seal(OTHER, "acme", second, records[4:])

    assert check(records, [first, second, third], PLAIN, KEY, OTHER).finding is None
    report = check(records, [first, second, third], PLAIN, OTHER)
    assert report.finding is not None
    assert KEY.name in report.finding.sentence
    assert KEY.secret is not None
    assert KEY.secret not in repr(KEY.name)


def test_a_trimmed_chain_continues_from_its_anchor() -> None:
    records = trail(9)
    seals = chain(records, [3, 3, 3])
    anchor = make_anchor(OTHER, seals[0])

    assert check(records[3:], seals[1:], KEY, OTHER, anchor=anchor).finding is None
    assert check(records[3:], seals[1:], KEY, OTHER, anchor=anchor).anchored
    assert check(records[3:], seals[1:], KEY).finding is not None, "a head that was cut off without an anchor"
    assert check(records[6:], seals[2:], KEY, OTHER, anchor=anchor).finding is not None
    forged = replace(anchor, number=2, seal=seals[1].mac, last=seals[1].last)
    assert found(check(records[6:], seals[2:], KEY, OTHER, anchor=forged)) == ("seal", "")


def test_the_chain_of_another_integration_is_refused() -> None:
    records = trail(3)
    other = make_seal(KEY, "globex", None, records)

    assert found(check(records, [replace(other, integration="acme")])) == ("seal", "")


@pytest.mark.parametrize("change", [{"previous": "0" * 64}, {"mac": "0" * 64}, {"mac": "ä"}, {"number": 5}])
def test_an_edited_seal_is_found(change: dict[str, Any]) -> None:
    records = trail(6)
    seals = chain(records, [3, 3])

    assert found(check(records, [seals[0], replace(seals[1], **change)])) == ("seal", "")


def test_null_members_and_the_order_of_members_do_not_matter() -> None:
    record = {"id": "1-0", "integration": "acme", "at": "t", "type": "dead", "reason": None}

    assert digest_of(record) == digest_of({"type": "dead", "at": "t", "id": "2-0"})
    assert digest_of(record) != digest_of({"type": "dead", "at": "u"})
