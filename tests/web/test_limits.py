"""Rate limits, and the limit of refusals per address: 429, and other senders are not affected."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import requests
from harness import IEM_PASSWORD, Relay, mapping, sys_id, write_mapping
from hypothesis import given
from hypothesis import strategies as st
from web.openapi_answers import check
from web.scenario import RESOLVED, TOKEN, call_api

from relay.store.connection import Connection
from relay.store.rate_limiter import RateLimiter
from relay.web.refusals import MAX_REFUSALS, WINDOW, Refusals

START = 1_795_342_830_000


def test_a_second_worth_of_requests_can_arrive_at_once(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)

    at_once = [rate_limiter.take("acme", 10, now=START) for _ in range(12)]
    later = [rate_limiter.take("acme", 10, now=START + 100 * number) for number in range(1, 6)]
    after_a_pause = [rate_limiter.take("acme", 10, now=START + 5_000) for _ in range(11)]

    assert at_once == [0.0] * 10 + [0.1, 0.1]
    assert later == [0.0] * 5
    assert after_a_pause == [0.0] * 10 + [0.1]


def test_each_integration_has_its_own_rate(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)

    assert [rate_limiter.take(name, 1, now=START) for name in ("acme", "other", "acme")] == [0.0, 0.0, 1.0]


def test_a_clock_that_was_ahead_does_not_lock_senders_out(redis: Connection) -> None:
    rate_limiter = RateLimiter(redis)
    for _ in range(10):
        rate_limiter.take("acme", 10, now=START + 3_600_000)

    assert rate_limiter.take("acme", 10, now=START) == 0.0


@pytest.fixture(scope="module")
def limited_web(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Two processes with limits of five requests a second."""
    environ = {"RELAY_ADMIN_TOKEN": TOKEN, "RELAY_API_RATE": "5"}
    relay = Relay(tmp_path_factory.mktemp("limits"), redis_url, environ)
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=5))
    write_mapping(relay.mappings, "free", mapping("http://127.0.0.1:9"))
    relay.start_web(processes=2)
    yield relay
    relay.stop()


@pytest.mark.usefixtures("redis")
def test_a_rate_limit_holds_over_all_processes(limited_web: Relay) -> None:
    tickets = count()

    def post(_: int) -> requests.Response:
        return limited_web.post({"sys_id": sys_id(next(tickets)), "state": "6"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(40)))
    others = {limited_web.post({"sys_id": sys_id(n), "state": "6"}, name="free").status_code for n in range(40)}
    unauthenticated = limited_web.post(RESOLVED, auth=("sn", "wrong")).status_code

    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {202, 429}
    assert len(refused) >= 25, "40 in a moment, 5 a second"
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert refused[0].json()["type"] == "urn:relay:problem:rate-limited"
    assert others == {202}
    assert unauthenticated == 401, "unauthenticated requests do not count"


@pytest.mark.usefixtures("redis")
def test_the_operator_api_has_its_own_rate_limit(limited_web: Relay) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call_api(limited_web, "stats"), range(20)))
    webhook = limited_web.post(RESOLVED)

    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert len(refused) >= 10, "20 in a moment, 5 a second"
    check("readStats", refused[0])
    assert refused[0].headers["Retry-After"] == "1"
    assert webhook.status_code == 202


def test_without_redis_there_is_no_rate_limit(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    relay = Relay(tmp_path, "redis://127.0.0.1:9/0", {"RELAY_JOURNAL": str(tmp_path / "journal")})
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9", rate_limit=1))
    relay.start_web(processes=1)
    try:
        statuses = {relay.post({"sys_id": sys_id(number), "state": "6"}).json()["status"] for number in range(5)}
    finally:
        relay.stop()

    assert statuses == {"journaled"}


def test_an_address_with_too_many_refusals_is_429_and_not_logged(small_web: Relay) -> None:
    address = "198.51.100.7"
    url, forwarded = f"{small_web.url}/webhooks/acme", {"X-Forwarded-For": address}
    with requests.Session() as session:
        session.headers.update(forwarded)
        answers = [session.post(url, json={}, auth=("sn", "no"), timeout=5) for _ in range(MAX_REFUSALS + 20)]
    valid = small_web.post(RESOLVED, headers=forwarded)
    of_the_api = call_api(small_web, "stats", headers={**forwarded, "Authorization": "Bearer no"})

    assert [answer.status_code for answer in answers] == [401] * MAX_REFUSALS + [429] * 20
    refused = answers[-1]
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW
    assert refused.json()["type"] == "urn:relay:problem:too-many-refusals"
    check("receiveWebhook", refused)
    assert valid.status_code == 202, "valid credentials are still accepted"
    assert of_the_api.status_code == 401, "the API counts its refusals separately"
    web = small_web.processes[0]
    lines = [line for line in web.logged if line.get("remote_address") == address]
    assert {line["http_status"] for line in lines} == {401, 202}
    assert IEM_PASSWORD not in web.log


def test_addresses_are_counted_separately_and_forgotten_after_a_minute() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    for _ in range(MAX_REFUSALS):
        assert refusals.record("192.0.2.1") is None

    assert refusals.record("192.0.2.1") == WINDOW
    assert refusals.record("192.0.2.2") is None
    now = WINDOW
    assert refusals.record("192.0.2.1") is None


def test_an_ipv6_network_counts_as_one_address_and_memory_is_bounded() -> None:
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
def test_any_text_in_place_of_an_address_is_counted(addresses: list[str]) -> None:
    refusals = Refusals(lambda: 0.0)

    assert [refusals.record(address) for address in addresses] == [None] * len(addresses)
    assert len(refusals._counts) <= len(set(addresses))
    assert all(len(network) <= 45 for network in refusals._counts)
