"""Examining the web processes of this machine, as a load balancer does: by /readyz, where RELAY_BIND or PORT says they listen."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

from relay.doctor.finding import Finding
from relay.settings import Settings

#: /readyz answers within a second (seconds).
_PATIENCE = 5.0
_FOREIGN = "no answer of web's"
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - addresses to listen at


class NoAnswerError(Exception):
    """Web does not answer; the message says why."""


def ask_readiness(settings: Settings, environ: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
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


def tell_readiness(content: Mapping[str, Any]) -> str:
    """Return the status, and what is wrong, in a line."""
    checks = content.get("checks")
    found = [(name, _first(one)) for name, one in (checks if isinstance(checks, dict) else {}).items()]
    wrong = [f"{name}: {one.get('output')}" for name, one in found if one.get("status") != "pass"]
    return "; ".join([str(content.get("status")), *wrong])


def _first(check: Any) -> Mapping[str, Any]:
    """Return a check's first entry; something else than web may listen there, and answer anything."""
    first = check[0] if isinstance(check, list) and check else None
    return first if isinstance(first, dict) else {}


def examine_web(settings: Settings, environ: Mapping[str, str], *, must_run: bool) -> Iterator[Finding]:
    """Examine web; `must_run`: whether this is one of its machines."""
    try:
        status, content = ask_readiness(settings, environ)
    except NoAnswerError as error:
        advice = "start gunicorn; on a machine without web use `--for worker`"
        yield (Finding.fail if must_run else Finding.warn)("web", str(error), advice)
        return
    if status == 200 and content.get("status") == "pass":
        yield Finding.ok("web", "takes webhooks")
    elif status == 200:
        yield Finding.warn("web", f"takes webhooks, and warns: {tell_readiness(content)}", "see the lines below")
    else:
        yield Finding.fail("web", f"takes no webhooks: {tell_readiness(content)}", "see the lines below")


def _address(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return where web listens, as seen from this machine."""
    bind = f":{environ['PORT']}" if environ.get("PORT") else settings.bind
    host, _, port = bind.rpartition(":")
    return bind if bind.startswith("unix:") else f"{_EVERYWHERE.get(host, host)}:{port}"


def _connect(address: str) -> http.client.HTTPConnection:
    if not address.startswith("unix:"):
        return http.client.HTTPConnection(address, timeout=_PATIENCE)
    with ExitStack() as stack:
        unix = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        unix.settimeout(_PATIENCE)
        unix.connect(address.removeprefix("unix:"))
        stack.pop_all()
    connection = http.client.HTTPConnection("localhost", timeout=_PATIENCE)
    connection.sock = unix
    return connection
