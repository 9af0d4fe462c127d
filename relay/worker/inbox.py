"""What other threads report to the delivery loop: results of attempts, changed lanes, and wake-ups from Redis."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from relay.clock import every
from relay.store.connection import Connection
from relay.store.keys import WAKE_CHANNEL
from relay.worker.attempts import AttemptResult
from relay.worker.lanes import Lane

#: Wait before the connection for wake-ups is opened again after it was lost (seconds).
_RECONNECT_AFTER = 0.5


@dataclass(frozen=True, slots=True)
class LanesChanged:
    """The lanes that changed with the mapping files."""

    #: The new and the changed lanes.
    lanes: Sequence[Lane]
    #: The integrations whose deliveries this worker no longer pushes.
    removed: Collection[str]


@dataclass(frozen=True, slots=True)
class WakeUp:
    """An integration has new deliveries."""

    #: None if it can be any integration.
    integration: str | None


Event = AttemptResult | LanesChanged | WakeUp


class Inbox:
    """The events that the loop has not handled yet."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Add an event. Safe in any thread, and in a signal handler."""
        self._events.put(event)

    def take_all(self, *, wait: float) -> Iterator[Event]:
        """Return the events, waiting up to `wait` seconds for the first one."""
        try:
            event = self._events.get(timeout=wait) if wait > 0 else self._events.get_nowait()
            while True:
                yield event
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def listen(self, connection: Connection, stopping: threading.Event) -> None:
        """Turn wake-ups from Redis into events, in a background thread. A lost wake-up only costs time."""

        def turn() -> None:
            with closing(connection.subscribe(WAKE_CHANNEL)) as subscriber:
                self.put(WakeUp(None))
                while not stopping.is_set():
                    if name := subscriber.next(timeout=1.0):
                        self.put(WakeUp(name))

        every(_RECONNECT_AFTER, turn, name="wake-ups", stopping=stopping, at_once=True)
