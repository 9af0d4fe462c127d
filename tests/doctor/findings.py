"""Reading the report of `relay doctor`, and a `virima` block of the simulated Virima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from commands import Result
from virima.site import SERVICE

from relay.simulators.server import SimulatorServer

Doctor = Callable[..., Result]


def lines_of(result: Result, subject: str) -> list[str]:
    """Return the lines about a subject."""
    return [line for line in result.stdout.splitlines() if line[6:].startswith(f"{subject}:")]


def virima_block(server: SimulatorServer, **changes: Any) -> dict[str, Any]:
    block = {"url": f"{server.url}/www_em/", "username": SERVICE.email, "password": {"env": "VIRIMA_PASSWORD"}}
    return {**block, "lookup": "impersonate", "timeout": "2s", **changes}
