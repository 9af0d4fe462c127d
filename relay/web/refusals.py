"""Limits repeated refusals per address: after a number of them the answer is 429, and they are no longer logged."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from flask import request

from relay.web.addresses import read_address
from relay.web.responses import ProblemError

#: The number of refusals for one address within the window (seconds) before the answer is 429. Each web process counts its own.
MAX_REFUSALS, WINDOW = 1000, 60.0
#: How many addresses are remembered. The oldest are forgotten first.
_MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Count:
    until: float
    refused: int = 0


class Refusals:
    """Counts refusals per address. Thread-safe. Requests that are accepted do not count."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def record(self, address: str | None) -> float | None:
        """Count a refusal. Return None below the limit, otherwise how long the sender should wait (seconds)."""
        now, network = self._monotonic(), _network_of(address)
        with self._lock:
            count = self._counts.get(network)
            if count is None or now >= count.until:
                self._counts.pop(network, None)
                count = self._counts[network] = _Count(now + WINDOW)
                if len(self._counts) > _MAX_ADDRESSES:
                    self._counts.popitem(last=False)
            count.refused += 1
            return None if count.refused <= MAX_REFUSALS else count.until - now


def too_many_refusals(refusals: Refusals, refusal: ProblemError) -> ProblemError | None:
    """Count `refusal` if it is a 401. Return the 429 to answer instead, or None below the limit."""
    if refusal.status != 401:
        return None
    wait = refusals.record(request.remote_addr)
    if wait is None:
        return None
    detail = (
        f"Too many refused requests from {request.remote_addr} (more than {MAX_REFUSALS} per minute). "
        "Correct the credentials, then wait"
    )
    return ProblemError(429, detail, kind="too-many-refusals", headers={"Retry-After": str(math.ceil(wait))})


def _network_of(address: str | None) -> str:
    """Return an IPv4 address itself, and the /64 network of an IPv6 address: one sender usually owns all of it."""
    parsed = read_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed) if parsed else "unknown"
