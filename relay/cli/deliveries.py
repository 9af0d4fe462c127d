"""`relay deliveries …`: list and show deliveries; replay and discard dead letters."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import click

from relay.cli.terminal import actor, json_option, print_json, print_record, print_table, why_option, with_operations
from relay.cli.times import DateTime
from relay.errors import ConflictError, NotFoundError
from relay.operations.operations import Operations
from relay.store.delivery_reader import STATUSES, DeliveryQuery

_COLUMNS = ("id", "integration", "number", "sys_id", "status", "reason", "created_at", "next_attempt_at")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--integration", help="Only this integration."),
        click.option("--reason", help="Only this reason, such as refused."),
        click.option("--since", type=DateTime(), help="Accepted at or after, such as 2026-11-22T10:20:30Z."),
        click.option("--until", type=DateTime(), help="Accepted at or before."),
    )
    for option in reversed(options):
        command = option(command)
    return command


dry_run_option = click.option("--dry-run", is_flag=True, help="List the dead letters, and change nothing.")


@click.group
def deliveries() -> None:
    """List deliveries; replay and discard dead letters."""


@deliveries.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only this status.")
@click.option("--sys-id", help="Only the ticket with this sys_id.")
@click.option("--number", help="Only the ticket with this number.")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number.")
@json_option
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List deliveries, newest first.

    \b
    Example:
      relay deliveries list --status dead --integration acme
      relay deliveries list --number INC0010023
    """
    found = list(islice(operations.deliveries.walk(integration, DeliveryQuery(**filters)), limit))
    if as_json:
        print_json(found)
        return
    _print_deliveries(found)


@deliveries.command
@click.argument("delivery_id")
@json_option
@with_operations
def show(operations: Operations, delivery_id: str, *, as_json: bool) -> None:
    """Show one delivery: its record and its attempts.

    \b
    Example:
      relay deliveries show 01JD3W8Z6V0S9K2M4N6P8Q0R2T
    """
    (print_json if as_json else print_record)(operations.deliveries.find(delivery_id))


@deliveries.command
@click.argument("delivery_ids", nargs=-1)
@_filters
@click.option("--as-mapped", is_flag=True, help="Send the original IEM state, not that of the current mapping.")
@click.option("--rate", type=click.FloatRange(0.1), default=100.0, show_default=True, help="Maximum per second.")
@dry_run_option
@with_operations
def replay(
    operations: Operations,
    delivery_ids: tuple[str, ...],
    *,
    as_mapped: bool,
    rate: float,
    dry_run: bool,
    **filters: Any,
) -> None:
    """Replay dead letters.

    Replays DELIVERY_IDS, or all dead letters that match the filters, oldest first. Exit status 1 if a dead letter could not
    be replayed.

    \b
    Example:
      relay deliveries replay 01JD3W8Z6V0S9K2M4N6P8Q0R2T
      relay deliveries replay --integration acme --reason refused --dry-run
    """
    dead_letters = _choose(operations, delivery_ids, filters)
    if dry_run:
        _print_deliveries(dead_letters)
        return

    def replay_dead_letter(dead_letter: dict[str, Any]) -> None:
        result = operations.deliveries.replay(dead_letter["id"], actor=actor(), as_mapped=as_mapped)
        if len(dead_letters) == 1:
            click.echo(f"{dead_letter['id']} → {result.id} {result.status}")

    _apply(replay_dead_letter, dead_letters, "replayed", rate)


@deliveries.command
@click.argument("delivery_ids", nargs=-1)
@_filters
@why_option
@dry_run_option
@with_operations
def discard(operations: Operations, delivery_ids: tuple[str, ...], *, why: str, dry_run: bool, **filters: Any) -> None:
    """Close dead letters permanently.

    Closes DELIVERY_IDS, or all dead letters that match the filters. Exit status 1 if a dead letter could not be closed.

    \b
    Example:
      relay deliveries discard 01JD3W8Z6V0S9K2M4N6P8Q0R2T --why "closed in IEM by hand"
      relay deliveries discard --integration acme --until 2026-11-22T00:00:00Z --dry-run
    """
    dead_letters = _choose(operations, delivery_ids, filters)
    if dry_run:
        _print_deliveries(dead_letters)
        return

    def discard_dead_letter(dead_letter: dict[str, Any]) -> None:
        operations.deliveries.discard(dead_letter["id"], actor=actor(), why=why)

    _apply(discard_dead_letter, dead_letters, "discarded")


def _print_deliveries(found: Iterable[dict[str, Any]]) -> None:
    print_table(([delivery[column] for column in _COLUMNS] for delivery in found), _COLUMNS)


def _choose(operations: Operations, delivery_ids: tuple[str, ...], filters: dict[str, Any]) -> list[dict[str, Any]]:
    if delivery_ids and any(filters.values()):
        raise click.UsageError("give delivery ids or filters, not both")
    if delivery_ids:
        return [operations.deliveries.find(delivery_id) for delivery_id in delivery_ids]
    if not any(filters.values()):
        raise click.UsageError("give delivery ids, or a filter such as --integration")
    integration = filters.pop("integration")
    return operations.deliveries.in_replay_order(integration, DeliveryQuery(status="dead", **filters))


def _apply(
    act: Callable[[dict[str, Any]], None], dead_letters: list[dict[str, Any]], verb: str, rate: float | None = None
) -> None:
    """Apply `act` to each dead letter, at most `rate` per second, and print how many succeeded; exit status 1 if one failed."""
    done = failed = 0
    hidden = len(dead_letters) < 2 or not sys.stderr.isatty()
    with click.progressbar(dead_letters, label="dead letters", file=sys.stderr, hidden=hidden) as bar:
        for dead_letter in _paced(bar, rate):
            try:
                act(dead_letter)
                done += 1
            except (ConflictError, NotFoundError) as error:
                click.echo(str(error), err=True)
                failed += 1
    click.echo(f"{done} {verb}" + (f", {failed} failed" if failed else ""))
    if failed:
        raise SystemExit(1)


def _paced(dead_letters: Iterable[dict[str, Any]], rate: float | None) -> Iterator[dict[str, Any]]:
    pause = threading.Event()
    for number, dead_letter in enumerate(dead_letters):
        if number and rate:
            pause.wait(1 / rate)
        yield dead_letter
