"""`relay virima …`: test the `virima` block of an integration."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from relay.cli.named_mapping import find_integration
from relay.cli.terminal import json_option, print_json, print_record
from relay.foundation import lay_foundation, virima_lookup
from relay.virima.lookup import Lookup, LookupOutcome, LookupResult
from relay.virima.lookup_advice import advise


@click.group
def virima() -> None:
    """Test an integration's connection to Virima, and look up users."""


@virima.command
@click.argument("integration")
@json_option
def whoami(integration: str, *, as_json: bool) -> None:
    """Show the Virima account that INTEGRATION uses.

    Exit status 1 if Virima does not accept the account.

    \b
    Example:
      relay virima whoami acme
    """
    with _opened(integration) as lookup:
        result = lookup.who_am_i()
    _print(result, "the service account", as_json=as_json)


@virima.command("lookup")
@click.argument("integration")
@click.argument("email")
@json_option
def look_up(integration: str, email: str, *, as_json: bool) -> None:
    """Look up the user with the address EMAIL in Virima.

    Uses the `virima` block of INTEGRATION. Exit status 1 if no user is found.

    \b
    Example:
      relay virima lookup acme beth.anglin@example.com
    """
    with _opened(integration) as lookup:
        result = lookup.look_up(email)
    _print(result, email, as_json=as_json)


@contextmanager
def _opened(name: str) -> Iterator[Lookup]:
    foundation = lay_foundation()
    lookup, _ = virima_lookup(find_integration(name), foundation)
    try:
        yield lookup
    finally:
        lookup.close()


def _print(result: LookupResult, who: str, *, as_json: bool) -> None:
    if as_json:
        print_json(result.as_json())
    else:
        record = result.as_json()
        user = record.pop("user") or {}
        print_record({**record, **user})
    if result.outcome is not LookupOutcome.FOUND:
        detail = f" ({result.detail})" if result.detail else ""
        click.echo(f"{advise(result, who)}{detail}", err=True)
        sys.exit(1)
