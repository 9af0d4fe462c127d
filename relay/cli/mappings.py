"""`relay mappings …`: what admins do with mapping files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from relay.core.integration import BasicAuth, HeaderAuth, Integration, Text
from relay.core.redact import Redactor
from relay.errors import ConfigurationError, SecretMissingError
from relay.mappings import MappingFile, read_mapping, read_mappings
from relay.secret_reader import SecretReader
from relay.settings import load_settings

EX_CONFIG = 78


@click.group
def mappings() -> None:
    """Check mapping files."""


@mappings.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines: a JSON list of faults.")
def check(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Tell every fault in FILES (by default all of RELAY_MAPPINGS) as `file:line:column: message`; exit status 78 if any."""
    for path in files:
        if not path.is_file():
            raise ConfigurationError([f"{path}: there is no such file"])
    found = (
        [read_mapping(path) for path in files]
        if files
        else read_mappings(load_settings(os.environ, Path.cwd()).mappings)
    )
    reader = SecretReader(os.environ, Redactor())
    missing = {file.path: _missing_secrets(file.integration, reader) for file in found if file.integration}
    if as_json:
        click.echo(json.dumps([_as_json(file, missing.get(file.path, [])) for file in found], indent=2))
    else:
        for file in found:
            _print(file, missing.get(file.path, []))
        if not found:
            click.echo("no mapping files: a file that begins with _ or . is not an integration", err=True)
    sys.exit(EX_CONFIG if any(file.faults for file in found) or any(missing.values()) or not found else 0)


def _print(file: MappingFile, missing: list[str]) -> None:
    for complaint in [*file.complaints(), *(f"{file.path}:1:1: {fault}" for fault in missing)]:
        click.echo(complaint)
    if file.integration and not missing:
        one = file.integration
        tests = f", {len(one.tests)} tests passed" if one.tests else ""
        off = "" if one.enabled else ", disabled"
        click.echo(f"{file.path}: good ({one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}{tests}{off})")


def _as_json(file: MappingFile, missing: list[str]) -> dict[str, object]:
    faults = [{"line": one.position.line, "column": one.position.column, "message": one.message} for one in file.faults]
    faults += [{"line": 1, "column": 1, "message": fault} for fault in missing]
    return {"file": str(file.path), "integration": file.name, "faults": faults}


def _missing_secrets(integration: Integration, reader: SecretReader) -> list[str]:
    faults = []
    for where, text in _texts_of(integration):
        try:
            reader.read(text)
        except SecretMissingError as error:
            faults.append(f"{where}: {error}")
    return faults


def _texts_of(integration: Integration) -> list[tuple[str, Text]]:
    """Return everything that the mapping refers to, with the key where it stands."""
    found: list[tuple[str, Text]] = []
    for index, method in enumerate(integration.authentications):
        match method:
            case BasicAuth(password=secret):
                found.append((f"auth[{index}].password", secret))
            case HeaderAuth(value=secret):
                found.append((f"auth[{index}].value", secret))
            case _:
                found += [(f"auth[{index}].secret", secret) for secret in method.secrets]
    iem, virima = integration.iem, integration.virima
    found += [("iem.url", iem.url), ("iem.username", iem.username), ("iem.password", iem.password)]
    if virima:
        found += [
            ("virima.url", virima.url),
            ("virima.username", virima.username),
            ("virima.password", virima.password),
        ]
    return found
