"""How what was found in a mapping file is told: with its lines for people, as a value for machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from relay.cli.terminal import shown
from relay.mapping_files.document import Fault
from relay.mapping_files.excerpt import excerpt
from relay.mapping_files.folder import MappingFile

#: Faults of a file that are told with their lines; further ones are told without.
_MOST_LINES = 100
_COLOURS = {"error": "red", "warning": "yellow"}


def print_findings(
    file: MappingFile, *, err: bool = False, is_told: Callable[[Fault], bool] = lambda _fault: True
) -> None:
    """Print the faults and warnings that `is_told` picks, in the order of their lines, to stdout or stderr."""
    for number, fault in enumerate(filter(is_told, _in_order(file))):
        _print_fault(file, fault, with_line=number < _MOST_LINES, err=err)


def findings_as_json(file: MappingFile) -> list[dict[str, Any]]:
    """Return the faults and warnings as machines get them, in the order of their lines."""
    return [
        {
            "file": str(file.path),
            "line": one.position.line,
            "column": one.position.column,
            "severity": one.severity,
            "message": one.message,
            **({"key": one.key} if one.key else {}),
        }
        for one in _in_order(file)
    ]


def _in_order(file: MappingFile) -> list[Fault]:
    return sorted((*file.faults, *file.warnings), key=lambda fault: fault.position)


def _print_fault(file: MappingFile, fault: Fault, *, with_line: bool, err: bool) -> None:
    place = click.style(f"{file.path}:{fault.position.line}:{fault.position.column}:", bold=True)
    colour = _COLOURS[fault.severity]
    message = click.style(shown(fault.message), fg=colour)
    if fault.severity == "warning":
        message = f"{click.style('warning:', fg=colour, bold=True)} {message}"
    click.echo(f"{place} {message}", err=err)
    if with_line and file.document and (cut := excerpt(file.document, fault.position)):
        click.echo(f"  {cut.line}\n  {' ' * cut.indent}{click.style('^', fg=colour, bold=True)}", err=err)
