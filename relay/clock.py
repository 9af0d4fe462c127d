"""What time it is, as something that is handed in: a test's clock stands still until it is told to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


def now_ms() -> int:
    """Return the Unix milliseconds now."""
    return time.time_ns() // 1_000_000


def wait(seconds: float) -> None:
    """Return after some seconds."""
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks, one that machines share and one that never jumps; and waiting by them."""

    #: Unix milliseconds.
    now_ms: Callable[[], int] = now_ms
    #: Seconds since no matter when.
    monotonic: Callable[[], float] = time.monotonic
    #: Seconds.
    wait: Callable[[float], None] = wait
