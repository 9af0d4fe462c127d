"""The command line `relay`. It imports only the module of the command that is run."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from pathlib import Path

import click

from relay import __version__
from relay.errors import ConfigurationError, RelayError

EX_FAILED, EX_CONFIG = 1, 78

#: Heading in `relay --help` → command → its module, which has the command under the same name, and the first line of its help.
COMMANDS = {
    "Run": {
        "up": ("relay.cli.up", "Run everything on this machine: Redis, web and one worker."),
        "worker": ("relay.cli.worker", "Deliver accepted updates to IEM."),
        "simulate": ("relay.cli.simulate", "Run a simulated IEM or Virima."),
    },
    "Mapping files": {
        "mappings": ("relay.cli.mappings", "Create and check mapping files."),
        "try": ("relay.cli.try_payload", "Show how a payload would be handled, without sending it."),
        "servicenow": ("relay.cli.servicenow", "Print a script to paste into ServiceNow."),
    },
    "Deliveries and tickets": {
        "integrations": ("relay.cli.integrations", "List, park and resume integrations."),
        "deliveries": ("relay.cli.deliveries", "List deliveries; replay and discard dead letters."),
        "rejections": ("relay.cli.rejections", "List, replay and discard webhooks that could not be mapped."),
        "explain": ("relay.cli.explain", "Show the whole history of a ticket or a delivery."),
    },
    "Audit": {
        "audit": ("relay.cli.audit", "List, export and verify the audit trail."),
    },
    "Upstream services": {
        "iem": ("relay.cli.iem", "Test an integration's connection to IEM, and publish to IEM."),
        "virima": ("relay.cli.virima", "Test an integration's connection to Virima, and look up users."),
    },
    "Diagnosis": {
        "doctor": ("relay.cli.doctor", "Check settings, Redis, mapping files, IEM and Virima."),
        "healthcheck": ("relay.cli.healthcheck", "Check the health of web or a worker on this machine."),
    },
}
_MODULES = {name: module for commands in COMMANDS.values() for name, (module, _) in commands.items()}

#: The Redis of a `relay up` in the same folder. Other commands use it if RELAY_REDIS_URL is not set.
_EMBEDDED = Path(".relay/redis/redis.sock")
#: Commands that start their own Redis, need RELAY_REDIS_URL, or need no Redis.
_OWN_REDIS = frozenset({"up", "worker", "simulate"})


class _LazyGroup(click.Group):
    """A group that imports a command only to run it, so that `relay --help` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _MODULES:
            return None
        function = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(_MODULES[cmd_name]), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, _MODULES))
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), purpose) for name, (_, purpose) in commands.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="relay")
@click.pass_context
def relay(ctx: click.Context) -> None:
    """Accept ITSM resolution webhooks, store them, and push them to HCL IEM.

    \b
    Example:
      relay up --demo
      relay COMMAND --help
    """
    if os.environ.get("NO_COLOR"):  # no-color.org
        ctx.color = False
    if ctx.invoked_subcommand not in _OWN_REDIS and _EMBEDDED.is_socket():
        from relay.settings import read_environment  # noqa: PLC0415 - `relay --help` stays fast

        if not read_environment().get("RELAY_REDIS_URL"):
            os.environ["RELAY_REDIS_URL"] = f"unix://{_EMBEDDED.absolute()}"


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 failed, 2 usage, 78 configuration."""
    try:
        relay.main(prog_name="relay", standalone_mode=True)
    except ConfigurationError as error:
        from relay.cli.terminal import printable  # noqa: PLC0415 - `relay --help` stays fast

        for problem in error.problems:
            click.echo(printable(problem), err=True)
        sys.exit(EX_CONFIG)
    except RelayError as error:
        from relay.cli.terminal import printable  # noqa: PLC0415

        click.echo(printable(str(error)), err=True)
        sys.exit(EX_FAILED)
