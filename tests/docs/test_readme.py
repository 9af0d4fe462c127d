"""The README is short, shows the two commands to the letter, links every page, and quotes figures of the benchmarks."""

from __future__ import annotations

import re

from docs.markdown import PAGES, blocks, read_text, section, tables

TWO_COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install '.[embedded]' && .venv/bin/relay up --demo",
    ".venv/bin/pip install '.[test]' && .venv/bin/pytest",
)
MAX_LINES = 200


def test_the_two_commands_are_shown_to_the_letter() -> None:
    assert tuple(block.text.strip() for block in blocks(section("Two commands"))) == TWO_COMMANDS


def test_the_readme_is_short() -> None:
    assert len(read_text().splitlines()) <= MAX_LINES


def test_every_page_is_linked() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", read_text()))

    assert set(PAGES) - {"docs/index.md"} == linked


def test_the_figures_are_those_of_the_benchmarks() -> None:
    (table,) = tables(section("How fast it is"))
    results = read_text("benchmarks/RESULTS.md")

    figures = [figure for row in table.rows for figure in re.findall(r"[\d,.]*\d", row[2])]

    assert figures
    assert [figure for figure in figures if f"| {figure} " not in results] == []
