"""A server that answers with the bytes of a test, and a function that makes HTTP answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return the bytes of an HTTP answer; `length` replaces the real Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}"]
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode("latin-1") + body


class RawServer:
    """Answers each request with the bytes that `respond` returns for the request's head, and closes the connection.

    It serves one connection at a time. `heads` lists the heads of the requests so far.
    """

    def __init__(self, respond: Callable[[str], bytes] = lambda _head: b"") -> None:
        self.respond = respond
        self.heads: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def always(self, sent: bytes) -> None:
        """Answer every request from now on with `sent`."""
        self.respond = lambda _head: sent

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        try:
            while b"\r\n\r\n" not in received and (more := connection.recv(1 << 16)):
                received += more
            head = received.partition(b"\r\n\r\n")[0].decode("latin-1") + "\r\n"
            self.heads.append(head)
            connection.sendall(self.respond(head))
            connection.shutdown(socket.SHUT_WR)
            # The client can still be sending its body: a connection closed before that is reset, and the answer lost.
            while connection.recv(1 << 16):
                pass
        except OSError:
            return
