"""`relay doctor`: the checks of the deliveries of each integration."""

from __future__ import annotations

import json
from pathlib import Path

from doctor.findings import Doctor, lines_of
from harness import Relay, mapping, wait_until, write_mapping

from relay.clock import now_ms
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.keys import key


def test_rejections_and_deliveries_of_a_removed_file_are_reported(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection, tmp_path: Path, redis_url: str
) -> None:
    for name in ("acme", "gone"):
        write_mapping(folder, name, mapping(iem.url))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    try:
        relay.post({"state": "6"})
        relay.post({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"}, name="gone")
    finally:
        relay.stop()
    (folder / "gone.yaml").unlink()

    result = doctor()

    assert (
        "acme: 0 pending, 0 dead letters, 1 rejection → some webhooks could not be mapped: see `relay rej"
        in result.stdout
    )
    assert "gone: 1 pending, 0 dead letters, 0 rejections; it has no mapping file → restore gone.yaml" in result.stdout


def test_corrected_credentials_lead_to_the_advice_to_resume(
    doctor: Doctor, folder: Path, iem: SimulatorServer, redis: Connection
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    redis.call("HSET", key("acme", "circuit"), "reason", "wrong_credentials", "since", now_ms(), "probe_at", now_ms())

    [line] = lines_of(doctor(), "deliveries acme")

    assert "parked: wrong_credentials since" in line
    assert line.endswith("→ IEM accepts the credentials now: `relay integrations resume acme`")


def test_a_parked_integration_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path, redis: Connection, redis_url: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    relay.start_worker()
    try:
        iem.faults.add(SimulatedFault(status=401, path="/api/v1/user/token"))
        relay.post({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"})
        wait_until(lambda: "parked: wrong_credentials" in doctor().stdout, "the integration is parked")
        iem.faults.clear()
        Heartbeats(redis).beat("a-worker-1-x", now_ms())  # the first one can be too old on a slow machine

        result = doctor("--json")
    finally:
        relay.stop()

    found = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert found["deliveries acme"]["state"] == "fail"
    assert "relay integrations resume acme" in found["deliveries acme"]["advice"]
    assert found["workers"]["says"] == "2 running"
