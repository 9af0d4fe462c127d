"""How long an update of one integration takes while another one has 100,000 deliveries waiting (DESIGN section 2, isolation)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from end_to_end.conftest import Site, open_site
from harness import mapping, simulated_iem, wait_until, write_mapping
from measures.backlog import fill, incident

from relay.clock import now_ms
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.store.circuit import Circuit
from relay.store.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.alone]

WAITING, UPDATES = 100_000, 12
#: Seconds. Both measures together last longer than the rounds of a worker's housekeeping are apart.
MOST, PACE = 1.0, 0.25


@dataclass(frozen=True, slots=True)
class Crowd:
    """The integration `alpha` with a long backlog, and `acme` of the site beside it; web and a worker serve both."""

    site: Site
    alpha: SimulatorServer
    circuit: Circuit

    def restart_alpha(self, fault: SimulatedFault) -> None:
        """Let alpha's IEM fail like that from now on, and its deliveries go there at once."""
        self.alpha.reset()
        self.alpha.faults.add(fault)
        self.circuit.resume("alpha", actor="test", why="the next measure", now=now_ms())

    def deliver(self, ticket: int) -> float:
        """Post an update of `acme`, and return the seconds until its IEM has it."""
        known, began = len(self.site.iem.pushes), time.monotonic()
        assert self.site.relay.post(incident(ticket)).status_code == 202
        wait_until(lambda: len(self.site.iem.pushes) > known, "the update is pushed")
        took = time.monotonic() - began
        threading.Event().wait(PACE)
        return took


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with open_site() as site, simulated_iem() as alpha:
        alpha.faults.add(SimulatedFault(status=403, path="/gbp/push/"))
        connection = Connection(site.redis.url, timeout=5)
        fill(connection, write_mapping(site.relay.mappings, "alpha", mapping(alpha.url)), WAITING)
        site.relay.start_web()
        site.relay.start_worker()
        yield Crowd(site, alpha, Circuit(connection))


def test_a_parked_backlog_of_100_000_delays_nobody_else(crowd: Crowd, capsys: pytest.CaptureFixture[str]) -> None:
    crowd.restart_alpha(SimulatedFault(status=403, path="/gbp/push/"))
    wait_until(lambda: crowd.circuit.read("alpha"), "alpha is parked")

    seconds = [crowd.deliver(ticket) for ticket in range(UPDATES)]

    _tell(capsys, "parked", seconds)
    assert crowd.circuit.read("alpha")
    assert max(seconds) < MOST


def test_a_backlog_of_100_000_on_its_way_to_a_slow_iem_delays_nobody_else(
    crowd: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd.restart_alpha(SimulatedFault(delay=0.2, path="/gbp/push/"))
    wait_until(lambda: crowd.alpha.record.in_flight >= 8, "alpha has all its places in flight")

    seconds = [crowd.deliver(UPDATES + ticket) for ticket in range(UPDATES)]

    _tell(capsys, "slow", seconds)
    assert crowd.circuit.read("alpha") is None
    assert max(seconds) < MOST


def _tell(capsys: pytest.CaptureFixture[str], how: str, seconds: list[float]) -> None:
    with capsys.disabled():
        middle = sorted(seconds)[len(seconds) // 2]
        print(
            f"\nisolation: {WAITING} waiting, {how}: {middle:.3f} s median, {max(seconds):.3f} s most of {len(seconds)}"
        )
