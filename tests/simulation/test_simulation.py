"""Model-based test: whatever fails, in whatever order, each accepted update ends once, and reaches IEM in the right order.

The relay's own parts and scripts run on a real Redis, but one thread at a time, on a virtual clock. The connection to Redis loses
calls and answers, processes die between any two calls, and IEM fails in every way. A failure is printed as the steps that lead to
it. RELAY_SIMULATION_EXAMPLES (100) sets the number of examples, and RELAY_SIMULATION_STEPS (50) the number of steps in each.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, cast

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from simulation import invariants
from simulation.deployment import POOL_SIZE, Deployment, make_integration
from simulation.faulty_redis import LATEST, RedisFault
from simulation.iem_model import Behaviour
from simulation.scheduler import Task

from relay.core.integration import Integration
from relay.store.connection import Connection

pytestmark = pytest.mark.slow

SETTINGS = settings(
    max_examples=int(os.environ.get("RELAY_SIMULATION_EXAMPLES", "100")),
    stateful_step_count=int(os.environ.get("RELAY_SIMULATION_STEPS", "50")),
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

#: Which one of several; numbers beyond the end start again from the beginning.
INDEX = st.integers(0, 5)
#: How often a task is resumed; most tasks pause at most 20 times.
RESUMES = st.sampled_from([1, 1, 2, 3, 5, 30, 30])
FAULTS = st.one_of(st.none(), st.none(), st.sampled_from([RedisFault.FAILS, *RedisFault]))
#: Milliseconds: less than a poll interval, a poll interval, a retry, a lease, an outage, a night.
TIMES = st.sampled_from([1, 50, 1_000, 6_000, 36_000, 36_000, 600_000, 4_000_000])
BEHAVIOURS = st.sampled_from(
    [
        Behaviour.WORKS,
        Behaviour.WORKS,
        Behaviour.WORKS,
        Behaviour.REFUSES,
        Behaviour.WRONG_CREDENTIALS,
        *Behaviour,
    ]
)

RECORDS = st.fixed_dictionaries(
    {
        "sys_id": st.sampled_from([f"{ticket:032x}" for ticket in (1, 2, 3)]),
        "state": st.sampled_from(["6", "6", "7", "2"]),
    },
    optional={
        "sys_mod_count": st.sampled_from(["1", "2", "3", "4", "9", "10"]),
        "sys_updated_on": st.sampled_from(["2026-09-01 10:00:00", "2026-09-01 10:00:01", "2026-09-02 10:00:00"]),
    },
)
PAYLOADS = st.one_of(
    RECORDS, RECORDS, st.lists(RECORDS, min_size=2, max_size=4).map(lambda records: {"result": records})
)
KEYS = st.sampled_from([None, None, "key-1", "key-2"])

EVENTS = ["kill a worker", "start a worker", "start a worker", "kill web", "revoke tokens"]
EVENTS += ["park", "resume", "resume", "replay", "replay", "discard"]

MAX_WORKERS = 3
#: Maximum number of turns of each worker while time passes.
MAX_TURNS = 8
#: After the last fault everything ends within this time (ms): the longest wait for a probe, a retry, a lease.
RECOVERY = 9_000_000


class RelayMachine(RuleBasedStateMachine):
    """Senders, web processes, workers, Redis and IEM."""

    def __init__(self, server: Connection) -> None:
        super().__init__()
        self.server = server
        self.started: Deployment | None = None
        self.sent: list[tuple[Integration, object, str | None]] = []
        self.requests: list[Task] = []
        #: By integration, the number of faults before the last change of IEM's behaviour.
        self.faults: dict[str, int] = {}

    @initialize(collapse=st.booleans(), closed=st.sampled_from([6, 7]), seed=st.integers(0, 9))
    def set_up(self, collapse: bool, closed: int, seed: int) -> None:
        self.server.call("FLUSHALL")
        by_token = make_integration("by-token", auth="token", collapse=collapse, closed=closed)
        by_password = make_integration("by-password", auth="basic", collapse=True, closed=7)
        self.started = Deployment(self.server, [by_token, by_password], seed)

    @property
    def deployment(self) -> Deployment:
        assert self.started is not None
        return self.started

    # Senders

    @rule(which=st.sampled_from([0, 0, 0, 1]), web=INDEX, payload=PAYLOADS, key=KEYS, fault=FAULTS, resumes=RESUMES)
    def send(
        self, which: int, web: int, payload: object, key: str | None, fault: RedisFault | None, resumes: int
    ) -> None:
        """Send a webhook."""
        self.sent.append((self.deployment.integrations[which], payload, key))
        self.receive(-1, web, fault, resumes)

    @precondition(lambda self: self.sent)
    @rule(which=INDEX, web=INDEX, fault=FAULTS, resumes=RESUMES)
    def send_again(self, which: int, web: int, fault: RedisFault | None, resumes: int) -> None:
        """Send an earlier webhook again, as a sender does that got no answer."""
        self.receive(-1 - which % len(self.sent), web, fault, resumes)

    def receive(self, which: int, web: int, fault: RedisFault | None, resumes: int) -> None:
        process = self.deployment.webs[web % len(self.deployment.webs)]
        if fault:
            process.connection.inject(fault, 0)
        request = self.deployment.receive(process, *self.sent[which])
        self.requests.append(request)
        self.deployment.run(request, resumes)

    @precondition(lambda self: any(not request.is_done for request in self.requests))
    @rule(which=INDEX, resumes=RESUMES)
    def continue_request(self, which: int, resumes: int) -> None:
        self.requests = [request for request in self.requests if not request.is_done]
        self.deployment.run(self.requests[which % len(self.requests)], resumes)

    # Workers

    @precondition(lambda self: self.deployment.workers)
    @rule(which=INDEX, is_woken=st.booleans(), fault=FAULTS, after=st.sampled_from([0, 0, 0, 1, 2, 3]), resumes=RESUMES)
    def run_worker(self, which: int, is_woken: bool, fault: RedisFault | None, after: int, resumes: int) -> None:
        """Run the loop of a worker."""
        worker = self.deployment.workers[which % len(self.deployment.workers)]
        if is_woken:
            worker.wake()
        if fault:
            worker.connection.inject(fault, after)
        self.deployment.run_loop(worker, resumes)

    @precondition(lambda self: self.attempts())
    @rule(which=INDEX, fault=FAULTS, after=st.integers(0, 2), resumes=RESUMES)
    def run_attempt(self, which: int, fault: RedisFault | None, after: int, resumes: int) -> None:
        """Run an attempt."""
        attempts = self.attempts()
        attempt = attempts[which % len(attempts)]
        if fault:
            self.deployment.connection_of(attempt).inject(fault, after)
        self.deployment.run(attempt, resumes)

    @rule(behaviour=BEHAVIOURS, milliseconds=st.sampled_from([0, 0, 6_000, 36_000]), stalled=st.integers(0, 3))
    def run_all(self, behaviour: Behaviour, milliseconds: int, stalled: int) -> None:
        """Run all workers and attempts without faults of Redis, except for one worker that may hang."""
        self.deployment.advance(milliseconds)
        self.change_behaviour(0, behaviour)
        for worker in [each for number, each in enumerate(self.deployment.workers) if number != stalled]:
            worker.wake()
            self.deployment.run_loop(worker, 30)
        for attempt in self.attempts():
            self.deployment.run(attempt, 30)

    def attempts(self) -> list[Task]:
        return [task for task in self.deployment.scheduler.tasks if task in self.deployment.attempts]

    # Time, IEM, and operators

    @rule(milliseconds=TIMES, stalled=INDEX)
    def pass_time(self, milliseconds: int, stalled: int) -> None:
        """Let time pass. The loops run, except for one that may hang; attempts begin, and take as long as they can."""
        turns = min(MAX_TURNS, max(1, milliseconds // 2_000))
        for _ in range(turns):
            self.deployment.advance(milliseconds // turns)
            for worker in [each for number, each in enumerate(self.deployment.workers) if number != stalled]:
                self.deployment.run_loop(worker, 30)
            for attempt in [task for task in self.attempts() if not task.has_begun]:
                self.deployment.run(attempt, 2)

    @rule(which=st.sampled_from([0, 0, 1]), behaviour=BEHAVIOURS)
    def change_behaviour(self, which: int, behaviour: Behaviour) -> None:
        name = self.deployment.integrations[which].name
        if behaviour is not self.deployment.iems[name].behaviour:
            self.deployment.iems[name].behave(behaviour)
            self.faults[name] = self.deployment.faults

    @rule(event=st.sampled_from(EVENTS), which=INDEX)
    def disturb(self, event: str, which: int) -> None:
        deployment = self.deployment
        integration = deployment.integrations[which % 2]
        lists = invariants.take_snapshot(self.server, integration.name).lists
        dead = [delivery_id for status, delivery_id in lists if status == "dead"]
        match event:
            case "kill a worker" if deployment.workers:
                deployment.kill(deployment.workers[which % len(deployment.workers)])
            case "start a worker" if len(deployment.workers) < MAX_WORKERS:
                deployment.workers.append(deployment.start_worker())
            case "kill web":
                deployment.kill(deployment.webs[which % len(deployment.webs)])
            case "revoke tokens":
                deployment.iems["by-token"].revoke_tokens()
            case "park":
                deployment.operator.park(integration)
            case "resume":
                deployment.operator.resume(integration)
            case "replay" if dead:
                deployment.operator.replay(integration, dead[0])
            case "discard" if dead:
                deployment.operator.discard(integration, dead[0])
            case _:
                pass

    @invariant()
    def invariants_hold(self) -> None:
        if self.started is None:
            return
        for name, iem in self.deployment.iems.items():
            model, snapshot = self.deployment.oracle.integration(name), invariants.take_snapshot(self.server, name)
            invariants.accepted_deliveries_are_listed_once(model, snapshot)
            invariants.lists_match_the_records(snapshot)
            invariants.pending_deliveries_are_where_their_records_say(snapshot)
            invariants.pushes_of_a_ticket_never_go_backwards(model, iem)
            invariants.pushes_match_their_deliveries(model, iem)
            invariants.no_attempt_had_a_bug(snapshot)
            if iem.behaviour is Behaviour.WRONG_CREDENTIALS:
                faults = self.deployment.faults - self.faults[name]
                max_in_flight = MAX_WORKERS * POOL_SIZE
                invariants.wrong_credentials_are_tried_rarely(
                    iem, self.deployment.oracle, max_in_flight=max_in_flight, faults=faults
                )

    def teardown(self) -> None:
        """End the faults, and check that everything ends."""
        if self.started is None:
            return
        try:
            if sys.exc_info()[0] is None:
                self.recover()
                self.invariants_hold()
                self.final_invariants_hold()
        finally:
            for process in {task.process for task in self.deployment.scheduler.tasks}:
                self.deployment.scheduler.kill(process)

    def recover(self) -> None:
        deployment = self.deployment
        deployment.end_faults()
        if not deployment.workers:
            deployment.workers.append(deployment.start_worker())
        # Late calls reach Redis.
        deployment.advance(LATEST)
        until = deployment.scheduler.now + RECOVERY
        for round_ in range(10_000):
            # Twice, so that attempts are settled before their leases expire.
            for _ in range(2):
                for worker in list(deployment.workers):
                    deployment.run_loop(worker, 1000)
                while deployment.scheduler.tasks:
                    for task in list(deployment.scheduler.tasks):
                        deployment.run(task, 1000)
            if not any(invariants.take_snapshot(self.server, name).pending for name in deployment.iems):
                return
            assert deployment.scheduler.now < until, "everything ends in time"
            deployment.advance(2_000 if round_ < 30 else 120_000)

    def final_invariants_hold(self) -> None:
        invariants.attempts_of_living_workers_are_settled(self.deployment)
        for name, iem in self.deployment.iems.items():
            model, snapshot = self.deployment.oracle.integration(name), invariants.take_snapshot(self.server, name)
            invariants.all_deliveries_have_ended(model, snapshot)
            invariants.only_refused_deliveries_are_dead(snapshot)
            invariants.no_work_is_left(snapshot)
            invariants.the_newest_update_was_applied_last(model, iem, snapshot)
            invariants.a_push_is_repeated_only_if_its_answer_was_lost(model, iem, snapshot)


@pytest.mark.timeout(0)  # hypothesis shrinks a failing example, which takes minutes
def test_every_accepted_update_ends_once_and_in_order(redis: Connection, caplog: pytest.LogCaptureFixture) -> None:
    machine = cast("type[RelayMachine]", lambda: RelayMachine(redis))

    with caplog.at_level(logging.CRITICAL, "relay"):
        run_state_machine_as_test(cast("Any", machine), settings=SETTINGS)
