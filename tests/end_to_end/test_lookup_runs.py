"""A webhook is accepted and pushed, and its resolver is looked up. Real web, worker and Redis; a simulated Virima that fails."""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from harness import Relay, iem_of, mapping, sys_id, wait_until, write_mapping
from virima.site import JANE, SERVICE, url_of, virima_of

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader

TOKEN = "operator-token-1"
CANARY = "another-users-pass-word"


@pytest.fixture
def relay(relay: Relay, iem: SimulatorServer, server: SimulatorServer) -> Relay:
    relay.environ |= {"RELAY_ADMIN_TOKEN": TOKEN, "VIRIMA_PASSWORD": SERVICE.password}
    block = {
        "url": url_of(server),
        "username": SERVICE.email,
        "password": {"env": "VIRIMA_PASSWORD"},
        "lookup": "impersonate",
    }
    write_mapping(relay.mappings, "acme", mapping(iem.url, virima={**block, "timeout": "1s"}))
    write_mapping(relay.mappings, "plain", mapping(iem.url))
    return relay


def resolved(ticket: int, by: str = JANE.email) -> dict[str, str]:
    return {"sys_id": sys_id(ticket), "state": "6", "number": f"INC{ticket}", "resolved_by": by}


def records(relay: Relay, **filters: str) -> list[dict[str, Any]]:
    answer = requests.get(
        f"{relay.url}/api/v1/audit",
        params={"type": "virima_lookup", **filters},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=5,
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_the_api_shows_who_resolved_a_ticket(relay: Relay, server: SimulatorServer) -> None:
    relay.start_web(processes=1)
    worker = relay.start_worker()
    delivery = relay.post(resolved(1)).json()["delivery_id"]

    wait_until(lambda: records(relay, delivery_id=delivery), "the lookup is recorded")

    [record] = records(relay, number="INC1")
    assert (record["outcome"], record["user"]["displayName"]) == ("found", JANE.display_name)
    assert [found["delivery_id"] for found in records(relay, user=JANE.email.upper())] == [delivery]
    url = f"{relay.url}/api/v1/deliveries/{delivery}"
    shown = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5).json()
    assert {entry["type"] for entry in shown["audit"]} == {"accepted", "delivered", "virima_lookup"}
    metrics = requests.get(f"{relay.url}/metrics", timeout=5).text
    everything = worker.log + metrics + str(shown) + str(record) + relay.processes[0].log
    for secret in {*virima_of(server).secrets_sent(), SERVICE.password, JANE.password}:
        assert secret not in everything
    assert JANE.email not in worker.log, "no person in a log line"


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        (SimulatedFault(status=200, body="<html>log in</html>", content_type="text/html"), "unexpected_answer", 200),
        (SimulatedFault(status=500), "server_error", 500),
        (SimulatedFault(drop="before"), "unreachable", None),
        (SimulatedFault(status=200, body='{"id": 7, "email": "jane@exam'), "unexpected_answer", 200),
        (
            SimulatedFault(status=200, body={"id": 7, "email": "another@example.com", "password": CANARY}),
            "another_user",
            200,
        ),
        (SimulatedFault(oversize=50 << 20), "incomplete_answer", 200),
        (SimulatedFault(delay=30), "unreachable", None),
    ],
    ids=["html", "500", "no answer", "half", "another user", "50 MB", "silence"],
)
def test_a_virima_that_fails_leaves_one_record_and_delays_no_push(
    relay: Relay, iem: SimulatorServer, server: SimulatorServer, fault: SimulatedFault, reason: str, status: int | None
) -> None:
    server.faults.add(fault)
    relay.start_web(processes=1)
    worker = relay.start_worker()
    wait_until(lambda: "worker started" in worker.log, "the worker runs")

    began = time.monotonic()
    delivery = relay.post(resolved(1)).json()["delivery_id"]
    wait_until(lambda: relay.delivery_status(delivery) == "delivered", "it is delivered")
    took = time.monotonic() - began
    wait_until(lambda: records(relay, delivery_id=delivery), "the lookup is recorded")

    [record] = records(relay, delivery_id=delivery)
    assert took < 1
    assert record["outcome"] == "failed"
    assert (record["reason"], record["status"]) == (reason, status)
    assert "Traceback" not in worker.log
    assert CANARY not in worker.log + str(record)
    assert len(iem_of(iem).pushes) == 1


@pytest.mark.slow
@pytest.mark.alone
def test_lookups_delay_a_push_by_less_than_5_ms(
    relay: Relay, redis: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measured by the times in the delivery records, which do not depend on how often the test polls."""
    deliveries = DeliveryReader(redis)
    relay.start_web(processes=1)
    worker = relay.start_worker()
    wait_until(lambda: "worker started" in worker.log, "the worker runs")
    took: dict[str, list[float]] = {"acme": [], "plain": []}

    for ticket in range(60):
        for name in ("acme", "plain") if ticket % 2 else ("plain", "acme"):
            delivery = relay.post(resolved(ticket, f"person{ticket}@example.com"), name=name).json()["delivery_id"]
            wait_until(lambda: deliveries.status_of(name, delivery) == "delivered", "it is delivered")  # noqa: B023 - at once
            took[name].append(milliseconds_of(deliveries.find(name, delivery)))

    medians = {name: statistics.median(times) for name, times in took.items()}
    with capsys.disabled():
        print(
            f"\nlookups: accepted to delivered {medians['acme']:.1f} ms with, {medians['plain']:.1f} ms without, at the median"
        )
    assert medians["acme"] - medians["plain"] < 5


def milliseconds_of(delivery: dict[str, Any] | None) -> float:
    assert delivery
    began, ended = (datetime.fromisoformat(delivery[name]) for name in ("created_at", "finished_at"))
    return (ended - began) / timedelta(milliseconds=1)
