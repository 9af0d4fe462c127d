"""Publishing the relay's own health to IEM: real Redis, a simulated IEM that accepts only what the guide allows, a test clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from harness import IEM_PASSWORD, IEM_USER, ImmediateExecutor, iem_of, simulated_iem

from relay.clock import Clock
from relay.core.ids import make_id
from relay.core.mapping_blocks import PublishBlock
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import IemClient
from relay.iem.reports import ReportSubject
from relay.iem.service import IemService
from relay.iem.token_cache import TokenCache
from relay.simulators.faults import SimulatedFault
from relay.simulators.iem_access import ApiUser
from relay.simulators.server import SimulatorServer
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.keys import key
from relay.store.publication_store import PublicationStore
from relay.store.token_store import TokenStore
from relay.worker.publication_plan import PublishingLane
from relay.worker.publishing import Publisher

START = 1_795_342_830_000
ALL = PublishBlock(heartbeat=60.0, metrics=300.0, events=True, topology=True, backlog_age=900.0)


@dataclass
class Publishers:
    """Worker processes that publish for the integration acme, on one clock."""

    redis: Connection
    server: SimulatorServer
    now: float = 0.0
    running: dict[str, Publisher] = field(default_factory=dict)

    def lane(
        self, name: str, publish: PublishBlock = ALL, password: str = IEM_PASSWORD, customer: str = "ACME"
    ) -> PublishingLane:
        """Return the lane of one process."""
        clock = Clock(now_ms=lambda: START + int(self.now * 1000), monotonic=lambda: self.now)
        client = IemClient(Caller(self.server.url, ca_file=None, connections=1), Credentials(IEM_USER, password))
        tokens = TokenCache(
            TokenStore(self.redis, "acme"), client, config=password, lifetime=1e6, timeout=2.0, clock=clock
        )
        return PublishingLane(
            ReportSubject("acme", customer, "servicenow", f"host-of-{name}"),
            publish,
            IemService(client, tokens, auth="token", timeout=2.0, clock=clock),
            PublicationStore(self.redis, "acme"),
            config=password,
            longest_turn=6.0,
        )

    def start(self, name: str, publish: PublishBlock = ALL, password: str = IEM_PASSWORD) -> Publisher:
        """Start one more process."""
        clock = Clock(now_ms=lambda: START + int(self.now * 1000), monotonic=lambda: self.now)
        self.running[name] = Publisher(name, [self.lane(name, publish, password)], ImmediateExecutor(), clock)
        return self.running[name]

    def run_for(self, seconds: float) -> None:
        """Let each process take one turn per second."""
        for _ in range(int(seconds)):
            self.now += 1
            for publisher in self.running.values():
                publisher.turn()

    def published(self, kind: str) -> list[dict[str, Any]]:
        return iem_of(self.server).published[kind]

    def count_attempts(self, **counts: int) -> None:
        """Increase the counts of finished attempts."""
        for name, by in counts.items():
            self.redis.call("HINCRBY", key("acme", "counts"), name, by)

    def set_deliveries(self, status: str, number: int, *, since: float = 0.0) -> None:
        """Set the number of deliveries with a status."""
        self.redis.call("DEL", key("acme", f"in:{status}"))
        for index in range(number):
            self.redis.call(
                "ZADD", key("acme", f"in:{status}"), 0, make_id(START + int(since * 1000), index.to_bytes(10))
            )


@pytest.fixture
def site(redis: Connection) -> Iterator[Publishers]:
    with simulated_iem() as server:
        yield Publishers(redis, server)


def test_each_kind_is_published_at_startup_and_at_its_interval(site: Publishers) -> None:
    site.start("one")

    site.run_for(1)
    at_start = {kind: len(site.published(kind)) for kind in ("entity", "service", "healthcheck", "metrics", "events")}
    site.run_for(300)

    assert at_start == {"entity": 1, "service": 1, "healthcheck": 1, "metrics": 6, "events": 0}
    assert len(site.published("healthcheck")) == 6
    assert len(site.published("metrics")) == 12
    site.now += 86_400
    site.run_for(1)
    assert (len(site.published("entity")), len(site.published("service"))) == (2, 2)
    assert {body["status"] for body in site.published("healthcheck")} == {"Green"}


def test_metrics_are_counts_since_the_last_ones_and_the_backlog(site: Publishers) -> None:
    site.start("one")
    site.count_attempts(delivered=7, latency_ms=700)
    site.run_for(1)
    site.count_attempts(delivered=3, latency_ms=600, retrying=5, dead=2)
    site.set_deliveries("pending", 4, since=100.0)

    site.run_for(300)

    values = {body["parametername"]: body["messages"] for body in site.published("metrics")[6:]}
    assert values == {
        "delivered": "3",
        "retried": "5",
        "dead": "2",
        "backlog": "4",
        "oldest_pending_seconds": "201",
        "latency_ms": "200",
    }


def test_one_process_publishes_and_another_takes_over(site: Publishers) -> None:
    for name in ("one", "two", "three"):
        site.start(name, PublishBlock(heartbeat=60.0, metrics=None, events=True, topology=False, backlog_age=900.0))
    site.set_deliveries("dead", 3)
    site.run_for(180)
    publishing = {body["host"] for body in site.published("healthcheck")}
    del site.running["one"]
    site.redis.call("DEL", key("acme", "publisher:lease"))  # as if it had expired

    site.run_for(120)

    assert publishing == {"host-of-one"}
    assert [body["host"] for body in site.published("healthcheck")] == ["host-of-one"] * 3 + ["host-of-two"] * 2
    assert len(site.published("events")) == 1


def test_an_event_and_its_end_have_the_same_ids(site: Publishers) -> None:
    site.start("one")
    circuit = Circuit(site.redis)
    circuit.park("acme", actor="ann", why="maintenance", now=START)
    site.run_for(10)
    circuit.resume("acme", actor="ann", why="", now=START + 10_000)
    site.run_for(10)

    begun, ended = site.published("events")
    for name in ("ieventid", "splitby", "firstoccurrence", "entityid", "parameterid"):
        assert begun[name] == ended[name]
    assert (begun["severity"], ended["severity"]) == ("4", "1")
    assert begun["splitby"] == "ACME_itsm-webhook-relay-acme_parked"
    assert begun["firstoccurrence"] == "2026-11-22T10:20:30.000Z"
    statuses = [body["status"] for body in site.published("healthcheck")]
    assert statuses == ["Amber"]


def test_a_thousand_dead_letters_are_one_event_with_a_count(site: Publishers) -> None:
    site.start("one")
    site.run_for(1)
    site.count_attempts(dead=1000)
    site.set_deliveries("dead", 1000)
    site.run_for(60)
    site.set_deliveries("dead", 0)
    site.run_for(6)

    begun, ended = site.published("events")
    assert begun["messages"] == "1000 deliveries were given up: see `relay deliveries list --status dead`"
    assert ended["messages"] == "no dead letters are left"
    assert "Red" in [body["status"] for body in site.published("healthcheck")]


def test_an_old_backlog_and_its_end_are_published(site: Publishers) -> None:
    site.start("one")
    site.set_deliveries("pending", 2)
    site.run_for(905)
    site.set_deliveries("pending", 0)
    site.run_for(5)

    assert [body["parametername"] for body in site.published("events")] == ["backlog", "backlog"]


def test_a_failed_publication_is_repeated_at_growing_intervals(site: Publishers) -> None:
    site.server.faults.add(SimulatedFault(status=503, path="/publish/"))
    site.start("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))

    site.run_for(300)
    tried = site.server.request_log.count("/publish/")
    site.server.faults.clear()
    site.run_for(300)

    assert tried == 6, "after 5, 10, 20, 40, 80 and 160 seconds"
    assert len(site.published("healthcheck")) >= 1


def test_wrong_credentials_are_tried_four_times_in_an_hour(site: Publishers) -> None:
    site.start("one", password="wrong password")

    site.run_for(3600)

    assert site.server.request_log.count("/api/v1/user/token") == 4
    assert site.server.request_log.count("/publish/") == 0


def test_nothing_is_published_while_parked_for_wrong_credentials(site: Publishers) -> None:
    site.redis.call("HSET", key("acme", "circuit"), "reason", "wrong_credentials", "since", START, "probe_at", START)
    site.start("one")

    site.run_for(60)

    assert site.server.request_log.arrived == 0


def test_a_token_refused_for_publishing_does_not_affect_deliveries(site: Publishers) -> None:
    site.start("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))
    site.server.faults.add(SimulatedFault(status=401, body={"message": "Invalid access token"}, path="/publish/"))

    site.run_for(3)

    assert (site.server.request_log.count("/api/v1/user/token"), site.server.request_log.count("/publish/")) == (2, 2)
    stored = TokenStore(site.redis, "acme").load()
    assert stored is not None
    assert stored.refusal is None
    assert not stored.is_replacement


def test_a_refused_kind_does_not_delay_the_others(site: Publishers) -> None:
    site.server.faults.add(SimulatedFault(status=400, path="/publish/service/"))
    site.start("one")

    site.run_for(3600)

    assert site.server.request_log.count("/publish/service/") == 1, "refused as malformed: repeated after a day"
    assert len(site.published("healthcheck")) == 60
    assert len(site.published("metrics")) == 72


def test_published_metrics_are_not_repeated_after_a_failure(site: Publishers) -> None:
    site.start("one", PublishBlock(heartbeat=None, metrics=300.0, events=False, topology=False, backlog_age=900.0))
    site.server.faults.add(SimulatedFault(delay=0, path="/publish/metrics/", count=3))
    site.server.faults.add(SimulatedFault(status=500, path="/publish/metrics/", count=1))

    site.run_for(299)
    before = [body["parametername"] for body in site.published("metrics")]
    site.run_for(10)

    assert len(before) == len(set(before)) < 6
    assert len(site.published("metrics")) == len(before) + 6


def test_all_processes_share_the_wait_after_a_refusal(site: Publishers) -> None:
    for name in ("one", "two", "three", "four"):
        site.start(name, password="wrong password")

    for _ in range(60):
        site.run_for(60)
        site.redis.call("DEL", key("acme", "publisher:lease"))  # the publishing process dies once a minute

    assert site.server.request_log.count("/api/v1/user/token") == 4


def test_a_corrected_account_is_used_after_the_first_delivery(site: Publishers) -> None:
    site.start("one", password="wrong password")
    site.run_for(10)
    iem_of(site.server).set_user(ApiUser(IEM_USER, "wrong password", frozenset({"ACME"})))
    site.redis.call("DEL", key("acme", "token"))
    site.run_for(60)
    before = len(site.published("healthcheck"))
    site.count_attempts(delivered=1)
    site.run_for(6)

    assert (before, len(site.published("healthcheck"))) == (0, 1)


def test_a_changed_password_is_tried_at_once(site: Publishers) -> None:
    publisher = site.start("one", password="wrong password")
    site.run_for(10)

    publisher.update_lanes([site.lane("one")], [])
    site.run_for(6)

    assert len(site.published("healthcheck")) == 1


def test_retry_after_is_honoured(site: Publishers) -> None:
    site.server.faults.add(SimulatedFault(status=429, headers={"Retry-After": "1800"}, path="/publish/"))
    site.start("one", PublishBlock(heartbeat=60.0, metrics=None, events=False, topology=False, backlog_age=900.0))

    site.run_for(3600)

    assert site.server.request_log.count("/publish/") == 2


def test_a_change_of_another_integration_has_no_effect(site: Publishers) -> None:
    publisher = site.start("one")
    site.run_for(10)
    for _ in range(5):
        publisher.update_lanes([], ["other"])
        site.run_for(5)

    assert len(site.published("entity")) == 1
    assert len(site.published("healthcheck")) == 1


def test_a_changed_mapping_does_not_repeat_publications(site: Publishers) -> None:
    publisher = site.start("one")
    site.set_deliveries("dead", 1)
    site.run_for(10)
    publisher.update_lanes(
        [site.lane("one", PublishBlock(heartbeat=60.0, events=True, topology=True, backlog_age=60.0))], []
    )
    site.run_for(10)

    assert [len(site.published(kind)) for kind in ("entity", "events", "healthcheck")] == [1, 1, 1]


def test_a_changed_customer_ends_the_events_of_the_old_one(site: Publishers) -> None:
    iem_of(site.server).set_customer("NEW", active=True)
    iem_of(site.server).set_user(ApiUser(IEM_USER, IEM_PASSWORD, frozenset({"ACME", "NEW"})))
    publisher = site.start("one")
    site.set_deliveries("dead", 1)
    site.run_for(10)

    publisher.update_lanes([site.lane("one", customer="NEW")], [])
    site.run_for(10)

    events = [(body["envcustomerid"], body["severity"]) for body in site.published("events")]
    assert events == [("ACME", "5"), ("ACME", "1"), ("NEW", "5")]
    assert site.published("events")[0]["ieventid"] == site.published("events")[1]["ieventid"]


def test_a_removed_integration_leaves_no_event_open(site: Publishers) -> None:
    publisher = site.start("one")
    site.set_deliveries("dead", 1)
    site.run_for(10)

    publisher.update_lanes([], ["acme"])
    site.run_for(10)

    assert [body["severity"] for body in site.published("events")] == ["5", "1"]


def test_a_closed_publisher_is_replaced_at_once(site: Publishers) -> None:
    publisher = site.start("one")
    site.start("two")
    site.run_for(10)
    del site.running["one"]
    publisher.close()

    site.run_for(61)

    assert {body["host"] for body in site.published("healthcheck")} == {"host-of-one", "host-of-two"}


def test_fields_of_a_newer_version_are_ignored(site: Publishers) -> None:
    text = '{"since": 1, "at": 1, "detail": "0", "is_over": true, "more": 1}'
    site.redis.call("HSET", key("acme", "publisher"), "customer", "ACME", "told:dead_letters", text)
    site.start("one")
    site.set_deliveries("dead", 1)

    site.run_for(5)

    assert len(site.published("events")) == 1
