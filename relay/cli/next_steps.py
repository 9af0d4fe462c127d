"""What `relay mappings new` tells once it is done: what the file still needs, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import click

from relay.cli.findings import findings_as_json, print_findings
from relay.cli.terminal import print_json, shown
from relay.core.redact import Redactor
from relay.core.references import Env, Secret
from relay.mapping_files.checker import Need, inspect, needs_of
from relay.mapping_files.folder import MappingFile, read_mappings
from relay.mapping_files.writer import SCHEMA_NAME
from relay.secrets import SecretReader
from relay.settings import load_settings, read_environment

_PROCESSES = {"web": "web", "worker": "the workers"}


def report(file: MappingFile, *, is_written: bool, as_json: bool) -> None:
    """Tell what was written, what it still needs, and what to do next; on stderr where stdout has the file itself."""
    assert file.integration
    assert file.document
    reader = SecretReader(read_environment(), Redactor())
    needs = list(needs_of(file.document, reader))
    folder = load_settings(read_environment()).mappings
    is_at_work = file.path.resolve() == (folder / f"{file.name}.yaml").resolve()
    others = [one for one in read_mappings(folder) if one.name != file.name] if is_written and is_at_work else []
    checked = inspect([file, *others], reader)[0]
    if as_json:
        print_json(_as_json(checked, needs))
        return
    one = file.integration
    verb = click.style("written" if is_written else "good, and not written to any file", fg="green")
    target = shown(f"{one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}")
    err = not is_written
    click.echo(f"{shown(str(file.path))}: {verb} ({target}, {len(one.tests)} tests passed)", err=err)
    told_below = {need.key for need in needs}
    print_findings(checked, err=err, is_told=lambda fault: fault.key not in told_below)
    for line in (*_missing_lines(needs), *_next_lines(file, is_at_work=is_at_work)):
        click.echo(line, err=err)


def _as_json(checked: MappingFile, needs: Sequence[Need]) -> dict[str, Any]:
    return {
        "file": str(checked.path),
        "integration": checked.name,
        "secrets": [
            {"key": need.key, **_reference(need.secret), "process": need.side, "is_there": need.exists}
            for need in needs
        ],
        "faults": findings_as_json(checked),
    }


def _reference(secret: Secret) -> dict[str, str]:
    return {"env": secret.name} if isinstance(secret, Env) else {"file": secret.path}


def _missing_lines(needs: Sequence[Need]) -> Iterator[str]:
    missing = [need for need in needs if not need.exists]
    if not missing:
        return
    yield "\nStill missing:"
    names = [shown("".join(_reference(need.secret).values())) for need in missing]
    width = max(map(len, names))
    for name, need in zip(names, missing, strict=True):
        yield f"  {name.ljust(width)}  for {_PROCESSES[need.side]}: `{need.key}`"
    if any(isinstance(need.secret, Env) for need in missing):
        yield "A process reads its environment at the start: restart it once its variables are set."


def _next_lines(file: MappingFile, *, is_at_work: bool) -> Iterator[str]:
    assert file.integration
    assert file.document
    place = shlex.quote(str(file.path))
    subject = file.name if is_at_work else place
    steps = [
        (f"relay mappings check --for web {place}", "where web runs; `--for worker` where workers run"),
        (f"relay try {subject} PAYLOAD.json", "what a webhook would come to"),
    ]
    if is_at_work:
        steps.append(("relay doctor", "whether IEM, and Virima, let the relay in"))
    if is_at_work and file.integration.source == "servicenow":
        steps.append((f"relay servicenow {file.name}", "what to set up in ServiceNow"))
    if not (file.path.parent / SCHEMA_NAME).is_file():
        schema = shlex.quote(str(file.path.parent / SCHEMA_NAME))
        steps.append(
            (f"relay mappings schema > {schema}", "for editors: see docs/mapping-files/checks-and-dry-runs.md")
        )
    yield "\nNext:"
    if file.integration.source == "service-exchange":
        yield "  Go through what is marked CHANGE with your field mapping sheet: fields and states in the file are not from it."
    width = max(len(command) for command, _ in steps)
    yield from (shown(f"  {command.ljust(width)}  {purpose}") for command, purpose in steps)
