"""Problem documents for requests that gunicorn cannot parse, or that arrive too slowly. The application never sees them."""

from __future__ import annotations

import json
import logging
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from relay.logs import log
from relay.web.refusals import Refusals

_LOG = logging.getLogger("relay.web")
_refusals = Refusals()


def refuse(client: Any, address: Any, status: int, detail: str) -> None:
    """Write a problem document to the socket `client` without blocking. Log it, up to a limit per `address`."""
    phrase, request_id = HTTPStatus(status).phrase, secrets.token_hex(8)
    sender = str(address[0]) if address else ""
    if _refusals.record(sender) is None:
        log(
            _LOG,
            logging.WARNING,
            "malformed or incomplete request",
            http_status=status,
            fault=detail,
            remote_address=sender,
            request_id=request_id,
        )
    problem = {"status": status, "title": phrase, "detail": detail, "type": "about:blank", "request_id": request_id}
    body = json.dumps(problem, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with suppress(OSError, ValueError):  # ValueError: gunicorn itself terminates TLS
        client.send(head.encode("ascii") + body, socket.MSG_DONTWAIT)
