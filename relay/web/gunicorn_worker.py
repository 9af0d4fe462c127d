"""gunicorn's gthread worker, made patient: its threads work on requests that are here, and nobody else's connection holds them.

Every connection is in one of these places: with the poller while nothing comes (`pending_conns`, `keepalived_conns`), in
`_parts` while a small request is incomplete, with a thread of `tpool` once it is whole, with a thread of `_others` if it is of
another kind, in `_leaving` from its last answer until its sender has read that.
"""

from __future__ import annotations

import errno
import heapq
import logging
import socket
import struct
import time
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import ExpectationFailed as UnknownExpectation
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException, UnsupportedTransferCoding
from gunicorn.workers.gthread import ThreadWorker

from relay.logs import log
from relay.settings import load_settings, read_environment
from relay.web.arrivals import ARRIVALS, tell_too_slow
from relay.web.lookahead import MOST_PEEKED, Sight, look
from relay.web.no_request import refuse

_LOG = logging.getLogger("relay.web")
#: Threads for other requests, for each that works.
_OTHERS_PER_THREAD = 16
#: An incomplete request is looked at again after the first, then after twice as long each time, up to the most (seconds).
_LOOK_FIRST, _LOOK_MOST = 0.001, 0.1
#: Where fewer connections than this are free, those that have said nothing for longest go.
_ROOM = 16
#: Who has been answered has this long to read that, and to hang up (seconds).
_LINGER = 2.0
#: An answer of which nothing at all can be sent for so long is given up (seconds).
_STUCK = 5
#: How often it is told that connections cannot be accepted (seconds).
_TELL_EVERY = 60.0
#: What gunicorn finds before the application sees anything; the first line that matches counts.
_FAULTS: tuple[tuple[type[Exception], int, str], ...] = (
    (LimitRequestLine, 414, "the request line is too long"),
    (LimitRequestHeaders, 431, "the header has too many fields, or too long ones"),
    (UnsupportedTransferCoding, 501, "this Transfer-Encoding is not supported: send the body as it is, or chunked"),
    (UnknownExpectation, 417, "no expectation but 100-continue can be met"),
    (ParseException, 400, "this is no request as RFC 9112 has it"),
)


@dataclass(order=True, slots=True)
class _Part:
    """An incomplete request, and when to look at it again (monotonic seconds)."""

    look_at: float
    number: int
    connection: Any = field(compare=False)
    until: float = field(compare=False)
    wait: float = field(compare=False, default=_LOOK_FIRST)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    def init_process(self) -> None:
        """Begin to watch over arrivals, in the process that serves."""
        self._patience = load_settings(read_environment()).receive_timeout
        self._others = ThreadPoolExecutor(self.cfg.threads * _OTHERS_PER_THREAD, "other")
        self._parts: list[_Part] = []
        self._numbers = count()
        self._leaving: deque[Any] = deque()
        self._tell_again_at = 0.0
        ARRIVALS.watch()
        super().init_process()

    # What comes

    def accept(self, listener: Any) -> None:
        """Accept a connection, as long as files can be opened."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            self.set_accept_enabled(False)  # until the loop's next turn
            if time.monotonic() >= self._tell_again_at:
                self._tell_again_at = time.monotonic() + _TELL_EVERY
                log(_LOG, logging.ERROR, "no connection can be accepted: too many files are open", fault=error.strerror)

    def enqueue_req(self, conn: Any) -> None:
        """Find the place of a connection on which something comes, or is to come."""
        if not conn.initialized and not conn.data_ready:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _STUCK, 0))
        self._place(_Part(0.0, next(self._numbers), conn, time.monotonic() + self._patience))

    def _place(self, part: _Part) -> None:
        conn = part.connection
        buffered = conn.parser.unreader.buf.getvalue() if conn.parser else b""
        try:
            here = buffered + conn.sock.recv(MOST_PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            here = buffered
            if not here:
                self._await(conn)
                return
        except OSError:
            here = b""
        match look(here) if here else None:
            case None:  # its sender has hung up
                self._forget(conn)
            case Sight.WHOLE:
                self._serve(self.tpool, conn)
            case Sight.PART if time.monotonic() < part.until:
                part.look_at = time.monotonic() + part.wait
                part.wait = min(part.wait * 2, _LOOK_MOST)
                heapq.heappush(self._parts, part)
            case Sight.PART:
                tell_too_slow(conn.sock)
                refuse(conn.sock, conn.client, 408, "the request did not arrive whole: send it again")
                self._part_with(conn)
            case Sight.OTHER:
                self._serve(self._others, conn)

    def _serve(self, pool: Executor, conn: Any) -> None:
        ARRIVALS.begin(conn.sock, within=self._patience)
        serving = pool.submit(self.handle, conn)
        serving.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _await(self, conn: Any) -> None:
        """Let the poller tell when something comes, or close the connection when nothing does."""
        conn.sock.settimeout(0)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what the poller tells, but not beyond the next look at an incomplete request; then keep some room."""
        if self._parts:
            timeout = min(timeout, max(0.0, self._parts[0].look_at - time.monotonic()))
        super().wait_for_and_dispatch_events(timeout)
        while self._parts and self._parts[0].look_at <= time.monotonic():
            self._place(heapq.heappop(self._parts))
        # Not while events are told: one of these may have one coming.
        while self.nr_conns + _ROOM > self.worker_connections and self.pending_conns:
            self._drop(self.pending_conns[0], self.pending_conns)

    # What is served

    def handle(self, conn: Any) -> Any:
        """Serve one request (in a thread)."""
        sock = conn.sock
        try:
            return super().handle(conn)
        finally:
            ARRIVALS.end(sock)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request; who does not read the answer is given up without a word in gunicorn's log."""
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is not read") from None

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no request. Its text is not logged: a broken header may be one with a password."""
        for kind, status, detail in _FAULTS:
            if isinstance(exc, kind):
                refuse(client, addr, status, f"{detail} ({type(exc).__name__})")
                return
        super().handle_error(req, client, addr, exc)

    # What ends

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Wait for the next request of a connection, or part with it."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._part_with(conn)

    def _part_with(self, conn: Any) -> None:
        """Let the sender read its last answer: a connection that is closed with something unread is reset."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.settimeout(0)
        except OSError:
            self._forget(conn)
            return
        conn.timeout = time.monotonic() + _LINGER
        self._leaving.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read_rest, conn))

    def _read_rest(self, conn: Any, sock: socket.socket) -> None:
        try:
            rest = sock.recv(MOST_PEEKED)
        except BlockingIOError:
            return
        except OSError:
            rest = b""
        if not rest:
            self._drop(conn, self._leaving)

    def murder_pending(self) -> None:
        """Close the connections whose time is over. When this process stops those that have said nothing get a moment: a request
        may be on its way."""
        if not self.alive:
            latest = time.monotonic() + _LINGER
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, latest)
        super().murder_pending()
        while self._leaving and self._leaving[0].timeout <= time.monotonic():
            self._drop(self._leaving[0], self._leaving)

    def _drop(self, conn: Any, place: deque[Any]) -> None:
        place.remove(conn)
        self.poller.unregister(conn.sock)
        self._forget(conn)

    def _forget(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
