"""Resolver lookups wait in Redis, ask once per person, and leave one audit record each. Real Redis, simulated Virima."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from harness import ImmediateExecutor, wait_until
from store.bench import DELIVERED, MINUTE, RETENTION, SECOND, Bench, make_integration, resolution
from virima.site import (
    CREDENTIALS,
    JANE,
    MAX,
    SERVICE,
    TIMEOUT,
    calls,
    logged_in,
    make_client,
    make_lookup,
    url_of,
    virima_of,
)

from relay.clock import Clock
from relay.core.mapping_blocks import VirimaBlock
from relay.core.model import Update
from relay.core.references import Env, Plain
from relay.http.credentials import Credentials
from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer
from relay.simulators.virima_people import Person
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats
from relay.store.lookup_queue import LookupQueue, LookupSettlement
from relay.store.trail import Trail, TrailQuery
from relay.virima.lookup import Lookup, LookupMode, LookupResult
from relay.worker.lookups import LookupLane, Lookups

CACHE = 3600.0


class Site:
    """An integration with a `virima` block on a test clock, and processes that look up its resolvers."""

    def __init__(self, redis: Connection, server: SimulatorServer, mode: LookupMode = "impersonate") -> None:
        self.redis = redis
        self.server = server
        self.mode: LookupMode = mode
        block = VirimaBlock(
            url=Plain("http://127.0.0.1:9"),
            username=Plain("u"),
            password=Env("PW"),
            lookup=mode,
            cache=CACHE,
            timeout=TIMEOUT,
        )
        self.bench = Bench(redis, replace(make_integration(), virima=block))

    def process(
        self, *, pool: Executor | None = None, credentials: Credentials = CREDENTIALS, config: str = "config-1"
    ) -> Lookups:
        clock = Clock(now_ms=lambda: self.bench.now, monotonic=lambda: self.bench.now / 1000)
        lookup = make_lookup(url_of(self.server), self.mode, credentials=credentials)
        lane = LookupLane("acme", self.mode, lookup, LookupQueue(self.redis, "acme", config=config), CACHE, TIMEOUT)
        return Lookups([lane], pool or ImmediateExecutor(), clock)

    def accept(self, email: str | None, *, ticket: int = 1) -> str:
        update = resolution("1", ticket=ticket)
        return self.bench.accept(Update(replace(update.ticket, resolved_by=email), 6)).id

    def run(self, lookups: Lookups, *, turns: int = 1) -> None:
        for _ in range(turns):
            lookups.turn()
            self.bench.wait(2 * SECOND)

    def records(self, delivery: str | None = None) -> list[dict[str, Any]]:
        query = TrailQuery(type="virima_lookup", delivery_id=delivery)
        return list(reversed(Trail(self.redis).page(["acme"], query, limit=500).items))

    @property
    def waiting(self) -> int:
        return Heartbeats(self.redis).backlogs(["acme"])[0].lookups

    @property
    def parked(self) -> str | None:
        return Heartbeats(self.redis).backlogs(["acme"])[0].virima_parked


def content_of(redis: Connection, name: str) -> Any:
    """Return the content of a key."""
    commands = {
        "string": ("GET", name),
        "hash": ("HGETALL", name),
        "set": ("SMEMBERS", name),
        "zset": ("ZRANGE", name, 0, -1),
        "stream": ("XRANGE", name, "-", "+"),
    }
    return redis.call(*commands[redis.call("TYPE", name)])


@pytest.fixture
def site(redis: Connection, server: SimulatorServer) -> Site:
    return Site(redis, server)


def test_the_resolver_of_an_accepted_update_is_recorded(site: Site) -> None:
    delivery = site.accept(JANE.email)

    site.run(site.process())

    [record] = site.records()
    assert record["delivery_id"] == delivery
    assert (record["sys_id"], record["number"]) == (site.bench.record(delivery)["sys_id"], "INC0000001")
    assert (record["lookup"], record["email"], record["outcome"]) == ("impersonate", JANE.email, "found")
    assert (record["cached"], record["status"]) == (False, 200)
    assert record["user"]["email"] == JANE.email
    assert record["user"]["displayName"] == JANE.display_name
    assert site.waiting == 0
    assert logged_in(site.server) == [SERVICE.email]


@pytest.mark.parametrize(
    ("resolver", "reason"),
    [
        (None, "no_resolver"),
        ("681b365ec0a80164000fb0b05854a0cd", "no_email"),
        ("jane.doe", "no_email"),
        ("a b@c.d", "no_email"),
    ],
)
def test_a_resolver_without_an_email_is_recorded_as_skipped(site: Site, resolver: str | None, reason: str) -> None:
    delivery = site.accept(resolver)

    [record] = site.records()
    assert (record["outcome"], record["reason"], record["delivery_id"]) == ("skipped", reason, delivery)
    assert record.get("resolver") == resolver
    assert site.waiting == 0
    assert calls(site.server) == {}


def test_session_mode_looks_up_the_service_account(redis: Connection, server: SimulatorServer) -> None:
    site = Site(redis, server, "session")
    site.accept(None, ticket=1)
    site.accept(JANE.email, ticket=2)

    site.run(site.process())

    assert [(record["outcome"], record["user"]["email"], record["cached"]) for record in site.records()] == [
        ("found", SERVICE.email, False),
        ("found", SERVICE.email, True),
    ]
    assert calls(site.server) == {"dologin": 1, "get-logged-in-user": 1}


def test_an_integration_without_virima_makes_no_lookup(redis: Connection) -> None:
    bench = Bench(redis)
    bench.accept(resolution("1"))

    assert Heartbeats(redis).backlogs(["acme"])[0].lookups == 0
    assert [record["type"] for record in Trail(redis).walk("acme")] == ["accepted"]


def test_all_processes_ask_once_per_person_within_the_cache_time(site: Site) -> None:
    people = [Person(f"person{number}@example.com", f"Person {number}", f"pass-word-{number}") for number in range(20)]
    for person in people:
        virima_of(site.server).set_person(person)
    deliveries = [site.accept(people[number % 20].email, ticket=number) for number in range(1_000)]

    with ThreadPoolExecutor(8) as pool:
        processes = [site.process(pool=pool) for _ in range(3)]

        def is_done() -> bool:
            for process in processes:
                process.turn()
            site.bench.wait(SECOND)
            return site.waiting == 0

        wait_until(is_done, "all resolvers are looked up", patience=60)

    records = list(Trail(site.redis).walk("acme"))
    looked_up = [record for record in records if record["type"] == "virima_lookup"]
    assert sorted(record["delivery_id"] for record in looked_up) == sorted(deliveries), "one record for each delivery"
    assert {record["outcome"] for record in looked_up} == {"found"}
    assert sum(not record["cached"] for record in looked_up) == 20
    assert calls(site.server)["dologin-impersonate"] == 20
    assert set(logged_in(site.server)) == {SERVICE.email}


def test_an_unknown_person_and_a_missing_second_factor_are_recorded(site: Site) -> None:
    site.accept("unknown@example.com", ticket=1)
    site.accept(MAX.email, ticket=2)

    site.run(site.process())

    found = {record["email"]: (record["outcome"], record["status"]) for record in site.records()}
    assert found == {"unknown@example.com": ("not_found", 404), MAX.email: ("mfa_pending", 200)}


def test_a_virima_that_is_down_parks_the_lookups(site: Site) -> None:
    deliveries = [site.accept(f"person{ticket}@example.com", ticket=ticket) for ticket in range(12)]
    site.server.faults.add(SimulatedFault(status=500))

    site.run(site.process(), turns=9)

    failed = site.records()
    assert 5 <= len(failed) <= 7
    assert {(record["outcome"], record["reason"], record["status"]) for record in failed} == {
        ("failed", "server_error", 500)
    }
    assert len({record["delivery_id"] for record in failed}) == len(failed)
    assert site.parked == "down"
    site.server.faults.clear()
    site.bench.wait(10 * MINUTE)
    site.run(site.process(), turns=8)
    assert [site.parked, site.waiting] == [None, 0]
    assert sorted(record["delivery_id"] for record in site.records()) == sorted(deliveries)


def test_wrong_credentials_are_tried_once_and_then_probed(site: Site) -> None:
    wrong = Credentials(SERVICE.email, "not the pass word")
    for ticket in range(10):
        site.accept(JANE.email, ticket=ticket)
    process = site.process(credentials=wrong)

    site.run(process, turns=20)

    assert site.parked == "wrong_credentials"
    [record] = site.records()
    assert (record["outcome"], record["reason"], record["status"]) == ("failed", "wrong_credentials", 401)
    assert calls(site.server)["dologin"] == 1
    site.bench.wait(5 * MINUTE)
    site.run(process)
    assert calls(site.server)["dologin"] == 2


def test_a_corrected_password_is_tried_at_once(site: Site) -> None:
    for ticket in range(10):
        site.accept(JANE.email, ticket=ticket)
    site.run(site.process(credentials=Credentials(SERVICE.email, "not the pass word"), config="wrong"), turns=3)

    site.run(site.process(config="right"), turns=3)

    assert [site.parked, site.waiting] == [None, 0]


def test_the_lookup_of_a_killed_process_is_repeated_with_one_record(site: Site) -> None:
    delivery = site.accept(JANE.email)
    lost, _ = LookupQueue(site.redis, "acme", config="config-1").take(10, lease=10 * SECOND, now=site.bench.now)

    site.run(site.process())
    assert site.records() == []
    site.bench.wait(10 * SECOND)
    site.run(site.process())

    assert [lookup.id for lookup in lost] == [delivery]
    assert len(site.records()) == 1


def test_a_result_after_the_lease_is_not_recorded(site: Site) -> None:
    site.accept(JANE.email)
    queue = LookupQueue(site.redis, "acme", config="config-1")
    [lost], _ = queue.take(10, lease=10 * SECOND, now=site.bench.now)
    site.bench.wait(10 * SECOND)
    site.run(site.process())

    late = queue.settle([LookupSettlement(lost, {"outcome": "found", "cached": False})], failures=5, now=site.bench.now)

    assert late == [False]
    assert len(site.records()) == 1


def test_a_lookup_never_made_is_recorded_when_its_delivery_is_swept(site: Site) -> None:
    delivery = site.accept(JANE.email)
    site.bench.attempt(DELIVERED)
    site.bench.wait(RETENTION + SECOND)

    site.bench.queue.sweep(cap=10, now=site.bench.now)

    [record] = site.records()
    assert (record["outcome"], record["reason"], record["delivery_id"]) == ("failed", "given_up", delivery)
    assert site.waiting == 0


def test_no_secret_of_virima_reaches_redis(site: Site) -> None:
    site.accept(JANE.email)
    site.run(site.process())

    everything = str([content_of(site.redis, name) for name in site.redis.call("KEYS", "*")])
    assert JANE.display_name in everything
    for secret in {*virima_of(site.server).secrets_sent(), SERVICE.password, JANE.password}:
        assert secret not in everything


def test_a_bug_in_a_lookup_is_recorded_and_not_repeated(site: Site) -> None:
    class Buggy(Lookup):
        """A lookup with a bug."""

        def look_up(self, email: str) -> LookupResult:
            raise ZeroDivisionError(email)

    site.accept(JANE.email)
    site.accept(JANE.email, ticket=2)
    process = site.process()
    [lane] = process._lanes
    lane.lookup = Buggy(make_client(url_of(site.server)), mode="impersonate", timeout=TIMEOUT, clock=Clock())

    site.run(process, turns=3)

    assert [(record["outcome"], record["reason"]) for record in site.records()] == [("failed", "bug")] * 2
    assert site.waiting == 0


def test_an_old_password_is_not_tried_again_while_a_new_one_works(site: Site) -> None:
    old = site.process(credentials=Credentials(SERVICE.email, "the old pass word"), config="old")
    new = site.process(config="new")
    for ticket in range(30):
        site.accept(f"person{ticket}@example.com", ticket=ticket)

    for _ in range(60):
        site.run(old)
        site.run(new)

    refused = [record for record in site.records() if record["reason"] == "wrong_credentials"]
    assert len(refused) <= 2, "as many as were in progress when the first one was refused"
    assert len(site.records()) == 30
    assert site.waiting == 0


def test_a_result_cached_just_before_the_lock_is_used(site: Site) -> None:
    class SlowQueue(LookupQueue):
        """A queue whose process is paused between the read of the cache and the lock."""

        def lock(self, mode: str, email: str, *, for_ms: int) -> str | None:
            if not self.paused:
                self.paused = True
                site.run(site.process())
            return super().lock(mode, email, for_ms=for_ms)

        paused = False

    site.accept(JANE.email, ticket=1)
    process = site.process()
    [lane] = process._lanes
    lane.queue = SlowQueue(site.redis, "acme", config="config-1")
    site.accept(JANE.email, ticket=2)
    taken = lane.queue.take(1, lease=MINUTE, now=site.bench.now)
    site.bench.queue.settle([], now=site.bench.now)

    process._begin(lane, JANE.email, taken[0], has_room=True)

    assert calls(site.server)["dologin-impersonate"] == 1
    assert [record["cached"] for record in site.records()] == [False, True]


def test_similar_emails_are_different_people(site: Site) -> None:
    for email, name in (("strasse@example.com", "Strasse"), ("stra\u00dfe@example.com", "Straße")):
        virima_of(site.server).set_person(Person(email, name))
        site.accept(email, ticket=len(name))
        site.run(site.process(), turns=2)

    assert [record["user"]["displayName"] for record in site.records()] == ["Strasse", "Straße"]


def test_a_long_id_is_recorded_as_an_integer(site: Site) -> None:
    virima_of(site.server).set_person(Person("long@example.com", "Long Id", details={"id": 123456789012345678}))
    site.accept("long@example.com")

    site.run(site.process())

    assert isinstance(site.records()[0]["user"]["id"], int)
