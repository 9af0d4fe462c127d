"""What a simulator got: the last requests, redacted, with what came of them, and counters of them all."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.redaction import clean_body, clean_headers, clean_target


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it; `status` is None where no answer was sent.

    Times are seconds since the epoch.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: object
    at: float
    settled_at: float
    status: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that came in and is not settled yet; one from before a reset is forgotten."""

    at: float
    era: int


class RequestLog:
    """The exchanges of one simulator; safe to read and to wait on from any thread."""

    def __init__(self, limit: int = 10_000) -> None:
        """Keep the last `limit` exchanges; the counters go on without limit."""
        self._changed = threading.Condition()
        self._exchanges: deque[Exchange] = deque(maxlen=limit)
        self._counts: Counter[tuple[str, str, int | None]] = Counter()
        self._arrived = 0
        self._in_flight = 0
        self._era = 0

    @property
    def exchanges(self) -> list[Exchange]:
        """Return a copy of what is kept, in the order in which it was settled."""
        with self._changed:
            return list(self._exchanges)

    @property
    def arrived(self) -> int:
        """Return how many requests came in, those without an answer yet too."""
        return self._arrived

    @property
    def in_flight(self) -> int:
        """Return how many requests came in and are not settled yet."""
        return self._in_flight

    def count(self, path: str = "", status: int | None = None) -> int:
        """Return how many settled requests had that prefix of a path and, where one is given, that status."""
        with self._changed:
            return sum(
                number
                for (_, counted, answered), number in self._counts.items()
                if counted.startswith(path) and status in (None, answered)
            )

    def counters(self) -> dict[str, int]:
        """Return every counter, named like `POST /gbp/push/ACME 200`, or `… dropped` without an answer."""
        with self._changed:
            counts = list(self._counts.items())
        return {f"{method} {path} {status or 'dropped'}": number for (method, path, status), number in counts}

    def arrive(self, at: float) -> Arrival:
        """Count a request whose answer is not known yet."""
        with self._changed:
            self._arrived += 1
            self._in_flight += 1
            self._changed.notify_all()
            return Arrival(at, self._era)

    def settle(self, arrival: Arrival, request: SimulatorRequest, status: int | None, *, settled_at: float) -> None:
        """Keep a request and what came of it, without its secrets."""
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
        """Wait until a condition on this record or its service holds; False after `timeout` seconds.

        It is looked at whenever a request has arrived or is settled.
        """
        with self._changed:
            return self._changed.wait_for(holds, timeout)

    def reset(self) -> None:
        """Forget everything, what is in flight too."""
        with self._changed:
            self._exchanges.clear()
            self._counts.clear()
            self._arrived = self._in_flight = 0
            self._era += 1
            self._changed.notify_all()
