"""Raw connections to a web process, for tests of slow, silent and hostile senders."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from harness import Process, Relay, sys_id

HEAD = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
#: The credentials of the mapping's sender.
AUTHORIZATION = b"Authorization: Basic c246c24tc2VjcmV0LXB3\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n"


def connect(port: int, sent: bytes = b"") -> socket.socket:
    """Connect and send."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(sent)
    return connection


def webhook(number: int, padding: int = 0) -> bytes:
    """Return a request that resolves a ticket."""
    body = json.dumps({"sys_id": sys_id(number), "state": "6", "padding": "x" * padding}).encode()
    return HEAD + AUTHORIZATION + b"Content-Length: %d\r\n\r\n" % len(body) + body


def time_of_a_webhook(relay: Relay) -> float:
    """Return how long another sender waits for its answer (seconds)."""
    began = time.monotonic()
    assert relay.post({"sys_id": sys_id(1), "state": "6"}, timeout=30).status_code in {200, 202}
    return time.monotonic() - began


def is_open(connection: socket.socket) -> bool:
    """Return whether the relay has not closed the connection."""
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(10)


def children(web: Process) -> list[int]:
    """Return the ids of gunicorn's worker processes."""
    pid = web.popen.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
