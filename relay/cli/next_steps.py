"""The report of `relay mappings new`: the new file, the secrets that are still missing, and the next steps."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import click

from relay.cli.mapping_faults import faults_as_json, print_faults
from relay.cli.terminal import print_json, printable
from relay.core.plural import count_of
from relay.core.redact import Redactor
from relay.core.references import Env, Secret
from relay.mapping_files.checker import Need, inspect, needs_of
from relay.mapping_files.folder import MappingFile, read_mappings
from relay.mapping_files.writer import SCHEMA_NAME
from relay.secrets import SecretReader
from relay.settings import load_settings, read_environment

_PROCESSES = {"web": "web", "worker": "the workers"}


def print_result(file: MappingFile, *, is_written: bool, as_json: bool) -> None:
    """Print the report: to stdout, or to stderr if the file itself is printed to stdout."""
    assert file.integration
    assert file.document
    reader = SecretReader(read_environment(), Redactor())
    needs = list(needs_of(file.document, reader))
    folder = load_settings(read_environment()).mappings
    is_active = file.path.resolve() == (folder / f"{file.name}.yaml").resolve()
    others = [other for other in read_mappings(folder) if other.name != file.name] if is_written and is_active else []
    checked = inspect([file, *others], reader)[0]
    if as_json:
        print_json(_as_json(checked, needs))
        return
    integration = file.integration
    result = click.style("written" if is_written else "good, not written to a file", fg="green")
    target = f"{integration.source} → IEM {integration.iem.customer_id}/{integration.iem.integration_id}"
    tests = f"{count_of(len(integration.tests), 'test')} passed"
    err = not is_written
    click.echo(f"{printable(str(file.path))}: {result} ({printable(target)}, {tests})", err=err)
    listed_below = {need.key for need in needs}
    print_faults(checked, err=err, is_printed=lambda fault: fault.key not in listed_below)
    for line in (*_missing_lines(needs), *_next_lines(file, is_active=is_active)):
        click.echo(line, err=err)


def _as_json(checked: MappingFile, needs: Sequence[Need]) -> dict[str, Any]:
    return {
        "file": str(checked.path),
        "integration": checked.name,
        "secrets": [
            {"key": need.key, **_reference(need.secret), "process": need.side, "is_there": need.exists}
            for need in needs
        ],
        "faults": faults_as_json(checked),
    }


def _reference(secret: Secret) -> dict[str, str]:
    return {"env": secret.name} if isinstance(secret, Env) else {"file": secret.path}


def _missing_lines(needs: Sequence[Need]) -> Iterator[str]:
    missing = [need for need in needs if not need.exists]
    if not missing:
        return
    yield "\nStill missing:"
    names = [printable("".join(_reference(need.secret).values())) for need in missing]
    width = max(map(len, names))
    for name, need in zip(names, missing, strict=True):
        yield f"  {name.ljust(width)}  for {_PROCESSES[need.side]}: `{need.key}`"
    if any(isinstance(need.secret, Env) for need in missing):
        yield "Processes read their environment when they start: restart them after you set the variables."


def _next_lines(file: MappingFile, *, is_active: bool) -> Iterator[str]:
    assert file.integration
    assert file.document
    place = shlex.quote(str(file.path))
    subject = file.name if is_active else place
    steps = [
        (f"relay mappings check --for web {place}", "on web machines; `--for worker` on worker machines"),
        (f"relay try {subject} PAYLOAD.json", "show how a webhook would be handled"),
    ]
    if is_active:
        steps.append(("relay doctor", "check that IEM and Virima accept the credentials"))
    if is_active and file.integration.source == "servicenow":
        steps.append((f"relay servicenow {file.name}", "print the script for ServiceNow, and how to set it up"))
    if not (file.path.parent / SCHEMA_NAME).is_file():
        schema = shlex.quote(str(file.path.parent / SCHEMA_NAME))
        steps.append(
            (
                f"relay mappings schema > {schema}",
                "let editors check the file: see docs/mapping-files/checks-and-dry-runs.md",
            )
        )
    yield "\nNext:"
    if file.integration.source == "service-exchange":
        yield "  Compare everything marked CHANGE with your field mapping sheet: the fields and states in the file are examples."
    width = max(len(command) for command, _ in steps)
    yield from (printable(f"  {command.ljust(width)}  {purpose}") for command, purpose in steps)
