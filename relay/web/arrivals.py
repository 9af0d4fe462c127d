"""How long a request may take to arrive: a sender that drips holds a thread no longer than that."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import request

from relay.logs import log

_LOG = logging.getLogger("relay.web")
#: How often it is looked who takes too long (seconds).
_LOOK = 0.25


class Arrivals:
    """The requests that are arriving at this process, each by its socket. Threads share it."""

    def __init__(self) -> None:
        self._until: dict[socket.socket, float] = {}

    @contextmanager
    def of(self, connection: socket.socket, *, within: float) -> Iterator[None]:
        """Let a request arrive on `connection`, within so many seconds."""
        self._until[connection] = time.monotonic() + within
        try:
            yield
        finally:
            self.end(connection)

    def end(self, connection: socket.socket) -> bool:
        """Take the time of a request that is here, or never will be; tell whether it was still arriving."""
        return self._until.pop(connection, None) is not None

    def watch(self) -> None:
        """Cut off, from a thread of its own, what takes too long: who reads it finds its end, and can still answer."""
        threading.Thread(target=self._watch, name="arrivals", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            for connection, until in self._until.copy().items():
                if until < now and self.end(connection):
                    _cut_off(connection)


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError):
        sender = connection.getpeername()
        connection.shutdown(socket.SHUT_RD)
        log(_LOG, logging.WARNING, "a request took too long to arrive", remote_address=str(sender[0] if sender else ""))


#: This process's.
ARRIVALS = Arrivals()


def has_arrived() -> None:
    """Tell that the present request is here whole: what is done with it takes the time that it takes."""
    if connection := request.environ.get("gunicorn.socket"):
        ARRIVALS.end(connection)
