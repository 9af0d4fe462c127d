"""Attempts with their token calls and pushes, against a simulated IEM on a socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from harness import IEM_PASSWORD, IEM_USER, SYS_ID, simulated_iem

from relay.clock import Clock
from relay.core.mapping_blocks import IemBlock
from relay.core.outcomes import Delivered, Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.core.references import Env, Plain
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient, Target
from relay.iem.service import IemService
from relay.iem.token_cache import TokenCache
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.token_store import TokenStore
from relay.worker.lease import longest_attempt

TOKEN_REFUSED = Park(Reason.TOKEN_REFUSED)
UNREACHABLE = Retry(Reason.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Line:
    """An IEM service, and the simulated IEM that it calls."""

    server: SimulatorServer
    service: IemService
    iem: IemBlock

    def attempt(self, *, is_probe: bool = False) -> Outcome:
        deadline = time.monotonic() + longest_attempt(self.iem)
        return self.service.push(Target("ACME", "42"), SYS_ID, 6, deadline=deadline, is_probe=is_probe).outcome

    def calls(self, path: str) -> int:
        """Return the number of requests; the simulator logs a request shortly after it has answered it."""
        log = self.server.request_log
        log.wait_until(lambda: log.in_flight == 0, timeout=1)
        return log.count(path)


@pytest.fixture
def line(redis: Connection) -> Iterator[Line]:
    with simulated_iem() as server:
        caller = Caller(server.url, ca_file=None, connections=16)
        client = IemClient(caller, Credentials(IEM_USER, IEM_PASSWORD))
        tokens = TokenCache(TokenStore(redis, "acme"), client, config="c", lifetime=1800, timeout=0.5, clock=Clock())
        iem = IemBlock(
            url=Plain(server.url),
            customer_id="ACME",
            integration_id="42",
            username=Plain(IEM_USER),
            password=Env("PW"),
            timeout=0.5,
            max_in_flight=16,
        )
        with IemService(client, tokens, auth=iem.auth, timeout=iem.timeout, clock=Clock()) as service:
            yield Line(server, service, iem)


def refuse(line: Line, *, count: int | None = None) -> None:
    line.server.faults.add(
        SimulatedFault(status=401, body='{"message":"Invalid access token"}', path="/gbp/push/", count=count)
    )


@pytest.mark.parametrize("warm", [False, True], ids=["first push ever", "token from the cache"])
def test_a_refused_token_is_replaced_within_the_same_attempt(line: Line, *, warm: bool) -> None:
    if warm:
        line.attempt()
    before = line.calls("/api/v1/user/token"), line.calls("/gbp/push/")
    refuse(line, count=1)

    outcome = line.attempt()

    assert outcome == Delivered()
    assert line.calls("/gbp/push/") - before[1] == 2
    assert line.calls("/api/v1/user/token") - before[0] == (1 if warm else 2)


def test_a_refused_new_token_parks_without_a_third_fetch(line: Line) -> None:
    refuse(line)

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(lambda _: line.attempt(), range(12)))

    assert set(outcomes) == {TOKEN_REFUSED}
    assert line.calls("/api/v1/user/token") == 2


def test_a_probe_after_a_refusal_fetches_again(line: Line) -> None:
    refuse(line)
    line.attempt()
    line.server.faults.clear()

    assert line.attempt(is_probe=True) == Delivered()


@pytest.mark.parametrize(
    "fault",
    [
        SimulatedFault(drip=0.05, path="/gbp/push/"),
        SimulatedFault(drip=0.05, drip_head=True, path="/gbp/push/"),
        SimulatedFault(delay=30, path="/gbp/push/"),
        SimulatedFault(oversize=3 << 20, path="/gbp/push/"),
        SimulatedFault(drop="before", path="/gbp/push/"),
        SimulatedFault(drop="after", path="/gbp/push/"),
    ],
    ids=["dripping body", "dripping head", "no answer", "too long an answer", "dropped", "dropped after applying"],
)
def test_an_attempt_ends_in_time_whatever_iem_does(line: Line, fault: SimulatedFault) -> None:
    line.attempt()
    line.server.faults.add(fault)

    began = time.monotonic()
    outcome = line.attempt()

    assert outcome == UNREACHABLE
    assert time.monotonic() - began < longest_attempt(line.iem)


def test_connections_are_reused_and_closed_ones_are_replaced(line: Line) -> None:
    line.server.faults.add(SimulatedFault(headers={"Connection": "close"}, count=1, path="/gbp/push/"))

    assert [line.attempt() for _ in range(3)] == [Delivered()] * 3


def test_a_redirect_is_not_followed(line: Line) -> None:
    elsewhere = {"Location": f"{line.server.url}/publish/healthcheck/"}
    line.server.faults.add(SimulatedFault(status=302, headers=elsewhere, path="/gbp/push/"))

    assert line.attempt() == Park(Reason.REDIRECTED)
    assert line.calls("/publish/healthcheck/") == 0


def test_a_proxy_in_the_environment_is_not_used(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert line.attempt() == Delivered()


@pytest.mark.parametrize(
    "body", ['{"msg":"Success"}', '{"detail":"Success"}', '{"message":"","detail":"Success"}', "Success"]
)
def test_only_the_member_message_means_success(line: Line, body: str) -> None:
    line.server.faults.add(SimulatedFault(status=200, body=body, path="/gbp/push/"))

    assert line.attempt() == Retry(Reason.UNEXPECTED_ANSWER)
