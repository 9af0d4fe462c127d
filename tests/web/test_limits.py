"""Who posts too fast, and who is refused again and again: 429, and nobody else is any worse off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import requests
from harness import IEM_PASSWORD, Relay, mapping, sys_id, write_mapping
from hypothesis import given
from hypothesis import strategies as st
from web.openapi_answers import check

from relay.store.connection import Connection
from relay.store.rate_limiter import RateLimiter
from relay.web.refusals import MAX_REFUSALS, WINDOW, Refusals

START = 1_795_342_830_000


def test_a_seconds_worth_may_come_at_once_and_then_one_after_the_other(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)

    at_once = [rate_limiter.take("acme", 10, now=START) for _ in range(12)]
    later = [rate_limiter.take("acme", 10, now=START + 100 * number) for number in range(1, 6)]
    after_a_pause = [rate_limiter.take("acme", 10, now=START + 5_000) for _ in range(11)]

    assert at_once == [0.0] * 10 + [0.1, 0.1]
    assert later == [0.0] * 5
    assert after_a_pause == [0.0] * 10 + [0.1]


def test_integrations_have_rates_of_their_own(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)

    assert [rate_limiter.take(name, 1, now=START) for name in ("acme", "other", "acme")] == [0.0, 0.0, 1.0]


def test_a_clock_that_was_ahead_shuts_nobody_out(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)
    for _ in range(10):
        rate_limiter.take("acme", 10, now=START + 3_600_000)

    assert rate_limiter.take("acme", 10, now=START) == 0.0


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Relay:
    return Relay(tmp_path, redis_url)


def test_what_comes_too_fast_is_told_when_to_come_again_over_all_processes(relay: Relay) -> None:
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=5))
    write_mapping(relay.mappings, "free", mapping("http://127.0.0.1:9"))
    relay.start_web(processes=2)
    tickets = count()
    try:
        with ThreadPoolExecutor(8) as pool:
            posted = list(pool.map(lambda _: relay.post({"sys_id": sys_id(next(tickets)), "state": "6"}), range(40)))
        others = [relay.post({"sys_id": sys_id(one), "state": "6"}, name="free").status_code for one in range(40)]
        wrong = relay.post({"sys_id": sys_id(0), "state": "6"}, auth=("sn", "not-the-one")).status_code
    finally:
        relay.stop()

    refused = [one for one in posted if one.status_code == 429]
    assert {one.status_code for one in posted} == {202, 429}
    assert len(refused) >= 25, "40 in a moment, 5 a second"
    assert {one.headers["Retry-After"] for one in refused} == {"1"}
    assert refused[0].json()["type"] == "urn:relay:problem:rate-limited"
    assert set(others) == {202}
    assert wrong == 401, "who is not authenticated does not use the rate up"


def test_the_operator_api_has_a_rate_of_its_own(relay: Relay) -> None:
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    relay.environ |= {"RELAY_ADMIN_TOKEN": "operator-token-1", "RELAY_API_RATE": "5"}
    relay.start_web(processes=2)
    headers = {"Authorization": "Bearer operator-token-1"}
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(
                pool.map(lambda _: requests.get(f"{relay.url}/api/v1/stats", headers=headers, timeout=5), range(20))
            )
        webhook = relay.post({"sys_id": sys_id(1), "state": "6"})
    finally:
        relay.stop()

    refused = [one for one in answers if one.status_code == 429]
    assert {one.status_code for one in answers} == {200, 429}
    assert len(refused) >= 10, "20 in a moment, 5 a second"
    check("readStats", refused[0])
    assert refused[0].headers["Retry-After"] == "1"
    assert webhook.status_code == 202


def test_a_redis_that_is_away_counts_nothing(relay: Relay, tmp_path: Path) -> None:
    relay.redis_url = "redis://127.0.0.1:9/0"
    relay.environ["RELAY_JOURNAL"] = str(tmp_path / "journal")
    (tmp_path / "journal").mkdir()
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=1))
    relay.start_web(processes=1)
    try:
        statuses = {relay.post({"sys_id": sys_id(one), "state": "6"}).json()["status"] for one in range(5)}
    finally:
        relay.stop()

    assert statuses == {"journaled"}


def test_an_address_that_is_refused_again_and_again_is_told_to_wait_and_the_log_is_not_filled(relay: Relay) -> None:
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    relay.environ["RELAY_ADMIN_TOKEN"] = "operator-token-1"
    web = relay.start_web(processes=1)
    session = requests.Session()
    try:
        url = f"{relay.url}/webhooks/acme"
        statuses = [
            session.post(url, json={}, auth=("sn", "no"), timeout=5).status_code for _ in range(MAX_REFUSALS + 20)
        ]
        refused = session.post(url, json={}, auth=("sn", "no"), timeout=5)
        good = relay.post({"sys_id": sys_id(1), "state": "6"})
        of_the_api = requests.get(f"{relay.url}/api/v1/stats", headers={"Authorization": "Bearer no"}, timeout=5)
    finally:
        relay.stop()

    assert statuses == [401] * MAX_REFUSALS + [429] * 20
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW
    assert refused.json()["type"] == "urn:relay:problem:too-many-refusals"
    check("receiveWebhook", refused)
    assert good.status_code == 202, "who has the right password is let in"
    assert of_the_api.status_code == 401, "the operators' refusals are counted apart"
    assert len([line for line in web.logged if line.get("http_status") == 429]) == 0
    assert IEM_PASSWORD not in web.log


def test_addresses_are_counted_apart_and_forgotten_after_a_minute() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    for _ in range(MAX_REFUSALS):
        assert refusals.record("192.0.2.1") is None

    assert refusals.record("192.0.2.1") == WINDOW
    assert refusals.record("192.0.2.2") is None
    now = WINDOW
    assert refusals.record("192.0.2.1") is None


def test_a_network_of_ipv6_is_one_address_and_memory_is_bounded() -> None:
    refusals = Refusals(lambda: 0.0)
    for number in range(MAX_REFUSALS):
        refusals.record(f"2001:db8::{number:x}")

    assert refusals.record("2001:db8::ffff") == WINDOW
    for number in range(30_000):
        refusals.record(f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}")
    assert len(refusals._counts) == 10_000
    assert refusals.record(None) is None


ADDRESSES = st.one_of(
    st.text(st.characters(), max_size=30),
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(v=6).map(str), st.sampled_from(["%eth0", "%", "%25", "/64", " ", "\x00", ":80"])).map(
        "".join
    ),
    st.sampled_from(
        ["::ffff:192.0.2.1", "192.0.2.1, 192.0.2.2", "[::1]", "0300.0.0.1", "1" * 5_000, "unix:", "\u202e::1"]
    ),
)


@given(st.lists(ADDRESSES, max_size=20))
def test_any_text_that_a_proxy_calls_an_address_is_counted(addresses: list[str]) -> None:
    refusals = Refusals(lambda: 0.0)

    assert [refusals.record(one) for one in addresses] == [None] * len(addresses)
    assert len(refusals._counts) <= len(set(addresses))
    assert all(len(one) <= 45 for one in refusals._counts)
