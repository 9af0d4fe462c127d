"""What IEM is told of the relay itself: real Redis, a simulated IEM that takes only what the guide has, a clock by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from harness import IEM_PASSWORD, IEM_USER, AtOnce, simulated_iem

from relay.clock import Clock
from relay.core.ids import make_id
from relay.core.integration import PublishBlock
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient
from relay.iem.reports import Subject
from relay.iem.service import IemService
from relay.iem.token_cache import TokenCache
from relay.simulators.faults import SimulatedFault
from relay.simulators.iem_access import ApiUser
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.publication_store import PublicationStore
from relay.store.token_store import TokenStore
from relay.worker.publications import PublishingLane
from relay.worker.publishing import Publisher

START = 1_795_342_830_000
ALL = PublishBlock(heartbeat=60.0, metrics=300.0, events=True, topology=True, backlog_age=900.0)


@dataclass
class Stage:
    """Workers that publish, on one clock."""

    redis: Connection
    server: SimulatorServer
    now: float = 0.0
    publishers: dict[str, Publisher] = field(default_factory=dict)

    def lane(
        self, name: str, publish: PublishBlock = ALL, password: str = IEM_PASSWORD, customer: str = "ACME"
    ) -> PublishingLane:
        """Return one worker's lane of acme."""
        clock = Clock(now_ms=lambda: START + int(self.now * 1000), monotonic=lambda: self.now)
        client = IemClient(Caller(self.server.url, ca_file=None, connections=1), Credentials(IEM_USER, password))
        tokens = TokenCache(
            TokenStore(self.redis, "acme"), client, config=password, lifetime=1e6, timeout=2.0, clock=clock
        )
        return PublishingLane(
            Subject("acme", customer, "servicenow", f"host-of-{name}"),
            publish,
            IemService(client, tokens, auth="token", timeout=2.0, clock=clock),
            PublicationStore(self.redis, "acme"),
            config=password,
            longest_turn=6.0,
        )

    def hire(self, name: str, publish: PublishBlock = ALL, password: str = IEM_PASSWORD) -> Publisher:
        """Have one more worker."""
        clock = Clock(now_ms=lambda: START + int(self.now * 1000), monotonic=lambda: self.now)
        self.publishers[name] = Publisher(name, [self.lane(name, publish, password)], AtOnce(), clock)
        return self.publishers[name]

    def pass_time(self, seconds: float) -> None:
        """Let everybody look once a second for so long."""
        for _ in range(int(seconds)):
            self.now += 1
            for publisher in self.publishers.values():
                publisher.turn()

    def published(self, kind: str) -> list[dict[str, Any]]:
        assert isinstance(self.server.service, SimulatedIem)
        return self.server.service.published[kind]

    def count(self, **counts: int) -> None:
        """Have attempts end."""
        for name, by in counts.items():
            self.redis.call("HINCRBY", key("acme", "counts"), name, by)

    def have(self, status: str, number: int, *, since: float = 0.0) -> None:
        """Have so many deliveries of a status."""
        self.redis.call("DEL", key("acme", f"in:{status}"))
        for one in range(number):
            self.redis.call(
                "ZADD", key("acme", f"in:{status}"), 0, make_id(START + int(since * 1000), one.to_bytes(10))
            )


@pytest.fixture
def stage(redis: Connection) -> Iterator[Stage]:
    with simulated_iem() as server:
        yield Stage(redis, server)


def test_topology_heartbeat_and_metrics_are_told_at_the_start_and_then_each_in_its_time(stage: Stage) -> None:
    stage.hire("one")

    stage.pass_time(1)
    at_start = {kind: len(stage.published(kind)) for kind in ("entity", "service", "healthcheck", "metrics", "events")}
    stage.pass_time(300)

    assert at_start == {"entity": 1, "service": 1, "healthcheck": 1, "metrics": 6, "events": 0}
    assert len(stage.published("healthcheck")) == 6
    assert len(stage.published("metrics")) == 12
    stage.now += 86_400
    stage.pass_time(1)
    assert (len(stage.published("entity")), len(stage.published("service"))) == (2, 2)
    assert {one["status"] for one in stage.published("healthcheck")} == {"Green"}


def test_metrics_are_counts_since_the_last_ones_and_how_it_stands(stage: Stage) -> None:
    stage.hire("one")
    stage.count(delivered=7, latency_ms=700)
    stage.pass_time(1)
    stage.count(delivered=3, latency_ms=600, retrying=5, dead=2)
    stage.have("pending", 4, since=100.0)

    stage.pass_time(300)

    values = {one["parametername"]: one["messages"] for one in stage.published("metrics")[6:]}
    assert values == {
        "delivered": "3",
        "retried": "5",
        "dead": "2",
        "backlog": "4",
        "oldest_pending_seconds": "201",
        "latency_ms": "200",
    }


def test_of_several_processes_one_tells_and_another_goes_on_when_it_is_gone(stage: Stage) -> None:
    for name in ("one", "two", "three"):
        stage.hire(name, PublishBlock(heartbeat=60.0, metrics=None, events=True, topology=False, backlog_age=900.0))
    stage.have("dead", 3)
    stage.pass_time(180)
    told_by = {one["host"] for one in stage.published("healthcheck")}
    del stage.publishers["one"]
    stage.redis.call("DEL", key("acme", "publisher:lease"))  # as it runs out

    stage.pass_time(120)

    assert told_by == {"host-of-one"}
    assert [one["host"] for one in stage.published("healthcheck")] == ["host-of-one"] * 3 + ["host-of-two"] * 2
    assert len(stage.published("events")) == 1


def test_an_event_and_the_one_that_ends_it_belong_together(stage: Stage) -> None:
    stage.hire("one")
    circuit = Circuit(stage.redis)
    circuit.park("acme", actor="ann", why="maintenance", now=START)
    stage.pass_time(10)
    circuit.resume("acme", actor="ann", why="", now=START + 10_000)
    stage.pass_time(10)

    begun, ended = stage.published("events")
    for name in ("ieventid", "splitby", "firstoccurrence", "entityid", "parameterid"):
        assert begun[name] == ended[name]
    assert (begun["severity"], ended["severity"]) == ("4", "1")
    assert begun["splitby"] == "ACME_itsm-webhook-relay-acme_parked"
    assert begun["firstoccurrence"] == "2026-11-22T10:20:30.000Z"
    statuses = [one["status"] for one in stage.published("healthcheck")]
    assert statuses == ["Amber"]


def test_a_thousand_dead_letters_are_one_event_with_a_count_and_their_end_another(stage: Stage) -> None:
    stage.hire("one")
    stage.pass_time(1)
    stage.count(dead=1000)
    stage.have("dead", 1000)
    stage.pass_time(60)
    stage.have("dead", 0)
    stage.pass_time(6)

    begun, ended = stage.published("events")
    assert begun["messages"] == "1000 deliveries were given up and wait for somebody"
    assert ended["messages"] == "no dead letter is left"
    assert "Red" in [one["status"] for one in stage.published("healthcheck")]


def test_an_old_backlog_is_told_and_its_end(stage: Stage) -> None:
    stage.hire("one")
    stage.have("pending", 2)
    stage.pass_time(905)
    stage.have("pending", 0)
    stage.pass_time(5)

    assert [one["parametername"] for one in stage.published("events")] == ["backlog", "backlog"]


def test_what_iem_did_not_take_is_told_again_with_growing_distance(stage: Stage) -> None:
    stage.server.faults.add(SimulatedFault(status=503, path="/publish/"))
    stage.hire("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))

    stage.pass_time(300)
    tried = stage.server.record.count("/publish/")
    stage.server.faults.clear()
    stage.pass_time(300)

    assert tried == 6, "after 5, 10, 20, 40, 80 and 160 seconds"
    assert len(stage.published("healthcheck")) >= 1


def test_wrong_credentials_are_tried_a_few_times_an_hour(stage: Stage) -> None:
    stage.hire("one", password="not-the-one")

    stage.pass_time(3600)

    assert stage.server.record.count("/api/v1/user/token") == 4
    assert stage.server.record.count("/publish/") == 0


def test_while_deliveries_are_parked_for_wrong_credentials_nothing_is_asked(stage: Stage) -> None:
    stage.redis.call("HSET", key("acme", "circuit"), "reason", "wrong_credentials", "since", START, "probe_at", START)
    stage.hire("one")

    stage.pass_time(60)

    assert stage.server.record.arrived == 0


def test_a_token_that_only_the_publish_service_refuses_costs_deliveries_nothing(stage: Stage) -> None:
    stage.hire("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))
    stage.server.faults.add(SimulatedFault(status=401, body={"message": "Invalid access token"}, path="/publish/"))

    stage.pass_time(3)

    assert (stage.server.record.count("/api/v1/user/token"), stage.server.record.count("/publish/")) == (2, 2)
    stored = TokenStore(stage.redis, "acme").load()
    assert stored is not None
    assert stored.refusal is None
    assert not stored.is_replacement


def test_one_kind_that_iem_refuses_holds_no_other_one_up(stage: Stage) -> None:
    stage.server.faults.add(SimulatedFault(status=400, path="/publish/service/"))
    stage.hire("one")

    stage.pass_time(3600)

    assert stage.server.record.count("/publish/service/") == 1, "refused as malformed: tomorrow again"
    assert len(stage.published("healthcheck")) == 60
    assert len(stage.published("metrics")) == 72


def test_half_of_the_metrics_is_not_told_twice(stage: Stage) -> None:
    stage.hire("one", PublishBlock(heartbeat=None, metrics=300.0, events=False, topology=False, backlog_age=900.0))
    stage.server.faults.add(SimulatedFault(delay=0, path="/publish/metrics/", count=3))
    stage.server.faults.add(SimulatedFault(status=500, path="/publish/metrics/", count=1))

    stage.pass_time(299)
    before = [one["parametername"] for one in stage.published("metrics")]
    stage.pass_time(10)

    assert len(before) == len(set(before)) < 6
    assert len(stage.published("metrics")) == len(before) + 6


def test_what_one_worker_learnt_of_a_refusal_the_others_go_by(stage: Stage) -> None:
    for name in ("one", "two", "three", "four"):
        stage.hire(name, password="not-the-one")

    for _ in range(60):
        stage.pass_time(60)
        stage.redis.call("DEL", key("acme", "publisher:lease"))  # whoever tells dies once a minute

    assert stage.server.record.count("/api/v1/user/token") == 4


def test_a_mended_account_is_used_as_soon_as_a_delivery_shows_it(stage: Stage) -> None:
    stage.hire("one", password="not-the-one")
    stage.pass_time(10)
    assert isinstance(stage.server.service, SimulatedIem)
    stage.server.service.set_user(ApiUser(IEM_USER, "not-the-one", frozenset({"ACME"})))
    stage.redis.call("DEL", key("acme", "token"))
    stage.pass_time(60)
    before = len(stage.published("healthcheck"))
    stage.count(delivered=1)
    stage.pass_time(6)

    assert (before, len(stage.published("healthcheck"))) == (0, 1)


def test_another_password_is_tried_at_once(stage: Stage) -> None:
    publisher = stage.hire("one", password="not-the-one")
    stage.pass_time(10)

    publisher.update_lanes([stage.lane("one")], [])
    stage.pass_time(6)

    assert len(stage.published("healthcheck")) == 1


def test_retry_after_is_honoured(stage: Stage) -> None:
    stage.server.faults.add(SimulatedFault(status=429, headers={"Retry-After": "1800"}, path="/publish/"))
    stage.hire("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))

    stage.pass_time(3600)

    assert stage.server.record.count("/publish/") == 2


def test_another_file_that_changes_disturbs_nothing(stage: Stage) -> None:
    publisher = stage.hire("one")
    stage.pass_time(10)
    for _ in range(5):
        publisher.update_lanes([], ["other"])
        stage.pass_time(5)

    assert len(stage.published("entity")) == 1
    assert len(stage.published("healthcheck")) == 1


def test_a_change_of_its_own_keeps_what_iem_was_told(stage: Stage) -> None:
    publisher = stage.hire("one")
    stage.have("dead", 1)
    stage.pass_time(10)
    publisher.update_lanes(
        [stage.lane("one", PublishBlock(60.0, None, events=True, topology=True, backlog_age=60.0))], []
    )
    stage.pass_time(10)

    assert [len(stage.published(kind)) for kind in ("entity", "events", "healthcheck")] == [1, 1, 1]


def test_the_old_customer_is_told_that_it_is_over_and_the_new_one_what_there_is(stage: Stage) -> None:
    assert isinstance(stage.server.service, SimulatedIem)
    stage.server.service.set_customer("NEW", active=True)
    stage.server.service.set_user(ApiUser(IEM_USER, IEM_PASSWORD, frozenset({"ACME", "NEW"})))
    publisher = stage.hire("one")
    stage.have("dead", 1)
    stage.pass_time(10)

    publisher.update_lanes([stage.lane("one", customer="NEW")], [])
    stage.pass_time(10)

    told = [(one["envcustomerid"], one["severity"]) for one in stage.published("events")]
    assert told == [("ACME", "5"), ("ACME", "1"), ("NEW", "5")]
    assert stage.published("events")[0]["ieventid"] == stage.published("events")[1]["ieventid"]


def test_an_integration_that_goes_leaves_no_event_open(stage: Stage) -> None:
    publisher = stage.hire("one")
    stage.have("dead", 1)
    stage.pass_time(10)

    publisher.update_lanes([], ["acme"])
    stage.pass_time(10)

    assert [one["severity"] for one in stage.published("events")] == ["5", "1"]


def test_who_stops_lets_another_one_tell_at_once(stage: Stage) -> None:
    publisher = stage.hire("one")
    stage.hire("two")
    stage.pass_time(10)
    del stage.publishers["one"]
    publisher.close()

    stage.pass_time(61)

    assert {one["host"] for one in stage.published("healthcheck")} == {"host-of-one", "host-of-two"}


def test_what_a_newer_version_remembered_is_no_trouble(stage: Stage) -> None:
    text = '{"since": 1, "at": 1, "detail": "0", "is_over": true, "more": 1}'
    stage.redis.call("HSET", key("acme", "publisher"), "customer", "ACME", "told:dead_letters", text)
    stage.hire("one")
    stage.have("dead", 1)

    stage.pass_time(5)

    assert len(stage.published("events")) == 1
