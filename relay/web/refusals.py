"""Senders that are refused again and again: from some number on they are told to wait, and the log is not filled with them."""

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

#: So many refusals of one address within so many seconds are answered as refusals; each web process counts its own.
MOST, WINDOW = 1000, 60.0
#: Addresses that are remembered: the oldest go.
_MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Count:
    until: float
    refused: int = 0


class Refusals:
    """Counts refusals by address. Threads share it. Who is let in is not counted, whatever else comes from the same address."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def note(self, address: str | None) -> float | None:
        """Count a refusal; return None while there are not too many, else for how long to wait (seconds)."""
        now, who = self._monotonic(), _network_of(address)
        with self._lock:
            count = self._counts.get(who)
            if count is None or now >= count.until:
                self._counts.pop(who, None)
                count = self._counts[who] = _Count(now + WINDOW)
                if len(self._counts) > _MOST_ADDRESSES:
                    self._counts.popitem(last=False)
            count.refused += 1
            return None if count.refused <= MOST else count.until - now


def too_many_refusals(refusals: Refusals, refusal: ProblemError) -> ProblemError | None:
    """Count a refusal (401) of the present request; return what is answered instead where there are too many, or None."""
    if refusal.status != 401:
        return None
    wait = refusals.note(request.remote_addr)
    if wait is None:
        return None
    detail = f"more than {MOST} refused requests a minute from {request.remote_addr}: wait, and correct the credentials"
    return ProblemError(429, detail, kind="too-many-refusals", headers={"Retry-After": str(math.ceil(wait))})


def _network_of(address: str | None) -> str:
    """Return the address, of IPv6 its network: whoever has one address there has all of them."""
    found = read_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, 64), strict=False))
    return str(found) if found else "unknown"
