"""Redis may answer before it hands a write to its disk, under `everysec` alone: there it is asked, elsewhere it is not."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import RedisServer, wait_until
from store.bench import Bench, resolution

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.flush import Looks


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
