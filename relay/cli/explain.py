"""`relay explain`: one ticket's whole story."""

from __future__ import annotations

import click

from relay.cli.terminal import shown, with_operations
from relay.operations.operations import Operations
from relay.operations.ticket_story import explain as explained


@click.command
@click.argument("wanted", metavar="SYS_ID|NUMBER|DELIVERY_ID")
@with_operations
def explain(operations: Operations, wanted: str) -> None:
    """Tell a ticket's whole story: what came, what it meant, each attempt, who resolved it, what happens next and when."""
    if not wanted.strip():
        raise click.UsageError("name a ticket by its sys_id or number, or a delivery by its id")
    for line in explained(operations, wanted):
        click.echo(shown(line))
