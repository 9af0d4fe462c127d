"""The client of IEM as a library, without the relay and its Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness import IEM_PASSWORD, IEM_USER, SYS_ID, iem_of, simulated_iem
from iem.samples import SAMPLES

from relay.core.outcomes import Delivered, Park
from relay.core.reasons import Reason
from relay.errors import ConfigurationError, RequestBodyError
from relay.iem import IemService, Publication, Target, connect
from relay.simulators.server import SimulatorServer


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with simulated_iem() as started:
        yield started


@pytest.fixture
def iem(server: SimulatorServer) -> Iterator[IemService]:
    with connect(server.url, IEM_USER, IEM_PASSWORD, timeout=2) as service:
        yield service


def test_pushing_and_publishing_share_a_token(iem: IemService, server: SimulatorServer) -> None:
    outcomes = [iem.push(Target("ACME", "42"), SYS_ID, 6).outcome, iem.healthcheck().outcome]
    outcomes += [iem.publish(publication, SAMPLES[publication]).outcome for publication in Publication]

    assert outcomes == [Delivered()] * 7
    assert server.request_log.count("/api/v1/user/token") == 1
    assert iem_of(server).actionables == {SYS_ID: 6}


def test_a_revoked_token_is_replaced_in_the_same_call(iem: IemService, server: SimulatorServer) -> None:
    iem.push(Target("ACME", "42"), SYS_ID, 6)
    iem_of(server).revoke()

    assert iem.publish(Publication.EVENTS, SAMPLES[Publication.EVENTS]).outcome == Delivered()
    assert server.request_log.count("/api/v1/user/token") == 2


def test_a_refusal_is_an_outcome(server: SimulatorServer) -> None:
    with connect(server.url, IEM_USER, "wrong password", timeout=2) as iem:
        assert iem.push(Target("ACME", "42"), SYS_ID, 6).outcome == Park(Reason.WRONG_CREDENTIALS)


def test_a_user_without_the_customer_is_an_outcome(iem: IemService, server: SimulatorServer) -> None:
    iem_of(server).set_customer("OTHER", active=True)

    attempt = iem.publish(Publication.EVENTS, {**SAMPLES[Publication.EVENTS], "envcustomerid": "OTHER"})

    assert attempt.outcome == Park(Reason.USER_NOT_ASSOCIATED)


def test_an_invalid_body_is_not_sent(iem: IemService, server: SimulatorServer) -> None:
    with pytest.raises(RequestBodyError, match="severity is missing"):
        iem.publish(Publication.EVENTS, {})

    assert server.request_log.arrived == 0


@pytest.mark.parametrize("url", ["http://iem.example.com", "iem.example.com", "ftp://iem.example.com", ""])
def test_a_password_is_not_sent_unencrypted(url: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(url, IEM_USER, IEM_PASSWORD)


@pytest.mark.parametrize(("sys_id", "state"), [(SYS_ID, "6"), (SYS_ID, 6.5), (SYS_ID, True), ("\ud800", 6)])
def test_an_invalid_push_is_not_sent(iem: IemService, server: SimulatorServer, sys_id: str, state: Any) -> None:
    with pytest.raises(RequestBodyError):
        iem.push(Target("ACME", "42"), sys_id, state)

    assert server.request_log.arrived == 0
