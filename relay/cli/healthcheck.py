"""`relay healthcheck web|worker`: for containers and supervisors that run a command instead of an HTTP request."""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

import click

from relay.cli.terminal import printable
from relay.doctor.readiness import NoAnswerError, fetch_readiness, summarise_readiness
from relay.foundation import connect, lay_foundation
from relay.settings import read_environment
from relay.store.heartbeats import SILENT_AFTER, Heartbeats


@click.group
def healthcheck() -> None:
    """Check the health of web or a worker on this machine.

    Exit status 0 if it is healthy; otherwise 1, with the reason on stderr.
    """


@healthcheck.command
def web() -> None:
    """Check that web accepts webhooks.

    Requests /readyz at the address in RELAY_BIND or PORT. Exit status 1 if web does not answer or cannot accept webhooks.

    \b
    Example:
      relay healthcheck web
    """
    environ = read_environment()
    try:
        status, content = fetch_readiness(lay_foundation(environ).settings, environ)
    except NoAnswerError as error:
        _end(str(error), is_healthy=False)
    _end(f"web: {summarise_readiness(content)}", is_healthy=status == 200)


@healthcheck.command
def worker() -> None:
    """Check that a worker of this host is running.

    Exit status 1 if no worker of this host has sent a heartbeat in the last 15 seconds, or if Redis is unavailable. Do not
    restart workers because Redis is unavailable: they wait for it.

    \b
    Example:
      relay healthcheck worker
    """
    foundation = lay_foundation()
    host, now = socket.gethostname(), foundation.clock.now_ms()
    heartbeats = Heartbeats(connect(foundation.settings)).workers()
    ages = [now - at for name, at in heartbeats.items() if name.rsplit("-", 2)[0] == host]
    if not ages:
        _end(f"no worker of {host} has sent a heartbeat", is_healthy=False)
    age = min(ages)
    _end(f"the last heartbeat of a worker of {host} was {age / 1000:.1f} s ago", is_healthy=age <= SILENT_AFTER)


def _end(message: str, *, is_healthy: bool) -> NoReturn:
    click.echo(printable(message), err=not is_healthy)
    sys.exit(0 if is_healthy else 1)
