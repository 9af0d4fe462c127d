"""Any order of events: pushes of a ticket never go backwards, nothing is pushed twice, and every accepted update ends once."""

from __future__ import annotations

from itertools import count
from typing import cast

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store.bench import (
    BUG,
    DAY,
    DELIVERED,
    HOUR,
    LEASE,
    MINUTE,
    NOT_FOUND,
    NOT_NOW,
    REFUSED,
    SECOND,
    UNREACHABLE,
    WRONG_CREDENTIALS,
    Bench,
    make_integration,
    reopening,
    resolution,
    sys_id,
)

from relay.core.outcomes import Outcome
from relay.store.connection import Connection
from relay.store.settlements import Assignment
from relay.store.submissions import Submission, Verdict

TICKETS = st.sampled_from([1, 2])
VERSIONS = st.integers(1, 6)
STATES = st.sampled_from([6, 7])
OUTCOMES = st.sampled_from([DELIVERED, NOT_NOW, NOT_FOUND, UNREACHABLE, WRONG_CREDENTIALS, REFUSED, BUG, None])
ENDS = ("delivered", "superseded", "dead")
NAMES = count(1)
YEAR = 365 * DAY

SETTINGS = settings(max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))

Identity = tuple[int, int, int]


class Relay(RuleBasedStateMachine):
    """Webhooks of two tickets, two workers, any answers of IEM, and a program that destroys the group."""

    def __init__(self, redis: Connection) -> None:
        super().__init__()
        self.redis = redis
        self.in_flight: list[Assignment] = []
        self.stale: list[Assignment] = []
        self.steps: list[tuple[Submission, Verdict]] = []
        #: The deliveries of each identity, in the order in which they were accepted.
        self.deliveries: dict[Identity, list[str]] = {}
        #: The deliveries that were handed out for each ticket, with their versions.
        self.pushes: dict[str, list[tuple[str, int]]] = {sys_id(1): [], sys_id(2): []}

    @initialize(collapse=st.booleans())
    def set_up(self, collapse: bool) -> None:
        self.bench = Bench(self.redis, make_integration(f"example-{next(NAMES)}", window=YEAR, collapse=collapse))

    # Webhooks

    @rule(ticket=TICKETS, version=VERSIONS, state=STATES)
    def accept(self, ticket: int, version: int, state: int) -> None:
        known = self.deliveries.setdefault((ticket, version, state), [])
        was_dead = all(self.bench.status(delivery) == "dead" for delivery in known)
        submission = self.bench.submission(resolution(str(version), ticket=ticket, state=state))

        [verdict] = self.bench.submit([submission])

        if verdict.status == "duplicate":
            assert verdict.id in self.all_deliveries()
            return
        assert was_dead, "a known update was accepted again"
        known.append(verdict.id)
        self.steps.append((submission, verdict))

    @precondition(lambda self: self.steps)
    @rule(data=st.data())
    def repeat_a_step(self, data: st.DataObject) -> None:
        submission, verdict = data.draw(st.sampled_from(self.steps))

        assert self.bench.submit([submission]) == [verdict]

    @rule(ticket=TICKETS, version=VERSIONS)
    def reopen(self, ticket: int, version: int) -> None:
        assert self.bench.accept(reopening(str(version), ticket=ticket)).status == "ignored"

    # Workers

    @rule(limit=st.integers(1, 3), worker=st.sampled_from(["worker-1", "worker-2"]))
    def take(self, limit: int, worker: str) -> None:
        for assignment in self.bench.take(limit, worker=worker).assignments:
            assert assignment.sys_id not in {other.sys_id for other in self.in_flight}, (
                "two pushes of one ticket at the same time"
            )
            version = int(self.bench.record(assignment.id)["version"])
            self.pushes[assignment.sys_id].append((assignment.id, version))
            self.in_flight.append(assignment)

    @precondition(lambda self: self.in_flight)
    @rule(outcome=OUTCOMES, first=st.booleans())
    def settle(self, outcome: Outcome | None, first: bool) -> None:
        assignment = self.in_flight.pop(0 if first else -1)

        assert self.bench.settle(assignment, outcome) != "stale"

    @rule()
    def lose_all_workers(self) -> None:
        self.bench.wait(LEASE)
        put_back, missing = self.bench.reclaim()

        assert (put_back, missing) == (len(self.in_flight), 0)
        self.stale += self.in_flight
        self.in_flight.clear()

    @precondition(lambda self: self.stale)
    @rule(outcome=OUTCOMES)
    def settle_too_late(self, outcome: Outcome | None) -> None:
        assert self.bench.settle(self.stale.pop(), outcome) == "stale"

    @rule(milliseconds=st.sampled_from([1, 5 * SECOND, 10 * MINUTE, HOUR]))
    def wait(self, milliseconds: int) -> None:
        # A worker with deliveries in flight keeps its leases.
        if not self.in_flight:
            self.bench.wait(milliseconds)

    @rule()
    def destroy_the_group(self) -> None:
        if self.redis.call("EXISTS", self.bench.key("queue")):
            self.redis.call("XGROUP", "DESTROY", self.bench.key("queue"), "workers")

    # Invariants

    def all_deliveries(self) -> set[str]:
        return {delivery for deliveries in self.deliveries.values() for delivery in deliveries}

    @invariant()
    def pushes_never_go_backwards(self) -> None:
        for pushes in self.pushes.values():
            deliveries, versions = [push[0] for push in pushes], [push[1] for push in pushes]
            assert versions == sorted(versions)
            assert deliveries == sorted(deliveries)

    @invariant()
    def every_delivery_has_one_status(self) -> None:
        if not hasattr(self, "bench"):
            return
        lists = {status: self.bench.listed(status) for status in ("pending", *ENDS)}
        listed = [delivery for deliveries in lists.values() for delivery in deliveries]
        assert sorted(listed) == sorted(self.all_deliveries())
        assert {self.place_of(delivery) for delivery in lists["pending"]} <= {"queue", "retry", "flight", "behind"}

    def place_of(self, delivery: str) -> str:
        """Return the place of a pending delivery, and whether it is really there."""
        record = self.bench.record(delivery)
        place = record["place"]
        match place:
            case "queue":
                is_there = self.redis.call("XRANGE", self.bench.key("queue"), record["entry"], record["entry"])
            case "retry":
                is_there = self.redis.call("ZSCORE", self.bench.key("retry"), delivery)
            case "flight":
                is_there = delivery in {assignment.id for assignment in self.in_flight}
            case _:
                is_there = self.redis.call("HGET", self.bench.key(f"t:{record['sys_id']}"), "flight")
        return place if is_there else f"{place}, but not there"

    def teardown(self) -> None:
        """Let IEM accept everything, and check that every delivery ends."""
        if not hasattr(self, "bench"):
            return
        for _ in range(50):
            while self.in_flight:
                self.settle(DELIVERED, first=True)
            self.take(3, "worker-1")
            if not self.bench.listed("pending"):
                break
            self.wait(HOUR)
        self.everything_has_ended()

    def everything_has_ended(self) -> None:
        ends = [delivery for status in ENDS for delivery in self.bench.listed(status)]
        assert sorted(ends) == sorted(self.all_deliveries())
        assert not self.bench.listed("pending")
        assert self.redis.call("XLEN", self.bench.key("queue")) == 0
        assert self.redis.call("ZCARD", self.bench.key("retry")) == 0
        for ticket in (1, 2):
            known = self.bench.ticket(ticket)
            assert "flight" not in known
            assert not known or self.bench.status(known["last"]) in {"delivered", "dead"}
        self.pushes_never_go_backwards()


def test_any_interleaving_keeps_the_guarantees(redis: Connection) -> None:
    machine = cast("type[Relay]", lambda: Relay(redis))

    run_state_machine_as_test(machine, settings=SETTINGS)
