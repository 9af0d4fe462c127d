"""How commands speak: tables for people, JSON for machines, and the errors of the store in a sentence."""

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
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}

json_option = click.option("--json", "as_json", is_flag=True, help="For machines: one JSON value.")
why_option = click.option("--why", default="", help="Why, for the audit trail.")


def actor() -> str:
    """Return who runs the command, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def shown(text: str) -> str:
    """Return `text` as a terminal may get it: control and format characters, which could draw anything there, as escapes."""
    return "".join(one if one == "\n" or unicodedata.category(one) not in _UNSHOWN else _escape(one) for one in text)


def as_json(content: Any, *, indent: int | None = None) -> str:
    """Return a JSON value that a terminal may get, and that a machine reads as it was."""
    separators = (",", ":") if indent is None else None
    return shown(json.dumps(content, indent=indent, separators=separators, ensure_ascii=False))


def _escape(character: str) -> str:
    """Return a character as JSON writes it."""
    return json.dumps(character)[1:-1]


def print_json(content: Any) -> None:
    """Print one JSON value."""
    click.echo(as_json(content, indent=2))


def print_table(rows: Iterable[Sequence[object]], headings: Sequence[str]) -> None:
    """Print rows below headings, in columns as wide as what is in them; what is None is a dash."""
    table = [[str(heading) for heading in headings], *([_cell(one) for one in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else shown(str(value)).replace("\n", "\\n")


def print_record(record: dict[str, Any]) -> None:
    """Print a record's members, one a line; lists of records are shown as tables below."""
    width = max(map(len, record))
    for name, value in record.items():
        if not isinstance(value, list | dict):
            click.echo(f"{name.ljust(width)}  {_cell(value)}")
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            click.echo(f"\n{name}:")
            headings = list(dict.fromkeys(key for one in value for key in one))
            print_table(([one.get(key) for key in headings] for one in value), headings)
        elif isinstance(value, list | dict) and value:
            click.echo(f"\n{name}:\n{as_json(value, indent=2)}")


def print_finding(one: Finding) -> None:
    """Print what the doctor found, in a line."""
    state = click.style(f"{one.state:<4}", fg=_COLOURS[one.state], bold=True)
    advice = f" → {one.advice}" if one.advice else ""
    click.echo(f"{state}  {one.subject}: {shown(one.says)}{shown(advice)}".replace("\n", " "))


def with_operations(command: Callable[..., _T]) -> Callable[..., _T]:
    """Give `command` the operations as its first argument."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> _T:
        return command(open_operations(), *arguments, **options)

    return run
