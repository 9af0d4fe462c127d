"""`relay rejections …`: webhooks that could not be mapped: look at them, replay and discard them."""

from __future__ import annotations

from itertools import islice

import click

from relay.cli.terminal import actor, json_option, print_json, print_record, print_table, why_option, with_operations
from relay.errors import ConflictError
from relay.operations.operations import Operations


@click.group
def rejections() -> None:
    """Look at webhooks that could not be mapped; replay and discard them."""


@rejections.command("list")
@click.option("--integration", help="Only of this integration.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool) -> None:
    """List rejections, the last seen first."""
    found = list(islice(operations.rejections.walk(integration), limit))
    if as_json:
        print_json(found)
        return
    columns = ("id", "integration", "seen_at", "seen", "from")
    rows = (
        [*(one[column] for column in columns), "; ".join(f"{e['field']}: {e['problem']}" for e in one["errors"])]
        for one in found
    )
    print_table(rows, (*columns, "errors"))


@rejections.command
@click.argument("rejection_id")
@json_option
@with_operations
def show(operations: Operations, rejection_id: str, *, as_json: bool) -> None:
    """Show one rejection, with what was sent."""
    (print_json if as_json else print_record)(operations.rejections.find(rejection_id))


@rejections.command
@click.argument("rejection_ids", nargs=-1)
@click.option("--integration", help="All of this integration.")
@with_operations
def replay(operations: Operations, rejection_ids: tuple[str, ...], *, integration: str | None) -> None:
    """Accept rejections by the mapping as it is now: REJECTION_IDS, or all of an integration, the oldest first."""
    failed = 0
    for one in _chosen(operations, rejection_ids, integration):
        try:
            replayed = operations.rejections.replay(one, actor=actor())
            click.echo(f"{one} → {replayed.id} {replayed.status}".replace("  ", " "))
        except ConflictError as error:
            click.echo(str(error), err=True)
            failed += 1
    if failed:
        raise SystemExit(1)


@rejections.command
@click.argument("rejection_ids", nargs=-1)
@click.option("--integration", help="All of this integration.")
@why_option
@with_operations
def discard(operations: Operations, rejection_ids: tuple[str, ...], *, integration: str | None, why: str) -> None:
    """Close rejections for good: REJECTION_IDS, or all of an integration."""
    chosen = _chosen(operations, rejection_ids, integration)
    for one in chosen:
        operations.rejections.discard(one, actor=actor(), why=why)
    click.echo(f"{len(chosen)} discarded")


def _chosen(operations: Operations, ids: tuple[str, ...], integration: str | None) -> list[str]:
    if bool(ids) == bool(integration):
        raise click.UsageError("name rejections, or give --integration")
    if ids:
        return list(ids)
    return [one["id"] for one in operations.rejections.walk(integration)][::-1]
