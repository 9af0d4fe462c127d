"""`relay integrations …`: list integrations; park and resume them by hand."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.terminal import (
    actor,
    json_option,
    print_json,
    print_record,
    print_table,
    printable,
    why_option,
    with_operations,
)
from relay.operations.operations import Operations

_COLUMNS = ("name", "status", "reason", "since", "next_probe_at", "pending", "oldest_pending_at", "dead", "rejections")


@click.group
def integrations() -> None:
    """List, park and resume integrations."""


@integrations.command("list")
@json_option
@with_operations
def list_(operations: Operations, *, as_json: bool) -> None:
    """List all integrations with their status and backlog.

    \b
    Example:
      relay integrations list
    """
    found = operations.integrations.show_all()
    if as_json:
        print_json(found)
        return
    print_table(([integration[column] for column in _COLUMNS] for integration in found), _COLUMNS)
    for integration in found:
        for fault in integration["faults"]:
            since = f" (faulty since {integration['faults_since']})" if integration["faults_since"] else ""
            click.echo(printable(f"{fault}{since}"))


@integrations.command
@click.argument("name")
@why_option
@json_option
@with_operations
def park(operations: Operations, name: str, *, why: str, as_json: bool) -> None:
    """Stop deliveries of the integration NAME until it is resumed.

    Its webhooks are still accepted.

    \b
    Example:
      relay integrations park acme --why "maintenance of IEM"
    """
    _print(operations.integrations.park(name, actor=actor(), why=why), as_json=as_json)


@integrations.command
@click.argument("name")
@why_option
@json_option
@with_operations
def resume(operations: Operations, name: str, *, why: str, as_json: bool) -> None:
    """Resume deliveries of the integration NAME.

    If it was parked by hand, all deliveries resume. Otherwise one delivery is sent at once as a probe; if it succeeds,
    the others follow.

    \b
    Example:
      relay integrations resume acme
    """
    _print(operations.integrations.resume(name, actor=actor(), why=why), as_json=as_json)


def _print(integration: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(integration)
    else:
        print_record(integration)
