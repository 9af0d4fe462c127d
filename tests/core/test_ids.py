"""Ids are ULIDs, which sort by time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.ids import LENGTH, id_time, is_id, make_id

NOW = 1_795_342_830_000
TIMES = st.integers(min_value=0, max_value=2**48 - 1)
ENTROPY = st.binary(min_size=10, max_size=10)


def test_the_time_is_encoded_as_the_ulid_specification_says() -> None:
    delivery_id = make_id(1_469_918_176_385, bytes(10))

    assert delivery_id == "01ARYZ6S410000000000000000"


@pytest.mark.parametrize(
    ("at_ms", "entropy", "expected"),
    [
        (0, bytes(10), "0" * 26),
        (2**48 - 1, b"\xff" * 10, "7" + "Z" * 25),
        (1, bytes(9) + b"\x01", "0000000001" + "0" * 15 + "1"),
    ],
)
def test_ids_have_128_bits_in_crockfords_alphabet(at_ms: int, entropy: bytes, expected: str) -> None:
    assert make_id(at_ms, entropy) == expected


@settings(deadline=None)
@given(TIMES, ENTROPY)
def test_ids_are_recognised_and_contain_their_time(at_ms: int, entropy: bytes) -> None:
    delivery_id = make_id(at_ms, entropy)

    assert len(delivery_id) == LENGTH
    assert is_id(delivery_id)
    assert id_time(delivery_id) == at_ms


@settings(deadline=None)
@given(TIMES, TIMES, ENTROPY, ENTROPY)
def test_ids_sort_by_their_time(first: int, second: int, entropy: bytes, other_entropy: bytes) -> None:
    if first < second:
        assert make_id(first, entropy) < make_id(second, other_entropy)


@settings(deadline=None)
@given(ENTROPY, ENTROPY)
def test_ids_of_one_moment_differ_by_their_entropy(entropy: bytes, other_entropy: bytes) -> None:
    assert (make_id(NOW, entropy) == make_id(NOW, other_entropy)) == (entropy == other_entropy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,
        "0" * 25 + "U",
        "0" * 25 + "i",
        make_id(NOW, b"entropy 10").lower(),
        "0" * 25 + "\n",
        "0" * 24 + "%0",
        "٠" * 26,
    ],
)
def test_other_texts_are_not_ids(text: str) -> None:
    assert not is_id(text)
