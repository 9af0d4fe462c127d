"""docs/operating/commands.md lists every command, and the commands on all pages have the options that they are given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from docs.markdown import PAGES, README, blocks, code, read_text, tables

from relay.cli.main import relay

PAGE = "docs/operating/commands.md"
HEADER = ("command", "what it does")
EXIT_STATUSES = {0, 1, 2, 78}


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group and of the groups below it, with their names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command, name
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands(relay, "relay"))


def rows() -> list[tuple[str, str]]:
    """Return the first cell of each command, and its description."""
    return [
        (code(row[0])[0], row[1]) for table in tables(read_text(PAGE)) if table.header == HEADER for row in table.rows
    ]


def name_of(cell: str) -> str:
    return re.sub(r" (--demo|\[.*)$", "", cell)


def options_of(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


def examples() -> list[str]:
    """Return the commands in the shell blocks of all pages."""
    texts = (block.text for page in (README, *PAGES) for block in blocks(read_text(page)) if block.language == "sh")
    lines = (line.strip() for text in texts for line in text.replace("\\\n", "").splitlines())
    return sorted({part for line in lines for part in re.split(r" (?:&&|\|) ", line) if part.startswith("relay ")})


def test_every_command_is_documented_and_no_other() -> None:
    assert {name_of(cell) for cell, _ in rows()} == COMMANDS.keys()


@pytest.mark.parametrize(("cell", "description"), rows(), ids=lambda value: value[:40])
def test_the_options_of_a_command_exist(cell: str, description: str) -> None:
    named = set(re.findall(r"--[a-z-]+", f"{cell} {description}"))

    assert named <= options_of(COMMANDS[name_of(cell)])


@pytest.mark.parametrize("line", examples())
def test_an_example_is_a_command_with_its_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    name = max((name for name in COMMANDS if words[: len(name.split())] == name.split()), key=len)
    command = COMMANDS[name]
    arguments = [word for word in words[len(name.split()) :] if word not in {"<", ">"}]

    command.make_parser(click.Context(command)).parse_args(arguments)
