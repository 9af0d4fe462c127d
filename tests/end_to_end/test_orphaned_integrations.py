"""Deliveries of a disabled integration wait, and continue when it is enabled again."""

from __future__ import annotations

from harness import Relay, mapping, sys_id, wait_until, write_mapping

from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader


def test_deliveries_of_a_disabled_integration_wait(relay: Relay, iem: SimulatorServer, redis: Connection) -> None:
    """The status comes from Redis, because web answers 404 for a disabled integration."""
    deliveries = DeliveryReader(redis)
    relay.start_web(processes=1)
    delivery = relay.post({"sys_id": sys_id(1), "state": "6"}).json()["delivery_id"]
    write_mapping(relay.mappings, "acme", mapping(iem.url, enabled=False))
    worker = relay.start_worker()

    wait_until(
        lambda: "acme is parked: disabled" in relay.check("workers").get("output", ""), "the integration is parked"
    )

    assert deliveries.status_of("acme", delivery) == "parked"
    assert worker.stop() == 0
    write_mapping(relay.mappings, "acme", mapping(iem.url))
    relay.start_worker()
    wait_until(lambda: deliveries.status_of("acme", delivery) == "delivered", "the delivery succeeds")
