"""Has Redis handed what it answered to its disk? Under `appendfsync everysec` it answers before that while the disk is busy.

A write that was handed over survives a kill of Redis; one that still waits in its memory does not. Redis holds writes back only
while an fsync of its append-only file takes long or the disk refuses them, and only under everysec: this costs one more question
per webhook there, and nothing under `always`.
"""

from __future__ import annotations

import threading
import time

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_setting

#: So long after a webhook's write was sent Redis is not asked any more (seconds): with one more answer it is still told in time.
_PATIENCE = 0.9
#: Between two questions while Redis holds writes back (seconds).
_LOOK_AGAIN = 0.005
#: The server's policy is asked for this often (seconds).
_POLICY_KEPT = 30.0
#: What waits in Redis's memory: nothing, or what goes to its disk before this is answered, or what it holds back. Looked for in
#: the server, where to find three words of many costs next to nothing.
_LOOK = """
local told = redis.call('INFO', 'persistence')
if not string.find(told, 'aof_buffer_length:[1-9]') then return 'nothing' end
local goes = string.find(told, 'aof_pending_bio_fsync:0', 1, true) and string.find(told, 'aof_last_write_status:ok', 1, true)
return goes and 'goes' or 'held back'
"""


class FlushWatch:
    """Waits until what Redis answered is out of its own memory. Threads share it."""

    def __init__(self, connection: Connection, key: str) -> None:
        """`key`: one of the server's that is asked about, where there are several."""
        self._connection = connection
        self._key = key
        self._holds_back = True
        self._asked_at = -_POLICY_KEPT

    def wait(self, began: float) -> None:
        """Return when nothing that was written before this call waits in Redis's memory. `began` (monotonic seconds) is when
        the write was sent.

        Raises:
            StoreUnavailableError: it still waits there, or Redis does not answer: nothing is known to be stored.
        """
        found = ""
        while self._may_hold_back(began):
            if time.monotonic() - began > _PATIENCE:
                raise StoreUnavailableError("Redis is slow, or holds writes back: its disk is too busy")
            before, found = found, self._connection.call("EVAL", _LOOK, 1, self._key)
            # What goes may be what others wrote a moment ago, or ours. Before the next answer it has gone, or was refused, and
            # it is held back.
            if found == "nothing" or before == found == "goes":
                return
            if found == "held back":
                threading.Event().wait(_LOOK_AGAIN)

    def _may_hold_back(self, began: float) -> bool:
        """Tell what is known of the server's policy, asked for again now and then where there is time."""
        now = time.monotonic()
        if now - self._asked_at >= _POLICY_KEPT and now - began <= _PATIENCE:
            # A server that hides its configuration may be one that does.
            self._holds_back = read_setting(self._connection, "appendfsync") in {"everysec", None}
            self._asked_at = now
        return self._holds_back
