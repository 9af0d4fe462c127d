"""The help of every command: grouped, with an example that the command accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest
from commands import run_relay
from harness import base_environ

from relay.cli.main import COMMANDS, relay


def leaves(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is not a group, with its full name."""
    if not isinstance(command, click.Group):
        yield " ".join(names), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found
        yield from leaves(found, (*names, name))


LEAVES = dict(leaves(relay))
every_command = pytest.mark.parametrize("name", LEAVES)


def help_of(*names: str) -> str:
    result = run_relay(*names, "--help", environ={**base_environ(), "COLUMNS": "100"})
    assert result.returncode == 0
    return result.stdout


def examples_of(name: str) -> list[list[str]]:
    """Return the arguments of the commands in the example of a help."""
    _, _, example = help_of(*name.split()).partition("\n  Example:\n")
    lines = example.partition("\n\n")[0].replace("\\\n", "").splitlines()
    commands = [shlex.split(line.partition(" > ")[0]) for line in lines]
    assert all(command[: 1 + len(name.split())] == ["relay", *name.split()] for command in commands), commands
    return [command[1 + len(name.split()) :] for command in commands]


@every_command
def test_the_help_has_an_example(name: str) -> None:
    assert examples_of(name)


@every_command
def test_the_example_is_valid(name: str) -> None:
    command = LEAVES[name]
    for arguments in examples_of(name):
        context = click.Context(command)
        values: dict[str, Any] = command.make_parser(context).parse_args(args=arguments)[0]

        for parameter in command.params:
            value = values.get(parameter.name or "")
            if isinstance(parameter, click.Argument):
                assert value or not parameter.required, f"{parameter.name} is missing"
            if value and parameter.nargs == 1 and not isinstance(parameter.type, click.File | click.Path):
                parameter.type_cast_value(context, value)


@every_command
def test_the_first_sentence_fits_in_the_list_of_commands(name: str) -> None:
    short = LEAVES[name].get_short_help_str(60)

    assert short.endswith(".")
    assert not short.endswith("...")


def test_the_commands_are_grouped() -> None:
    _, *sections = re.split(r"^(\S.*):$", help_of(), flags=re.MULTILINE)
    shown = {
        heading: re.findall(r"^  (\w+) ", text, re.MULTILINE)
        for heading, text in zip(sections[::2], sections[1::2], strict=True)
        if heading != "Options"
    }

    assert shown == {heading: list(commands) for heading, commands in COMMANDS.items()}


def test_the_overview_has_the_first_line_of_each_help() -> None:
    context = click.Context(relay)
    for commands in COMMANDS.values():
        for name, (_, purpose) in commands.items():
            command = relay.get_command(context, name)
            assert command
            assert (command.help or "").partition("\n")[0] == purpose
