"""gunicorn's gthread worker, made patient: its threads work on requests that are here, and nobody else's connection holds them.

Every connection is in one of these places: with the poller while nothing comes (`pending_conns`, `keepalived_conns`), in
`_parts` while a small request is incomplete, with a thread of `tpool` once it is whole, with a thread of `_others` if it is of
another kind, in `_leaving` from its last answer until its sender has read that.
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
from relay.web.arrivals import ARRIVALS, tell_too_slow
from relay.web.lookahead import MOST_KEPT, Sight, look
from relay.web.no_request import refuse

_LOG = logging.getLogger("relay.web")
#: Threads for other requests, for each that works.
_OTHERS_PER_THREAD = 16
#: Where there is little room, whoever has just come somewhere is left alone for this long (seconds).
_MOMENT = 0.25
#: After files were short, none is asked for so soon; where there is little room, it is looked for so often (seconds).
_SHORT = 0.1
#: Where fewer connections than this are free, somebody is put out.
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


@dataclass(slots=True)
class _Part:
    """An incomplete request: until when it must be here (monotonic seconds), and how long it is, where that is known (bytes)."""

    until: float
    length: int


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """See the module."""

    def init_process(self) -> None:
        """Begin to watch over arrivals, in the process that serves."""
        self._patience = load_settings(read_environment()).receive_timeout
        self._others = ThreadPoolExecutor(self.cfg.threads * _OTHERS_PER_THREAD, "other")
        #: By connection, the oldest first.
        self._parts: dict[Any, _Part] = {}
        self._leaving: deque[Any] = deque()
        self._accepts_again_at = self._tell_again_at = 0.0
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
            now = time.monotonic()
            self._accepts_again_at = now + _SHORT
            self.set_accept_enabled(False)
            if now >= self._tell_again_at:
                self._tell_again_at = now + _TELL_EVERY
                log(_LOG, logging.ERROR, "no connection can be accepted: too many files are open", fault=error.strerror)

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - gunicorn's signature
        """Accept connections, or do not; not again at once after files were short."""
        if not enabled or time.monotonic() >= self._accepts_again_at:
            super().set_accept_enabled(enabled)

    def enqueue_req(self, conn: Any) -> None:
        """Find the place of a connection on which something comes, or is to come."""
        if self.cfg.is_ssl:
            self._serve(self._others, conn)
            return
        if conn.parser is None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _STUCK, 0))
            conn.init()
        buffer = conn.parser.unreader.buf
        has_ended = _take_in(conn.sock, buffer)
        sight, length = look(buffer.getvalue()) if buffer.tell() else (None, 0)
        if sight is None and not has_ended:
            self._await(conn)
        elif sight is Sight.PART and not has_ended:
            self._parts[conn] = _Part(time.monotonic() + self._patience, length)
            self.poller.register(conn.sock, EVENT_READ, partial(self._take_more, conn))
        else:
            self._settle(conn, sight)

    def _await(self, conn: Any) -> None:
        """Let the poller tell when something comes, or close the connection when nothing does."""
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _take_more(self, conn: Any, sock: socket.socket) -> None:
        """Take in more of an incomplete request."""
        part, buffer = self._parts[conn], conn.parser.unreader.buf
        has_ended = _take_in(sock, buffer)
        if buffer.tell() < part.length and not has_ended:
            return
        sight, part.length = look(buffer.getvalue())
        if sight is not Sight.PART or has_ended:
            self._take_off(conn, self._parts)
            self._settle(conn, sight)

    def _settle(self, conn: Any, sight: Sight | None) -> None:
        """Let a thread serve what is here; of a sender that has hung up too soon nothing is left to do."""
        match sight:
            case Sight.WHOLE:
                self._serve(self.tpool, conn)
            case Sight.OTHER:
                self._serve(self._others, conn)
            case _:
                self._forget(conn)

    def _serve(self, pool: Executor, conn: Any) -> None:
        ARRIVALS.begin(conn.sock, within=self._patience)
        serving = pool.submit(self.handle, conn)
        serving.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do what the poller tells; then keep some room for others."""
        super().wait_for_and_dispatch_events(min(timeout, _SHORT) if self._is_short() else timeout)
        # Not while events are told: the one who has to go may have one coming.
        while self._is_short() and self._put_out():
            pass

    def _is_short(self) -> bool:
        """Tell whether there is little room for connections, or was none for a file a moment ago."""
        return self.nr_conns + _ROOM > self.worker_connections or time.monotonic() < self._accepts_again_at

    def _put_out(self) -> bool:
        """Put out whoever needs a place least, if anybody: an answered one, a silent one, a slow one, an idle one.

        Nobody whom the poller is about to tell of, and nobody who has only just come there.
        """
        latest = time.monotonic() - _MOMENT
        for place, stay in ((self._leaving, _LINGER), (self.pending_conns, self.cfg.keepalive)):
            if conn := next((one for one in place if one.timeout - stay < latest and not _has_more(one.sock)), None):
                self._drop(conn, place)
                return True
        conn, part = next(iter(self._parts.items()), (None, None))
        if part and part.until - self._patience < latest:
            self._give_up(conn)
            return True
        if conn := next((one for one in self.keepalived_conns if not _has_more(one.sock)), None):
            self._drop(conn, self.keepalived_conns)
            return True
        return False

    def _give_up(self, conn: Any) -> None:
        """Tell the sender of an incomplete request that it took too long."""
        self._take_off(conn, self._parts)
        tell_too_slow(conn.sock)
        refuse(conn.sock, conn.client, 408, "the request did not arrive whole: send it again")
        self._part_with(conn)

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
        except OSError:
            self._forget(conn)
            return
        conn.timeout = time.monotonic() + _LINGER
        self._leaving.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read_rest, conn))

    def _read_rest(self, conn: Any, sock: socket.socket) -> None:
        try:
            rest = sock.recv(MOST_KEPT, socket.MSG_DONTWAIT)
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
        while self._parts and (oldest := next(iter(self._parts.items())))[1].until <= time.monotonic():
            self._give_up(oldest[0])
        while self._leaving and self._leaving[0].timeout <= time.monotonic():
            self._drop(self._leaving[0], self._leaving)

    def _drop(self, conn: Any, place: deque[Any]) -> None:
        self._take_off(conn, place)
        self._forget(conn)

    def _take_off(self, conn: Any, place: deque[Any] | dict[Any, _Part]) -> None:
        """Take a connection out of a place where the poller tells of it."""
        place.pop(conn) if isinstance(place, dict) else place.remove(conn)
        self.poller.unregister(conn.sock)

    def _forget(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _take_in(sock: socket.socket, buffer: io.BytesIO) -> bool:
    """Move what has come into `buffer`, without waiting; tell whether its sender has hung up."""
    buffer.seek(0, io.SEEK_END)
    try:
        while buffer.tell() < MOST_KEPT:
            data = sock.recv(MOST_KEPT - buffer.tell(), socket.MSG_DONTWAIT)
            if not data:
                return True
            buffer.write(data)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def _has_more(sock: socket.socket) -> bool:
    """Tell whether something has come that the poller will tell of."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except (OSError, ValueError):  # the latter of TLS
        return False
