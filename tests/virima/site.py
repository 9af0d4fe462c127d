"""A Virima that answers: the simulated one, and one that answers whatever bytes a test wrote."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from relay.clock import Clock
from relay.http.credentials import Credentials
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.simulators.virima_people import Person
from relay.virima.login_service import VirimaClient
from relay.virima.lookup import Lookup, Mode

SERVICE = Person("relay@example.com", "Relay Account", "service-pass-word", service=True)
JANE = Person("jane@example.com", "Jane Doe", "jane-pass-word", organization="ACME")
MAX = Person("max@example.com", "Max Factor", "max-pass-word", mfa_pending=True)
CREDENTIALS = Credentials(SERVICE.email, SERVICE.password)
#: Of one call (seconds).
TIMEOUT = 0.6


def make_client(url: str, *, credentials: Credentials = CREDENTIALS) -> VirimaClient:
    """Return a client of the Virima at `url`."""
    return VirimaClient(url, credentials)


def make_lookup(url: str, mode: Mode = "impersonate", *, credentials: Credentials = CREDENTIALS) -> Lookup:
    """Return a lookup in the Virima at `url`."""
    return Lookup(make_client(url, credentials=credentials), mode=mode, timeout=TIMEOUT, clock=Clock())


def virima_of(server: SimulatorServer) -> SimulatedVirima:
    """Return the simulated Virima that `server` serves."""
    assert isinstance(server.service, SimulatedVirima)
    return server.service


def url_of(server: SimulatorServer) -> str:
    """Return the base URL of the simulated Virima."""
    return server.url + virima_of(server).base_path


def logged_in(server: SimulatorServer) -> list[str]:
    """Return whose sessions are open, in order."""
    return sorted(one.email for one in virima_of(server).sessions.values())


def calls(server: SimulatorServer) -> dict[str, int]:
    """Return how often each operation was asked, without `login/`."""
    return {name.removeprefix("login/"): count for name, count in virima_of(server).calls.items()}


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return an HTTP answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}"]
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode("latin-1") + body


class RawServer:
    """A server that answers each path with the bytes that a test wrote; `heads` tells what it was asked."""

    def __init__(self, answers: Mapping[str, bytes | Callable[[], bytes]]) -> None:
        self.answers = answers
        self.heads: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/www_em/"
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

    def asked(self, operation: str) -> list[str]:
        """Return the heads of the requests of one operation."""
        return [head for head in self.heads if f"/login/{operation} " in head]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                self._answer(connection, file)

    def _answer(self, connection: socket.socket, file: Any) -> None:
        head = b"".join(iter(file.readline, b"\r\n")).decode("latin-1")
        length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        file.read(length)
        self.heads.append(head)
        operation = head.split(" ")[1].rpartition("/")[2]
        found = self.answers.get(operation, answer(b"{}", status="404 Not Found"))
        try:
            connection.sendall(found if isinstance(found, bytes) else found())
        except OSError:
            return
