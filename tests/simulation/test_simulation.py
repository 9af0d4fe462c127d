"""Whatever fails, dies, or comes late, in whatever order: what was accepted ends once, in the right order, at IEM.

The relay's own parts and scripts on a real Redis, but one thread at a time, a clock that only the rules move, a line to Redis
that loses calls and answers, processes that die between any two calls, and an IEM in any mood. What fails is printed as the steps
that lead there. RELAY_SIMULATION_EXAMPLES sets how many examples are played (100), RELAY_SIMULATION_STEPS of how many steps each
(50).
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
from simulation import promises
from simulation.customer import Mood
from simulation.site import CREW, Site, make_integration
from simulation.stage import Task
from simulation.wire import LATEST, Fate

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

#: Which of several; those that there are not count from the first again.
ANY = st.integers(0, 5)
#: Over how many pauses a task goes on; most tasks have no more than 20.
STEPS = st.sampled_from([1, 1, 2, 3, 5, 30, 30])
FATES = st.one_of(st.none(), st.none(), st.sampled_from([Fate.FAILS, *Fate]))
#: Milliseconds: less than a look, a look, a retry, a lease, an outage, a night.
TIMES = st.sampled_from([1, 50, 1_000, 6_000, 36_000, 36_000, 600_000, 4_000_000])
MOODS = st.sampled_from([Mood.WORKS, Mood.WORKS, Mood.WORKS, Mood.REFUSES, Mood.WRONG_CREDENTIALS, *Mood])

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

MOST_WORKERS = 3
#: How often a worker's loop gets its turn, at most, while time passes.
LOOKS = 8
#: After the faults, everything is over within this time (ms): the longest probe's wait, a retry, a lease.
PEACE = 9_000_000


class Relay(RuleBasedStateMachine):
    """Senders, web processes, workers, Redis and IEM."""

    def __init__(self, server: Connection) -> None:
        super().__init__()
        self.server = server
        self.site: Site | None = None
        self.sent: list[tuple[Integration, object, str | None]] = []
        self.requests: list[Task] = []
        #: Faults up to the moment when an integration's mood changed.
        self.faults: dict[str, int] = {}

    @initialize(collapse=st.booleans(), closed=st.sampled_from([6, 7]), seed=st.integers(0, 9))
    def set_up(self, collapse: bool, closed: int, seed: int) -> None:
        self.server.call("FLUSHALL")
        by_token = make_integration("by-token", auth="token", collapse=collapse, closed=closed)
        by_password = make_integration("by-password", auth="basic", collapse=True, closed=7)
        self.site = Site(self.server, [by_token, by_password], seed)

    @property
    def here(self) -> Site:
        assert self.site is not None
        return self.site

    # Senders

    @rule(which=st.sampled_from([0, 0, 0, 1]), web=ANY, payload=PAYLOADS, key=KEYS, fate=FATES, steps=STEPS)
    def receive(self, which: int, web: int, payload: object, key: str | None, fate: Fate | None, steps: int) -> None:
        """A webhook comes in."""
        self.sent.append((self.here.integrations[which], payload, key))
        self.deliver(-1, web, fate, steps)

    @precondition(lambda self: self.sent)
    @rule(which=ANY, web=ANY, fate=FATES, steps=STEPS)
    def send_again(self, which: int, web: int, fate: Fate | None, steps: int) -> None:
        """A sender that got no answer, or that forgot it, tries again."""
        self.deliver(-1 - which % len(self.sent), web, fate, steps)

    def deliver(self, which: int, web: int, fate: Fate | None, steps: int) -> None:
        process = self.here.webs[web % len(self.here.webs)]
        if fate:
            process.wire.doom(fate, 0)
        request = self.here.receive(process, *self.sent[which])
        self.requests.append(request)
        self.here.go_on(request, steps)

    @precondition(lambda self: any(not one.is_done for one in self.requests))
    @rule(which=ANY, steps=STEPS)
    def go_on_with_a_request(self, which: int, steps: int) -> None:
        self.requests = [one for one in self.requests if not one.is_done]
        self.here.go_on(self.requests[which % len(self.requests)], steps)

    # Workers

    @precondition(lambda self: self.here.workers)
    @rule(which=ANY, is_woken=st.booleans(), fate=FATES, calls=st.sampled_from([0, 0, 0, 1, 2, 3]), steps=STEPS)
    def work(self, which: int, is_woken: bool, fate: Fate | None, calls: int, steps: int) -> None:
        """A worker's loop gets on."""
        worker = self.here.workers[which % len(self.here.workers)]
        if is_woken:
            worker.wake()
        if fate:
            worker.wire.doom(fate, calls)
        self.here.work(worker, steps)

    @precondition(lambda self: self.attempts())
    @rule(which=ANY, fate=FATES, calls=st.integers(0, 2), steps=STEPS)
    def attempt(self, which: int, fate: Fate | None, calls: int, steps: int) -> None:
        """An attempt gets on."""
        attempts = self.attempts()
        attempt = attempts[which % len(attempts)]
        if fate:
            self.here.wire_of(attempt).doom(fate, calls)
        self.here.go_on(attempt, steps)

    @rule(mood=MOODS, milliseconds=st.sampled_from([0, 0, 6_000, 36_000]), stalled=st.integers(0, 3))
    def play(self, mood: Mood, milliseconds: int, stalled: int) -> None:
        """Everybody gets on undisturbed, with IEM in some mood; but one worker's loop hangs, perhaps."""
        self.here.pass_time(milliseconds)
        self.change_the_mood(0, mood)
        for worker in [one for number, one in enumerate(self.here.workers) if number != stalled]:
            worker.wake()
            self.here.work(worker, 30)
        for attempt in self.attempts():
            self.here.go_on(attempt, 30)

    def attempts(self) -> list[Task]:
        return [task for task in self.here.stage.tasks if task in self.here.attempts]

    # The rest of the world

    @rule(milliseconds=TIMES, stalled=ANY)
    def pass_time(self, milliseconds: int, stalled: int) -> None:
        """Time goes by, and the workers' loops go on meanwhile, but one perhaps; attempts begin, and hang as long as they can."""
        steps = min(LOOKS, max(1, milliseconds // 2_000))
        for _ in range(steps):
            self.here.pass_time(milliseconds // steps)
            for worker in [one for number, one in enumerate(self.here.workers) if number != stalled]:
                self.here.work(worker, 30)
            for attempt in [one for one in self.attempts() if not one.has_begun]:
                self.here.go_on(attempt, 2)

    @rule(which=st.sampled_from([0, 0, 1]), mood=MOODS)
    def change_the_mood(self, which: int, mood: Mood) -> None:
        name = self.here.integrations[which].name
        if mood is not self.here.customers[name].mood:
            self.here.customers[name].turn(mood)
            self.faults[name] = self.here.faults

    @rule(event=st.sampled_from(EVENTS), which=ANY)
    def disturb(self, event: str, which: int) -> None:
        site = self.here
        integration = site.integrations[which % 2]
        dead = [an_id for status, an_id in promises.look(self.server, integration.name).lists if status == "dead"]
        match event:
            case "kill a worker" if site.workers:
                site.kill(site.workers[which % len(site.workers)])
            case "start a worker" if len(site.workers) < MOST_WORKERS:
                site.workers.append(site.start_worker())
            case "kill web":
                site.kill(site.webs[which % len(site.webs)])
            case "revoke tokens":
                site.customers["by-token"].revoke()
            case "park":
                site.operator.park(integration)
            case "resume":
                site.operator.resume(integration)
            case "replay" if dead:
                site.operator.replay(integration, dead[0])
            case "discard" if dead:
                site.operator.discard(integration, dead[0])
            case _:
                pass

    # What always holds

    @invariant()
    def promises_are_kept(self) -> None:
        if self.site is None:
            return
        for name, customer in self.here.customers.items():
            book, seen = self.here.ledger.book(name), promises.look(self.server, name)
            promises.everything_accepted_is_listed_once(book, seen)
            promises.a_list_holds_what_its_records_say(seen)
            promises.what_is_pending_waits_where_it_says(seen)
            promises.pushes_of_a_ticket_never_go_backwards(book, customer)
            promises.a_push_says_what_was_accepted(book, customer)
            promises.no_attempt_met_a_bug(seen)
            if customer.mood is Mood.WRONG_CREDENTIALS:
                faults = self.here.faults - self.faults[name]
                at_once = MOST_WORKERS * CREW
                promises.wrong_credentials_are_tried_seldom(customer, self.here.ledger, at_once=at_once, faults=faults)

    # The end

    def teardown(self) -> None:
        """Let everything work again, and see that everything ends."""
        if self.site is None:
            return
        try:
            if sys.exc_info()[0] is None:
                self.live_in_peace()
                self.promises_are_kept()
                self.promises_were_kept()
        finally:
            for process in {task.process for task in self.here.stage.tasks}:
                self.here.stage.kill(process)

    def live_in_peace(self) -> None:
        site = self.here
        site.make_peace()
        if not site.workers:
            site.workers.append(site.start_worker())
        # What is under way to Redis without anybody waiting for it gets there.
        site.pass_time(LATEST)
        until = site.stage.now + PEACE
        for round_ in range(10_000):
            # Twice: what was attempted is written down before the lease is over.
            for _ in range(2):
                for worker in list(site.workers):
                    site.work(worker, 1000)
                while site.stage.tasks:
                    for task in list(site.stage.tasks):
                        site.go_on(task, 1000)
            if not any(promises.look(self.server, name).pending for name in site.customers):
                return
            assert site.stage.now < until, "everything ends in time"
            site.pass_time(2_000 if round_ < 30 else 120_000)

    def promises_were_kept(self) -> None:
        promises.what_a_living_worker_attempted_is_written_down(self.here)
        for name, customer in self.here.customers.items():
            book, seen = self.here.ledger.book(name), promises.look(self.server, name)
            promises.everything_accepted_has_ended(book, seen)
            promises.only_what_iem_refused_is_dead(seen)
            promises.nothing_is_left_behind(seen)
            promises.the_newest_update_landed_last(book, customer, seen)
            promises.a_push_is_repeated_only_where_its_answer_was_lost(book, customer, seen)


@pytest.mark.timeout(0)  # an example that fails is made small first, and that takes minutes
def test_whatever_happens_what_was_accepted_ends_once_and_in_order(
    redis: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    machine = cast("type[Relay]", lambda: Relay(redis))

    with caplog.at_level(logging.CRITICAL, "relay"):
        run_state_machine_as_test(cast("Any", machine), settings=SETTINGS)
