"""`relay healthcheck web|worker`: for containers and supervisors that run a command instead of asking over HTTP."""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

import click

from relay.cli.terminal import shown
from relay.doctor.web import NoAnswerError, ask_readiness, tell_readiness
from relay.foundation import connect, lay_foundation
from relay.settings import read_environment
from relay.store.heartbeats import SILENT_AFTER, Heartbeats


@click.group
def healthcheck() -> None:
    """Tell by exit status whether web, or this machine's worker, is well: 0, or 1 and why."""


@healthcheck.command
def web() -> None:
    """Ask /readyz where RELAY_BIND (or PORT) says that web listens; exit status 1 where it cannot accept webhooks."""
    environ = read_environment()
    try:
        status, content = ask_readiness(lay_foundation(environ).settings, environ)
    except NoAnswerError as error:
        _end(well=False, says=str(error))
    _end(well=status == 200, says=f"web: {tell_readiness(content)}")


@healthcheck.command
def worker() -> None:
    """Look in Redis whether a worker of this host has been at work in the last 15 seconds; exit status 1 where none has.

    Redis being away makes this fail, and no worker: they wait for it. Do not restart workers because of it.
    """
    foundation = lay_foundation()
    host, now = socket.gethostname(), foundation.clock.now_ms()
    beats = Heartbeats(connect(foundation.settings)).workers()
    ages = [now - at for name, at in beats.items() if name.rsplit("-", 2)[0] == host]
    if not ages:
        _end(well=False, says=f"no worker of {host} has been heard of")
    _end(
        well=min(ages) <= SILENT_AFTER,
        says=f"the last heartbeat of a worker of {host} was {min(ages) / 1000:.1f} s ago",
    )


def _end(*, well: bool, says: str) -> NoReturn:
    click.echo(shown(says), err=not well)
    sys.exit(0 if well else 1)
