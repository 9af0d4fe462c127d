"""A simulated Virima for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from virima.site import JANE, MAX, SERVICE, make_client, make_lookup, url_of

from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.virima.login_service import VirimaClient
from relay.virima.lookup import Lookup


@pytest.fixture(scope="module")
def served() -> Iterator[SimulatorServer]:
    """The simulator of all tests of the file."""
    with SimulatorServer(SimulatedVirima([SERVICE, JANE, MAX])) as server:
        yield server


@pytest.fixture
def server(served: SimulatorServer) -> SimulatorServer:
    """The simulator, as if just started."""
    served.reset()
    return served


@pytest.fixture
def client(server: SimulatorServer) -> Iterator[VirimaClient]:
    """A client of the simulator."""
    made = make_client(url_of(server))
    yield made
    made.close()


@pytest.fixture
def lookup(server: SimulatorServer) -> Iterator[Lookup]:
    """Lookups by impersonation in the simulator."""
    made = make_lookup(url_of(server))
    yield made
    made.close()
