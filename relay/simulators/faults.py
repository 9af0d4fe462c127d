"""Faults on demand between a caller and a simulated service."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from http import HTTPStatus
from typing import Literal, get_args

from relay.simulators.exchange import JSON, SimulatorRequest, SimulatorResponse

Drop = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One kind of failure. All fields apply together, in the order below.

    Without `status` the service itself answers, and so applies the request. `path` is a prefix of the request's path, or
    the whole path with `exact`. `count` is the number of requests that fail; None: all requests until the faults are
    cleared.
    """

    #: Delay before anything else happens (seconds); clearing the faults ends it.
    delay: float = 0
    #: Close the connection without an answer, before or after the service applies the request.
    drop: Drop | None = None
    #: Answer with this status instead of asking the service.
    status: int | None = None
    #: The body for `status`: a string is sent unchanged, another value as JSON; None: a `message`.
    body: object = None
    content_type: str = JSON
    #: Headers to add to the answer, such as Retry-After or Location.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Pad the answer with blanks to this size (bytes); it stays the same JSON.
    oversize: int = 0
    #: Delay between two bytes of the body, and with `drip_head` also of the head (seconds).
    drip: float = 0
    drip_head: bool = False
    count: int | None = None
    path: str = ""
    exact: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot be applied."""
        _expect("delay", _is_number(self.delay) and 0 <= self.delay <= threading.TIMEOUT_MAX, "seconds >= 0")
        _expect("drip", _is_number(self.drip) and 0 <= self.drip <= threading.TIMEOUT_MAX, "seconds >= 0")
        _expect("drop", self.drop is None or self.drop in get_args(Drop), "before or after")
        _expect("status", self.status is None or _is_count(self.status, 200, 599), "a status from 200 to 599")
        _expect("body", self.body is None or self.status is not None, "a status as well")
        _expect("oversize", _is_count(self.oversize, 0), "a number of bytes")
        _expect("count", self.count is None or _is_count(self.count, 1), "a number of requests >= 1")
        _expect("headers", _is_texts(self.headers), "an object of strings on one line")
        _expect("content_type", _is_texts({"": self.content_type}), "a string on one line")
        _expect("path", isinstance(self.path, str), "a string")
        _expect("drip_head", isinstance(self.drip_head, bool), "true or false")
        _expect("exact", isinstance(self.exact, bool), "true or false")

    def hits(self, path: str) -> bool:
        """Return whether a request for that path fails."""
        return path == self.path if self.exact else path.startswith(self.path)

    def canned(self) -> SimulatorResponse | None:
        """Return the answer that replaces the service's answer, or None if the service itself answers."""
        if self.status is None:
            return None
        body = self.body
        if body is None:
            body = {"message": _phrase(self.status)}
        sent = body if isinstance(body, str) else json.dumps(body)
        return SimulatorResponse(self.status, sent.encode(), self.content_type)

    def modify(self, answer: SimulatorResponse) -> SimulatorResponse:
        """Return the answer with the headers and the size of the fault."""
        if not self.oversize and not self.headers:
            return answer
        return replace(
            answer,
            body=answer.body.ljust(self.oversize),
            headers={**answer.headers, **self.headers},
        )


def parse_fault(value: object) -> SimulatedFault:
    """Return the fault that a JSON object describes.

    Raises:
        ValueError: the object is not a valid fault; the message names the first problem.
    """
    if not isinstance(value, dict):
        raise ValueError("expected a fault: a JSON object")  # noqa: TRY004 - one class for every bad fault
    known = [member.name for member in fields(SimulatedFault)]
    if unknown := sorted(value.keys() - set(known)):
        raise ValueError(f"unknown {', '.join(unknown)}; a fault has {', '.join(known)}")
    return SimulatedFault(**value)


class Gate:
    """The gate at which delayed requests wait. It opens once, for all of them."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        #: Whether the waiting requests are dropped instead of answered.
        self.abandoned = False

    def wait(self, seconds: float) -> None:
        """Wait for this time, or until it opens."""
        self._opened.wait(seconds)

    def open(self, *, abandon: bool) -> None:
        """Release the waiting requests: to be answered, or dropped."""
        self.abandoned = abandon
        self._opened.set()


class Faults:
    """The active faults. The first that matches a request applies to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: deque[tuple[SimulatedFault, int | None]] = deque()
        self._none = SimulatedFault()
        self._gate = Gate()

    def add(self, fault: SimulatedFault) -> None:
        """Add a fault after those that are active."""
        with self._lock:
            self._active.append((fault, fault.count))

    def clear(self) -> None:
        """Remove every fault; delayed requests continue at once."""
        with self._lock:
            self._active.clear()
            self._open_gate(abandon=False)

    def reset(self) -> None:
        """Remove every fault, and drop delayed requests."""
        with self._lock:
            self._active.clear()
            self._open_gate(abandon=True)

    def abandon(self) -> None:
        """Drop delayed requests, and keep the faults."""
        with self._lock:
            self._open_gate(abandon=True)

    def take(self, request: SimulatorRequest) -> tuple[SimulatedFault, Gate]:
        """Count one request, and return its fault and the gate at which it waits."""
        with self._lock:
            for index, (fault, left) in enumerate(self._active):
                if fault.hits(request.path):
                    self._count_down(index, fault, left)
                    return fault, self._gate
            return self._none, self._gate

    def listed(self) -> list[dict[str, object]]:
        """Return the active faults as JSON values; `count` is the number of requests that they still apply to."""
        with self._lock:
            return [{**asdict(fault), "count": left} for fault, left in self._active]

    def _count_down(self, index: int, fault: SimulatedFault, left: int | None) -> None:
        if left == 1:
            del self._active[index]
        elif left is not None:
            self._active[index] = (fault, left - 1)

    def _open_gate(self, *, abandon: bool) -> None:
        self._gate.open(abandon=abandon)
        self._gate = Gate()


def _expect(name: str, holds: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {wanted}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object, minimum: int, maximum: int | None = None) -> bool:
    return type(value) is int and value >= minimum and (maximum is None or value <= maximum)


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and text.isascii() and text.isprintable() for pair in value.items() for text in pair
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
