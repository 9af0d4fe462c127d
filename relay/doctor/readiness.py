"""Requests /readyz from the web processes of this machine, as a load balancer does, at the address in RELAY_BIND or PORT."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

from relay.settings import Settings

#: /readyz answers within a second (seconds).
_TIMEOUT = 5.0
_FOREIGN = "the answer is not from a web process of the relay"
_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - addresses to listen on


class NoAnswerError(Exception):
    """Web does not answer. The message gives the reason."""


def fetch_readiness(settings: Settings, environ: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the status and the content of /readyz. Raises NoAnswerError."""
    address = _address(settings, environ)
    try:
        with closing(_connect(address)) as connection:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            content = json.loads(answer.read(1 << 20))
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or _FOREIGN
        raise NoAnswerError(f"web does not answer at {address}: {reason}") from None
    if not isinstance(content, dict):
        raise NoAnswerError(f"web does not answer at {address}: {_FOREIGN}")
    return answer.status, content


def summarise_readiness(content: Mapping[str, Any]) -> str:
    """Return the status and every check that does not pass, in one line."""
    checks = content.get("checks")
    entries = [(name, _first(check)) for name, check in (checks if isinstance(checks, dict) else {}).items()]
    problems = [f"{name}: {entry.get('output')}" for name, entry in entries if entry.get("status") != "pass"]
    return "; ".join([str(content.get("status")), *problems])


def _first(check: Any) -> Mapping[str, Any]:
    """Return the first entry of a check. Another program can listen there and answer anything."""
    first = check[0] if isinstance(check, list) and check else None
    return first if isinstance(first, dict) else {}


def _address(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the address of web as seen from this machine."""
    bind = f":{environ['PORT']}" if environ.get("PORT") else settings.bind
    host, _, port = bind.rpartition(":")
    return bind if bind.startswith("unix:") else f"{_WILDCARDS.get(host, host)}:{port}"


def _connect(address: str) -> http.client.HTTPConnection:
    if not address.startswith("unix:"):
        return http.client.HTTPConnection(address, timeout=_TIMEOUT)
    with ExitStack() as stack:
        unix = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        unix.settimeout(_TIMEOUT)
        unix.connect(address.removeprefix("unix:"))
        stack.pop_all()
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT)
    connection.sock = unix
    return connection
