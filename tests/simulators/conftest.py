"""The simulated IEM, served once for each file of tests and reset for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from harness import iem_of
from simulators.installation import INSTALLATION, START, Caller, ManualClock, fetch_token

from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    """The clock of the simulated IEM."""
    return ManualClock()


@pytest.fixture(scope="module")
def served_iem(clock: ManualClock) -> Iterator[SimulatorServer]:
    """The simulator of all tests of the file."""
    with SimulatorServer(SimulatedIem(INSTALLATION, clock=clock)) as server:
        yield server


@pytest.fixture
def server(served_iem: SimulatorServer, clock: ManualClock) -> SimulatorServer:
    """The simulator, as if just started."""
    clock.time = START
    served_iem.reset()
    return served_iem


@pytest.fixture
def iem(server: SimulatorServer) -> SimulatedIem:
    """The simulated IEM itself."""
    return iem_of(server)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that ignores the proxies of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def call(server: SimulatorServer, session: requests.Session) -> Caller:
    """Send a request without credentials: `call(method, target, **arguments of requests)`."""

    def send(method: str, target: str, **arguments: object) -> requests.Response:
        return session.request(method, server.url + target, timeout=5, **arguments)  # type: ignore[arg-type] # passed on

    return send


@pytest.fixture
def cookie(call: Caller) -> dict[str, str]:
    """The header with a valid token."""
    return {"Cookie": f"access_token={fetch_token(call)}"}
