"""`relay explain`: the history of one ticket."""

from __future__ import annotations

import click

from relay.cli.terminal import printable, with_operations
from relay.operations.operations import Operations
from relay.operations.ticket_history import explain_ticket


@click.command
@click.argument("ticket", metavar="SYS_ID|NUMBER|DELIVERY_ID")
@with_operations
def explain(operations: Operations, ticket: str) -> None:
    """Show the whole history of a ticket or a delivery.

    Shows what arrived, how it was mapped, each attempt, who resolved the ticket, and what happens next and when.

    \b
    Example:
      relay explain INC0010023
      relay explain 01JD3W8Z6V0S9K2M4N6P8Q0R2T
    """
    if not ticket.strip():
        raise click.UsageError("give the sys_id or number of a ticket, or the id of a delivery")
    for line in explain_ticket(operations, ticket):
        click.echo(printable(line))
