"""Webhooks that come at once share calls of Redis; under `everysec` they are over when Redis has handed them to its disk."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import RedisServer, wait_until
from store.bench import SECOND, START, Bench, resolution, sys_id, unusable

from relay.core.model import Mapped
from relay.core.values import format_time
from relay.errors import StoreUnavailableError
from relay.store import group_commit
from relay.store.connection import Connection
from relay.store.queue import Verdict, encode
from relay.store.trail import Trail

PATIENCE = 20


class Gate(Connection):
    """The real Redis, behind a gate at which each call that accepts webhooks waits to be let through."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=PATIENCE)
        self.calls: list[Sequence[str | int]] = []
        self.opened = threading.Semaphore(0)
        #: What Redis tells of its disk in the next calls (bytes that it holds back), and what they raise in place of an answer.
        self.told: list[int] = []
        self.faults: list[Exception | None] = []

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Call the script; `accept` when it is let through."""
        if script != "accept":
            return super().run(script, key, arguments)
        self.calls.append(arguments)
        assert self.opened.acquire(timeout=PATIENCE)
        if fault := self.faults.pop(0) if self.faults else None:
            raise fault
        held_back, *answers = super().run(script, key, arguments)
        return [self.told.pop(0) if self.told and arguments[2] else held_back, *answers]

    def let(self, calls: int) -> None:
        """Let so many calls through."""
        self.opened.release(calls)


class Crowd:
    """Threads with webhooks for one integration."""

    def __init__(self, gate: Gate, pool: ThreadPoolExecutor) -> None:
        self.gate = gate
        self.bench = Bench(gate)
        self._pool = pool

    def come(self, *mapped: Mapped) -> Future[list[Verdict]]:
        """Send a webhook with these records, and return when its thread has come so far that it waits."""
        seen = self._seen()
        submissions = [self.bench.submission(one) for one in mapped]
        records, now = encode(self.bench.integration, submissions, self.bench.now), self.bench.now
        future = self._pool.submit(self.bench.queue.accept_records, records, now)
        wait_until(lambda: self._seen() > seen or future.done(), "it has come")
        return future

    def come_while_one_is_stored(self, *updates: Mapped) -> list[Future[list[Verdict]]]:
        """Send webhooks of one record each, all but the first during its call."""
        return [self.come(one) for one in updates]

    def calls(self) -> list[int]:
        """Return how many records each call has stored."""
        return [sum(isinstance(argument, str) for argument in call) for call in self.gate.calls]

    def _seen(self) -> int:
        commits = self.bench.queue._commits
        return sum(self.calls()) + sum(len(webhook.records) for webhook in commits._waiting)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="relay-commit-") as folder:
        one = RedisServer(Path(folder)).start()
        yield one
        one.stop()


@contextmanager
def crowd_under(server: RedisServer, policy: str) -> Iterator[Crowd]:
    gate = Gate(server.url)
    gate.call("FLUSHALL")
    gate.call("CONFIG", "SET", "appendfsync", policy)
    try:
        with ThreadPoolExecutor(32) as pool:
            yield Crowd(gate, pool)
            gate.let(1000)
    finally:
        gate.close()


@pytest.fixture
def always(server: RedisServer) -> Iterator[Crowd]:
    with crowd_under(server, "always") as crowd:
        yield crowd


@pytest.fixture
def everysec(server: RedisServer) -> Iterator[Crowd]:
    with crowd_under(server, "everysec") as crowd:
        yield crowd


def statuses(futures: Sequence[Future[list[Verdict]]]) -> list[str]:
    return [verdict.status for future in futures for verdict in future.result(PATIENCE)]


def tickets(*numbers: int) -> list[Mapped]:
    return [resolution("5", ticket=number) for number in numbers]


@pytest.mark.parametrize(("policy", "asked"), [("everysec", True), ("always", False), ("no", False)])
def test_a_server_that_may_hold_writes_back_is_asked_after_each_webhook(
    server: RedisServer, policy: str, *, asked: bool
) -> None:
    with crowd_under(server, policy) as crowd:
        crowd.gate.call("CONFIG", "RESETSTAT")
        crowd.gate.let(10)

        for number in range(5):
            crowd.bench.accept_new(resolution("5", ticket=number))

        commands = str(crowd.gate.call("INFO", "commandstats"))
        assert ("cmdstat_info" in commands) is asked
        assert crowd.calls() == ([1, 0] * 5 if asked else [1] * 5)


def test_a_server_that_hides_its_policy_is_asked_too(always: Crowd, server: RedisServer) -> None:
    always.gate.call("ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-config")
    shy = Gate(server.url.replace("://", "://shy:secret@"))
    shy.let(10)

    Bench(shy).accept_new(resolution("5"))

    assert [call[2] for call in shy.calls] == [0, 1]
    shy.close()


def test_webhooks_that_come_during_a_call_share_the_next_one_and_are_stored_in_the_order_in_which_they_came(
    always: Crowd,
) -> None:
    futures = always.come_while_one_is_stored(
        *(resolution(str(version), state=6 + version % 2) for version in (1, 2, 5, 4))
    )
    always.gate.let(2)

    assert statuses(futures) == ["queued", "queued", "queued", "superseded"]
    assert always.calls() == [1, 3]
    assert [always.bench.status(future.result()[0].id) for future in futures] == [
        "superseded",
        "superseded",
        "queued",
        "superseded",
    ]


def test_each_is_told_the_verdict_on_its_own_records(always: Crowd) -> None:
    always.bench.queue = type(always.bench.queue)(always.gate, always.bench.name, retention=1, max_pending=4)
    one = always.come(*tickets(1, 2))
    others = [always.come(unusable("a"), *tickets(3)), always.come(*tickets(4, 5)), always.come(*tickets(6))]
    always.gate.let(2)

    assert statuses([one, others[0], others[2]]) == ["queued", "queued", "rejected", "queued", "queued"]
    with pytest.raises(Exception, match="has 4 pending deliveries"):
        others[1].result(PATIENCE)
    assert always.calls() == [2, 5]


def test_a_call_holds_so_many_records_that_others_get_their_turn(
    always: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_MOST_RECORDS", 3)
    futures = [always.come(*tickets(1, 2, 3, 4))]
    futures += [always.come(*tickets(*numbers)) for numbers in ((5, 6), (7,), (8, 9), (10,))]
    always.gate.let(3)

    assert statuses(futures) == ["queued"] * 10
    assert always.calls() == [4, 3, 3]


def test_the_call_that_stores_the_next_ones_finds_out_what_was_handed_to_the_disk(everysec: Crowd) -> None:
    first, *others = everysec.come_while_one_is_stored(*tickets(1, 2, 3))
    everysec.gate.let(2)

    assert statuses([first]) == ["queued"]
    wait_until(lambda: len(everysec.gate.calls) == 3, "the others' write is looked at")
    assert not any(future.done() for future in others)
    everysec.gate.let(1)
    assert statuses(others) == ["queued"] * 2
    assert everysec.calls() == [1, 2, 0]


def test_a_webhook_that_is_held_back_is_not_over_before_it_is_handed_to_the_disk(everysec: Crowd) -> None:
    everysec.gate.told = [100, 200, 0]
    future = everysec.come(*tickets(1))
    everysec.gate.let(3)
    wait_until(lambda: len(everysec.gate.calls) == 4, "it was looked at twice")

    assert not future.done()
    everysec.gate.let(1)
    assert statuses([future]) == ["queued"]


def test_nobody_waits_for_a_disk_that_is_too_busy_for_longer_than_he_can_be_told(
    everysec: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_PATIENCE", 0.1)
    everysec.gate.told = [100] * 1000
    everysec.gate.let(1000)

    with pytest.raises(StoreUnavailableError, match="its disk is too busy"):
        everysec.bench.accept_new(resolution("5"))


def test_what_has_waited_too_long_for_others_is_not_sent_any_more(
    always: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    always.gate.let(1)
    always.bench.accept_new(resolution("5"))  # so that the server's policy is known
    first, *others = always.come_while_one_is_stored(*tickets(2, 3, 4))
    monkeypatch.setattr(group_commit, "_PATIENCE", 0.0)
    always.gate.let(1)

    assert statuses([first]) == ["queued"]
    for future in others:
        with pytest.raises(StoreUnavailableError, match="Redis is slow"):
            future.result(PATIENCE)
    assert always.calls() == [1, 1]


def test_what_redis_cannot_take_of_one_keeps_no_other_out(everysec: Crowd) -> None:
    everysec.gate.call("SET", everysec.bench.key(f"t:{sys_id(2)}"), "somebody's own")
    futures = everysec.come_while_one_is_stored(*tickets(1, 2, 3, 1))
    everysec.gate.let(1000)

    with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
        futures.pop(1).result(PATIENCE)
    assert statuses(futures) == ["queued", "queued", "duplicate"]
    assert len(everysec.bench.listed("pending")) == 2


def test_what_redis_cannot_take_of_one_says_nothing_of_those_before_it(everysec: Crowd) -> None:
    everysec.gate.call("SET", everysec.bench.key(f"t:{sys_id(2)}"), "somebody's own")
    first, other = everysec.come_while_one_is_stored(*tickets(1, 2))
    everysec.gate.let(3)

    with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
        other.result(PATIENCE)
    assert not first.done()
    everysec.gate.let(1)
    assert statuses([first]) == ["queued"]
    assert everysec.calls() == [1, 1, 1, 0]


@pytest.mark.parametrize("fault", [StoreUnavailableError("Redis: away"), ZeroDivisionError("a bug")])
def test_a_call_that_fails_fails_for_all_who_share_it_and_for_nobody_else(always: Crowd, fault: Exception) -> None:
    always.gate.faults = [None, fault]
    first, *others = always.come_while_one_is_stored(*tickets(1, 2, 3, 4))
    always.gate.let(1)
    wait_until(lambda: always.calls() == [1, 3], "the others are sent")
    last = always.come(*tickets(5))
    always.gate.let(2)

    assert statuses([first, last]) == ["queued"] * 2
    for future in others:
        with pytest.raises((StoreUnavailableError, type(fault))):
            future.result(PATIENCE)
    assert always.calls() == [1, 3, 1]


def test_a_look_that_fails_fails_for_those_whose_write_may_be_held_back(everysec: Crowd) -> None:
    everysec.gate.faults = [None, StoreUnavailableError("Redis: away")]
    future = everysec.come(*tickets(1))
    everysec.gate.let(2)

    with pytest.raises(StoreUnavailableError, match="away"):
        future.result(PATIENCE)


def test_each_webhook_has_a_time_of_its_own(always: Crowd) -> None:
    futures = []
    for number in range(3):
        futures.append(always.come(*tickets(number)))
        always.bench.wait(SECOND)
    always.gate.let(2)

    assert statuses(futures) == ["queued"] * 3
    accepted_at = [record["at"] for record in Trail(always.gate).walk(always.bench.name)]
    assert accepted_at == [format_time(START + number * SECOND) for number in range(3)]
    assert always.calls() == [1, 2]


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_many_threads_with_many_webhooks_are_each_told_of_their_own(server: RedisServer, policy: str) -> None:
    with crowd_under(server, policy) as crowd:
        crowd.gate.let(10_000)
        wanted = {number: crowd.bench.submission(resolution("5", ticket=number)) for number in range(1500)}

        def send(number: int) -> tuple[str, str]:
            [verdict] = crowd.bench.submit([wanted[number]])
            return verdict.status, verdict.id

        with ThreadPoolExecutor(24) as pool:
            told = list(pool.map(send, wanted))

        assert told == [("queued", submission.id) for submission in wanted.values()]
        assert crowd.bench.listed("pending") == [submission.id for submission in wanted.values()]
        assert crowd.bench.queue._commits._is_led is False
