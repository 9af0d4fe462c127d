"""A deadline for a whole HTTP exchange: connecting, sending, and every byte of the answer including its headers.

A timeout of requests or urllib3 limits each read of the socket. An answer that arrives byte by byte could occupy a thread, and
with it the lease on a ticket, without limit.
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

#: A socket timeout that differs by less is not set again (seconds).
_TOLERANCE = 0.01
_current = threading.local()


@contextmanager
def deadline_after(seconds: float) -> Iterator[None]:
    """Limit the exchanges of this thread to `seconds`; then they raise a TimeoutError."""
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
    """Make the next call on `sock` end at the deadline. Setting a timeout costs a system call, so a similar one is kept."""
    left, set_before = _time_left(), sock.gettimeout()
    if set_before is None or abs(set_before - left) > _TOLERANCE:
        sock.settimeout(left)


class _BoundedReader(io.RawIOBase):
    """Reads a socket; each read ends at the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # Keeps the socket open until this reader is closed, even if the connection releases it before the body is read.
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
    """A socket that reads until the deadline. It sends headers and body together, in one system call, when the answer is read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, _seconds: float | None) -> None:
        """Ignore the timeout: the deadline applies."""

    def sendall(self, data: bytes) -> None:
        self._unsent.append(data)

    def makefile(self, *_mode: Any, **_options: Any) -> io.BufferedReader:
        self._send()
        return io.BufferedReader(_BoundedReader(self._sock))

    def _send(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        _limit(self._sock)
        # A server that refuses a request can answer and close before it has read everything: the answer can still be read.
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
        """Return whether the connection can be reused: not if OpenSSL has buffered data after the last answer."""
        sock: Any = self.sock
        return super().is_connected and not (sock and sock.pending())

    def _tunnel(self) -> None:
        """Open a tunnel through a proxy: its answer has the deadline too. TLS then starts on the socket itself."""
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
    """The adapter of requests, over connections that obey the thread's deadline.

    It is for one service through one route, so the connection pool is chosen once. Cookies of answers are not kept.
    """

    _pool: ConnectionPool | None = None

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> ConnectionPool:
        """Return the only pool."""
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*arguments, **options)
        return self._pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the answer without reading its body or its cookies."""
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
        """Make pools of connections that obey the deadline."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> ProxyManager:
        """Make pools through a proxy, of connections that obey the deadline."""
        manager: ProxyManager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
