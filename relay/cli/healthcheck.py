"""`relay healthcheck web|worker`: for containers and supervisors that run a command instead of asking over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from typing import NoReturn

import click

from relay.bootstrap import connect_worker, lay_foundation
from relay.cli.terminal import shown
from relay.settings import Settings
from relay.store.pulse import SILENT_AFTER, Pulse

#: /readyz answers within a second (seconds).
_PATIENCE = 5.0


@click.group
def healthcheck() -> None:
    """Tell by exit status whether web, or this machine's worker, is well: 0, or 1 and why."""


@healthcheck.command
def web() -> None:
    """Ask /readyz where RELAY_BIND (or PORT) says that web listens; exit status 1 where it cannot accept webhooks."""
    address = _address(lay_foundation().settings)
    try:
        status, told = _ask(address)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no answer of web's"
        _end(well=False, says=f"web does not answer at {address}: {reason}")
    _end(well=status == 200, says=told)


@healthcheck.command
def worker() -> None:
    """Look in Redis whether a worker of this host has been at work in the last 15 seconds; exit status 1 where none has.

    Redis being away makes this fail, and no worker: they wait for it. Do not restart workers because of it.
    """
    foundation = lay_foundation()
    host, now = socket.gethostname(), foundation.clock.now_ms()
    beats = Pulse(connect_worker(foundation.settings)).workers()
    ages = [now - at for name, at in beats.items() if name.rsplit("-", 2)[0] == host]
    if not ages:
        _end(well=False, says=f"no worker of {host} has been heard of")
    _end(
        well=min(ages) <= SILENT_AFTER,
        says=f"the last heartbeat of a worker of {host} was {min(ages) / 1000:.1f} s ago",
    )


def _address(settings: Settings) -> str:
    """Return where web listens, as seen from this machine."""
    bind = f"127.0.0.1:{os.environ['PORT']}" if os.environ.get("PORT") else settings.bind
    host, _, port = bind.rpartition(":")
    return bind if bind.startswith("unix:") else f"{'127.0.0.1' if host in {'', '0.0.0.0'} else host}:{port}"  # noqa: S104


def _ask(address: str) -> tuple[int, str]:
    if address.startswith("unix:"):
        connection = http.client.HTTPConnection("localhost", timeout=_PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_PATIENCE)
        connection.sock.connect(address.removeprefix("unix:"))
    else:
        connection = http.client.HTTPConnection(address.replace("[::]", "[::1]"), timeout=_PATIENCE)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, _summarise(json.loads(answer.read(1 << 20)))


def _summarise(content: dict[str, object]) -> str:
    """Return /readyz's status, and what is wrong, in a line."""
    checks = content["checks"]
    assert isinstance(checks, dict)
    wrong = [f"{name}: {one[0].get('output')}" for name, one in checks.items() if one[0]["status"] != "pass"]
    return "; ".join([f"web: {content['status']}", *wrong])


def _end(*, well: bool, says: str) -> NoReturn:
    click.echo(shown(says), err=not well)
    sys.exit(0 if well else 1)
