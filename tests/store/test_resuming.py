"""What resumes a parked integration: a changed configuration, or an operator."""

from __future__ import annotations

import pytest
from store.bench import (
    DAY,
    DELIVERED,
    MINUTE,
    SECOND,
    TOKEN_REFUSED,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    park_down,
    resolution,
    wait_for_probe,
)

from relay.core.outcomes import Outcome, Park
from relay.core.reasons import Reason
from relay.store.circuit import Circuit
from relay.store.connection import Connection

ANN = "ann"


# A changed configuration


@pytest.mark.parametrize("reason", [Reason.WRONG_CREDENTIALS, Reason.TOKEN_REFUSED])
def test_a_changed_configuration_is_probed_at_once(bench: Bench, reason: Reason) -> None:
    bench.accept_tickets(1, 2)
    bench.attempt(Park(reason))
    nothing_yet = bench.take().assignments

    probe = bench.take_one(config="config-2")
    bench.settle(probe, DELIVERED)

    assert nothing_yet == ()
    assert probe.is_probe
    assert bench.parked is None


def test_a_changed_configuration_that_fails_too_is_probed_on_schedule(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    bench.config = "config-2"

    bench.attempt(WRONG_CREDENTIALS)

    assert bench.take().assignments == ()
    assert bench.take().look_again_at == bench.now + 10 * MINUTE


def test_a_configuration_that_is_changed_back_is_probed_at_once(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    bench.settle(bench.take_one(config="config-2"), WRONG_CREDENTIALS)
    bench.wait(SECOND)

    assert bench.take_one(config="config-1").is_probe


def test_workers_with_different_configurations_do_not_alternate_forever(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(WRONG_CREDENTIALS)
    probes = 0

    for second in range(3600):
        config = ("config-1", "config-2")[second % 2]
        for assignment in bench.take(config=config).assignments:
            bench.settle(assignment, WRONG_CREDENTIALS)
            probes += 1
        bench.wait(SECOND)

    assert probes <= 8  # two at once, and those that are scheduled in an hour


def test_a_changed_configuration_does_not_add_a_second_probe(bench: Bench) -> None:
    park_down(bench)
    wait_for_probe(bench)

    assert bench.take(config="config-2").assignments == ()


# An operator


def test_an_operator_parks_and_resumes_an_integration(bench: Bench, redis: Connection) -> None:
    circuit = Circuit(redis)
    delivery = bench.accept_new(resolution("5"))
    circuit.park("acme", actor=ANN, why="maintenance", now=bench.now)

    bench.wait(DAY)
    while_parked = bench.take_ids()
    state = circuit.read("acme")
    before = circuit.resume("acme", actor=ANN, why="done", now=bench.now)

    assert while_parked == []
    assert state
    assert (state.reason, state.by, state.why, state.next_probe_at) == ("by_hand", ANN, "maintenance", None)
    assert before == "by_hand"
    assert bench.take_ids() == [delivery]
    assert circuit.read("acme") is None


def test_an_operator_resumes_a_refused_integration_by_a_probe(bench: Bench, redis: Connection) -> None:
    circuit = Circuit(redis)
    for ticket in (1, 2):
        bench.accept_new(resolution("5", ticket=ticket))
    bench.attempt(WRONG_CREDENTIALS)

    before_resume = bench.take_ids()
    circuit.resume("acme", actor=ANN, why="corrected", now=bench.now)
    probe = bench.take_one()

    assert before_resume == []
    assert probe.is_probe
    assert bench.settle(probe, DELIVERED) == "delivered"
    assert len(bench.take_ids()) == 1


def test_resuming_an_integration_that_is_not_parked_does_nothing(bench: Bench, redis: Connection) -> None:
    assert Circuit(redis).resume("acme", actor=ANN, why="", now=bench.now) is None


def test_an_integration_that_an_operator_parked_is_not_probed(bench: Bench) -> None:
    bench.accept_tickets(1)
    bench.attempt(TOKEN_REFUSED)
    bench.redis.call("HSET", bench.key("circuit"), "by_hand", "1")
    bench.wait(DAY)

    assert bench.take(config="config-2").assignments == ()


@pytest.mark.parametrize("outcome", [DELIVERED, UNREACHABLE, WRONG_CREDENTIALS])
def test_a_probe_in_flight_does_not_resume_what_an_operator_parked(bench: Bench, outcome: Outcome) -> None:
    bench.accept_tickets(1, 2)
    bench.attempt(TOKEN_REFUSED)
    bench.wait(MINUTE)
    probe = bench.take_one()
    circuit = Circuit(bench.redis)
    circuit.park(bench.name, actor="ann", why="maintenance", now=bench.now)

    bench.settle(probe, outcome)
    bench.wait(DAY)

    assert bench.parked == "by_hand"
    assert bench.take().assignments == ()
