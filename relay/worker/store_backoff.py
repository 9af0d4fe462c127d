"""The waits of the delivery loop while Redis does not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from relay.errors import StoreUnavailableError
from relay.logs import log

_LOG = logging.getLogger("relay.worker")

#: The first wait, and the maximum; each wait is twice the previous one (seconds).
_FIRST_WAIT, _MAX_WAIT = 0.1, 2.0


class StoreBackoff:
    """When to call Redis again. Logs the beginning and the end of an outage."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        #: Redis is not called before this time (monotonic seconds).
        self.until = 0.0
        self._monotonic = monotonic
        self._wait = 0.0

    def failed(self, error: StoreUnavailableError) -> None:
        """Begin a wait, twice as long as the previous one."""
        if not self._wait:
            log(_LOG, logging.ERROR, "Redis is unavailable: the worker waits for it", fault=str(error))
        self._wait = min(_MAX_WAIT, self._wait * 2 or _FIRST_WAIT)
        self.until = self._monotonic() + self._wait

    def succeeded(self) -> None:
        """End the outage: Redis answers again."""
        if self._wait:
            log(_LOG, logging.INFO, "Redis is available again")
            self.until = self._wait = 0.0
