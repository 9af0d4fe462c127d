"""How long a request may take to arrive, and its answer to leave: nobody who drips holds a thread for longer."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress

from flask import request

from relay.logs import log

_LOG = logging.getLogger("relay.web")
#: How often it is looked who takes too long (seconds).
_LOOK = 0.25
#: So long an answer may take, with the work for it (seconds).
_ANSWERED_WITHIN = 60.0


class Arrivals:
    """The requests that threads of this process read and answer, each by its socket. Threads share it."""

    def __init__(self) -> None:
        #: Until when (monotonic seconds), and whether it is here already.
        self._until: dict[socket.socket, tuple[float, bool]] = {}

    def begin(self, connection: socket.socket, *, within: float) -> None:
        """Let a request arrive on `connection`, within so many seconds."""
        self._until[connection] = (time.monotonic() + within, False)

    def arrived(self, connection: socket.socket) -> None:
        """It is here: it takes the time that it takes, within bounds."""
        if connection in self._until:
            self._until[connection] = (time.monotonic() + _ANSWERED_WITHIN, True)

    def end(self, connection: socket.socket) -> bool:
        """It is answered, or never will be; tell whether it was still under way."""
        return self._until.pop(connection, None) is not None

    def watch(self) -> None:
        """Cut off, from a thread of its own, what takes too long: who reads it finds its end, and can still answer."""
        threading.Thread(target=self._watch, name="arrivals", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            for connection, (until, is_here) in self._until.copy().items():
                if until < now and self.end(connection):
                    tell_too_slow(connection)
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR if is_here else socket.SHUT_RD)


def tell_too_slow(connection: socket.socket) -> None:
    """Log who took too long."""
    with suppress(OSError):
        sender = connection.getpeername()
        log(_LOG, logging.WARNING, "a request took too long to arrive", remote_address=str(sender[0] if sender else ""))


#: This process's.
ARRIVALS = Arrivals()


def has_arrived() -> None:
    """Tell that the present request is here whole."""
    if connection := request.environ.get("gunicorn.socket"):
        ARRIVALS.arrived(connection)
