"""Faults on demand: what can go wrong between a caller and a simulated service, and which are switched on."""

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
    """One way to fail; what is set applies together, in the order of the fields below.

    Without `status` the service itself answers, and so applies the request. `path` is a prefix of the
    request's path (the whole path with `exact`); `count` is the number of requests to hit, None for all of
    them until the faults are cleared.
    """

    #: Seconds before anything happens; ends early when the faults are cleared.
    delay: float = 0
    #: Close the connection without an answer: before the service sees the request, or after it applied it.
    drop: Drop | None = None
    #: Answer this status instead of asking the service.
    status: int | None = None
    #: The body that goes with `status`: a string is sent as it is, another value as JSON; None: a `message`.
    body: object = None
    content_type: str = JSON
    #: Headers added to the answer, such as Retry-After or Location.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Pad the answer with blanks (still the same JSON) to this many bytes.
    oversize: int = 0
    #: Seconds between two bytes of the answer's body; with `drip_head` of its head too.
    drip: float = 0
    drip_head: bool = False
    count: int | None = None
    path: str = ""
    exact: bool = False

    def __post_init__(self) -> None:
        """Refuse what no answer could be made of."""
        _expect("delay", _is_number(self.delay) and 0 <= self.delay <= threading.TIMEOUT_MAX, "seconds >= 0")
        _expect("drip", _is_number(self.drip) and 0 <= self.drip <= threading.TIMEOUT_MAX, "seconds >= 0")
        _expect("drop", self.drop is None or self.drop in get_args(Drop), "before or after")
        _expect("status", self.status is None or _is_count(self.status, 200, 599), "a status from 200 to 599")
        _expect("body", self.body is None or self.status is not None, "a status that goes with it")
        _expect("oversize", _is_count(self.oversize, 0), "a number of bytes")
        _expect("count", self.count is None or _is_count(self.count, 1), "a number of requests >= 1")
        _expect("headers", _is_texts(self.headers), "an object of strings on one line")
        _expect("content_type", _is_texts({"": self.content_type}), "a string on one line")
        _expect("path", isinstance(self.path, str), "a string")
        _expect("drip_head", isinstance(self.drip_head, bool), "true or false")
        _expect("exact", isinstance(self.exact, bool), "true or false")

    def hits(self, path: str) -> bool:
        """Tell whether a request for that path is to fail."""
        return path == self.path if self.exact else path.startswith(self.path)

    def canned(self) -> SimulatorResponse | None:
        """Return the answer that replaces the service's, None where the service is to be asked."""
        if self.status is None:
            return None
        body = self.body
        if body is None:
            body = {"message": _phrase(self.status)}
        sent = body if isinstance(body, str) else json.dumps(body)
        return SimulatorResponse(self.status, sent.encode(), self.content_type)

    def bend(self, answer: SimulatorResponse) -> SimulatorResponse:
        """Return the answer with the fault's headers and size."""
        if not self.oversize and not self.headers:
            return answer
        return replace(
            answer,
            body=answer.body.ljust(self.oversize),
            headers={**answer.headers, **self.headers},
        )


def parse_fault(value: object) -> SimulatedFault:
    """Make a fault of a JSON object; raises ValueError that names the first thing wrong with it."""
    if not isinstance(value, dict):
        raise ValueError("expected a fault: a JSON object")  # noqa: TRY004 - one class for every bad fault
    known = [each.name for each in fields(SimulatedFault)]
    if unknown := sorted(value.keys() - set(known)):
        raise ValueError(f"unknown {', '.join(unknown)}; a fault has {', '.join(known)}")
    return SimulatedFault(**value)


class Gate:
    """What a delayed request waits at; opened once, for all that wait there."""

    def __init__(self) -> None:
        """Start closed."""
        self._opened = threading.Event()
        #: Whether the requests that wait here are to be dropped instead of going on.
        self.abandoned = False

    def wait(self, seconds: float) -> None:
        """Wait that long, or until it opens."""
        self._opened.wait(seconds)

    def open(self, *, abandon: bool) -> None:
        """Let everybody go, on or away."""
        self.abandoned = abandon
        self._opened.set()


class Faults:
    """The faults that are switched on; the first that hits a request is used for it."""

    def __init__(self) -> None:
        """Start without any fault."""
        self._lock = threading.Lock()
        self._active: deque[tuple[SimulatedFault, int | None]] = deque()
        self._none = SimulatedFault()
        self._gate = Gate()

    def add(self, fault: SimulatedFault) -> None:
        """Switch a fault on, behind those that already are."""
        with self._lock:
            self._active.append((fault, fault.count))

    def clear(self) -> None:
        """Switch every fault off; the requests that one delays go on at once."""
        with self._lock:
            self._active.clear()
            self._open_gate(abandon=False)

    def reset(self) -> None:
        """Switch every fault off and drop the requests that one delays."""
        with self._lock:
            self._active.clear()
            self._open_gate(abandon=True)

    def abandon(self) -> None:
        """Drop the delayed requests, leaving the faults on."""
        with self._lock:
            self._open_gate(abandon=True)

    def take(self, request: SimulatorRequest) -> tuple[SimulatedFault, Gate]:
        """Return the fault for one request, counting it, and the gate at which it is to wait."""
        with self._lock:
            for at, (fault, left) in enumerate(self._active):
                if fault.hits(request.path):
                    self._count_down(at, fault, left)
                    return fault, self._gate
            return self._none, self._gate

    def listed(self) -> list[dict[str, object]]:
        """Return what is switched on, as JSON values; `count` is what is left of it."""
        with self._lock:
            return [{**asdict(fault), "count": left} for fault, left in self._active]

    def _count_down(self, at: int, fault: SimulatedFault, left: int | None) -> None:
        if left == 1:
            del self._active[at]
        elif left is not None:
            self._active[at] = (fault, left - 1)

    def _open_gate(self, *, abandon: bool) -> None:
        self._gate.open(abandon=abandon)
        self._gate = Gate()


def _expect(name: str, holds: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name}: expected {wanted}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object, least: int, most: int | None = None) -> bool:
    return type(value) is int and value >= least and (most is None or value <= most)


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and text.isascii() and text.isprintable() for pair in value.items() for text in pair
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
