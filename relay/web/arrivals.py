"""Deadlines for requests to arrive and for answers to leave: a slow sender cannot hold a thread for longer."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress

from flask import request

from relay.logs import log

_LOG = logging.getLogger("relay.web")
#: How often the deadlines are checked (seconds).
_CHECK_INTERVAL = 0.25
#: How long producing and sending an answer can take (seconds).
_ANSWER_TIMEOUT = 60.0


class Arrivals:
    """The requests that threads of this process are reading or answering, by socket. Thread-safe."""

    def __init__(self) -> None:
        #: The deadline (monotonic seconds), and whether the request has been received completely.
        self._deadlines: dict[socket.socket, tuple[float, bool]] = {}

    def begin(self, connection: socket.socket, *, within: float) -> None:
        """Set the deadline for receiving a request on `connection`, in `within` seconds."""
        self._deadlines[connection] = (time.monotonic() + within, False)

    def mark_received(self, connection: socket.socket) -> None:
        """Note that the request is complete. From now on the deadline is the answer's."""
        if connection in self._deadlines:
            self._deadlines[connection] = (time.monotonic() + _ANSWER_TIMEOUT, True)

    def end(self, connection: socket.socket) -> bool:
        """Remove the deadline. Return whether there was one."""
        return self._deadlines.pop(connection, None) is not None

    def start(self) -> None:
        """Start the thread that shuts down late connections. Their reader finds an end of file, and can still answer."""
        threading.Thread(target=self._enforce, name="arrivals", daemon=True).start()

    def _enforce(self) -> None:
        while True:
            time.sleep(_CHECK_INTERVAL)
            now = time.monotonic()
            for connection, (deadline, is_received) in self._deadlines.copy().items():
                if deadline < now and self.end(connection):
                    log_late_answer(connection) if is_received else log_late_request(connection)
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR if is_received else socket.SHUT_RD)


def log_late_request(connection: socket.socket) -> None:
    """Log the address of a sender whose request took too long to arrive."""
    _log_address(connection, "a request took too long to arrive")


def log_late_answer(connection: socket.socket) -> None:
    """Log the address of a sender whose answer took too long to produce and send."""
    _log_address(connection, "an answer took too long to send")


def _log_address(connection: socket.socket, message: str) -> None:
    with suppress(OSError):
        peer = connection.getpeername()
        log(_LOG, logging.WARNING, message, remote_address=str(peer[0] if peer else ""))


#: The deadlines of this process.
ARRIVALS = Arrivals()


def mark_received() -> None:
    """Note that the current request has been received completely."""
    if connection := request.environ.get("gunicorn.socket"):
        ARRIVALS.mark_received(connection)
