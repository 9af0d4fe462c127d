"""Durations and sizes as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.units import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("10m", 600),
        ("24h", 86_400),
        ("30d", 2_592_000),
        ("1.5h", 5_400),
        ("0s", 0),
        (" 10 m ", 600),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "+1s", "1 hour", "10M", "10S", "1h30m", "1e3s", ".5s", "1.s", "1,5h", "∞"]
)
def test_the_error_of_an_invalid_duration_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number and a unit, such as 30s, 10m, 24h or 30d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0004, "0ms"),
        (0.25, "250ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9996, "1m"),
        (90, "90s"),
        (600, "10m"),
        (3_600, "1h"),
        (3_601, "3601s"),
        (86_400, "1d"),
        (86_430, "86430s"),
        (172_800, "2d"),
        (123_456.789, "123456.789s"),
        (1_000_000.5, "1000000.5s"),
    ],
)
def test_a_duration_is_formatted_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=90 * 86_400))
def test_a_formatted_duration_is_read_back_to_the_millisecond(seconds: float) -> None:
    assert abs(parse_duration(format_duration(seconds)) - seconds) <= 0.000_501


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4_096),
        ("100B", 100),
        ("256KiB", 262_144),
        ("1 MiB", 1_048_576),
        ("2GiB", 2_147_483_648),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("10MB", 10_000_000),
        ("1GB", 1_000_000_000),
        (" 1KiB ", 1_024),
    ],
)
def test_a_size_is_in_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MiB", "1 KiBs", "1kib", "256K", "1TB"])
def test_the_error_of_an_invalid_size_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write bytes, or a number and a unit, such as 256KiB or 1MiB"):
        parse_size(text)


NUMBERS = st.text("0123456789", min_size=1, max_size=40) | st.integers(30, 6_000).map("9".__mul__)
UNITS = st.sampled_from(["ms", "s", "m", "h", "d", "B", "KiB", "MiB", "GiB", "kB", "MB", "GB", "", "S", "ｓ", "s\x00"])
WRITTEN = st.tuples(
    NUMBERS, st.sampled_from(["", ".5", ".", ",5", "e9", "_0"]), st.sampled_from(["", " ", "\u202e"]), UNITS
)
ANY_TEXT = st.text(st.characters()) | WRITTEN.map("".join)


def refusal(parse: Callable[[str], float], text: str) -> str | None:
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


@settings(max_examples=examples(300))
@given(ANY_TEXT)
def test_any_text_is_a_finite_duration_or_a_short_error(text: str) -> None:
    error = refusal(parse_duration, text)

    if error is None:
        assert 0 <= parse_duration(text) < 1e36
    else:
        assert "is not a duration: write" in error
        assert len(error) < 300


@settings(max_examples=examples(300))
@given(ANY_TEXT)
def test_any_text_is_a_limited_size_or_a_short_error(text: str) -> None:
    error = refusal(parse_size, text)

    if error is None:
        assert 0 <= parse_size(text) <= 2**60
    else:
        assert "is not a size: write" in error
        assert len(error) < 300


@given(st.integers(0, 10**9), st.sampled_from([("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("kB", 10**3), ("MB", 10**6)]))
def test_a_size_is_the_number_times_the_unit(number: int, unit: tuple[str, int]) -> None:
    name, factor = unit

    assert parse_size(f"{number}{name}") == number * factor
