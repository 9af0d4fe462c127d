"""`relay servicenow`: print a script to paste into ServiceNow."""

from __future__ import annotations

import click

from relay.cli.named_mapping import find_mapping
from relay.cli.terminal import printable
from relay.core.urls import check_url
from relay.servicenow import KINDS, ScriptOptions, When, write_script

_HOURS = 24


def _read_url(_context: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    if url is not None and (fault := check_url(url)):
        raise click.BadParameter(fault)
    return url


@click.command
@click.argument("integration")
@click.option("--table", default="incident", show_default=True, help="Table whose tickets are posted.")
@click.option("--url", callback=_read_url, help="URL of the relay, such as https://relay.example.com.")
@click.option(
    "--when",
    type=click.Choice(["after", "async"]),
    help="When the business rule runs: after (default; does not wait for the answer) or async (waits, and retries).",
)
@click.option("--sweep", is_flag=True, help="Print a scheduled job that posts recently resolved tickets again.")
@click.option("--hours", type=click.IntRange(1, 720), help=f"Hours that a sweep looks back.  [default: {_HOURS}]")
@click.option("--auth", type=click.Choice(KINDS), help="Type of `auth` to use. Default: the first in the mapping file.")
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
    """Print a script to paste into ServiceNow.

    The script posts the tickets that the mapping of INTEGRATION relays: a business rule or, with --sweep, a scheduled job. Its
    first comment explains how to set it up. INTEGRATION is a name, or a mapping file that ends in .yaml. No secret is read.

    \b
    Example:
      relay servicenow acme --url https://relay.example.com
      relay servicenow acme --sweep --hours 48
    """
    if sweep and when:
        raise click.UsageError("--when is for a business rule, --sweep for a scheduled job: give only one of them")
    if hours is not None and not sweep:
        raise click.UsageError("--hours is for a scheduled job: add --sweep")
    looks_back = (hours or _HOURS) if sweep else None
    script = write_script(find_mapping(integration), ScriptOptions(table, when or "after", looks_back, auth, url))
    click.echo(script.text, nl=False)
    for warning in script.warnings:
        click.echo(printable(warning), err=True)
