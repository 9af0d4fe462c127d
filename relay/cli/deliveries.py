"""`relay deliveries …`: look for them, look at one, replay and discard dead letters."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click

from relay.cli.terminal import actor, json_option, print_json, print_record, print_table, why_option, with_operations
from relay.core.values import parse_date_time
from relay.errors import ConflictError, NotFoundError
from relay.operations.operations import Operations
from relay.store.delivery_reader import STATUSES, DeliveryQuery


class Moment(click.ParamType[int]):
    """A date and time on the command line, as Unix milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds, or fail with what was expected."""
        moment = parse_date_time(str(value))
        if moment is None:
            self.fail(f"{value!r} is not a date and time such as 2026-11-22T10:20:30Z", param, ctx)
        return moment


_COLUMNS = ("id", "integration", "number", "sys_id", "status", "reason", "created_at", "next_attempt_at")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--integration", help="Only of this integration."),
        click.option("--reason", help="Only with this reason."),
        click.option("--since", type=Moment(), help="Only accepted since, such as 2026-11-22T10:20:30Z."),
        click.option("--until", type=Moment(), help="Only accepted until."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group
def deliveries() -> None:
    """Look for deliveries; replay and discard dead letters."""


@deliveries.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only of this status.")
@click.option("--sys-id", help="Only of this ticket.")
@click.option("--number", help="Only of the ticket with this number.")
@_filters
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@with_operations
def list_(operations: Operations, *, integration: str | None, limit: int, as_json: bool, **wanted: Any) -> None:
    """List deliveries, newest first."""
    found = list(islice(operations.deliveries.walk(integration, DeliveryQuery(**wanted)), limit))
    if as_json:
        print_json(found)
        return
    print_table(([one[column] for column in _COLUMNS] for one in found), _COLUMNS)


@deliveries.command
@click.argument("delivery_id")
@json_option
@with_operations
def show(operations: Operations, delivery_id: str, *, as_json: bool) -> None:
    """Show one delivery: its record and its attempts."""
    (print_json if as_json else print_record)(operations.deliveries.find(delivery_id))


@deliveries.command
@click.argument("delivery_ids", nargs=-1)
@_filters
@click.option("--as-mapped", is_flag=True, help="With the IEM state of then, not by the mapping of now.")
@click.option("--rate", type=click.FloatRange(0.1), default=100.0, show_default=True, help="How many a second at most.")
@click.option("--dry-run", is_flag=True, help="Only tell which.")
@with_operations
def replay(
    operations: Operations, delivery_ids: tuple[str, ...], *, as_mapped: bool, rate: float, dry_run: bool, **wanted: Any
) -> None:
    """Replay dead letters: DELIVERY_IDS, or all that the filter means, the oldest first."""
    letters = _chosen(operations, delivery_ids, wanted)
    if dry_run:
        print_table(([one[column] for column in _COLUMNS] for one in letters), _COLUMNS)
        return
    counts = {"replayed": 0, "hindered": 0}

    def replay_one(letter: dict[str, Any]) -> None:
        replayed = operations.deliveries.replay(letter["id"], actor=actor(), as_mapped=as_mapped)
        if len(letters) == 1:
            click.echo(f"{letter['id']} → {replayed.id} {replayed.status}")
        counts["replayed"] += 1

    _each(letters, replay_one, counts, rate)
    _tell(counts, "replayed")


@deliveries.command
@click.argument("delivery_ids", nargs=-1)
@_filters
@why_option
@click.option("--dry-run", is_flag=True, help="Only tell which.")
@with_operations
def discard(operations: Operations, delivery_ids: tuple[str, ...], *, why: str, dry_run: bool, **wanted: Any) -> None:
    """Close dead letters for good: DELIVERY_IDS, or all that the filter means."""
    letters = _chosen(operations, delivery_ids, wanted)
    if dry_run:
        print_table(([one[column] for column in _COLUMNS] for one in letters), _COLUMNS)
        return
    counts = {"discarded": 0, "hindered": 0}

    def discard_one(letter: dict[str, Any]) -> None:
        operations.deliveries.discard(letter["id"], actor=actor(), why=why)
        counts["discarded"] += 1

    _each(letters, discard_one, counts, None)
    _tell(counts, "discarded")


def _chosen(operations: Operations, ids: tuple[str, ...], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    if ids and any(wanted.values()):
        raise click.UsageError("name deliveries, or give a filter; not both")
    if ids:
        return [operations.deliveries.find(one) for one in ids]
    if not any(wanted.values()):
        raise click.UsageError("name deliveries, or give a filter such as --integration")
    integration = wanted.pop("integration")
    return operations.deliveries.in_replay_order(integration, DeliveryQuery(status="dead", **wanted))


def _each(
    letters: list[dict[str, Any]], act: Callable[[dict[str, Any]], None], counts: dict[str, int], rate: float | None
) -> None:
    pace = threading.Event()
    hidden = len(letters) < 2 or not sys.stderr.isatty()
    with click.progressbar(letters, label="dead letters", file=sys.stderr, hidden=hidden) as bar:
        for letter in _paced(bar, pace, rate):
            try:
                act(letter)
            except (ConflictError, NotFoundError) as error:
                click.echo(str(error), err=True)
                counts["hindered"] += 1


def _paced(letters: Any, pace: threading.Event, rate: float | None) -> Iterator[dict[str, Any]]:
    for number, letter in enumerate(letters):
        if number and rate:
            pace.wait(1 / rate)
        yield letter


def _tell(counts: dict[str, int], done: str) -> None:
    click.echo(f"{counts[done]} {done}" + (f", {counts['hindered']} not" if counts["hindered"] else ""))
    if counts["hindered"]:
        raise SystemExit(1)
