"""Looking at Redis for the probes and the metrics: in a thread of its own, kept for a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from relay.clock import now_ms
from relay.errors import StoreUnavailableError
from relay.mappings import Catalogue
from relay.store.durability import Durability, read_durability
from relay.store.pulse import Backlog, Pulse

#: A probe has this long (seconds): the answer leaves within a second.
_PATIENCE = 0.85
_KEPT = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at Redis found."""

    at: int
    durability: Durability | None = None
    youngest_beat: int | None = None
    backlogs: tuple[Backlog, ...] = ()
    fault: str | None = None


@dataclass(slots=True)
class Watch:
    """Looks at Redis in a thread of its own, so that a Redis that hangs does not hang the asker."""

    pulse: Pulse
    read_durability: Callable[[], Durability]
    names: Callable[[], list[str]]
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "health"))
    _running: Future[Look] | None = None
    _last: Look | None = None
    _last_at: float = 0.0

    def look(self) -> Look:
        """Return what was found within the last second, or now; a look that takes too long is a fault."""
        if self._last is not None and time.monotonic() - self._last_at < _KEPT:
            return self._last
        running = self._running
        if running is None or running.done():
            running = self._running = self._pool.submit(self._look)
        try:
            self._last = running.result(timeout=_PATIENCE)
        except FutureTimeoutError:
            self._last = Look(now_ms(), fault=f"Redis does not answer within {_PATIENCE} s")
        self._last_at = time.monotonic()
        return self._last

    def _look(self) -> Look:
        try:
            self.pulse.probe_write(now_ms())
            return Look(
                now_ms(),
                durability=self.read_durability(),
                youngest_beat=self.pulse.youngest_beat(),
                backlogs=tuple(self.pulse.backlogs(self.names())),
            )
        except StoreUnavailableError as error:
            return Look(now_ms(), fault=str(error))


def make_watch(pulse: Pulse, catalogue: Catalogue) -> Watch:
    """Return the watch over Redis and over the integrations of `catalogue`."""
    return Watch(
        pulse,
        lambda: read_durability(pulse.connection),
        lambda: [integration.name for integration in catalogue.usable()],
    )
