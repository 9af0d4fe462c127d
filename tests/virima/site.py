"""Servers that answer as Virima: the simulated Virima, and a server that answers with the bytes of a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from raw_server import RawServer, answer

from relay.clock import Clock
from relay.http.credentials import Credentials
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.simulators.virima_people import Person
from relay.virima.login_service import VirimaClient
from relay.virima.lookup import Lookup, LookupMode

SERVICE = Person("relay@example.com", "Relay Account", "service-pass-word", service=True)
JANE = Person("jane@example.com", "Jane Doe", "jane-pass-word", organization="ACME")
MAX = Person("max@example.com", "Max Factor", "max-pass-word", mfa_pending=True)
CREDENTIALS = Credentials(SERVICE.email, SERVICE.password)
#: The path of the base URL.
BASE_PATH = "/www_em/"
#: For one call (seconds).
TIMEOUT = 0.6


def make_client(url: str, *, credentials: Credentials = CREDENTIALS) -> VirimaClient:
    """Return a client of the Virima at `url`."""
    return VirimaClient(url, credentials)


def make_lookup(url: str, mode: LookupMode = "impersonate", *, credentials: Credentials = CREDENTIALS) -> Lookup:
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
    """Return the users with open sessions, sorted."""
    return sorted(session.email for session in virima_of(server).sessions.values())


def calls(server: SimulatorServer) -> dict[str, int]:
    """Return the number of calls of each operation, without `login/` in their names."""
    return {name.removeprefix("login/"): count for name, count in virima_of(server).calls.items()}


def login_service(answers: Mapping[str, bytes | Callable[[], bytes]]) -> RawServer:
    """Return a server, not started, that answers each operation of the LoginService with the bytes of a test."""

    def respond(head: str) -> bytes:
        operation = head.split(" ")[1].rpartition("/")[2]
        sent = answers.get(operation, answer(b"{}", status="404 Not Found"))
        return sent if isinstance(sent, bytes) else sent()

    return RawServer(respond)


def requests_of(server: RawServer, operation: str) -> list[str]:
    """Return the heads of the requests for one operation."""
    return [head for head in server.heads if f"/login/{operation} " in head]
