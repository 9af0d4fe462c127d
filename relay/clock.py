"""The clock, which is passed in so that a test can set the time; and the background loops."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from relay.errors import StoreUnavailableError

_LOG = logging.getLogger("relay.background")

_T = TypeVar("_T")


def now_ms() -> int:
    """Return the current Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def wait(seconds: float) -> None:
    """Block for `seconds`."""
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock, a clock that never jumps, and a way to wait."""

    #: Unix milliseconds.
    now_ms: Callable[[], int] = now_ms
    #: Seconds since an arbitrary moment.
    monotonic: Callable[[], float] = time.monotonic
    #: Takes seconds.
    wait: Callable[[float], None] = wait


def every(
    seconds: float,
    turn: Callable[[], bool | None],
    *,
    name: str,
    stopping: threading.Event,
    wake_up: threading.Event | None = None,
    at_once: bool = False,
) -> threading.Thread:
    """Call `turn` every `seconds` in a daemon thread, until `stopping` is set. Return the thread.

    A turn that returns True is followed by the next one without a wait. Setting `wake_up` ends a wait early.
    `at_once`: the first turn does not wait. An exception ends a turn, never the loop: see `contain`. While Redis is unavailable,
    turns fail silently: the delivery loop logs it.
    """

    def has_more_to_do() -> bool:
        with suppress(StoreUnavailableError):
            return bool(contain(turn, lambda: None, what=f"the background loop {name}"))
        return False

    def run() -> None:
        pause = 0.0 if at_once else seconds
        while True:
            (wake_up or stopping).wait(pause)
            if stopping.is_set():
                return
            if wake_up:
                wake_up.clear()
            pause = 0.0 if has_more_to_do() else seconds

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def contain(work: Callable[[], _T], on_bug: Callable[[], _T], *, what: str) -> _T:
    """Return the result of `work`. If it raises, log the traceback as a bug in `what`, and return the result of `on_bug`.

    Use it for work on one of several items, if a bug with one item must not stop the work on the others.
    StoreUnavailableError is not a bug: it is raised.
    """
    try:
        return work()
    except StoreUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - the one broad handler outside web: background work must survive a bug
        _LOG.exception("a bug in %s", what)
        return on_bug()
