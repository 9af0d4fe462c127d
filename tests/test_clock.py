"""Background loops survive a bug, stay silent while Redis is unavailable, and end when they are stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from harness import wait_until

from relay.clock import contain, every
from relay.errors import StoreUnavailableError

NEVER = 3600.0


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    stopping = threading.Event()
    yield stopping
    stopping.set()


class Turns:
    """Counts its turns; the first one does what the test says."""

    def __init__(self, first: Callable[[], bool | None]) -> None:
        self.count = 0
        self._first = first

    def __call__(self) -> bool | None:
        self.count += 1
        return self._first() if self.count == 1 else None


def fail(error: Exception) -> bool:
    raise error


def test_a_loop_survives_a_bug_and_logs_its_traceback(
    stopping: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(lambda: fail(ZeroDivisionError()))

    every(0.01, turns, name="example", stopping=stopping)
    wait_until(lambda: turns.count > 1, "the loop continues")

    [record] = caplog.records
    assert record.getMessage() == "a bug in the background loop example"
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


def test_a_turn_without_redis_is_not_logged(stopping: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    turns = Turns(lambda: fail(StoreUnavailableError("Redis: away")))

    with caplog.at_level(logging.DEBUG):
        every(0.01, turns, name="example", stopping=stopping)
        wait_until(lambda: turns.count > 1, "the loop continues")

    assert caplog.records == []


def test_a_turn_with_more_to_do_is_followed_at_once(stopping: threading.Event) -> None:
    turns = Turns(lambda: True)

    every(NEVER, turns, name="example", stopping=stopping, at_once=True)

    wait_until(lambda: turns.count == 2, "the second turn runs")


def test_a_wake_up_ends_one_wait(stopping: threading.Event) -> None:
    wake_up, turns = threading.Event(), Turns(lambda: None)
    every(NEVER, turns, name="example", stopping=stopping, wake_up=wake_up)

    wake_up.set()

    wait_until(lambda: turns.count == 1, "the turn runs")
    wait_until(lambda: not wake_up.is_set(), "the loop waits again")


def test_a_stopped_loop_ends_without_another_turn(stopping: threading.Event) -> None:
    turns = Turns(lambda: None)
    thread = every(NEVER, turns, name="example", stopping=stopping)

    stopping.set()
    thread.join(5)

    assert not thread.is_alive()
    assert turns.count == 0


def test_a_contained_bug_yields_the_substitute(caplog: pytest.LogCaptureFixture) -> None:
    result = contain(lambda: fail(KeyError("key")), lambda: False, what="an example")

    assert result is False
    assert [record.getMessage() for record in caplog.records] == ["a bug in an example"]


def test_an_unavailable_store_is_not_contained() -> None:
    with pytest.raises(StoreUnavailableError):
        contain(lambda: fail(StoreUnavailableError("Redis: away")), lambda: False, what="an example")
