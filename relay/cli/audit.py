"""`relay audit …`: read the trail, export it with its seals, and check whether somebody changed it."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from relay.cli.deliveries import Moment
from relay.cli.terminal import as_json as json_text
from relay.cli.terminal import print_json, print_table, shown, with_operations
from relay.core.seals import SealingKey
from relay.core.trail_verification import TrailReport
from relay.operations.operations import Operations
from relay.operations.trail_file import check_file, write_chosen, write_sealed
from relay.operations.wiring import open_operations
from relay.settings import load_settings, read_environment
from relay.store.trail import TYPES, TrailQuery

_COLUMNS = ("at", "type", "integration", "number", "delivery_id", "actor")
_CSV_COLUMNS = ("id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor")
#: A cell that begins so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--integration", help="Only of this integration."),
        click.option("--sys-id", help="Only of this ticket."),
        click.option("--number", help="Only of the ticket with this number."),
        click.option("--delivery", "delivery_id", help="Only of this delivery."),
        click.option("--user", help="Only with this user: an actor, a resolver, a user of Virima."),
        click.option("--type", "type", type=click.Choice(TYPES), help="Only of this type."),
        click.option("--since", type=Moment(), help="Only since, such as 2026-11-22T10:20:30Z."),
        click.option("--until", type=Moment(), help="Only until."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group
def audit() -> None:
    """Read the audit trail, export it, and check its seals."""


@audit.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON value.")
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool, **wanted: Any) -> None:
    """List audit records, newest first."""
    found = list(islice(_newest(operations, integration, TrailQuery(**wanted)), limit))
    if as_json:
        print_json(found)
        return
    rows = ([*(one[column] for column in _COLUMNS), _more(one)] for one in found)
    print_table(rows, (*_COLUMNS, "more"))


@audit.command
@_filters
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else standard output.")
@with_operations
def export(operations: Operations, *, integration: str | None, form: str, output: Path | None, **wanted: Any) -> None:
    """Write the trail, oldest first: JSON Lines with its seals, which `relay audit verify` can check, or CSV.

    With --since or --until whole seals are written. Any other filter leaves the seals out: they are over all records.
    """
    query, names = TrailQuery(**wanted), operations.integrations.names(integration)
    total = sum(map(operations.audit.trail.count, names))
    lines = (line for name in names for line in _lines(operations, name, query, form))
    hidden = not sys.stderr.isatty() or (output is None and sys.stdout.isatty())
    bar = click.progressbar(length=total, label="records", file=sys.stderr, hidden=hidden)
    part = output.with_name(f"{output.name}.part") if output else None
    try:
        with click.open_file(str(part or "-"), "w", encoding="utf-8") as file, bar:
            _write(file, _counted(lines, bar.update), form)
        if output and part:
            part.replace(output)  # what is there is whole
    except OSError as error:
        raise click.ClickException(f"{output or 'standard output'}: {error.strerror}") from None


@audit.command
@click.argument("file", type=click.File(encoding="utf-8"), required=False)
@click.option("--integration", help="Only of this integration, in Redis.")
@click.option("--key-file", "key_files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A key of before, beside RELAY_AUDIT_KEY; several times for several.")  # fmt: skip
@click.option(
    "--allow-unkeyed",
    is_flag=True,
    help="Take seals without a key, from before there was one: they show accidents only.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON value.")
def verify(
    *, file: IO[str] | None, integration: str | None, key_files: tuple[Path, ...], allow_unkeyed: bool, as_json: bool
) -> None:
    """Check an exported FILE, or the trail in Redis: was a record edited, removed, added or moved after it was sealed?"""
    if file and integration:
        raise click.UsageError("give a file, or an integration whose trail is in Redis")
    keys = _keys(key_files, allow_unkeyed=allow_unkeyed)
    try:
        reports = list(check_file(_parse(file), keys) if file else open_operations().audit.verify(integration, keys))
    except ValueError as error:
        raise click.ClickException(shown(str(error))) from None
    if as_json:
        print_json([_shown(report) for report in reports])
    else:
        for report in reports:
            click.echo(shown(_sentence(report)))
    if any(report.finding for report in reports):
        raise SystemExit(1)


def _newest(operations: Operations, integration: str | None, query: TrailQuery) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = operations.audit.page(integration, query, limit=500, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _lines(operations: Operations, name: str, query: TrailQuery, form: str) -> Iterator[dict[str, Any]]:
    is_filtered = any((query.sys_id, query.number, query.delivery_id, query.user, query.type))
    if is_filtered or form == "csv":
        return write_chosen(operations.audit.trail, name, query)
    return write_sealed(operations.audit.trail, operations.audit.chain, name, since=query.since, until=query.until)


def _counted(lines: Iterable[dict[str, Any]], update: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    pending = 0
    for line in lines:
        pending += "record" in line
        if pending == 1_000:
            update(pending)
            pending = 0
        yield line
    update(pending)


def _write(file: IO[str], lines: Iterable[dict[str, Any]], form: str) -> None:
    if form == "jsonl":
        for line in lines:
            file.write(json_text(line) + "\n")
        return
    rows = csv.writer(file)
    rows.writerow((*_CSV_COLUMNS, "more"))
    for line in lines:
        if record := line.get("record"):
            rows.writerow([_cell(record[column]) for column in _CSV_COLUMNS] + [_more(record)])


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return shown(f"'{text}" if text.startswith(_FORMULA) else text)


def _more(record: dict[str, Any]) -> str:
    more = {name: value for name, value in record.items() if name not in _CSV_COLUMNS and value is not None}
    return json_text(more) if more else ""


def _parse(file: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(
                f"line {number} is not JSON: this is no export of an audit trail, or it is damaged"
            ) from None
        if not isinstance(content, dict):
            raise ValueError(f"line {number} is no JSON object: this is no export of an audit trail")  # noqa: TRY004 - of the file
        yield content


def _keys(key_files: tuple[Path, ...], *, allow_unkeyed: bool) -> list[SealingKey]:
    """Return the keys to verify with. Who has a key is not content with seals that anybody could have made."""
    try:
        secrets = [
            load_settings(read_environment()).audit_key,
            *(path.read_text("utf-8").strip() for path in key_files),
        ]
    except UnicodeDecodeError:
        raise click.UsageError("a key file is not UTF-8 text") from None
    keys = [SealingKey(secret) for secret in secrets if secret]
    return [*keys, SealingKey(None)] if allow_unkeyed or not keys else keys


def _shown(report: TrailReport) -> dict[str, Any]:
    finding = report.finding
    return {
        "integration": report.integration,
        "good": finding is None,
        "kind": finding.kind if finding else None,
        "record": finding.record or None if finding else None,
        "finding": finding.sentence if finding else None,
        "seals": report.seals,
        "sealed_records": report.sealed,
        "unsealed_records": report.unsealed,
        "unkeyed_seals": report.unkeyed,
        "first": report.first,
        "last": report.last,
        "anchored": report.anchored,
    }


def _sentence(report: TrailReport) -> str:
    if report.finding:
        return f"{report.integration}: NOT as it was written: {report.finding.sentence}"
    unsealed = (
        f"; {report.unsealed} newer ones are not sealed yet, and nothing vouches for them" if report.unsealed else ""
    )
    head = "" if report.anchored or not report.seals else "; what came before the first one is not in it"
    unkeyed = f"; {report.unkeyed} of the seals have no key, and show accidents only" if report.unkeyed else ""
    good = f"{report.sealed} records in {report.seals} seals are as they were written"
    return f"{report.integration}: {good}{unkeyed}{head}{unsealed}"
