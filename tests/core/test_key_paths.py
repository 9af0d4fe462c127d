"""The key paths at which an expression finds a value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.key_paths import KeyPath, key_paths_of
from relay.core.paths import compile_path


@pytest.mark.parametrize(
    ("expression", "paths"),
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
def test_names_lists_and_alternatives_have_key_paths(expression: str, paths: list[KeyPath]) -> None:
    assert key_paths_of(expression) == paths


@pytest.mark.parametrize(
    "expression",
    ["a[0]", "a[?b]", "a[].b[]", "to_number(a)", "'incident'", "`6`", "{a: b}", "[a]", "a && b", "!a", "a.*", "a == b"],
)
def test_other_expressions_have_no_key_path(expression: str) -> None:
    assert key_paths_of(expression) == []


@pytest.mark.parametrize("expression", ["", "a[", "[" * 5000, "__proto__.a"])
def test_invalid_and_unsafe_expressions_have_no_key_path(expression: str) -> None:
    assert key_paths_of(expression) == []


@given(keys=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_the_expression_finds_a_value_at_its_key_path(keys: list[str]) -> None:
    quoted = ".".join(_quote(key) for key in keys)

    for path in key_paths_of(quoted):
        value: Any = "found"
        for key in reversed(path.keys):
            value = {key: value}
        assert compile_path(quoted).search(value) == "found"


def _quote(name: str) -> str:
    escaped = "".join(f"\\u{ord(letter):04x}" if ord(letter) < 32 or letter in '"\\' else letter for letter in name)
    return f'"{escaped}"'
