"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
def test_anything_else_is_no_duration_and_the_message_shows_how_to_write_one(text: str) -> None:
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
def test_a_duration_is_told_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=90 * 86_400))
def test_a_duration_that_was_told_reads_back_to_the_millisecond(seconds: float) -> None:
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
def test_a_size_is_bytes_or_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MiB", "1 KiBs", "1kib", "256K", "1TB"])
def test_anything_else_is_no_size_and_the_message_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write bytes, or a number and a unit, such as 256KiB or 1MiB"):
        parse_size(text)
