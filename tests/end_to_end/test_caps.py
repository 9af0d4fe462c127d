"""Pending deliveries and rejections of an integration have caps. Readiness warns before a cap is reached."""

from __future__ import annotations

import pytest
from harness import Relay, sys_id, wait_until


@pytest.fixture
def relay(relay: Relay) -> Relay:
    relay.environ |= {"RELAY_MAX_PENDING": "10", "RELAY_MAX_DEAD": "5"}
    relay.start_web(processes=1)
    return relay


def test_readiness_warns_before_webhooks_are_refused(relay: Relay) -> None:
    statuses = [relay.post({"sys_id": sys_id(ticket), "state": "6"}).status_code for ticket in range(8)]

    warning = "acme has 8 pending deliveries: at 10 (RELAY_MAX_PENDING) webhooks are answered 503"
    wait_until(lambda: warning in relay.check("workers").get("output", ""), "readiness warns")
    assert statuses == [202] * 8
    assert [relay.post({"sys_id": sys_id(ticket), "state": "6"}).status_code for ticket in (8, 9, 10)] == [
        202,
        202,
        503,
    ]


def test_readiness_warns_before_rejections_are_deleted(relay: Relay) -> None:
    for number in range(4):
        relay.post({"state": "6", "number": f"INC{number}"})

    warning = "acme has 4 rejections: at 5 (RELAY_MAX_DEAD) the oldest are deleted"
    wait_until(lambda: warning in relay.check("workers").get("output", ""), "readiness warns")
