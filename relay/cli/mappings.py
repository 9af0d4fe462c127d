"""`relay mappings …`: what admins do with mapping files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from relay.core.document import DocumentPath, Fault
from relay.core.integration import BasicAuth, HeaderAuth, Integration, Text
from relay.core.readers import check_url
from relay.core.redact import Redactor
from relay.errors import ConfigurationError, SecretMissingError
from relay.mappings import MappingFile, read_mapping, read_mappings
from relay.secret_reader import SecretReader
from relay.settings import load_settings, read_environment

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
    found = [read_mapping(path) for path in files] if files else _read_all()
    reader = SecretReader(read_environment(), Redactor())
    checked = [replace(file, faults=(*file.faults, *_missing_secrets(file, reader))) for file in found]
    if as_json:
        click.echo(json.dumps([_as_json(file) for file in checked], indent=2))
    else:
        for file in checked:
            _print(file)
        if not found:
            click.echo("no mapping files: a file that begins with _ or . is not an integration", err=True)
    sys.exit(EX_CONFIG if any(file.faults for file in checked) or not found else 0)


def _read_all() -> list[MappingFile]:
    return read_mappings(load_settings(read_environment()).mappings)


def _print(file: MappingFile) -> None:
    for complaint in file.complaints():
        click.echo(complaint)
    if file.integration and not file.faults:
        one = file.integration
        tests = f", {len(one.tests)} tests passed" if one.tests else ""
        off = "" if one.enabled else ", disabled"
        click.echo(f"{file.path}: good ({one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}{tests}{off})")


def _as_json(file: MappingFile) -> dict[str, object]:
    faults = [{"line": one.position.line, "column": one.position.column, "message": one.message} for one in file.faults]
    return {"file": str(file.path), "integration": file.name, "faults": faults}


def _missing_secrets(file: MappingFile, reader: SecretReader) -> Iterator[Fault]:
    """Return a fault for each variable and file that the mapping refers to and that is not there."""
    if file.integration is None or file.document is None:
        return
    for path, text in _texts_of(file.integration):
        try:
            value = reader.read(text)
        except SecretMissingError as error:
            yield Fault(file.document.locate(path), f"{path[-1]}: {error}")
            continue
        if path[-1] == "url" and (fault := check_url(value)):
            yield Fault(file.document.locate(path), f"url: {fault}")


def _texts_of(integration: Integration) -> list[tuple[DocumentPath, Text]]:
    """Return everything that the mapping refers to, with the path of the key where it stands."""
    found: list[tuple[DocumentPath, Text]] = []
    for index, method in enumerate(integration.authentications):
        match method:
            case BasicAuth(password=secret):
                found.append((("auth", index, "password"), secret))
            case HeaderAuth(value=secret):
                found.append((("auth", index, "value"), secret))
            case _:
                found += [(("auth", index, "secret"), secret) for secret in method.secrets]
    for block, service in (("iem", integration.iem), ("virima", integration.virima)):
        if service:
            texts = {"url": service.url, "username": service.username, "password": service.password}
            found += [((block, name), text) for name, text in texts.items()]
    return found
