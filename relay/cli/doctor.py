"""`relay doctor`: one line for each thing that the relay needs."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from relay.cli.terminal import json_option, print_finding, print_json
from relay.core.plural import count_of
from relay.doctor.diagnosis import diagnose
from relay.doctor.finding import Finding, State, has_failed
from relay.foundation import lay_foundation
from relay.mapping_files.checker import Side
from relay.settings import read_environment


@click.command
@click.option(
    "--for",
    "side",
    type=click.Choice(["web", "worker"]),
    help="The process whose secrets this machine has. Default: both. With web, IEM and Virima are not checked.",
)
@json_option
def doctor(*, side: Side | None, as_json: bool) -> None:
    """Check settings, Redis, mapping files, IEM and Virima.

    Prints one line for each check, with advice. Nothing is pushed to IEM. Exit status 1 if a check failed, 78 if the settings
    are wrong.

    \b
    Example:
      relay doctor
      relay doctor --for web --json
    """
    environ = read_environment()
    findings: list[Finding] = []
    for finding in diagnose(lay_foundation(environ), environ, side):
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        counts = {state: sum(finding.state is state for finding in findings) for state in State}
        warnings = count_of(counts[State.WARN], "warning")
        click.echo(f"{counts[State.FAIL]} failed, {warnings}, {counts[State.OK]} passed")
    sys.exit(1 if has_failed(findings) else 0)
