"""The README shows the two commands to the letter."""

from __future__ import annotations

from docs.markdown import blocks, section

TWO_COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install '.[embedded]' && .venv/bin/relay up --demo",
    ".venv/bin/pip install '.[test]' && .venv/bin/pytest",
)


def test_the_two_commands_stand_there_to_the_letter() -> None:
    assert tuple(block.text.strip() for block in blocks(section("Two commands"))) == TWO_COMMANDS
