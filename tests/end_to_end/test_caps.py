"""What is kept per integration has a cap, and that is told before it is reached."""

from __future__ import annotations

import pytest
from harness import Relay, sys_id, wait_until


@pytest.fixture
def relay(relay: Relay) -> Relay:
    relay.environ |= {"RELAY_MAX_PENDING": "10", "RELAY_MAX_DEAD": "5"}
    relay.start_web(processes=1)
    return relay


def test_a_backlog_is_told_before_webhooks_are_refused(relay: Relay) -> None:
    statuses = [relay.post({"sys_id": sys_id(ticket), "state": "6"}).status_code for ticket in range(8)]

    told = "acme has 8 pending deliveries: at 10 (RELAY_MAX_PENDING) webhooks are answered 503"
    wait_until(lambda: told in relay.check("workers").get("output", ""), "it is told")
    assert statuses == [202] * 8
    assert [relay.post({"sys_id": sys_id(ticket), "state": "6"}).status_code for ticket in (8, 9, 10)] == [
        202,
        202,
        503,
    ]


def test_rejections_are_told_before_the_oldest_go(relay: Relay) -> None:
    for number in range(4):
        relay.post({"state": "6", "number": f"INC{number}"})

    told = "acme has 4 rejections: at 5 (RELAY_MAX_DEAD) the oldest are dropped"
    wait_until(lambda: told in relay.check("workers").get("output", ""), "it is told")
