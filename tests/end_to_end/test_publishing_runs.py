"""Real workers publish their health to a simulated IEM, without any effect on deliveries."""

from __future__ import annotations

import time
from typing import Any

import pytest
from harness import Relay, iem_of, mapping, sys_id, wait_until, write_mapping

from relay.clock import now_ms
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.store.circuit import Circuit
from relay.store.connection import Connection

pytestmark = pytest.mark.slow

PUBLISH = {"heartbeat": "5m", "metrics": "5m", "events": True, "topology": True}


@pytest.fixture
def relay(relay: Relay, iem: SimulatorServer) -> Relay:
    write_mapping(relay.mappings, "acme", mapping(iem.url, publish=PUBLISH))
    relay.start_web(processes=1)
    return relay


def published(iem: SimulatorServer) -> dict[str, list[dict[str, Any]]]:
    return iem_of(iem).published


def test_one_of_several_workers_publishes(relay: Relay, iem: SimulatorServer, redis: Connection) -> None:
    for _ in range(3):
        relay.start_worker()
    wait_until(lambda: len(published(iem)["metrics"]) == 6, "the first metrics are published")
    circuit = Circuit(redis)
    circuit.park("acme", actor="ann", why="", now=now_ms())
    wait_until(lambda: len(published(iem)["events"]) == 1, "the parking is published")
    circuit.resume("acme", actor="ann", why="", now=now_ms())
    wait_until(lambda: len(published(iem)["events"]) == 2, "its end is published")

    counts = {kind: len(bodies) for kind, bodies in published(iem).items()}
    assert counts == {"entity": 1, "service": 1, "healthcheck": 1, "metrics": 6, "events": 2}
    assert iem.request_log.count("/api/v1/user/token") == 1


@pytest.mark.parametrize(
    "fault",
    [
        SimulatedFault(delay=30, path="/publish/"),
        SimulatedFault(status=401, body={"message": "Invalid access token"}, path="/publish/"),
        SimulatedFault(status=200, body="<html>login</html>", path="/publish/"),
    ],
    ids=["hangs", "refuses the token", "login page"],
)
def test_a_failing_publish_service_does_not_affect_deliveries(
    relay: Relay, iem: SimulatorServer, fault: SimulatedFault
) -> None:
    iem.faults.add(fault)
    relay.start_worker()
    wait_until(lambda: iem.request_log.in_flight or iem.request_log.count("/publish/"), "the worker tries to publish")

    began = time.monotonic()
    for number in range(20):
        relay.post({"sys_id": sys_id(number), "state": "6"})
    wait_until(lambda: len(iem_of(iem).pushes) == 20, "all are delivered", patience=10)

    assert time.monotonic() - began < 5
    assert len(iem_of(iem).pushes) == 20
