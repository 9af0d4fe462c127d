"""`relay integrations …`: how they stand, and parking and resuming them by hand."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.terminal import (
    actor,
    json_option,
    print_json,
    print_record,
    print_table,
    shown,
    why_option,
    with_operations,
)
from relay.operations.operations import Operations


@click.group
def integrations() -> None:
    """See how integrations stand; park and resume them."""


@integrations.command("list")
@json_option
@with_operations
def list_(operations: Operations, *, as_json: bool) -> None:
    """Tell how every integration stands."""
    found = operations.integrations.show_all()
    if as_json:
        print_json(found)
        return
    columns = (
        "name",
        "status",
        "reason",
        "since",
        "next_probe_at",
        "pending",
        "oldest_pending_at",
        "dead",
        "rejections",
    )
    print_table(([one[column] for column in columns] for one in found), columns)
    for one in found:
        for fault in one["faults"]:
            since = f" (faulty since {one['faults_since']})" if one["faults_since"] else ""
            click.echo(shown(f"{fault}{since}"))


@integrations.command
@click.argument("name")
@why_option
@json_option
@with_operations
def park(operations: Operations, name: str, *, why: str, as_json: bool) -> None:
    """Deliver nothing for NAME until it is resumed; webhooks are accepted as ever."""
    _show(operations.integrations.park(name, actor=actor(), why=why), as_json=as_json)


@integrations.command
@click.argument("name")
@why_option
@json_option
@with_operations
def resume(operations: Operations, name: str, *, why: str, as_json: bool) -> None:
    """Let NAME go on: at once if it was parked by hand, else by one probe at once."""
    _show(operations.integrations.resume(name, actor=actor(), why=why), as_json=as_json)


def _show(integration: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(integration)
    else:
        print_record(integration)
