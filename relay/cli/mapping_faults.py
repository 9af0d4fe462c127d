"""Printing the faults and warnings of a mapping file: with an excerpt of the line for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from relay.cli.terminal import printable
from relay.mapping_files.document import Fault
from relay.mapping_files.excerpt import excerpt
from relay.mapping_files.folder import MappingFile

#: Faults of one file that are printed with an excerpt; further ones are printed without.
_MAX_EXCERPTS = 100
_COLOURS = {"error": "red", "warning": "yellow"}


def print_faults(
    file: MappingFile, *, err: bool = False, is_printed: Callable[[Fault], bool] = lambda _fault: True
) -> None:
    """Print the faults and warnings for which `is_printed` is true, in the order of their lines, to stdout or stderr."""
    for number, fault in enumerate(filter(is_printed, _in_order(file))):
        _print_fault(file, fault, with_excerpt=number < _MAX_EXCERPTS, err=err)


def faults_as_json(file: MappingFile) -> list[dict[str, Any]]:
    """Return the faults and warnings as JSON values, in the order of their lines."""
    return [
        {
            "file": str(file.path),
            "line": fault.position.line,
            "column": fault.position.column,
            "severity": fault.severity,
            "message": fault.message,
            **({"key": fault.key} if fault.key else {}),
        }
        for fault in _in_order(file)
    ]


def _in_order(file: MappingFile) -> list[Fault]:
    return sorted((*file.faults, *file.warnings), key=lambda fault: fault.position)


def _print_fault(file: MappingFile, fault: Fault, *, with_excerpt: bool, err: bool) -> None:
    place = click.style(f"{file.path}:{fault.position.line}:{fault.position.column}:", bold=True)
    colour = _COLOURS[fault.severity]
    message = click.style(printable(fault.message), fg=colour)
    if fault.severity == "warning":
        message = f"{click.style('warning:', fg=colour, bold=True)} {message}"
    click.echo(f"{place} {message}", err=err)
    if with_excerpt and file.document and (cut := excerpt(file.document, fault.position)):
        click.echo(f"  {cut.line}\n  {' ' * cut.indent}{click.style('^', fg=colour, bold=True)}", err=err)
