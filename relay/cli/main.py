"""`relay`: finds the command that was asked for and loads no other one."""

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

#: Command → the module that holds it under the same name, and what it does, in a line.
_COMMANDS = {
    "up": ("relay.cli.up", "Run everything on this machine: Redis, web and one worker."),
    "worker": ("relay.cli.worker", "Deliver what was accepted to IEM."),
    "mappings": ("relay.cli.mappings", "Write a new mapping file; check mapping files; print their JSON Schema."),
    "try": ("relay.cli.try_payload", "Tell what a payload would come to, and send nothing."),
    "servicenow": ("relay.cli.servicenow", "Write the scripts that ServiceNow developers paste."),
    "integrations": ("relay.cli.integrations", "See how integrations stand; park and resume them."),
    "deliveries": ("relay.cli.deliveries", "Look for deliveries; replay and discard dead letters."),
    "rejections": ("relay.cli.rejections", "Look at webhooks that could not be mapped; replay and discard them."),
    "explain": ("relay.cli.explain", "Tell the whole story of a ticket or a delivery."),
    "audit": ("relay.cli.audit", "Read the audit trail, export it, and check its seals."),
    "iem": ("relay.cli.iem", "Try an integration's IEM out; publish events, metrics, topology and adaptor health."),
    "virima": ("relay.cli.virima", "Try an integration's Virima out: who the relay is there, and whom it finds."),
    "doctor": ("relay.cli.doctor", "Examine settings, Redis, mapping files, each IEM and each Virima; push nothing."),
    "healthcheck": ("relay.cli.healthcheck", "Tell by exit status whether web, or this machine's worker, is well."),
    "simulate": ("relay.cli.simulate", "Run a simulated IEM or Virima."),
}


#: Where `relay up` of this folder has its Redis: commands beside it find it there.
_EMBEDDED = Path(".relay/redis/redis.sock")
#: Commands that start it, or must say themselves which one they want.
_OWN_REDIS = frozenset({"up", "worker", "simulate"})


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are used: `relay --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        function = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="relay")
@click.pass_context
def relay(ctx: click.Context) -> None:
    """Take ITSM resolution webhooks, keep them durably, and push them to HCL IEM until it says Success."""
    if os.environ.get("NO_COLOR"):  # no-color.org
        ctx.color = False
    if ctx.invoked_subcommand not in _OWN_REDIS and _EMBEDDED.is_socket():
        from relay.settings import read_environment  # noqa: PLC0415 - `relay --help` stays quick

        if not read_environment().get("RELAY_REDIS_URL"):
            os.environ["RELAY_REDIS_URL"] = f"unix://{_EMBEDDED.absolute()}"


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 failed, 2 usage, 78 configuration."""
    try:
        relay.main(prog_name="relay", standalone_mode=True)
    except ConfigurationError as error:
        from relay.cli.terminal import shown  # noqa: PLC0415 - `relay --help` stays quick

        for problem in error.problems:
            click.echo(shown(problem), err=True)
        sys.exit(EX_CONFIG)
    except RelayError as error:
        from relay.cli.terminal import shown  # noqa: PLC0415

        click.echo(shown(str(error)), err=True)
        sys.exit(EX_FAILED)
