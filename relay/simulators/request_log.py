"""The requests to a simulator: the latest ones, redacted, with their results, and counters of all requests."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.redaction import clean_body, clean_headers, clean_target


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its result. `status` is None if no answer was sent. Times are in seconds since the epoch."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: object
    at: float
    settled_at: float
    status: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that is not settled yet. `era` counts the resets: a request from before a reset is dropped."""

    at: float
    era: int


class RequestLog:
    """The exchanges of one simulator. Any thread can read it and wait for changes."""

    def __init__(self, limit: int = 10_000) -> None:
        """Keep the latest `limit` exchanges; the counters have no limit."""
        self._changed = threading.Condition()
        self._exchanges: deque[Exchange] = deque(maxlen=limit)
        self._counts: Counter[tuple[str, str, int | None]] = Counter()
        self._arrived = 0
        self._in_flight = 0
        self._era = 0

    @property
    def exchanges(self) -> list[Exchange]:
        """A copy of the exchanges, in the order in which they were settled."""
        with self._changed:
            return list(self._exchanges)

    @property
    def arrived(self) -> int:
        """The number of requests, including those without an answer yet."""
        return self._arrived

    @property
    def in_flight(self) -> int:
        """The number of requests that are not settled yet."""
        return self._in_flight

    def count(self, path: str = "", status: int | None = None) -> int:
        """Return the number of settled requests with this prefix of the path and, if given, this status."""
        with self._changed:
            return sum(
                number
                for (_, counted, answered), number in self._counts.items()
                if counted.startswith(path) and status in (None, answered)
            )

    def counters(self) -> dict[str, int]:
        """Return every counter, with names such as `POST /gbp/push/ACME 200`, or `… dropped` without an answer."""
        with self._changed:
            counts = list(self._counts.items())
        return {f"{method} {path} {status or 'dropped'}": number for (method, path, status), number in counts}

    def arrive(self, at: float) -> Arrival:
        """Count a request that has no answer yet."""
        with self._changed:
            self._arrived += 1
            self._in_flight += 1
            self._changed.notify_all()
            return Arrival(at, self._era)

    def settle(self, arrival: Arrival, request: SimulatorRequest, status: int | None, *, settled_at: float) -> None:
        """Log a request without its secrets, and its result."""
        exchange = Exchange(
            request.method,
            clean_target(request.target),
            clean_headers(request.headers),
            clean_body(request.body),
            arrival.at,
            settled_at,
            status,
        )
        with self._changed:
            if arrival.era != self._era:
                return
            self._in_flight -= 1
            self._exchanges.append(exchange)
            self._counts[request.method, request.path, status] += 1
            self._changed.notify_all()

    def wait_until(self, holds: Callable[[], bool], timeout: float = 5) -> bool:
        """Wait until a condition on this log or its service holds, and return whether it did within `timeout` seconds.

        The condition is evaluated whenever a request arrives or is settled.
        """
        with self._changed:
            return self._changed.wait_for(holds, timeout)

    def reset(self) -> None:
        """Delete everything, including the requests that are not settled yet."""
        with self._changed:
            self._exchanges.clear()
            self._counts.clear()
            self._arrived = self._in_flight = 0
            self._era += 1
            self._changed.notify_all()
