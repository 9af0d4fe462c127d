"""Where a value must stand for a path to find it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.key_paths import KeyPath, key_paths_of
from relay.core.paths import compile_path


@pytest.mark.parametrize(
    ("expression", "places"),
    [
        ("state", [KeyPath(("state",))]),
        ("a.b.c", [KeyPath(("a", "b", "c"))]),
        ('"x-y"."a b"', [KeyPath(("x-y", "a b"))]),
        ("@", [KeyPath(())]),
        ("@.a", [KeyPath(("a",))]),
        ("a | b", [KeyPath(("a", "b"))]),
        ("result || @", [KeyPath(("result",)), KeyPath(())]),
        ("a || b || c.d", [KeyPath(("a",)), KeyPath(("b",)), KeyPath(("c", "d"))]),
        ("to_number(a) || b", [KeyPath(("b",))]),
        ("a[]", [KeyPath(("a",), ())]),
        ("a.b[].c.d", [KeyPath(("a", "b"), ("c", "d"))]),
        ("a[*].b", [KeyPath(("a",), ("b",))]),
        ("[]", [KeyPath((), ())]),
        ("[*].b", [KeyPath((), ("b",))]),
    ],
)
def test_names_lists_and_alternatives_have_places(expression: str, places: list[KeyPath]) -> None:
    assert key_paths_of(expression) == places


@pytest.mark.parametrize(
    "expression",
    ["a[0]", "a[?b]", "a[].b[]", "to_number(a)", "'incident'", "`6`", "{a: b}", "[a]", "a && b", "!a", "a.*", "a == b"],
)
def test_what_is_more_has_none(expression: str) -> None:
    assert key_paths_of(expression) == []


@pytest.mark.parametrize("expression", ["", "a[", "[" * 5000, "__proto__.a"])
def test_nor_has_what_is_none_or_cannot_be_written_in_javascript(expression: str) -> None:
    assert key_paths_of(expression) == []


@given(keys=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_what_stands_in_a_place_is_found_there(keys: list[str]) -> None:
    quoted = ".".join(_quote(key) for key in keys)

    for place in key_paths_of(quoted):
        value: Any = "found"
        for key in reversed(place.keys):
            value = {key: value}
        assert compile_path(quoted).search(value) == "found"


def _quote(name: str) -> str:
    escaped = "".join(f"\\u{ord(one):04x}" if ord(one) < 32 or one in '"\\' else one for one in name)
    return f'"{escaped}"'
