"""`relay servicenow`: the scripts that a ServiceNow developer pastes."""

from __future__ import annotations

import click

from relay.cli.named_mapping import find_mapping
from relay.cli.terminal import shown
from relay.core.urls import check_url
from relay.servicenow import KINDS, ScriptOptions, When, write_script

_HOURS = 24


def _read_url(_context: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    if url is not None and (fault := check_url(url)):
        raise click.BadParameter(fault)
    return url


@click.command
@click.argument("integration")
@click.option("--table", default="incident", show_default=True, help="The table whose tickets are posted.")
@click.option("--url", callback=_read_url, help="Where the relay is, such as https://relay.example.com.")
@click.option(
    "--when",
    type=click.Choice(["after", "async"]),
    help="When the business rule runs: after (the default; waits for no answer), or async (waits, and tries again).",
)
@click.option("--sweep", is_flag=True, help="A scheduled job instead, which posts lately resolved tickets once more.")
@click.option("--hours", type=click.IntRange(1, 720), help=f"How far a sweep looks back.  [default: {_HOURS}]")
@click.option(
    "--auth", type=click.Choice(KINDS), help="Which kind of the mapping's `auth` to use; the first without it."
)
def servicenow(
    integration: str,
    *,
    table: str,
    url: str | None,
    when: When | None,
    sweep: bool,
    hours: int | None,
    auth: str | None,
) -> None:
    """Print a script for ServiceNow that posts what the mapping of INTEGRATION relays; its head tells how to set it up.

    INTEGRATION is a name, or a mapping file that ends in .yaml. Without options it is a business rule. No secret is read.
    """
    if sweep and when:
        raise click.UsageError("--when is for a business rule, --sweep for a scheduled job: give one of them")
    if hours is not None and not sweep:
        raise click.UsageError("--hours is for a scheduled job: give --sweep, too")
    looks_back = (hours or _HOURS) if sweep else None
    script = write_script(find_mapping(integration), ScriptOptions(table, when or "after", looks_back, auth, url))
    click.echo(script.text, nl=False)
    for warning in script.warnings:
        click.echo(shown(warning), err=True)
