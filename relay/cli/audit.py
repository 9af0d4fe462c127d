"""`relay audit …`: list the trail, export it with its seals, and verify that it was not changed."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from relay.cli.terminal import json_option, print_json, print_table, printable, to_json, with_operations
from relay.cli.times import DateTime
from relay.core.plural import count_of
from relay.core.seals import SealingKey
from relay.core.trail_verification import TrailReport
from relay.operations.operations import Operations
from relay.operations.trail_file import check_file, write_filtered, write_sealed
from relay.operations.wiring import open_operations
from relay.settings import load_settings, read_environment
from relay.store.trail import TYPES, TrailQuery

_COLUMNS = ("at", "type", "integration", "number", "delivery_id", "actor")
_CSV_COLUMNS = ("id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor")
#: A spreadsheet treats a cell that begins with one of these characters as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--integration", help="Only this integration."),
        click.option("--sys-id", help="Only the ticket with this sys_id."),
        click.option("--number", help="Only the ticket with this number."),
        click.option("--delivery", "delivery_id", help="Only the delivery with this id."),
        click.option("--user", help="Only this user: an actor, a resolver, or a user of Virima."),
        click.option("--type", "type", type=click.Choice(TYPES), help="Only this type."),
        click.option("--since", type=DateTime(), help="At or after, such as 2026-11-22T10:20:30Z."),
        click.option("--until", type=DateTime(), help="At or before."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group
def audit() -> None:
    """List, export and verify the audit trail."""


@audit.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number.")
@json_option
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List audit records, newest first.

    \b
    Example:
      relay audit list --number INC0010023
      relay audit list --type virima_lookup --since 2026-11-22T00:00:00Z --json
    """
    found = list(islice(_newest(operations, integration, TrailQuery(**filters)), limit))
    if as_json:
        print_json(found)
        return
    rows = ([*(record[column] for column in _COLUMNS), _more(record)] for record in found)
    print_table(rows, (*_COLUMNS, "more"))


@audit.command
@_filters
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True,
              help="JSON Lines with the seals, or CSV without them.")  # fmt: skip
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. Default: standard output."
)
@with_operations
def export(operations: Operations, *, integration: str | None, form: str, output: Path | None, **filters: Any) -> None:
    """Export the audit trail, oldest first.

    `relay audit verify` can check an export as JSON Lines. --since and --until are extended to whole seals. With any other
    filter the export has no seals, because a seal covers all records.

    \b
    Example:
      relay audit export --output trail.jsonl
      relay audit export --integration acme --format csv --output acme.csv
    """
    query, names = TrailQuery(**filters), operations.integrations.names(integration)
    total = sum(map(operations.audit.trail.count, names))
    lines = (line for name in names for line in _lines(operations, name, query, form))
    hidden = not sys.stderr.isatty() or (output is None and sys.stdout.isatty())
    bar = click.progressbar(length=total, label="records", file=sys.stderr, hidden=hidden)
    part = output.with_name(f"{output.name}.part") if output else None
    try:
        with click.open_file(str(part or "-"), "w", encoding="utf-8") as file, bar:
            _write(file, _counted(lines, bar.update), form)
        if output and part:
            part.replace(output)  # so that the file is always complete
    except OSError as error:
        raise click.ClickException(f"{output or 'standard output'}: {error.strerror}") from None


@audit.command
@click.argument("file", type=click.File(encoding="utf-8"), required=False)
@click.option("--integration", help="Only this integration, in Redis.")
@click.option("--key-file", "key_files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A previous key, in addition to RELAY_AUDIT_KEY; repeatable.")  # fmt: skip
@click.option(
    "--allow-unkeyed",
    is_flag=True,
    help="Accept seals without a key, which anyone could have made.",
)
@json_option
def verify(
    *, file: IO[str] | None, integration: str | None, key_files: tuple[Path, ...], allow_unkeyed: bool, as_json: bool
) -> None:
    """Verify an exported FILE, or the audit trail in Redis.

    Reports the first record that was edited, removed, added or moved after it was sealed. Exit status 1 if there
    is such a record.

    \b
    Example:
      relay audit verify
      relay audit verify trail.jsonl --key-file previous.key
    """
    if file and integration:
        raise click.UsageError("give a file, or --integration for a trail in Redis; not both")
    keys = _keys(key_files, allow_unkeyed=allow_unkeyed)
    try:
        reports = list(check_file(_parse(file), keys) if file else open_operations().audit.verify(integration, keys))
    except ValueError as error:
        raise click.ClickException(printable(str(error))) from None
    if as_json:
        print_json([_as_json(report) for report in reports])
    else:
        for report in reports:
            click.echo(printable(_sentence(report)))
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
        return write_filtered(operations.audit.trail, name, query)
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
            file.write(to_json(line) + "\n")
        return
    rows = csv.writer(file)
    rows.writerow((*_CSV_COLUMNS, "more"))
    for line in lines:
        if record := line.get("record"):
            rows.writerow([_cell(record[column]) for column in _CSV_COLUMNS] + [_more(record)])


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return printable(f"'{text}" if text.startswith(_FORMULA) else text)


def _more(record: dict[str, Any]) -> str:
    more = {name: value for name, value in record.items() if name not in _CSV_COLUMNS and value is not None}
    return to_json(more) if more else ""


def _parse(file: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(
                f"line {number} is not JSON: this is not an export of an audit trail, or it is damaged"
            ) from None
        if not isinstance(content, dict):
            raise ValueError(f"line {number} is not a JSON object: this is not an export of an audit trail")  # noqa: TRY004 - a fault of the file
        yield content


def _keys(key_files: tuple[Path, ...], *, allow_unkeyed: bool) -> list[SealingKey]:
    """Return the keys to verify with. If there are any, seals without a key are refused: anyone could make them."""
    try:
        secrets = [
            load_settings(read_environment()).audit_key,
            *(path.read_text("utf-8").strip() for path in key_files),
        ]
    except UnicodeDecodeError:
        raise click.UsageError("a key file is not UTF-8 text") from None
    keys = [SealingKey(secret) for secret in secrets if secret]
    return [*keys, SealingKey(None)] if allow_unkeyed or not keys else keys


def _as_json(report: TrailReport) -> dict[str, Any]:
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
        return f"{report.integration}: NOT VERIFIED: {report.finding.sentence}"
    records, seals = count_of(report.sealed, "record"), count_of(report.seals, "seal")
    notes = [f"{report.integration}: {records} in {seals} verified"]
    if report.unkeyed:
        notes.append(f"{count_of(report.unkeyed, 'seal')} without a key, which anyone could have made")
    if report.seals and not report.anchored:
        notes.append("records before the first one are not included")
    if report.unsealed:
        notes.append(f"{count_of(report.unsealed, 'newer record')} not sealed yet")
    return "; ".join(notes)
