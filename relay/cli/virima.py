"""`relay virima …`: trying out an integration's `virima` block."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from relay.cli.named_mapping import find_integration
from relay.cli.terminal import json_option, print_json, print_record
from relay.foundation import lay_foundation, virima_lookup
from relay.virima.lookup import Lookup, LookupResult, Outcome
from relay.virima.lookup_advice import advise


@click.group
def virima() -> None:
    """Try an integration's Virima out: who the relay is there, and whom it finds."""


@virima.command
@click.argument("integration")
@json_option
def whoami(integration: str, *, as_json: bool) -> None:
    """Tell as whom INTEGRATION is logged in at its Virima; exit status 1 where it is not."""
    with _opened(integration) as lookup:
        result = lookup.who_am_i()
    _tell(result, "the service account", as_json=as_json)


@virima.command("lookup")
@click.argument("integration")
@click.argument("email")
@json_option
def look_up(integration: str, email: str, *, as_json: bool) -> None:
    """Look EMAIL up as INTEGRATION does it; exit status 1 where nobody is found."""
    with _opened(integration) as lookup:
        result = lookup.look_up(email)
    _tell(result, email, as_json=as_json)


@contextmanager
def _opened(name: str) -> Iterator[Lookup]:
    foundation = lay_foundation()
    lookup, _ = virima_lookup(find_integration(name), foundation)
    try:
        yield lookup
    finally:
        lookup.close()


def _tell(result: LookupResult, who: str, *, as_json: bool) -> None:
    if as_json:
        print_json(result.as_json())
    else:
        told = result.as_json()
        user = told.pop("user") or {}
        print_record({**told, **user})
    if result.outcome is not Outcome.FOUND:
        detail = f" ({result.detail})" if result.detail else ""
        click.echo(f"{advise(result, who)}{detail}", err=True)
        sys.exit(1)
