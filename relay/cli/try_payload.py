"""`relay try`: what a payload would come to, before a mapping file is saved or a webhook is sent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from relay.cli.named_mapping import find_mapping
from relay.cli.terminal import json_option, print_json, shown
from relay.core.payload import parse_body
from relay.errors import NotFoundError
from relay.operations.dry_run import DryRun
from relay.operations.wiring import open_operations
from relay.settings import load_settings, read_environment

_COLOURS = {"relayed": "green", "ignored": "yellow", "rejected": "red"}
#: A payload that is larger than this is nobody's webhook (bytes).
_MOST_BYTES = 64 << 20


@click.command("try")
@click.argument("integration")
@click.argument("payload")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="As the header Idempotency-Key or webhook-id has it: makes a repeat known where there is neither version nor date.",
)
@json_option
def try_(integration: str, payload: str, *, idempotency_key: str | None, as_json: bool) -> None:
    """Tell what PAYLOAD would come to by the mapping of INTEGRATION, and send nothing.

    INTEGRATION is a name, or a mapping file that ends in .yaml. PAYLOAD is a file, - for standard input, or the id of a
    rejection, which is read from Redis. Exit status 1 where a record would be rejected.
    """
    trial = DryRun(find_mapping(integration))
    told = _try(trial, payload, _as_header(idempotency_key))
    if as_json:
        print_json(told)
    else:
        for line in _lines(told):
            click.echo(line)
    sys.exit(1 if any(one["result"] == "rejected" for one in told["results"]) else 0)


def _as_header(key: str | None) -> str | None:
    """Return a key as web would get it in a header: without blanks around it, and its bytes taken for Latin-1 (PEP 3333)."""
    return os.fsencode(key.strip(" \t")).decode("latin-1") or None if key else None


def _try(trial: DryRun, payload: str, idempotency_key: str | None) -> dict[str, Any]:
    if payload == "-" or (Path(payload).exists() and not Path(payload).is_dir()):
        with click.open_file(payload, "rb") as file:
            body = file.read(_MOST_BYTES)
        most = load_settings(read_environment()).max_body
        if len(body) > most:
            click.echo(f"a webhook with this body would be answered 413: RELAY_MAX_BODY is {most} bytes", err=True)
        return trial.try_payload(parse_body(body), idempotency_key)
    if not payload.isalnum():
        raise NotFoundError(f"there is no file {payload}")
    if idempotency_key:
        raise click.UsageError("--idempotency-key: a rejection is kept with the key that it came with")
    return trial.try_rejection(open_operations().rejections.find(payload))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    records, file = told["records"], told["file"]
    yield f"{told['integration']} ({file}, version {told['mapping']}): {_count(records['found'])} at {_path(records)}"
    if not told["enabled"]:
        yield click.style("It is disabled: a webhook would be answered 404.", fg="yellow")
    for number, result in enumerate(told["results"], 1):
        yield ""
        title = f"record {number}: " if records["found"] else ""
        yield title + click.style(shown(_verdict(result)), fg=_COLOURS[result["result"]], bold=True)
        yield from (f"  {shown(line)}" for line in _result_lines(result))


def _count(found: int) -> str:
    return f"{found or 'no'} record{'' if found == 1 else 's'}"


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
            return "rejected: " + "; ".join(f"{one['field']}: {one['problem']}" for one in result["errors"])


def _result_lines(result: Mapping[str, Any]) -> Iterator[str]:
    for field in result["fields"]:
        yield from _field_lines(field)
    if row := result.get("matched"):
        yield f"matched      `{row['state']}: {row['iem_state']}` of `{row['under']}` ({_line(row)}), by the {row['by']}"
    if dedupe := result.get("dedupe"):
        yield from _dedupe_lines(dedupe)
    if request := result.get("request"):
        yield "would be sent to IEM:"
        yield f"  {request['method']} {request['url']}"
        yield from (f"  {name}: {value}" for name, value in request["headers"].items())
        yield f"  {request['body']}"


def _field_lines(field: Mapping[str, Any]) -> Iterator[str]:
    """Tell a field's value, then each path that was looked at."""
    used, label = field["used"], field["label"]
    told = "-" if used is None else used
    if label and label != used:
        told += f" (label {label})"
    if used is None and (field["value"] or label):
        told = "- (what was found is of no use for this field)"
    yield f"{field['name']:<13}{told}"
    for one in field["paths"]:
        found = json.dumps(one["found"], ensure_ascii=False)
        nothing = "" if one["is_value"] else ": no value"
        yield f"             {_path(one)} found {found}{nothing}"


def _dedupe_lines(dedupe: Mapping[str, Any]) -> Iterator[str]:
    if "identity" in dedupe:
        collapse = "; the same IEM state again is no second push" if dedupe["collapse"] else ""
        yield f"identity     {dedupe['identity']}, known for {dedupe['known_for']}{collapse}"
    order = (
        "the time of its arrival" if dedupe["ordered_by"] == "arrival" else f"{dedupe['ordered_by']} {dedupe['order']}"
    )
    yield f"order        by {order}"
