"""Has Redis handed what it answered to its disk? Under `appendfsync everysec` it answers before that while the disk is busy.

A write that was handed over survives a kill of Redis; one that still waits in its memory does not. Redis holds writes back only
while an fsync of its append-only file takes long, and only under everysec: this costs one more question per webhook there, and
nothing under `always`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_setting

#: So long after a webhook's write was sent Redis is not asked any more (seconds): with one more answer it is still told in time.
_PATIENCE = 0.9
#: Bytes that wait. In the server, where finding the one number costs next to nothing.
_HELD_BACK = "return tonumber(string.match(redis.call('INFO', 'persistence'), 'aof_buffer_length:(%d+)') or 0)"
_LOOK_AGAIN = 0.002
#: The server's policy is asked for this often (seconds).
_POLICY_KEPT = 30.0


class Looks:
    """One look at a time, for all threads that want one: what it finds counts for whoever came before it began."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._changed = threading.Condition()
        #: How many looks have begun, and how many of them are over.
        self._begun = self._over = 0
        self._found: bool | StoreUnavailableError = False

    def look(self) -> bool:
        """Return what a look finds that begins from now on. Raises what it raises, too."""
        with self._changed:
            wanted = self._begun + 1
            while self._begun >= wanted or self._begun > self._over:
                if self._over >= wanted:
                    return self._told()
                self._changed.wait()
            self._begun += 1
        found: bool | StoreUnavailableError = StoreUnavailableError("Redis could not be looked at")
        try:
            found = self._look()
        except StoreUnavailableError as error:
            found = error
        finally:
            with self._changed:
                self._over, self._found = self._begun, found
                self._changed.notify_all()
        if isinstance(found, StoreUnavailableError):
            raise found
        return found

    def _told(self) -> bool:
        if isinstance(self._found, StoreUnavailableError):
            raise StoreUnavailableError(str(self._found)) from self._found
        return self._found


class FlushWatch:
    """Waits until what Redis answered is out of its own memory. Threads share it."""

    def __init__(self, connection: Connection, key: str) -> None:
        """`key`: one of the server's that is asked about, where there are several."""
        self._connection = connection
        self._looks = Looks(lambda: bool(connection.call("EVAL", _HELD_BACK, 1, key)))
        self._holds_back = True
        self._asked_at = -_POLICY_KEPT

    def wait(self, began: float) -> None:
        """Return when nothing that was written before this call waits in Redis's memory. `began` (monotonic seconds) is when
        the write was sent.

        Raises:
            StoreUnavailableError: it still waits there, or Redis does not answer: nothing is known to be stored.
        """
        while self._may_hold_back(began):
            if time.monotonic() - began > _PATIENCE:
                raise StoreUnavailableError("Redis is slow, or holds writes back: its disk is too busy")
            # Whether anything waits; what others wrote a moment ago may be all, so that looking again helps.
            if not self._looks.look():
                return
            threading.Event().wait(_LOOK_AGAIN)

    def _may_hold_back(self, began: float) -> bool:
        """Tell what is known of the server's policy, asked for again now and then where there is time."""
        now = time.monotonic()
        if now - self._asked_at >= _POLICY_KEPT and now - began <= _PATIENCE:
            # A server that hides its configuration may be one that does.
            self._holds_back = read_setting(self._connection, "appendfsync") in {"everysec", None}
            self._asked_at = now
        return self._holds_back
