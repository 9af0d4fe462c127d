"""A deadline for a whole HTTP exchange: connecting, sending, and every byte of the answer, its head included.

A timeout of requests or urllib3 is for one read of the socket: an answer that drips could hold a thread, and with it the
lease on a ticket, for as long as it likes.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager

#: So much a deadline may be missed by (seconds).
_CLOSE = 0.01
_current = threading.local()


@contextmanager
def deadline_after(seconds: float) -> Iterator[None]:
    """Let this thread's exchanges end within `seconds`, by a TimeoutError."""
    _current.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        del _current.deadline


def _time_left() -> float:
    left: float = _current.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer took too long to arrive")
    return left


def _limit(sock: socket.socket) -> None:
    """Let the next call on `sock` end with the deadline. Most have the same time, and are over at once: then it stands."""
    left, set_before = _time_left(), sock.gettimeout()
    if set_before is None or abs(set_before - left) > _CLOSE:
        sock.settimeout(left)


class _BoundedReader(io.RawIOBase):
    """Reads a socket, each time with what is left until the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # Holds the socket open until it is closed itself, also where the connection lets go of it before the body is read.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _limit(self._sock)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Socket:
    """A socket whose answers are read until the deadline. What is sent leaves as one, when its answer is asked for: head and
    body in one packet, by one call of the system. All else is the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, _seconds: float | None) -> None:
        """The deadline counts."""

    def sendall(self, data: bytes) -> None:
        self._unsent.append(data)

    def makefile(self, *_mode: Any, **_options: Any) -> io.BufferedReader:
        self._send()
        return io.BufferedReader(_BoundedReader(self._sock))

    def _send(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        _limit(self._sock)
        # Who refuses a request may answer, and hang up, before it is all there: the answer can still be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(data)


class _HTTPConnection(HTTPConnection):
    def connect(self) -> None:
        self.timeout = _time_left()
        super().connect()
        self.sock = _Socket(self.sock)


class _HTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        self.timeout = _time_left()
        super().connect()
        self.sock = _Socket(self.sock)

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection can be used again: not where OpenSSL holds what was sent behind the last answer."""
        sock: Any = self.sock
        return super().is_connected and not (sock and sock.pending())

    def _tunnel(self) -> None:
        """Ask a proxy for the way; its answer has the deadline, too, and TLS begins on the socket itself."""
        sock, self.sock = self.sock, _Socket(self.sock)
        try:
            super()._tunnel()
        finally:
            self.sock = sock


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter over connections that keep the thread's deadline.

    For one service, reached in one way: which pool its calls go through is found once. No cookie of an answer is kept.
    """

    _pool: ConnectionPool | None = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> ConnectionPool:
        """Return the one pool."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*arguments, **options)
        return self._pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the answer, its body and its cookies unread."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.raw = resp
        response.request = req
        return response

    def close(self) -> None:
        """Close the connections."""
        self._pool = None
        super().close()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools, of our connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> ProxyManager:
        """Make the pools that go through a proxy, of our connections, too."""
        manager: ProxyManager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
