"""`relay mappings …`: create mapping files, check them, and print their JSON Schema."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from relay.cli.mapping_faults import faults_as_json, print_faults
from relay.cli.new_mapping import new
from relay.core.plural import count_of
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
    """Create and check mapping files."""


mappings.add_command(new)


@mappings.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--for",
    "side",
    type=click.Choice(["web", "worker"]),
    help="The process whose secrets are required; missing secrets of the other process are warnings. Default: both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the files and their faults as a JSON list.")
def check(files: tuple[Path, ...], *, side: Side | None, as_json: bool) -> None:
    """Check FILES, by default all mapping files of RELAY_MAPPINGS.

    Prints every fault and warning as `file:line:column: message`. Exit status 78 if there is a fault.

    \b
    Example:
      relay mappings check
      relay mappings check --for web mappings/acme.yaml
    """
    for path in files:
        if not path.is_file():
            raise ConfigurationError([f"{path}: no such file"])
    found = [read_mapping(path) for path in files] if files else _read_all()
    neighbours = [read_mapping(path) for path in _neighbours(files)]
    checked = inspect(found, SecretReader(read_environment(), Redactor()), side, neighbours=neighbours)
    if as_json:
        click.echo(json.dumps([_as_json(file) for file in checked], indent=2, ensure_ascii=False))
    else:
        for file in checked:
            _print(file)
        if not found:
            click.echo("no mapping files found; files whose names begin with _ or . are not read", err=True)
    sys.exit(EX_CONFIG if any(file.faults for file in checked) or not found else 0)


@mappings.command
def schema() -> None:
    """Print the JSON Schema of a mapping file, for editors.

    It conforms to JSON Schema 2020-12.

    \b
    Example:
      relay mappings schema > mappings/schema.json
    """
    from relay.mapping_files.json_schema import make_json_schema  # noqa: PLC0415 - only this command needs apispec

    click.echo(json.dumps(make_json_schema(load_presets()), indent=2, ensure_ascii=False))


def _read_all() -> list[MappingFile]:
    return read_mappings(load_settings(read_environment()).mappings)


def _neighbours(files: tuple[Path, ...]) -> list[Path]:
    """Return the mapping files in the folders of `files`, because they can push the same integration."""
    found: list[Path] = []
    for folder in {path.parent for path in files}:
        with suppress(ConfigurationError):  # a folder that cannot be listed
            found += mapping_paths(folder)
    return found


def _print(file: MappingFile) -> None:
    print_faults(file)
    if file.integration and not file.faults:
        integration = file.integration
        target = f"IEM {integration.iem.customer_id}/{integration.iem.integration_id}"
        tests = f", {count_of(len(integration.tests), 'test')} passed" if integration.tests else ""
        disabled = "" if integration.enabled else ", disabled"
        good = click.style("good", fg="green")
        click.echo(f"{file.path}: {good} ({integration.source} → {target}{tests}{disabled})")


def _as_json(file: MappingFile) -> dict[str, Any]:
    return {"file": str(file.path), "integration": file.name, "faults": faults_as_json(file)}
