"""Output of commands: tables for people, JSON for programs, and text without characters that control a terminal."""

from __future__ import annotations

import getpass
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from relay.doctor.finding import Finding, State
from relay.operations.wiring import open_operations

_T = TypeVar("_T")
#: Unicode's control, format, surrogate, and line and paragraph separator characters.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
why_option = click.option("--why", default="", help="Reason, for the audit trail.")


def actor() -> str:
    """Return the user who runs the command, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def printable(text: str) -> str:
    """Return `text` with control and format characters escaped, so that it cannot control the terminal."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in _UNPRINTABLE else _escape(char) for char in text
    )


def to_json(content: Any, *, indent: int | None = None) -> str:
    """Return JSON that cannot control a terminal, and that a program reads back unchanged."""
    separators = (",", ":") if indent is None else None
    return printable(json.dumps(content, indent=indent, separators=separators, ensure_ascii=False))


def _escape(character: str) -> str:
    """Return a character as a JSON escape sequence."""
    return json.dumps(character)[1:-1]


def print_json(content: Any) -> None:
    """Print one JSON value."""
    click.echo(to_json(content, indent=2))


def print_table(rows: Iterable[Sequence[object]], headings: Sequence[str]) -> None:
    """Print rows below headings, in aligned columns; None is printed as a dash."""
    table = [[str(heading) for heading in headings], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else printable(str(value)).replace("\n", "\\n")


def print_record(record: dict[str, Any]) -> None:
    """Print a record's members, one per line, and its lists of records as tables below."""
    width = max(map(len, record))
    for name, value in record.items():
        if not isinstance(value, list | dict):
            click.echo(f"{name.ljust(width)}  {_cell(value)}")
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            click.echo(f"\n{name}:")
            headings = list(dict.fromkeys(key for row in value for key in row))
            print_table(([row.get(key) for key in headings] for row in value), headings)
        elif isinstance(value, list | dict) and value:
            click.echo(f"\n{name}:\n{to_json(value, indent=2)}")


def print_finding(finding: Finding) -> None:
    """Print a finding of the doctor in one line."""
    state = click.style(f"{finding.state:<4}", fg=_COLOURS[finding.state], bold=True)
    advice = f" → {finding.advice}" if finding.advice else ""
    click.echo(f"{state}  {finding.subject}: {printable(finding.says)}{printable(advice)}".replace("\n", " "))


def with_operations(command: Callable[..., _T]) -> Callable[..., _T]:
    """Pass the operations to `command` as its first argument."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> _T:
        return command(open_operations(), *arguments, **options)

    return run
