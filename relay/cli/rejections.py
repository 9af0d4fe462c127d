"""`relay rejections …`: list, show, replay and discard webhooks that could not be mapped."""

from __future__ import annotations

from itertools import islice

import click

from relay.cli.terminal import actor, json_option, print_json, print_record, print_table, why_option, with_operations
from relay.errors import ConflictError
from relay.operations.operations import Operations

_COLUMNS = ("id", "integration", "seen_at", "seen", "from")


@click.group
def rejections() -> None:
    """List, replay and discard webhooks that could not be mapped."""


@rejections.command("list")
@click.option("--integration", help="Only this integration.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number.")
@json_option
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool) -> None:
    """List rejections, the most recently seen first.

    \b
    Example:
      relay rejections list --integration acme
    """
    found = list(islice(operations.rejections.walk(integration), limit))
    if as_json:
        print_json(found)
        return
    rows = (
        [
            *(rejection[column] for column in _COLUMNS),
            "; ".join(f"{error['field']}: {error['problem']}" for error in rejection["errors"]),
        ]
        for rejection in found
    )
    print_table(rows, (*_COLUMNS, "errors"))


@rejections.command
@click.argument("rejection_id")
@json_option
@with_operations
def show(operations: Operations, rejection_id: str, *, as_json: bool) -> None:
    """Show one rejection, with the payload that was sent.

    \b
    Example:
      relay rejections show 01JD3W8Z6V0S9K2M4N6P8Q0R2T
    """
    (print_json if as_json else print_record)(operations.rejections.find(rejection_id))


@rejections.command
@click.argument("rejection_ids", nargs=-1)
@click.option("--integration", help="All rejections of this integration.")
@with_operations
def replay(operations: Operations, rejection_ids: tuple[str, ...], *, integration: str | None) -> None:
    """Map rejections again, and accept them.

    Uses the current mapping file. Replays REJECTION_IDS, or all rejections of an integration, oldest first. Exit status 1 if a
    rejection could not be replayed.

    \b
    Example:
      relay rejections replay 01JD3W8Z6V0S9K2M4N6P8Q0R2T
      relay rejections replay --integration acme
    """
    failed = 0
    for rejection_id in _choose(operations, rejection_ids, integration):
        try:
            result = operations.rejections.replay(rejection_id, actor=actor())
            click.echo(f"{rejection_id} → {result.id} {result.status}".replace("  ", " "))
        except ConflictError as error:
            click.echo(str(error), err=True)
            failed += 1
    if failed:
        raise SystemExit(1)


@rejections.command
@click.argument("rejection_ids", nargs=-1)
@click.option("--integration", help="All rejections of this integration.")
@why_option
@with_operations
def discard(operations: Operations, rejection_ids: tuple[str, ...], *, integration: str | None, why: str) -> None:
    """Close rejections permanently.

    Closes REJECTION_IDS, or all rejections of an integration.

    \b
    Example:
      relay rejections discard 01JD3W8Z6V0S9K2M4N6P8Q0R2T --why "a test"
      relay rejections discard --integration acme
    """
    chosen = _choose(operations, rejection_ids, integration)
    for rejection_id in chosen:
        operations.rejections.discard(rejection_id, actor=actor(), why=why)
    click.echo(f"{len(chosen)} discarded")


def _choose(operations: Operations, rejection_ids: tuple[str, ...], integration: str | None) -> list[str]:
    if bool(rejection_ids) == bool(integration):
        raise click.UsageError("give rejection ids, or --integration")
    if rejection_ids:
        return list(rejection_ids)
    return [rejection["id"] for rejection in operations.rejections.walk(integration)][::-1]
