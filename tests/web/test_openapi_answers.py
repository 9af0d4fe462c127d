"""The answers of the running application match the OpenAPI document: every success, and the problems that a test can cause.

The answers of the operator API are in `web/api/`, one module per noun.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import requests
from harness import SYS_ID, RedisServer, Relay, mapping, sys_id, wait_until, write_mapping
from web.openapi_answers import BY_ID, check
from web.scenario import (
    AUTHORIZATION,
    RESOLVED,
    SENDER,
    TOKEN,
    TOO_MANY,
    UNKNOWN_ID,
    Case,
    Scenario,
    call_api,
    check_case,
    each,
    post_api,
)

from relay.store.connection import Connection

ANSWERS: list[Case] = [
    ("receiveWebhook", 202, lambda on: on.web.post(RESOLVED)),
    ("receiveWebhook", 200, lambda on: on.after(on.web.post(RESOLVED)).web.post(RESOLVED)),
    ("receiveWebhook", 200, lambda on: on.web.post({**RESOLVED, "state": "2"})),
    ("receiveWebhook", 200, lambda on: on.after(on.web.post(RESOLVED)).web.post({**RESOLVED, "sys_mod_count": "6"})),
    ("receiveWebhook", 207, lambda on: on.web.post([RESOLVED, RESOLVED, {**RESOLVED, "state": "2"}, {"state": "6"}])),
    ("receiveWebhook", 400, lambda on: on.web.post(b"{")),
    ("receiveWebhook", 401, lambda on: on.web.post(RESOLVED, auth=None)),
    ("receiveWebhook", 401, lambda on: on.web.post(RESOLVED, name="signed", auth=None)),
    ("receiveWebhook", 403, lambda on: on.web.post(RESOLVED, name="inside")),
    ("receiveWebhook", 404, lambda on: on.web.post(RESOLVED, name="unknown")),
    ("receiveWebhook", 404, lambda on: on.web.post(RESOLVED, name="off")),
    ("receiveWebhook", 413, lambda on: on.web.post(b"x" * 70_000)),
    ("receiveWebhook", 413, lambda on: on.web.post(TOO_MANY)),
    ("receiveWebhook", 415, lambda on: on.web.post(b"<a/>", headers={"Content-Type": "application/xml"})),
    ("receiveWebhook", 415, lambda on: on.web.post(b"x", headers={"Content-Encoding": "gzip"})),
    ("receiveWebhook", 422, lambda on: on.web.post({"sys_id": SYS_ID})),
    ("receiveWebhook", 422, lambda on: on.web.post({**RESOLVED, "state": "2"}, name="strict")),
    ("receiveWebhook", 422, lambda on: on.web.post([])),
    ("receiveWebhook", 503, lambda on: on.web.post(RESOLVED, name="broken")),
    ("receiveWebhook", 503, lambda on: on.web.post(RESOLVED, name="secretless")),
    ("askAfterDelivery", 200, lambda on: on.get(f"/webhooks/acme/deliveries/{on.dead_letter}", auth=SENDER)),
    ("askAfterDelivery", 401, lambda on: on.get(f"/webhooks/acme/deliveries/{on.dead_letter}")),
    ("askAfterDelivery", 403, lambda on: on.get(f"/webhooks/inside/deliveries/{on.dead_letter}", auth=SENDER)),
    ("askAfterDelivery", 404, lambda on: on.get(f"/webhooks/acme/deliveries/{UNKNOWN_ID}", auth=SENDER)),
    ("askAfterDelivery", 503, lambda on: on.get(f"/webhooks/broken/deliveries/{on.dead_letter}", auth=SENDER)),
    ("isAlive", 200, lambda on: on.get("/livez")),
    ("isReady", 200, lambda on: on.get("/readyz")),
    ("isHealthy", 200, lambda on: on.get("/healthz")),
    ("readMetrics", 200, lambda on: on.get("/metrics")),
    ("readOpenapi", 200, lambda on: on.get("/openapi.json")),
    ("readDocs", 200, lambda on: on.get("/docs")),
]
#: Successes that have tests below.
BELOW = {("replayRejection", 202), ("replayRejection", 200)}


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_every_documented_success_has_a_test() -> None:
    modules = [
        import_module(f"web.api.{path.stem}") for path in (Path(__file__).parent / "api").glob("test_*_calls.py")
    ]
    tested = {(case[0], case[1]) for answers in (ANSWERS, *(module.ANSWERS for module in modules)) for case in answers}
    successes = {
        (operation_id, int(status))
        for operation_id, (_, _, operation) in BY_ID.items()
        for status in operation["responses"]
        if status < "300"
    }

    assert successes - tested - BELOW == set()


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    """A relay that is not started, with a limit of three pending deliveries."""
    assert redis is not None
    relay = Relay(tmp_path, redis_url, {"RELAY_ADMIN_TOKEN": TOKEN, "RELAY_MAX_PENDING": "3"})
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    yield relay
    relay.stop()


def test_answers_match_with_a_corrected_mapping_and_a_full_backlog(relay: Relay) -> None:
    relay.environ["RELAY_RELOAD_INTERVAL"] = "100ms"
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", fields={"sys_id": "other"}))
    relay.start_web(processes=1)
    rejections = [relay.post({**RESOLVED, "sys_id": sys_id(ticket), "number": f"INC{ticket}"}) for ticket in (1, 1, 2)]
    ids = [answer.json()["rejection_id"] for answer in rejections]
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    wait_until(
        lambda: relay.post({**RESOLVED, "sys_id": sys_id(2)}).status_code == 202, "the corrected mapping is active"
    )

    queued, duplicate = (post_api(relay, f"rejections/{rejection_id}/replay") for rejection_id in (ids[0], ids[2]))
    relay.post({**RESOLVED, "sys_id": sys_id(3)})
    full = relay.post({**RESOLVED, "sys_id": sys_id(4)})

    assert (queued.status_code, duplicate.status_code, full.status_code) == (202, 200, 503)
    check("replayRejection", queued)
    check("replayRejection", duplicate)
    check("receiveWebhook", full)
    assert full.json()["title"] == "Backlog full"


def test_answers_match_without_a_token_and_above_the_rate_limit(relay: Relay) -> None:
    del relay.environ["RELAY_ADMIN_TOKEN"]
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=1))
    relay.start_web(processes=1)

    off = call_api(relay, "stats")
    webhooks = [relay.post(RESOLVED) for _ in range(5)]

    assert off.status_code == 404
    check("readStats", off)
    assert 429 in {answer.status_code for answer in webhooks}
    for answer in webhooks:
        check("receiveWebhook", answer)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test can stop."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


@pytest.mark.parametrize("journal", [False, True])
def test_answers_match_while_redis_is_down(relay: Relay, own_redis: RedisServer, *, journal: bool) -> None:
    relay.redis_url = own_redis.url
    relay.environ |= {"RELAY_JOURNAL": str(relay.folder / "journal")} if journal else {}
    relay.start_web(processes=1)
    delivery_id = relay.post(RESOLVED).json()["delivery_id"]
    own_redis.stop()

    webhook = relay.post({**RESOLVED, "sys_mod_count": "8"})
    status = requests.get(f"{relay.url}/webhooks/acme/deliveries/{delivery_id}", auth=SENDER, timeout=10)
    ready = requests.get(f"{relay.url}/readyz", timeout=5)
    deliveries = requests.get(f"{relay.url}/api/v1/deliveries", headers=AUTHORIZATION, timeout=30)

    assert webhook.status_code == (202 if journal else 503)
    check("receiveWebhook", webhook)
    check("askAfterDelivery", status)
    assert ready.status_code == (200 if journal else 503)
    check("isReady", ready)
    assert (status.status_code, deliveries.status_code) == (503, 503)
    check("listDeliveries", deliveries)
