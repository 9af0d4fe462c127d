"""gunicorn's gthread worker, with a time within which a request must arrive, and problem documents instead of pages in HTML."""

from __future__ import annotations

import json
import logging
import re
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any, Literal

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from relay.logs import log
from relay.settings import load_settings, read_environment
from relay.web.arrivals import ARRIVALS

#: Requests that arrive slowly, for each that can be worked on.
_SLOW_PER_THREAD = 16
#: A longer request is taken for one that is not all here (bytes).
_MOST_PEEKED = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_LOG = logging.getLogger("relay.web")
#: What gunicorn finds before the application sees anything; the first line that matches counts.
_FAULTS: tuple[tuple[type[Exception], int, str], ...] = (
    (LimitRequestLine, 414, "the request line is too long"),
    (LimitRequestHeaders, 431, "the header has too many fields, or too long ones"),
    (UnsupportedTransferCoding, 501, "this Transfer-Encoding is not supported: send the body as it is, or chunked"),
    (ExpectationFailed, 417, "no expectation but 100-continue can be met"),
    (ParseException, 400, "this is no request as RFC 9112 has it"),
)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread whose threads work on requests that are here. Others wait for them: in the poller, or in threads of their own."""

    def init_process(self) -> None:
        """Begin to watch over arrivals, in the process that serves."""
        self._patience = load_settings(read_environment()).receive_timeout
        self._slow = ThreadPoolExecutor(self.cfg.threads * _SLOW_PER_THREAD, "slow")
        ARRIVALS.watch()
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Take a connection on which the next request arrives where its sender holds nobody up."""
        arrived = _look(conn.sock)
        if arrived == "whole":
            super().enqueue_req(conn)
        elif arrived == "nothing" and not conn.initialized:
            self._await(conn)
        else:
            serving = self._slow.submit(self.handle, conn)
            serving.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _await(self, conn: Any) -> None:
        """Let the poller tell when something comes, or close the connection when nothing does."""
        conn.sock.settimeout(0)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection; it has to arrive in time."""
        with ARRIVALS.of(conn.sock, within=self._patience):
            return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no request. Its text is not logged: a broken header may be one with a password."""
        for kind, status, detail in _FAULTS:
            if isinstance(exc, kind):
                _answer(client, status, f"{detail} ({type(exc).__name__})", str(addr[0]) if addr else "")
                return
        super().handle_error(req, client, addr, exc)


def _look(connection: socket.socket) -> Literal["nothing", "part", "whole"]:
    """Tell how much of a request is here, without taking it. In doubt it is a part: then only its own thread waits for more."""
    try:
        here = connection.recv(_MOST_PEEKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return "nothing"
    except OSError:
        return "part"
    head, end, body = here.partition(b"\r\n\r\n")
    head += b"\r\n"
    if not end or b"\r\ntransfer-encoding" in head.lower():
        return "part"
    lengths = _LENGTH.findall(head)
    return "whole" if len(lengths) <= 1 and len(body) >= sum(map(int, lengths)) else "part"


def _answer(client: Any, status: int, detail: str, address: str) -> None:
    phrase, request_id = HTTPStatus(status).phrase, secrets.token_hex(8)
    log(
        _LOG,
        logging.WARNING,
        "no request",
        http_status=status,
        fault=detail,
        remote_address=address,
        request_id=request_id,
    )
    problem = {"status": status, "title": phrase, "detail": detail, "type": "about:blank", "request_id": request_id}
    body = json.dumps(problem, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    write_nonblock(client, head.encode("ascii") + body)
