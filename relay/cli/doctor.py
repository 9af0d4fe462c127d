"""`relay doctor`: a line for each thing that the relay needs."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from relay.cli.terminal import json_option, print_finding, print_json
from relay.doctor.examination import examine
from relay.doctor.finding import Finding, State, failed
from relay.foundation import lay_foundation
from relay.mapping_files.checker import Side
from relay.settings import read_environment


@click.command
@click.option(
    "--for",
    "side",
    type=click.Choice(["web", "worker"]),
    help="Of which process this machine has the secrets: IEM and Virima are asked where it is the worker's. Without it of both.",
)
@json_option
def doctor(*, side: Side | None, as_json: bool) -> None:
    """Examine settings, Redis, mapping files, each IEM's token and each Virima's login. Nothing is pushed to IEM.

    One line each, and what to do about it. Exit status 1 where something must be mended; 78 where the settings are wrong.
    """
    environ = read_environment()
    findings: list[Finding] = []
    for one in examine(lay_foundation(environ), environ, side):
        findings.append(one)
        if not as_json:
            print_finding(one)
    if as_json:
        print_json([asdict(one) for one in findings])
    else:
        counts = {state: sum(one.state is state for one in findings) for state in State}
        click.echo(f"{counts[State.FAIL]} failed, {counts[State.WARN]} warnings, {counts[State.OK]} good")
    sys.exit(1 if failed(findings) else 0)
