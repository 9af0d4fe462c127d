"""`relay mappings …`: what admins do with mapping files."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from relay.cli.findings import findings_as_json, print_findings
from relay.cli.new_mapping import new
from relay.core.redact import Redactor
from relay.errors import ConfigurationError
from relay.mapping_files.checker import Side, inspect
from relay.mapping_files.folder import MappingFile, mapping_paths, read_mapping, read_mappings
from relay.mapping_files.sources import load_presets
from relay.secrets import SecretReader
from relay.settings import load_settings, read_environment

EX_CONFIG = 78


@click.group
def mappings() -> None:
    """Write a new mapping file, check mapping files, and tell editors what may stand in them."""


mappings.add_command(new)


@mappings.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--for",
    "side",
    type=click.Choice(["web", "worker"]),
    help="Whose secrets must be there; missing ones of the other are warnings. Without it both are needed.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list of files with their faults.")
def check(files: tuple[Path, ...], *, side: Side | None, as_json: bool) -> None:
    """Tell every fault in FILES (by default all of RELAY_MAPPINGS) as `file:line:column: message`; exit status 78 if any.

    Warnings are told alike and change nothing about the exit status.
    """
    for path in files:
        if not path.is_file():
            raise ConfigurationError([f"{path}: there is no such file"])
    found = [read_mapping(path) for path in files] if files else _read_all()
    neighbours = [read_mapping(path) for path in _neighbours(files)]
    checked = inspect(found, SecretReader(read_environment(), Redactor()), side, neighbours=neighbours)
    if as_json:
        click.echo(json.dumps([_as_json(file) for file in checked], indent=2, ensure_ascii=False))
    else:
        for file in checked:
            _print(file)
        if not found:
            click.echo("no mapping files: a file that begins with _ or . is not an integration", err=True)
    sys.exit(EX_CONFIG if any(file.faults for file in checked) or not found else 0)


@mappings.command
def schema() -> None:
    """Print the JSON Schema (2020-12) of a mapping file, for editors."""
    from relay.mapping_files.json_schema import make_json_schema  # noqa: PLC0415 - only this command needs apispec

    click.echo(json.dumps(make_json_schema(load_presets()), indent=2, ensure_ascii=False))


def _read_all() -> list[MappingFile]:
    return read_mappings(load_settings(read_environment()).mappings)


def _neighbours(files: tuple[Path, ...]) -> list[Path]:
    """Return the mapping files that lie beside `files`: with them they are at work, once they are."""
    found: list[Path] = []
    for folder in {path.parent for path in files}:
        with suppress(ConfigurationError):  # a folder that cannot be listed has no neighbours to tell of
            found += mapping_paths(folder)
    return found


def _print(file: MappingFile) -> None:
    print_findings(file)
    if file.integration and not file.faults:
        one = file.integration
        tests = f", {len(one.tests)} tests passed" if one.tests else ""
        off = "" if one.enabled else ", disabled"
        good = click.style("good", fg="green")
        click.echo(
            f"{file.path}: {good} ({one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}{tests}{off})"
        )


def _as_json(file: MappingFile) -> dict[str, Any]:
    return {"file": str(file.path), "integration": file.name, "faults": findings_as_json(file)}
