"""gunicorn's gthread worker, changed so that threads only get requests that have arrived: slow senders do not occupy them.

A connection is in one of these places: with the poller while it is idle (`pending_conns`, `keepalived_conns`); in `_partial`
while a small request is incomplete; with a thread of `tpool` when such a request is complete; with a thread of
`_slow_pool` for any other request; in `_closing` from its last answer until the sender has read that answer.
"""

from __future__ import annotations

import errno
import io
import logging
import socket
import struct
import time
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import ExpectationFailed as UnknownExpectation
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException, UnsupportedTransferCoding
from gunicorn.workers.gthread import ThreadWorker

from relay.logs import log
from relay.settings import load_settings, read_environment
from relay.web.arrivals import ARRIVALS, log_late_request
from relay.web.lookahead import MAX_BUFFERED, RequestState, classify
from relay.web.malformed_requests import refuse

_LOG = logging.getLogger("relay.web")
#: Threads of the slow pool for each thread of the fast one.
_SLOW_THREADS_PER_THREAD = 16
#: A connection is not evicted in the first moments of a new state (seconds).
_EVICTION_GRACE = 0.25
#: How long no connection is accepted after file descriptors ran out, and the poll interval while they are scarce (seconds).
_ACCEPT_PAUSE = 0.1
#: How many connections are kept free: below it, others are evicted.
_RESERVED_CONNECTIONS = 16
#: How long a sender has to read its last answer and to close the connection (seconds).
_LINGER = 2.0
#: An answer is abandoned if no byte of it can be sent for this long (seconds).
_SEND_TIMEOUT = 5
#: At most one log line in this time says that connections cannot be accepted (seconds).
_LOG_INTERVAL = 60.0
#: gunicorn's own errors, which the application never sees. The first line that matches is used.
_PARSE_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (LimitRequestLine, 414, "The request line is too long"),
    (LimitRequestHeaders, 431, "The header has too many fields, or one that is too long"),
    (UnsupportedTransferCoding, 501, "This Transfer-Encoding is not supported. Send the body as it is, or chunked"),
    (UnknownExpectation, 417, "Only the expectation 100-continue is supported"),
    (ParseException, 400, "This is not a valid HTTP/1.1 request (RFC 9112)"),
)


@dataclass(slots=True)
class _PartialRequest:
    """An incomplete request: its deadline (monotonic seconds) and its total length in bytes (0 if unknown)."""

    deadline: float
    length: int


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker that reads requests in its poller until they are complete. See the module."""

    def init_process(self) -> None:
        """Start the deadlines' thread and the slow pool, in the process that serves."""
        self._receive_timeout = load_settings(read_environment()).receive_timeout
        self._slow_pool = ThreadPoolExecutor(self.cfg.threads * _SLOW_THREADS_PER_THREAD, "slow")
        #: By connection, the oldest first.
        self._partial: dict[Any, _PartialRequest] = {}
        self._closing: deque[Any] = deque()
        self._accepts_again_at = self._logs_again_at = 0.0
        ARRIVALS.start()
        super().init_process()

    # Receiving

    def accept(self, listener: Any) -> None:
        """Accept a connection. Pause if there are no file descriptors left."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            now = time.monotonic()
            self._accepts_again_at = now + _ACCEPT_PAUSE
            self.set_accept_enabled(False)
            if now >= self._logs_again_at:
                self._logs_again_at = now + _LOG_INTERVAL
                log(_LOG, logging.ERROR, "cannot accept connections: too many open files", fault=error.strerror)

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - gunicorn's signature
        """Start or stop accepting connections. A pause is not cut short."""
        if not enabled or time.monotonic() >= self._accepts_again_at:
            super().set_accept_enabled(enabled)

    def enqueue_req(self, conn: Any) -> None:
        """Read what has arrived on a connection, and put the connection into its place."""
        if self.cfg.is_ssl:
            self._serve(self._slow_pool, conn)
            return
        if conn.parser is None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT, 0))
            conn.init()
        buffer = conn.parser.unreader.buf
        has_ended = _read_available(conn.sock, buffer)
        state, length = classify(buffer.getvalue()) if buffer.tell() else (None, 0)
        if state is None and not has_ended:
            self._wait_for_data(conn)
        elif state is RequestState.PARTIAL and not has_ended:
            self._partial[conn] = _PartialRequest(time.monotonic() + self._receive_timeout, length)
            self.poller.register(conn.sock, EVENT_READ, partial(self._read_more, conn))
        else:
            self._dispatch(conn, state)

    def _wait_for_data(self, conn: Any) -> None:
        """Let the poller report data on an idle connection, or close it after the keep-alive time."""
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _read_more(self, conn: Any, sock: socket.socket) -> None:
        """Read more of an incomplete request."""
        request, buffer = self._partial[conn], conn.parser.unreader.buf
        has_ended = _read_available(sock, buffer)
        if buffer.tell() < request.length and not has_ended:
            return
        state, request.length = classify(buffer.getvalue())
        if state is not RequestState.PARTIAL or has_ended:
            self._remove(conn, self._partial)
            self._dispatch(conn, state)

    def _dispatch(self, conn: Any, state: RequestState | None) -> None:
        """Give a request to a thread. Close the connection if its sender closed it before the request was complete."""
        match state:
            case RequestState.COMPLETE:
                self._serve(self.tpool, conn)
            case RequestState.OTHER:
                self._serve(self._slow_pool, conn)
            case _:
                self._close(conn)

    def _serve(self, pool: Executor, conn: Any) -> None:
        ARRIVALS.begin(conn.sock, within=self._receive_timeout)
        serving = pool.submit(self.handle, conn)
        serving.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handle the poller's events, then evict connections if there are too many."""
        super().wait_for_and_dispatch_events(min(timeout, _ACCEPT_PAUSE) if self._is_near_limit() else timeout)
        # Not while events are handled: the evicted connection could have one among them.
        while self._is_near_limit() and self._evict():
            pass

    def _is_near_limit(self) -> bool:
        """Return whether connections are scarce, or file descriptors ran out a moment ago."""
        return (
            self.nr_conns + _RESERVED_CONNECTIONS > self.worker_connections or time.monotonic() < self._accepts_again_at
        )

    def _evict(self) -> bool:
        """Close the connection that is least needed. Order: answered, silent, slow, idle.

        Return whether there was one. Connections that are new in their state or have unread data are left alone.
        """
        latest = time.monotonic() - _EVICTION_GRACE
        for place, stay in ((self._closing, _LINGER), (self.pending_conns, self.cfg.keepalive)):
            if conn := next(
                (conn for conn in place if conn.timeout - stay < latest and not _has_data(conn.sock)), None
            ):
                self._drop(conn, place)
                return True
        conn, request = next(iter(self._partial.items()), (None, None))
        if request and request.deadline - self._receive_timeout < latest:
            self._time_out(conn)
            return True
        if conn := next((conn for conn in self.keepalived_conns if not _has_data(conn.sock)), None):
            self._drop(conn, self.keepalived_conns)
            return True
        return False

    def _time_out(self, conn: Any) -> None:
        """Answer an incomplete request with 408."""
        self._remove(conn, self._partial)
        log_late_request(conn.sock)
        refuse(conn.sock, conn.client, 408, "The request did not arrive completely. Send it again")
        self._close_after_reading(conn)

    # Serving

    def handle(self, conn: Any) -> Any:
        """Serve one request, in a thread."""
        sock = conn.sock
        try:
            return super().handle(conn)
        finally:
            ARRIVALS.end(sock)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request. If a sender does not read its answer, gunicorn logs no error."""
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is not read") from None

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a malformed request. Its text is not logged: it can contain a password."""
        for kind, status, detail in _PARSE_ERRORS:
            if isinstance(exc, kind):
                refuse(client, addr, status, f"{detail} ({type(exc).__name__})")
                return
        super().handle_error(req, client, addr, exc)

    # Closing

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Wait for the next request of a connection, or close it."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._close_after_reading(conn)

    def _close_after_reading(self, conn: Any) -> None:
        """Close a connection after its sender has read the last answer. To close it with unread data would reset it."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + _LINGER
        self._closing.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._discard_rest, conn))

    def _discard_rest(self, conn: Any, sock: socket.socket) -> None:
        try:
            rest = sock.recv(MAX_BUFFERED, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            rest = b""
        if not rest:
            self._drop(conn, self._closing)

    def murder_pending(self) -> None:
        """Close the connections whose time is over.

        When this process stops, silent connections get a moment more: a request could be on its way.
        """
        if not self.alive:
            latest = time.monotonic() + _LINGER
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, latest)
        super().murder_pending()
        while self._partial and (oldest := next(iter(self._partial.items())))[1].deadline <= time.monotonic():
            self._time_out(oldest[0])
        while self._closing and self._closing[0].timeout <= time.monotonic():
            self._drop(self._closing[0], self._closing)

    def _drop(self, conn: Any, place: deque[Any]) -> None:
        self._remove(conn, place)
        self._close(conn)

    def _remove(self, conn: Any, place: deque[Any] | dict[Any, _PartialRequest]) -> None:
        """Remove a connection from a place and from the poller."""
        place.pop(conn) if isinstance(place, dict) else place.remove(conn)
        self.poller.unregister(conn.sock)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _read_available(sock: socket.socket, buffer: io.BytesIO) -> bool:
    """Move the data that has arrived into `buffer`, without blocking. Return whether the sender has closed the connection."""
    buffer.seek(0, io.SEEK_END)
    try:
        while buffer.tell() < MAX_BUFFERED:
            data = sock.recv(MAX_BUFFERED - buffer.tell(), socket.MSG_DONTWAIT)
            if not data:
                return True
            buffer.write(data)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def _has_data(sock: socket.socket) -> bool:
    """Return whether data has arrived that the poller will report."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except (OSError, ValueError):  # ValueError: a TLS socket
        return False
