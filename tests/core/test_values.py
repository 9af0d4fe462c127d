"""Normalisation of payload values: see docs/mapping-files/value-normalisation.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.values import Value, format_time, normalise, parse_date_time, state_key, table_key

MOMENT = 1_795_342_830_000  # 2026-11-22 10:20:30 UTC
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "display_value", "link"]) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "raw",
    [
        6,
        "6",
        6.0,
        " 6 ",
        "6.0",
        "06",
        "+6",
        {"value": "6", "display_value": "Resolved"},
        {"display_value": "Resolved", "value": 6.0},
        {"link": "https://acme.service-now.com/…", "value": "6"},
        {"value": 6},
    ],
    ids=repr,
)
def test_every_spelling_of_state_6_is_state_6(raw: Any) -> None:
    value = normalise(raw)

    assert value is not None
    assert value.value is not None
    assert state_key(value.value) == "6"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "   ",
        "\r\n\t",
        "null",
        "NULL",
        " Null ",
        "${current.sys_id}",
        "${}",
        "INC-${current.number}",
        [],
        ["6"],
        {},
        {"value": None},
        {"value": "", "display_value": ""},
        {"value": "null", "display_value": "${current.state}"},
        {"value": {"value": "6"}},
        {"value": ["6"]},
        {"link": "https://acme.service-now.com/…"},
        float("nan"),
        float("inf"),
        float("-inf"),
    ],
    ids=repr,
)
def test_texts_without_a_value_return_none(raw: Any) -> None:
    assert normalise(raw) is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("Resolved", Value("Resolved")),
        ("  On Hold ", Value("On Hold")),
        (0, Value("0")),
        (-5, Value("-5")),
        (-5.0, Value("-5")),
        (-0.0, Value("0")),
        (2.5, Value("2.5")),
        (1e22, Value("10000000000000000000000")),
        (True, Value("true")),
        (False, Value("false")),
        ("nullable", Value("nullable")),
        ("$6", Value("$6")),
        ("${", Value("${")),
        ({"value": "6", "display_value": "Resolved"}, Value("6", "Resolved")),
        ({"value": "", "display_value": "Resolved"}, Value(None, "Resolved")),
        ({"value": "${current.state}", "display_value": "Resolved"}, Value(None, "Resolved")),
        ({"value": 3.0, "display_value": "Closed"}, Value("3", "Closed")),
        ({"value": "6", "display_value": None}, Value("6")),
    ],
    ids=repr,
)
def test_a_scalar_or_an_object_with_a_label_is_a_value(raw: Any, value: Value) -> None:
    assert normalise(raw) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(Value("6", "Resolved"), "6"), (Value(None, "Resolved"), "Resolved"), (Value("6"), "6")],
)
def test_the_text_is_the_label_only_without_a_value(value: Value, text: str) -> None:
    assert value.text == text


@settings(deadline=None)
@given(ANYTHING)
def test_any_json_is_a_value_or_none(raw: Any) -> None:
    value = normalise(raw)

    assert value is None or value.text.strip()


@settings(deadline=None)
@given(ANYTHING)
def test_normalising_twice_changes_nothing(raw: Any) -> None:
    value = normalise(raw)

    if value is not None:
        assert normalise({"value": value.value, "display_value": value.label}) == value
        assert normalise(value.text) == Value(value.text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("6", "6"),
        ("6.0", "6"),
        ("6.", "6"),
        ("06", "6"),
        ("+6", "6"),
        ("-5", "-5"),
        ("-5.00", "-5"),
        ("-0", "0"),
        ("6.5", "6.5"),
        ("Resolved", "resolved"),
        ("RESOLVED", "resolved"),
        ("On Hold", "onhold"),
        (" on  hold\t", "onhold"),
        ("In\u00a0Progress", "inprogress"),
        ("Größe", "grösse"),
        ("6 - Resolved", "6-resolved"),
        ("1e3", "1e3"),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_a_state_key_is_the_number_or_the_normalised_label(text: str, key: str) -> None:
    assert state_key(text) == key


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.sampled_from(["", ".", ".0", ".000"]), st.integers(0, 1))
def test_all_spellings_of_a_whole_number_have_one_state_key(number: int, decimals: str, zeros: int) -> None:
    sign, digits = ("-", str(-number)) if number < 0 else ("", str(number))

    assert state_key(f"{sign}{'0' * zeros}{digits}{decimals}") == str(number)


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "Zs"])))
def test_the_key_of_a_state_key_is_itself(label: str) -> None:
    key = state_key(label)

    assert state_key(key) == key
    assert state_key(f" {label} ") == key


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_has_a_state_key_and_a_table_key(text: str) -> None:
    assert isinstance(state_key(text), str)
    assert isinstance(table_key(text), str)


@pytest.mark.parametrize(
    "text", ["change_request", "Change Request", "CHANGE_REQUEST", " change request ", "ChangeRequest"]
)
def test_a_table_is_matched_by_its_name_or_its_label(text: str) -> None:
    assert table_key(text) == table_key("change_request")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-11-22 10:20:30", MOMENT),
        ("2026-11-22T10:20:30", MOMENT),
        ("2026-11-22T10:20:30Z", MOMENT),
        ("2026-11-22t10:20:30z", MOMENT),
        ("2026-11-22 10:20:30 Z", MOMENT),
        ("2026-11-22T11:20:30+01:00", MOMENT),
        ("2026-11-22 11:20:30 +0100", MOMENT),
        ("2026-11-22 05:50:30-0430", MOMENT),
        ("2026-11-22 10:20", MOMENT - 30_000),
        ("2026-11-22 10:20:30.5", MOMENT + 500),
        ("2026-11-22 10:20:30,123", MOMENT + 123),
        ("2026-11-22 10:20:30.123456789", MOMENT + 123),
        ("1970-01-01 00:00:00", 0),
        ("1969-12-31 23:59:59", -1_000),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59-14:00", 253_402_351_199_000),
    ],
)
def test_a_date_without_a_zone_is_utc(text: str, milliseconds: int) -> None:
    assert parse_date_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-22",
        "22/11/2026 10:20:30",
        "22-11-2026 10:20:30",
        "11/22/2026 10:20 AM",
        "2026-02-30 10:20:30",
        "2026-11-22 25:00:00",
        "2026-11-22 10:20:61",
        "2026-11-22 10:20:30 CET",
        "2026-11-22 10:20:30+99:00",
        "1795342830",
        "2026-W47-7 10:20:30",
        "٢٠٢٦-11-22 10:20:30",
    ],
)
def test_other_texts_are_not_dates(text: str) -> None:
    assert parse_date_time(text) is None


@settings(deadline=None)
@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - hypothesis wants its bounds without a zone
    st.integers(-14 * 60, 14 * 60),
)
def test_a_date_in_any_zone_is_the_same_moment(at: datetime, offset: int) -> None:
    moment = at.replace(tzinfo=UTC)
    local = moment.astimezone(timezone(timedelta(minutes=offset)))

    assert parse_date_time(local.isoformat()) == parse_date_time(moment.isoformat())


@settings(deadline=None)
@given(st.text(st.characters()) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[Z+-]?[\d:]{0,5}", fullmatch=True))
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert isinstance(parse_date_time(text), int | None)


@settings(deadline=None)
@given(st.integers(0, 4_102_444_799_999))  # until 2100
def test_a_formatted_time_is_read_back(at_ms: int) -> None:
    assert parse_date_time(format_time(at_ms)) == at_ms


def test_a_time_is_formatted_in_utc_with_milliseconds() -> None:
    assert format_time(MOMENT + 7) == "2026-11-22T10:20:30.007Z"


#: Dates at the limits, with offsets that exceed them, and typing errors.
DATES = st.builds(
    "{}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
    st.sampled_from(["0000", "0001", "1969", "2026", "9999", "10000", "٢٠٢٦"]),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["T", " ", "t", "\u2003"]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["", ".9", ",999999999", ".0000000000"]),
    st.sampled_from(["", "Z", "z", "+14:00", "-14:00", "+23:59", "-2359", "+99:99", " Z", "\x00"]),
)


@settings(max_examples=examples(500), deadline=None)
@given(DATES)
def test_any_date_that_is_read_can_be_formatted(text: str) -> None:
    at_ms = parse_date_time(text)

    if at_ms is not None:
        parsed = parse_date_time(format_time(at_ms))

        assert parsed == min(max(at_ms, -62_135_596_800_000), 253_402_300_799_999)


@given(st.integers(-62_135_683_200_000, 253_402_387_199_999))  # one day beyond the limits
def test_any_formatted_date_has_a_year_of_four_digits(at_ms: int) -> None:
    assert len(format_time(at_ms)) == len("2026-11-22T10:20:30.000Z")


@pytest.mark.parametrize("at_ms", [-62_135_683_200_001, 253_402_387_200_000, 10**300])
def test_a_moment_that_no_date_has_raises(at_ms: int) -> None:
    with pytest.raises(OverflowError):
        format_time(at_ms)
