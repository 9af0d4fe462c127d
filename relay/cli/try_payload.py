"""`relay try`: show how a payload would be handled, before a mapping file is saved or a webhook is sent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from relay.cli.named_mapping import find_mapping
from relay.cli.terminal import json_option, print_json, printable
from relay.core.payload import parse_body
from relay.core.plural import count_of
from relay.errors import NotFoundError
from relay.operations.dry_run import DryRun
from relay.operations.wiring import open_operations
from relay.settings import load_settings, read_environment

_COLOURS = {"relayed": "green", "ignored": "yellow", "rejected": "red"}
#: A larger payload is not read completely (bytes).
_MAX_BYTES = 64 << 20


@click.command("try")
@click.argument("integration")
@click.argument("payload")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="The Idempotency-Key or webhook-id header: identifies a repeated update that has neither version nor date.",
)
@json_option
def try_(integration: str, payload: str, *, idempotency_key: str | None, as_json: bool) -> None:
    """Show how a payload would be handled, without sending it.

    INTEGRATION is a name, or a mapping file that ends in .yaml. PAYLOAD is a file, - for standard input, or the id of a
    rejection in Redis. Exit status 1 if a record would be rejected.

    \b
    Example:
      relay try acme payload.json
      relay try mappings/_draft.yaml - --json
    """
    dry_run = DryRun(find_mapping(integration))
    report = _try(dry_run, payload, _as_header(idempotency_key))
    if as_json:
        print_json(report)
    else:
        for line in _lines(report):
            click.echo(line)
    sys.exit(1 if any(result["result"] == "rejected" for result in report["results"]) else 0)


def _as_header(key: str | None) -> str | None:
    """Return a key as web reads it from a header: without surrounding blanks, its bytes read as Latin-1 (PEP 3333)."""
    return os.fsencode(key.strip(" \t")).decode("latin-1") or None if key else None


def _try(dry_run: DryRun, payload: str, idempotency_key: str | None) -> dict[str, Any]:
    if payload == "-" or (Path(payload).exists() and not Path(payload).is_dir()):
        with click.open_file(payload, "rb") as file:
            body = file.read(_MAX_BYTES)
        max_body = load_settings(read_environment()).max_body
        if len(body) > max_body:
            click.echo(f"a webhook with this body would be answered 413: RELAY_MAX_BODY is {max_body} bytes", err=True)
        return dry_run.try_payload(parse_body(body), idempotency_key)
    if not payload.isalnum():
        raise NotFoundError(f"there is no file {payload}")
    if idempotency_key:
        raise click.UsageError("--idempotency-key: a rejection already has the key that was sent with it")
    return dry_run.try_rejection(open_operations().rejections.find(payload))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    records, file = report["records"], report["file"]
    count = count_of(records["found"], "record") if records["found"] else "no records"
    yield f"{report['integration']} ({file}, version {report['mapping']}): {count} at {_path(records)}"
    if not report["enabled"]:
        yield click.style("The integration is disabled: a webhook would be answered 404.", fg="yellow")
    for number, result in enumerate(report["results"], 1):
        yield ""
        title = f"record {number}: " if records["found"] else ""
        yield title + click.style(printable(_verdict(result)), fg=_COLOURS[result["result"]], bold=True)
        yield from (f"  {printable(line)}" for line in _result_lines(result))


def _path(path: Mapping[str, Any]) -> str:
    return f"`{path['path']}` ({_line(path)})"


def _line(place: Mapping[str, Any]) -> str:
    return f"line {place['line']}" if place["line"] else "set by the source"


def _verdict(result: Mapping[str, Any]) -> str:
    match result["result"]:
        case "relayed":
            return f"relayed with state {result['iem_state']}"
        case "ignored":
            return f"ignored: {result['reason']}"
        case _:
            return "rejected: " + "; ".join(f"{error['field']}: {error['problem']}" for error in result["errors"])


def _result_lines(result: Mapping[str, Any]) -> Iterator[str]:
    for field in result["fields"]:
        yield from _field_lines(field)
    if row := result.get("matched"):
        yield f"matched      `{row['state']}: {row['iem_state']}` of `{row['under']}` ({_line(row)}), by {row['by']}"
    if dedupe := result.get("dedupe"):
        yield from _dedupe_lines(dedupe)
    if request := result.get("request"):
        yield "request to IEM:"
        yield f"  {request['method']} {request['url']}"
        yield from (f"  {name}: {value}" for name, value in request["headers"].items())
        yield f"  {request['body']}"


def _field_lines(field: Mapping[str, Any]) -> Iterator[str]:
    """Yield the value of a field, then the result of each path that was evaluated."""
    used, label = field["used"], field["label"]
    value = "-" if used is None else used
    if label and label != used:
        value += f" (label {label})"
    if used is None and (field["value"] or label):
        value = "- (the value found is not usable for this field)"
    yield f"{field['name']:<13}{value}"
    for path in field["paths"]:
        found = json.dumps(path["found"], ensure_ascii=False)
        note = "" if path["is_value"] else ": no value"
        yield f"             {_path(path)} found {found}{note}"


def _dedupe_lines(dedupe: Mapping[str, Any]) -> Iterator[str]:
    if "identity" in dedupe:
        collapse = "; a repeat of the same IEM state is not pushed" if dedupe["collapse"] else ""
        yield f"identity     {dedupe['identity']}, remembered for {dedupe['known_for']}{collapse}"
    if dedupe["ordered_by"] == "arrival":
        yield "order        by time of arrival"
    else:
        yield f"order        by {dedupe['ordered_by']} {dedupe['order']}"
