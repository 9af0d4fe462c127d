"""Redis may answer before it hands a write to its disk, under `everysec` alone: there it is asked, elsewhere it is not."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness import RedisServer, wait_until
from store.bench import Bench, resolution

from relay.errors import StoreUnavailableError
from relay.store import flush
from relay.store.connection import Connection
from relay.store.flush import Looks


class BusyDisk(Connection):
    """The real Redis, which tells of its disk what `held_back` has (bytes), one look after the other; then the truth."""

    held_back: Sequence[int] = ()
    looks = 0

    def call(self, *command: Any) -> Any:
        """Return the answer to a command."""
        if command[:2] != ("EVAL", flush._HELD_BACK):
            return super().call(*command)
        self.looks += 1
        return self.held_back[self.looks - 1] if self.looks <= len(self.held_back) else super().call(*command)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="relay-flush-") as folder:
        one = RedisServer(Path(folder)).start()
        yield one
        one.stop()


@pytest.mark.parametrize(("policy", "asked"), [("everysec", True), ("always", False), ("no", False)])
def test_a_server_that_may_hold_writes_back_is_asked_after_each_webhook(
    server: RedisServer, policy: str, *, asked: bool
) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", policy)
    connection.call("CONFIG", "RESETSTAT")
    bench = Bench(connection)

    for ticket in range(5):
        bench.accept_new(resolution("5", ticket=ticket))

    commands = str(connection.call("INFO", "commandstats"))
    assert ("cmdstat_info" in commands) is asked
    connection.close()


def test_a_server_that_hides_its_policy_is_asked_too(server: RedisServer) -> None:
    connection = Connection(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "always")
    connection.call("ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-config")
    shy = Connection(server.url.replace("://", "://shy:secret@"), timeout=5)
    connection.call("CONFIG", "RESETSTAT")

    Bench(shy).accept_new(resolution("hidden"))

    assert "cmdstat_info" in str(connection.call("INFO", "commandstats"))
    connection.close()
    shy.close()


@pytest.fixture
def busy(server: RedisServer) -> Iterator[BusyDisk]:
    connection = BusyDisk(server.url, timeout=5)
    connection.call("FLUSHALL")
    connection.call("CONFIG", "SET", "appendfsync", "everysec")
    yield connection
    connection.close()


def test_a_webhook_is_acknowledged_when_nothing_is_held_back_any_more(busy: BusyDisk) -> None:
    busy.held_back = [300, 200, 100]

    Bench(busy).accept_new(resolution("5"))

    assert busy.looks == 4


def test_a_webhook_that_stays_held_back_is_not_known_to_be_stored(
    busy: BusyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush, "_PATIENCE", 0.05)
    busy.held_back = [100] * 1000

    with pytest.raises(StoreUnavailableError, match="its disk is too busy"):
        Bench(busy).accept_new(resolution("5"))


def test_those_who_come_during_a_look_share_the_next_one() -> None:
    """The look under way may have begun before their writes: it does not count for them."""
    begun, go_on, numbers = threading.Semaphore(0), threading.Semaphore(0), itertools.count(1)

    def look() -> bool:
        begun.release()
        assert go_on.acquire(timeout=10)
        return next(numbers) == 2

    looks = Looks(look)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(looks.look)
        assert begun.acquire(timeout=10)
        others = [pool.submit(looks.look) for _ in range(4)]
        wait_until(lambda: len(looks._changed._waiters) == 4, "they wait")  # type: ignore[attr-defined]
        go_on.release()
        assert begun.acquire(timeout=10)
        assert not any(one.done() for one in others)
        go_on.release()

        assert first.result(10) is False
        assert [one.result(10) for one in others] == [True] * 4
    assert next(numbers) == 3


def test_a_look_that_fails_fails_for_all_who_share_it_and_for_nobody_else() -> None:
    answers: list[bool | Exception] = [StoreUnavailableError("Redis: away"), False]

    def look() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    looks = Looks(look)
    with pytest.raises(StoreUnavailableError, match="away"):
        looks.look()
    assert looks.look() is False
