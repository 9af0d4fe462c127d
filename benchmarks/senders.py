"""A cheap sender: kept-alive connections served by one thread, prepared requests.

At saturation each connection sends as soon as it was answered. At a fixed rate requests are due at fixed times, no matter what
was answered, and latency counts from the time at which a request was due: a slow server cannot slow down its own test.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Self


@dataclass(slots=True)
class Answers:
    """The answers: seconds from due to answered for each request, and the number of each status."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    #: When each request was due (Unix seconds), in the order of sending; only from `pace`.
    dues: list[float] = field(default_factory=list)
    #: Seconds from the first request to the last answer.
    took: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.took

    def __add__(self, others: Answers) -> Answers:
        """Return both, as if one had followed the other immediately."""
        return Answers(
            self.latencies + others.latencies,
            self.statuses + others.statuses,
            self.dues + others.dues,
            self.took + others.took,
        )

    def percentile(self, part: float) -> float:
        """Return the latency (seconds) that `part` of the requests do not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection, and the time at which its current request was due."""

    socket: socket.socket
    due: float = 0.0
    received: bytes = b""

    def send(self, request: bytes, due: float) -> None:
        self.due, self.received = due, b""
        self.socket.sendall(request)

    def read(self) -> int | None:
        """Return the status when the answer is complete."""
        self.received += self.socket.recv(1 << 16)
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return int(head[9:12]) if len(body) >= length else None


def post(path: str, authorization: str, body: bytes) -> bytes:
    """Return the bytes of a request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nAuthorization: {authorization}\r\n"
    )
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_turns(seconds: float, *measures: Callable[[float], Answers]) -> list[Answers]:
    """Run each of `measures` for `seconds`, in turns of one second, so that other work on the machine affects all of them."""
    turns = max(1, round(seconds))
    found = [Answers() for _ in measures]
    for turn in range(turns):
        order = range(len(measures)) if turn % 2 == 0 else reversed(range(len(measures)))
        for which in order:
            found[which] += measures[which](seconds / turns)
    return found


def saturate(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Answers:
    """Send as fast as `connections` are answered, for `seconds`."""
    with _Connections(port, connections) as connected:
        began = time.perf_counter()
        end = began + seconds
        answers = Answers()
        for connection in connected.all:
            connection.send(next(requests), time.perf_counter())
        while connected.busy:
            for connection, status in connected.answered(1.0):
                now = time.perf_counter()
                answers.latencies.append(now - connection.due)
                answers.statuses[status] += 1
                if now < end:
                    connection.send(next(requests), now)
                else:
                    connected.busy -= 1
        answers.took = time.perf_counter() - began
    return answers


def pace(port: int, requests: Iterator[bytes], *, rate: float, seconds: float, connections: int = 64) -> Answers:
    """Send `rate` requests a second, evenly, for `seconds`."""
    answers = Answers()
    with _Connections(port, connections) as connected:
        connected.busy, free = 0, list(connected.all)
        began = time.perf_counter()
        wall = time.time() - began
        dues = (began + number / rate for number in count())
        due = next(dues)
        while connected.busy or due < began + seconds:
            now = time.perf_counter()
            while due <= now and due < began + seconds and free:
                free.pop().send(next(requests), due)
                answers.dues.append(wall + due)
                connected.busy += 1
                due = next(dues)
            wait = max(0.0, due - time.perf_counter()) if due < began + seconds and free else 1.0
            for connection, status in connected.answered(wait):
                answers.latencies.append(time.perf_counter() - connection.due)
                answers.statuses[status] += 1
                connected.busy -= 1
                free.append(connection)
        answers.took = time.perf_counter() - began
    return answers


class _Connections:
    """Connections, and the number of those that wait for an answer."""

    def __init__(self, port: int, number: int) -> None:
        self.busy = number
        self._selector = selectors.DefaultSelector()
        self.all = [_Connection(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(number)]
        for connection in self.all:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def answered(self, wait: float) -> Iterator[tuple[_Connection, int]]:
        """Yield the connections whose answers arrived within `wait` seconds, with their statuses."""
        for key, _ in self._selector.select(wait):
            if (status := key.data.read()) is not None:
                yield key.data, status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._selector.close()
        for connection in self.all:
            connection.socket.close()
