"""Deliveries with real processes: webhooks over HTTP, pushes to a simulated IEM, and faults in between."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from harness import iem_of, mapping, simulated_iem, sys_id, wait_until, write_mapping

from relay.simulators.faults import SimulatedFault
from relay.store.connection import Connection

if TYPE_CHECKING:
    from end_to_end.conftest import Site


def incident(number: int, **changes: str) -> dict[str, str]:
    return {"state": "6", "sys_mod_count": "1", "sys_id": sys_id(number), **changes}


def test_each_resolution_reaches_iem_once_and_all_share_one_token(site: Site) -> None:
    site.relay.start_web()
    site.relay.start_worker()
    site.relay.start_worker()

    answers = [site.relay.post(incident(number)) for number in range(40)]
    again = [site.relay.post(incident(number)) for number in range(40)]

    assert {answer.status_code for answer in answers} == {202}
    assert [answer.json()["delivery_id"] for answer in again] == [answer.json()["delivery_id"] for answer in answers]
    delivery = answers[-1].json()["delivery_id"]
    wait_until(lambda: site.relay.delivery_status(delivery) == "delivered", "the last delivery succeeds")
    site.wait_for_pushes(40)
    assert sorted(site.pushed()) == [sys_id(number) for number in range(40)]
    assert site.iem.token_calls == 1
    assert {(push.customer, push.integration, push.state) for push in site.iem.pushes} == {("ACME", "42", 6)}


def test_basic_authentication_needs_no_token(site: Site) -> None:
    write_mapping(site.relay.mappings, "acme", mapping(site.server.url, iem={"auth": "basic"}))
    site.relay.start_web()
    site.relay.start_worker()

    site.relay.post(incident(1))

    site.wait_for_pushes(1)
    assert site.iem.token_calls == 0


def test_a_failure_of_iem_is_retried_until_success(site: Site) -> None:
    site.server.faults.add(SimulatedFault(status=503, count=2, path="/gbp/push/"))
    site.relay.start_web()
    site.relay.start_worker()

    site.relay.post(incident(1))

    site.wait_for_pushes(1)
    assert site.server.request_log.count("/gbp/push/", 503) == 2


def test_a_token_that_expired_early_is_replaced_once(site: Site) -> None:
    site.relay.start_web()
    site.relay.start_worker()
    site.relay.post(incident(0))
    site.wait_for_pushes(1)

    site.iem.revoke()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: site.relay.post(incident(number)), range(1, 30)))

    site.wait_for_pushes(30)
    assert site.iem.token_calls == 2
    assert len(site.pushed()) == 30


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(site: Site) -> None:
    write_mapping(site.relay.mappings, "acme", mapping(site.server.url, iem={"timeout": "500ms"}))
    site.relay.start_web()
    site.server.faults.add(SimulatedFault(delay=30, count=8, path="/gbp/push/"))
    doomed = site.relay.start_worker()
    for number in range(20):
        site.relay.post(incident(number))
    wait_until(
        lambda: site.server.request_log.count("/gbp/push/") + site.server.request_log.in_flight > 0,
        "a push is in progress",
    )

    doomed.stop(signal.SIGKILL)
    site.server.faults.clear()
    site.relay.start_worker()

    site.wait_for_pushes(20, patience=30)


def test_a_stopping_worker_finishes_what_is_in_flight_and_exits_0(site: Site) -> None:
    site.relay.start_web()
    worker = site.relay.start_worker()
    site.relay.post(incident(0))
    site.wait_for_pushes(1)
    site.server.faults.add(SimulatedFault(delay=1, count=1, path="/gbp/push/"))
    delivery = site.relay.post(incident(1)).json()["delivery_id"]
    wait_until(lambda: site.server.request_log.in_flight > 0, "the push is in progress")

    status = worker.stop(signal.SIGTERM)

    assert status == 0
    assert site.relay.delivery_status(delivery) == "delivered"
    assert "Traceback" not in worker.log


def test_a_killed_redis_loses_and_repeats_nothing(site: Site) -> None:
    site.relay.start_web()
    site.relay.start_worker()
    queued: set[str] = set()

    def send(number: int) -> None:
        while True:  # like a sender that retries after 503
            answer = site.relay.post(incident(number))
            assert answer.status_code in {200, 202, 503}, answer.text
            if answer.status_code != 503:
                queued.add(sys_id(number))
                return

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, number) for number in range(300)]
        for share in (0.2, 0.6):
            wait_until(lambda share=share: len(queued) >= 300 * share, "some updates are accepted")  # type: ignore[misc]
            site.redis.send(signal.SIGKILL)
            site.redis.start()
        for future in sending:
            future.result()

    site.wait_for_pushes(300, patience=60)
    assert set(site.pushed()) == queued
    assert len(site.pushed()) <= 300 + 2 * 16  # pushes in flight at a kill can be repeated


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_without_redis_the_sender_gets_503_within_two_seconds(site: Site, fault: signal.Signals) -> None:
    site.relay.start_web()
    site.relay.post(incident(0))
    site.redis.send(fault)

    began = time.monotonic()
    answer = site.relay.post(incident(1))
    took = time.monotonic() - began

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.json()["type"].endswith("store-unavailable")
    assert took < 2
    began = time.monotonic()
    assert requests.get(f"{site.relay.url}/readyz", timeout=5).status_code == 503
    assert time.monotonic() - began < 1
    assert requests.get(f"{site.relay.url}/livez", timeout=5).json() == {"status": "pass"}


@pytest.mark.slow
def test_many_senders_get_503_within_two_seconds_while_redis_hangs(site: Site) -> None:
    site.relay.start_web()
    site.relay.post(incident(0))
    site.redis.send(signal.SIGSTOP)

    def timed(number: int) -> tuple[int, float]:
        began = time.monotonic()
        return site.relay.post(incident(number), timeout=10).status_code, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(timed, range(1, 41)))

    assert {status for status, _ in answers} == {503}
    assert max(took for _, took in answers) < 2


@pytest.mark.slow
def test_web_and_workers_start_without_redis_and_wait_for_it(site: Site) -> None:
    site.redis.stop()
    site.relay.start_web()
    worker = site.relay.start_worker()
    assert site.relay.post(incident(1)).status_code == 503
    wait_until(lambda: "waits for it" in worker.log, "the worker waits")

    site.redis.start()

    assert site.relay.post(incident(1)).status_code == 202
    site.wait_for_pushes(1)


@pytest.mark.slow
def test_wrong_credentials_are_tried_once_for_many_deliveries(site: Site) -> None:
    site.relay.environ["ACME_IEM_PASSWORD"] = "changed-since"
    site.relay.start_web()
    ids = [site.relay.post(incident(number)).json()["delivery_id"] for number in range(30)]
    for _ in range(3):
        site.relay.start_worker()

    wait_until(lambda: site.relay.delivery_status(ids[0]) == "parked", "the integration is parked")
    wait_until(lambda: site.relay.check("workers").get("output"), "readiness warns")

    assert "acme is parked: wrong_credentials" in site.relay.check("workers")["output"]
    assert site.iem.token_calls <= 3
    assert _ready(site)["status"] == "warn"


@pytest.mark.slow
def test_a_hanging_iem_does_not_delay_another_integration(site: Site) -> None:
    with simulated_iem() as other:
        write_mapping(site.relay.mappings, "other", mapping(other.url))
        site.server.faults.add(SimulatedFault(delay=60))
        site.relay.start_web()
        site.relay.start_worker()
        for number in range(50):
            site.relay.post(incident(number))
        wait_until(lambda: site.server.request_log.in_flight > 0, "the first IEM hangs")

        began = time.monotonic()
        site.relay.post(incident(1000), name="other")

        iem = iem_of(other)
        wait_until(lambda: iem.pushes, "the other integration's update is pushed")
        assert time.monotonic() - began < 1


@pytest.mark.slow
def test_pushes_of_one_ticket_are_ordered_and_end_with_the_newest(site: Site) -> None:
    write_mapping(
        site.relay.mappings,
        "acme",
        mapping(site.server.url, states={"6": "6", "7": "7"}, retry={"first": "20ms", "most": "100ms"}),
    )
    site.server.faults.add(SimulatedFault(status=500, count=3, path="/gbp/push/"))
    site.relay.start_web()
    site.relay.start_worker()
    site.relay.start_worker()

    for version in range(1, 31):
        site.relay.post(incident(1, state="6" if version % 2 else "7", sys_mod_count=str(version)))

    wait_until(lambda: site.iem.pushes and _pending(site) == 0, "all deliveries are settled")
    assert site.iem.pushes[-1].state == 7


def test_metrics_cover_all_web_processes_and_the_queues(site: Site) -> None:
    site.relay.start_web(processes=2)
    for number in range(60):
        site.relay.post(incident(number))

    texts = [requests.get(f"{site.relay.url}/metrics", timeout=5).text for _ in range(8)]

    for text in texts:
        assert 'relay_webhooks_total{integration="acme",result="queued"} 60.0' in text
        assert 'relay_pending{integration="acme"} 60.0' in text


def test_a_worker_serves_its_own_metrics(site: Site) -> None:
    from harness import free_port  # noqa: PLC0415

    port = free_port()
    site.relay.environ["RELAY_METRICS_PORT"] = str(port)
    site.relay.start_web()
    site.relay.start_worker()
    site.relay.post(incident(1))
    site.wait_for_pushes(1)

    def is_counted() -> bool:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        return 'relay_attempts_total{integration="acme",outcome="delivered",reason=""} 1.0' in text

    wait_until(is_counted, "the worker counts its delivery")


def test_readiness_warns_without_a_worker_and_passes_with_one(site: Site) -> None:
    site.relay.start_web()
    assert _ready(site)["status"] == "warn"
    assert "no worker" in site.relay.check("workers")["output"]

    worker = site.relay.start_worker()
    wait_until(lambda: _ready(site)["status"] == "pass", "readiness passes")

    worker.stop(signal.SIGTERM)
    wait_until(lambda: _ready(site)["status"] == "warn", "readiness warns again")


def test_no_secret_reaches_a_log_or_a_metric(site: Site) -> None:
    site.server.faults.add(SimulatedFault(status=200, body="<html>log in</html>", content_type="text/html", count=1))
    site.relay.start_web()
    worker = site.relay.start_worker()
    site.relay.post(incident(1))
    site.wait_for_pushes(1)

    output = worker.log + site.relay.processes[0].log + requests.get(f"{site.relay.url}/metrics", timeout=5).text
    token = json.loads(str(Connection(site.redis.url, timeout=5).call("GET", "relay:{acme}:token")))["value"]
    assert len(token) > 20
    stored = b"".join(path.read_bytes() for path in site.redis.folder.rglob("*.aof")).decode("utf-8", "replace")
    assert "in:delivered" in stored
    for secret in ("sn-secret-pw", "iem-secret-pw"):
        for spelling in (secret, base64.b64encode(secret.encode()).decode()[:-4]):
            assert spelling not in output
            assert spelling not in stored
    assert token not in output


def _ready(site: Site) -> dict[str, Any]:
    content: dict[str, Any] = requests.get(f"{site.relay.url}/readyz", timeout=5).json()
    return content


def _pending(site: Site) -> int:
    text = requests.get(f"{site.relay.url}/metrics", timeout=5).text
    line = next(line for line in text.splitlines() if line.startswith('relay_pending{integration="acme"}'))
    return int(float(line.rsplit(" ", 1)[1]))


def test_a_worker_gets_wake_ups_again_after_a_redis_outage(site: Site) -> None:
    site.relay.start_worker()
    redis = Connection(site.redis.url, timeout=5)

    def listeners() -> int:
        return int(redis.call("EVAL", "return redis.call('PUBSUB', 'NUMSUB', 'relay:wake')[2]", 0))

    wait_until(lambda: listeners() == 1, "the worker listens")
    redis.close()
    site.redis.send(signal.SIGKILL)
    site.redis.start()

    wait_until(lambda: listeners() == 1, "it listens again")
    assert "Traceback" not in site.relay.processes[-1].log
