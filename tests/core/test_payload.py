"""Parsing the body of a webhook: strict JSON, and explanations of the errors in docs/development/servicenow-contract.md."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.payload import MAX_DEPTH, parse_body
from relay.errors import PayloadError

TICKET = "9d385017c611228701d22104cc95c371"
CONTROL = "unescaped control character"
ESCAPE = "invalid escape in a string: write a backslash as"
PLACEHOLDER = "unsubstituted placeholder ${…}"
TRAILING = "trailing comma: no value follows it"
CUT_OFF = "the body is incomplete (it was cut off"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
SCRAPS = st.sampled_from(
    [
        *'{}[]":,\\/ \t\r\n$',
        "${",
        "true",
        "nul",
        "NaN",
        "-",
        "1",
        "e9",
        "\\u",
        "\\ud83d",
        '"a":',
        '"a"',
        "\ufeff",
        "\x00",
    ]
)


def error_of(body: bytes) -> str:
    with pytest.raises(PayloadError) as caught:
        parse_body(body)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"state":"6"}', {"state": "6"}),
        (b'\xef\xbb\xbf{"state":"6"}', {"state": "6"}),
        (b'\r\n {"state" :\t"6"} \r\n', {"state": "6"}),
        (b"[]", []),
        (b"null", None),
        (b"6", 6),
        (b"-6.50", -6.5),
        (b'"\\ud83d\\ude80\\u00e9"', "🚀é"),
        ("“…”".join('""').encode(), "“…”"),
        (b'"${current.number}"', "${current.number}"),
        (b'"C:\\\\users\\/\\n"', "C:\\users/\n"),
        (b'"\\\\ud83d"', "\\ud83d"),
        (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
        (b"1" * 40, int("1" * 40)),
    ],
)
def test_json_is_parsed(body: bytes, value: Any) -> None:
    assert parse_body(body) == value


@settings(deadline=None)
@given(VALUES, st.booleans(), st.booleans())
def test_any_json_value_is_read_back(value: Any, ascii_only: bool, byte_order_mark: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)

    assert parse_body(text.encode("utf-8-sig" if byte_order_mark else "utf-8")) == value


@pytest.mark.parametrize(
    ("body", "line", "column", "cause"),
    [
        # a trailing comma: Python 3.13 points at the comma, earlier versions at the text after it
        ('{"state":"6",}', 1, (13, 14), TRAILING),
        ('{\n "state": "6",}', 2, (14, 15), TRAILING),
        ('[{"state":"6"},]', 1, (15, 16), TRAILING),
        ('{"new_values":{"state":"6",},"number":"INC0010024"}', 1, (27, 28), TRAILING),
        # control characters inside a string
        ('{"close_notes":"Replaced.\nDone."}', 1, (26,), f"{CONTROL} (a newline)"),
        ('{"close_notes":"Replaced.\r\nDone."}', 1, (26,), f"{CONTROL} (a carriage return)"),
        ('{"state":"6",\n"close_notes":"a\tb"}', 2, (17,), f"{CONTROL} (a tab)"),
        ('{"close_notes":"a\x00b"}', 1, (18,), f"{CONTROL} (U+0000)"),
        ('{"close_notes":"a\x1bb"}', 1, (18,), f"{CONTROL} (U+001B)"),
        # escapes
        ('{"path":"C:\\windows"}', 1, (12,), ESCAPE),
        ('{"path":"C:\\users"}', 1, (12, 13), ESCAPE),
        ('{"state":"6",\n"path":"\\\\server\\share"}', 2, (17,), ESCAPE),
        ('{"note":"it\\\'s"}', 1, (12,), ESCAPE),
        ('{"note":"\\u00"}', 1, (10, 11), ESCAPE),
        # placeholders
        ('{"state":${current.state}}', 1, (10,), PLACEHOLDER),
        ('{"number":"INC",\n "state": ${current.state}}', 2, (11,), PLACEHOLDER),
        ('{"states":[${current.state}]}', 1, (12,), PLACEHOLDER),
        ('{"states":["6", ${current.state}]}', 1, (17,), PLACEHOLDER),
        ("{${current.field}:6}", 1, (2,), PLACEHOLDER),
        ("${current}", 1, (1,), PLACEHOLDER),
        # truncation
        ('{"state":"6"', 1, (13,), CUT_OFF),
        ('{"state":"6",', 1, (14,), CUT_OFF),
        ('{"state":"6",\n', 2, (1,), CUT_OFF),
        ('{"state":', 1, (10,), CUT_OFF),
        ('{"state"', 1, (9,), CUT_OFF),
        ('{"sta', 1, (2,), CUT_OFF),
        ('{"state":"6', 1, (10,), CUT_OFF),
        ('{"state":"6\\', 1, (10,), CUT_OFF),
        ('{"active":tru', 1, (11,), CUT_OFF),
        ('{"note":"caf\\u00', 1, (13, 14), CUT_OFF),
        ('[{"state":"6"}', 1, (15,), CUT_OFF),
        ("{", 1, (2,), CUT_OFF),
        # lines are counted from the start of the body
        ('\r\n\r\n{"state":"6",\r\n"number":}', 4, (10,), "there is no value after this colon"),
        ("\n\n\n{'state':'6'}", 4, (2,), "need double quotes, not single quotes"),
    ],
)
def test_common_errors_are_explained_with_line_and_column(
    body: str, line: int, column: tuple[int, ...], cause: str
) -> None:
    error = error_of(body.encode())

    assert error.startswith(tuple(f"line {line} column {number}: " for number in column)), error
    assert cause in error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is empty: send the record as a JSON object"),
        (b" \r\n", "the body is empty: send the record as a JSON object"),
        (b"\xef\xbb\xbf", "the body is empty: send the record as a JSON object"),
        (b'{"a":"\xe4"}', "the body is not UTF-8: byte 6 is 0xe4"),
        (b'\xef\xbb\xbf{"a":"\xe4"}', "the body is not UTF-8: byte 9 is 0xe4"),
        (b"\xff\xfe{\x00}\x00", "the body is not UTF-8: byte 0 is 0xff"),
        (b'"\xed\xa0\x80"', "the body is not UTF-8: byte 1 is 0xed"),
        (b'{"a":NaN}', "NaN is not JSON: send a number, or null"),
        (b"[Infinity]", "Infinity is not JSON: send a number, or null"),
        (b"-Infinity", "-Infinity is not JSON: send a number, or null"),
        (b"1e999", "the number 1e999 is too large"),
        (b"-1e999", "the number -1e999 is too large"),
        (b'{"a":1,"b":2,"a":1}', "duplicate key 'a' in one object: send it once"),
        (b'[{"b":{"c":1,"\\u0063":2}}]', "duplicate key 'c' in one object: send it once"),
        (b"{'a':1}", "line 1 column 2: JSON strings need double quotes, not single quotes"),
        (b'{"a":1}{"a":2}', "line 1 column 8: unexpected text after the end of the JSON value: send one JSON value"),
        (b'{"a":1}n', "line 1 column 8: unexpected text after the end of the JSON value: send one JSON value"),
        (b"[1]]", "line 1 column 4: unexpected text after the end of the JSON value: send one JSON value"),
    ],
)
def test_the_error_of_invalid_json_says_why(body: bytes, error: str) -> None:
    assert error_of(body) == error


@pytest.mark.parametrize(
    "body",
    [
        b"a=1",
        b"<html>",
        b"{a:1}",
        b"True",
        b"[1 2]",
        b'{"a" 1}',
        b"{,}",
        b"[,]",
        b"[1,,2]",
        b"01",
        b".5",
        b"+1",
        b"// x\n1",
    ],
)
def test_other_errors_have_their_line_and_column(body: bytes) -> None:
    assert re.match(r"line \d+ column \d+: ", error_of(body))


def test_a_number_with_too_many_digits_is_refused() -> None:
    assert error_of(b"[" + b"6" * 5_000 + b"]").startswith("a number is too long")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_can_be_nested_up_to_the_limit(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deepest = opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH
    too_deep = opening * (MAX_DEPTH + 1) + b"1" + closing * (MAX_DEPTH + 1)

    assert parse_body(deepest)
    assert error_of(too_deep) == "the body is nested deeper than 64 levels"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[{" * 50_000, b'"' + b"[" * 100_000])
def test_a_very_deep_body_is_refused_before_it_is_parsed(body: bytes) -> None:
    assert error_of(body)


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    brackets = "[{" * 1_000

    assert parse_body(json.dumps({"notes": brackets, 'quoted \\" [': ["]"]}).encode()) == {
        "notes": brackets,
        'quoted \\" [': ["]"],
    }


def test_siblings_do_not_count_as_depth() -> None:
    assert len(parse_body(json.dumps([{"state": [6]}] * 1_000).encode())) == 1_000


def test_a_body_that_is_cut_off_anywhere_is_reported_as_incomplete() -> None:
    record = {
        "sys_id": TICKET,
        "state": {"value": 6.25e-7, "display_value": "Résolu"},
        "active": True,
        "on_hold": False,
        "parent": None,
        "sys_mod_count": -7,
        "path": "\\\\server\\share",
    }
    whole = json.dumps({"result": [record]})

    silent = [end for end in range(1, len(whole)) if CUT_OFF not in error_of(whole[:end].encode())]

    assert silent == []


@settings(max_examples=examples(300), deadline=None)
@given(st.binary())
def test_any_bytes_are_json_or_raise_a_payload_error(body: bytes) -> None:
    assert_total(body)


@settings(max_examples=examples(1_000), deadline=None)
@given(st.lists(SCRAPS, max_size=30).map("".join))
def test_fragments_of_json_are_json_or_raise_a_payload_error(text: str) -> None:
    assert_total(text.encode())


@settings(max_examples=examples(300), deadline=None)
@given(VALUES.map(json.dumps), st.data())
def test_json_with_a_gap_is_json_or_raises_a_payload_error(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    assert_total((text[:start] + text[end:]).encode())


def assert_total(body: bytes) -> None:
    """Check that `body` is strict JSON that UTF-8 can store, or raises a PayloadError."""
    try:
        value = parse_body(body)
    except PayloadError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b'{"a":"\\ud83d"}', {"a": "?"}),
        (b'{"\\ude80":1}', {"?": 1}),
        (b'["x\\ude80\\ud83dy"]', ["x??y"]),
        (b'["\\ud83d\\ude80"]', ["\U0001f680"]),
    ],
)
def test_a_lone_surrogate_is_replaced(body: bytes, payload: object) -> None:
    assert parse_body(body) == payload
