"""The time of an update while another integration has 100,000 pending deliveries (docs/reference/guarantees-and-limits.md)."""

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

PENDING, UPDATES = 100_000, 12
#: Maximum duration of an update, and the pause after it (seconds). Together the tests outlast a worker's maintenance interval.
MAX_SECONDS, PAUSE = 1.0, 0.25


@dataclass(frozen=True, slots=True)
class SharedRelay:
    """A relay for two integrations: `alpha` with a long backlog, and `acme`."""

    site: Site
    alpha: SimulatorServer
    circuit: Circuit

    def restart_alpha(self, fault: SimulatedFault) -> None:
        """Change how alpha's IEM fails, and resume alpha's deliveries."""
        self.alpha.reset()
        self.alpha.faults.add(fault)
        self.circuit.resume("alpha", actor="test", why="the next test", now=now_ms())

    def deliver(self, ticket: int) -> float:
        """Post an update for `acme`, and return the time until it is pushed (seconds)."""
        known, began = len(self.site.iem.pushes), time.monotonic()
        assert self.site.relay.post(incident(ticket)).status_code == 202
        wait_until(lambda: len(self.site.iem.pushes) > known, "the update is pushed")
        took = time.monotonic() - began
        threading.Event().wait(PAUSE)
        return took


@pytest.fixture(scope="module")
def shared() -> Iterator[SharedRelay]:
    with open_site() as site, simulated_iem() as alpha:
        alpha.faults.add(SimulatedFault(status=403, path="/gbp/push/"))
        connection = Connection(site.redis.url, timeout=5)
        fill(connection, write_mapping(site.relay.mappings, "alpha", mapping(alpha.url)), PENDING)
        site.relay.start_web()
        site.relay.start_worker()
        yield SharedRelay(site, alpha, Circuit(connection))


def test_a_parked_backlog_of_100_000_delays_no_other_integration(
    shared: SharedRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.restart_alpha(SimulatedFault(status=403, path="/gbp/push/"))
    wait_until(lambda: shared.circuit.read("alpha"), "alpha is parked")

    seconds = [shared.deliver(ticket) for ticket in range(UPDATES)]

    _print(capsys, "parked", seconds)
    assert shared.circuit.read("alpha")
    assert max(seconds) < MAX_SECONDS


def test_a_backlog_for_a_slow_iem_delays_no_other_integration(
    shared: SharedRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.restart_alpha(SimulatedFault(delay=0.2, path="/gbp/push/"))
    wait_until(lambda: shared.alpha.request_log.in_flight >= 8, "alpha uses all its places")

    seconds = [shared.deliver(UPDATES + ticket) for ticket in range(UPDATES)]

    _print(capsys, "slow", seconds)
    assert shared.circuit.read("alpha") is None
    assert max(seconds) < MAX_SECONDS


def _print(capsys: pytest.CaptureFixture[str], state: str, seconds: list[float]) -> None:
    with capsys.disabled():
        middle = sorted(seconds)[len(seconds) // 2]
        print(
            f"\nisolation: {PENDING} pending, {state}: {middle:.3f} s median, {max(seconds):.3f} s maximum of {len(seconds)}"
        )
