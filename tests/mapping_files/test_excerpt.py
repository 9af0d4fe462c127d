"""The line with a fault, with a caret below its position, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.mapping_files.excerpt import Excerpt, excerpt
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.positions import Position
from relay.mapping_files.sources import load_presets

EXAMPLE = Path(__file__).parents[1].joinpath("full-mapping.yaml").read_text("utf-8")
IEM = "iem: {url: https://a, customer_id: A, integration_id: 4, username: a, password: {env: B}}\n"


def excerpts(text: str) -> list[str]:
    """Return the line and the caret of each fault."""
    parsed = parse_mapping_file("acme", text, load_presets())
    shown = [excerpt(parsed.document, fault.position) for fault in parsed.faults]
    return [f"{found.line}\n{' ' * found.indent}^" for found in shown if found]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("stats: {6: 6}\n", "stats: {6: •••}\n^"),
        ("states:\n  6: six  # of them\n", "  6: six  •••\n     ^"),
        ("fields: {state: [a, 'b..c']}\n", "fields: {state: [a, 'b..c']}\n                       ^"),
        ("retry: {most: 日本, first: x}\n", "retry: {most: 日本, first: x}\n                           ^"),
    ],
)
def test_the_line_is_shown_with_a_caret_below_the_position(text: str, shown: str) -> None:
    assert excerpts(f"source: servicenow\nauth: none\n{IEM}{text}")[-1] == shown


def test_a_long_line_is_cropped_around_the_position() -> None:
    line = f"allow_from: [{'10.0.0.1, ' * 60}nowhere, {'10.0.0.1, ' * 60}10.0.0.1]"

    (shown,) = excerpts(f"source: servicenow\nauth: none\n{IEM}{line}\n")

    text, caret = shown.splitlines()
    assert text[caret.index("^") :].startswith("nowhere")
    assert text[0] == text[-1] == "…"
    assert len(text) <= 102


@pytest.mark.parametrize("tree", [True, False], ids=["read", "no YAML"])
@pytest.mark.parametrize(
    "line",
    [
        "  password: hunter2",
        "  password: {hunter2: }",
        "  password: {env: A, file: hunter2}",
        "  password: {env: [hunter2]}",
        "  password: {env: hunter2!}",
        "  pasword: hunter2",
        "  hunter_2: [hunter2, {a: hunter2}]",
        "  url: https://ann:hunter2@iem.example.com",
        "  username: {plain: hunter2}",
        "  password: {env: A}  # hunter2",
        "  password: &a hunter2",
        "  ? [hunter2, hunter2]",
        "  timeout: [hunter2]",
    ],
)
def test_a_secret_in_any_place_is_masked(line: str, tree: bool) -> None:
    text = f"iem:\n{line}\n  password: hunter2\n{'' if tree else 'a: b: c'}\n"
    parsed = parse_mapping_file("acme", text, load_presets())
    assert (parsed.document.tree is not None) == tree

    shown = [excerpt(parsed.document, Position(number, 3)) for number in (1, 2, 3)]

    assert not any("hunter2" in item.line for item in shown if item)
    assert shown[0] == Excerpt("iem:", 2)


def test_a_line_with_thousands_of_aliases_is_shown_quickly() -> None:
    text = f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 15_000)}]\n"
    parsed = parse_mapping_file("acme", text, load_presets())

    assert excerpt(parsed.document, Position(1, 1)) == Excerpt("a: •••", 0)


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.text(max_size=6), st.integers(1, 90), st.integers(1, 90))
def test_any_position_of_any_text_is_shown_in_one_line_or_not_at_all(
    at: int, scrap: str, line: int, column: int
) -> None:
    parsed = parse_mapping_file("acme", EXAMPLE[:at] + scrap + EXAMPLE[at:], load_presets())

    shown = excerpt(parsed.document, Position(line, column))

    assert shown is None or (shown.line.isprintable() and shown.indent >= 0)
