"""The HTTP adapter of a simulator: reads requests from its connections, applies the faults, and writes answers."""

import contextlib
import socket
import socketserver
import sys
import threading
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from relay.simulators.control import PREFIX, Control
from relay.simulators.exchange import SimulatorRequest, SimulatorResponse, message, reply
from relay.simulators.faults import Gate, SimulatedFault

#: Larger request bodies are refused with 413 (bytes).
MAX_BODY = 16 * 1024 * 1024
#: How long a stop waits for the threads of the connections (seconds).
STOP_TIMEOUT = 5.0


class Listener(ThreadingHTTPServer):
    """The listening socket and its open connections. Each connection has a thread, and stays open between requests."""

    request_queue_size = 128
    allow_reuse_port = False
    block_on_close = False

    def __init__(self, address: tuple[str, int], control: Control) -> None:
        """Bind the address.

        Raises:
            OSError: the address is not available.
        """
        self.control = control
        self.service = control.service
        self.faults = control.faults
        self.request_log = control.request_log
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._closed = threading.Condition()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind without a lookup of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and add it to the open ones."""
        connection, address = super().get_request()
        with self._closed:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection, and remove it from the open ones."""
        with self._closed:
            self._open.discard(request)
            self._closed.notify_all()
        super().shutdown_request(request)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Ignore callers that closed their connection; print the traceback of any other error, which is a bug."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening, close the open connections, and wait until their threads end."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        self.faults.abandon()
        with self._closed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._closed.wait_for(lambda: not self._open, STOP_TIMEOUT)


class _Connection(BaseHTTPRequestHandler):
    """The connection of one caller. The service decides which methods are allowed."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._read_and_answer()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer an invalid HTTP request, in JSON as all other answers."""
        self.close_connection = True
        self._send(reply(code, {"message": message or explain or HTTPStatus(code).phrase}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: the request log contains the requests."""

    def _read_and_answer(self) -> None:
        refusal = self._refuse_framing()
        if refusal is not None:
            self.close_connection = True
            self._send(refusal)
            return
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            self.close_connection = True
            return
        request = SimulatorRequest(self.command, self.path, self._header_values(), body)
        if request.path.startswith(PREFIX):
            self._send(self.server.control.answer(request))
        else:
            self._answer(request)

    def _refuse_framing(self) -> SimulatorResponse | None:
        if self.headers["Transfer-Encoding"] is not None:
            return message(411, "Expected Content-Length, got Transfer-Encoding")
        length = self.headers["Content-Length"] or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            return message(400, "Expected a Content-Length in bytes")
        if int(length) > MAX_BODY:
            return message(413, f"Expected at most {MAX_BODY} bytes")
        return None

    def _header_values(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            separator = "; " if key == "cookie" else ", "
            values[key] = f"{values[key]}{separator}{value}" if key in values else value
        return values

    def _answer(self, request: SimulatorRequest) -> None:
        arrival = self.server.request_log.arrive(self.server.service.now())
        fault, gate = self.server.faults.take(request)
        answer = self._ask(request, fault, gate)
        sent = None if fault.drop else answer
        status = sent.status if sent else None
        self.server.request_log.settle(arrival, request, status, settled_at=self.server.service.now())
        if sent is None:
            self.close_connection = True
        elif fault.drip:
            self._drip(sent, fault, gate)
        else:
            self._send(sent)

    def _ask(self, request: SimulatorRequest, fault: SimulatedFault, gate: Gate) -> SimulatorResponse | None:
        if fault.delay and not self.server.stopping.is_set():
            gate.wait(fault.delay)
        if fault.drop == "before" or gate.abandoned or self.server.stopping.is_set():
            return None
        return fault.modify(fault.canned() or self.server.service.answer(request))

    def _send(self, answer: SimulatorResponse) -> None:
        head, body = self._frame(answer)
        self.wfile.write(head + body)

    def _drip(self, answer: SimulatorResponse, fault: SimulatedFault, gate: Gate) -> None:
        head, body = self._frame(answer)
        if fault.drip_head:
            head, body = b"", head + body
        self.wfile.write(head)
        for byte in body:
            gate.wait(fault.drip)
            if gate.abandoned or self.server.stopping.is_set():
                self.close_connection = True
                return
            self.wfile.write(bytes((byte,)))

    def _frame(self, answer: SimulatorResponse) -> tuple[bytes, bytes]:
        """Return the bytes of head and body (RFC 9112)."""
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
        headers = {"Date": formatdate(self.server.service.now(), usegmt=True), **answer.headers}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if answer.status not in (204, 304):
            lines += [f"Content-Type: {answer.content_type}", f"Content-Length: {len(answer.body)}"]
        if self.close_connection:
            lines.append("Connection: close")
        has_no_body = self.command == "HEAD" or answer.status in (204, 304)
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head, b"" if has_no_body else answer.body
