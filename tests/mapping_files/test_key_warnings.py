"""Warnings about keys that have no effect or contradict each other."""

from __future__ import annotations

import pytest
from mapping_files.mapping_texts import FULL, MINIMAL, warnings_of

from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (
            ("allow_from: [10.0.0.0/8, 0.0.0.0/0]",),
            "1:26: allow_from[1]: allows any address: the other networks have no effect",
        ),
        (
            ("retry: {first: 5m, give_up_after: 1m}",),
            "1:20: give_up_after: is shorter than `retry.first`: deliveries are given up before the first retry",
        ),
        (("publish: {events: off}",), "1:1: publish: has no effect: none of its keys is enabled"),
        (
            (
                "fields: {table: nowhere}",
                "virima: {url: 'http://localhost', username: a, password: {env: A}, lookup: session, ca_file: a}",
            ),
            "2:85: ca_file: has no effect: `virima.url` is http, which uses no certificates",
        ),
    ],
)
def test_a_key_without_effect_has_a_warning(lines: tuple[str, ...], warning: str) -> None:
    assert warnings_of(MINIMAL + "\n".join(lines)) == [warning]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            "{type: hmac, header: X-A, timestamp_header: x-a, secret: {env: A}}",
            "is also the header of the signature",
        ),
        ("{type: header, header: X_KEY, value: {env: A}}", "'X_KEY' never arrives"),
    ],
)
def test_a_method_that_no_sender_can_satisfy_has_a_warning(method: str, message: str) -> None:
    text = MINIMAL.replace("auth: none", f"auth: [{method}]")

    (warning,) = warnings_of(text)

    assert message in warning
    assert warning.startswith("2:")


def test_a_duplicate_authentication_method_has_a_warning() -> None:
    method = "{type: header, header: X-Key, value: {env: A}}"

    assert warnings_of(MINIMAL.replace("auth: none", f"auth: [{method}, {method}]")) == [
        "2:56: auth[1]: has no effect: the list already contains the same method"
    ]


def test_tables_without_a_path_to_the_table_have_a_warning() -> None:
    exchange = MINIMAL.replace("servicenow", "service-exchange") + "tables: {problem: {states: {1: 6}}}\n"

    assert warnings_of(exchange) == [
        "9:1: tables: has no effect: without a path in `fields.table`, no record names its table"
    ]


@pytest.mark.parametrize("text", [FULL, MINIMAL], ids=["full", "minimal"])
def test_an_ordinary_file_has_no_warnings(text: str) -> None:
    assert warnings_of(text) == []


def test_warnings_are_reported_together_with_faults() -> None:
    method = "{type: header, header: X_KEY, value: {env: A}}"
    text = (
        MINIMAL.replace("none", f"[{{type: basic}}, {method}]")
        + "publish: {events: off}\nretry: {first: 30s, most: 1}\n"
    )

    parsed = parse_mapping_file("acme", text, load_presets())

    assert [fault.position.line for fault in parsed.faults] == [2, 2, 10]
    assert [f"{warning.position.line}: {warning.message}" for warning in parsed.warnings] == [
        "2: header: 'X_KEY' never arrives: web servers drop headers with an underscore",
        "9: publish: has no effect: none of its keys is enabled",
    ]


def test_a_user_name_with_a_colon_has_a_warning() -> None:
    text = MINIMAL.replace("none", "[{type: basic, username: 'a:b', password: {env: A}}]")

    assert warnings_of(text) == ["2:22: username: contains a colon, which is not allowed in a user name (RFC 7617)"]
