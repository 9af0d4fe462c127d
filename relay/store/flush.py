"""Waits until Redis has handed a write to its disk. With `appendfsync everysec` Redis answers earlier if the disk is busy.

A write that was handed over survives a kill of Redis; a write that waits in Redis's memory does not. Redis holds writes
back only with `everysec`, while an fsync of its append-only file takes long or the disk refuses them. With `everysec` this
costs one more call per webhook, with `always` nothing.
"""

from __future__ import annotations

import threading
import time

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection
from relay.store.durability import read_setting

#: Redis is not called again this long (seconds) after the write was sent: one more answer still reaches the sender in time.
_PATIENCE = 0.9
#: Wait between two calls while Redis holds writes back (seconds).
_LOOK_AGAIN = 0.005
#: Seconds for which the server's fsync policy is remembered.
_POLICY_KEPT = 30.0
#: The writes in Redis's memory: none ('nothing'), written before Redis answers the next call ('leaving'), or held back. The
#: script searches the text of INFO in the server, which costs far less than to transfer it.
_LOOK = """
local info = redis.call('INFO', 'persistence')
if not string.find(info, 'aof_buffer_length:[1-9]') then return 'nothing' end
local leaving = string.find(info, 'aof_pending_bio_fsync:0', 1, true) and string.find(info, 'aof_last_write_status:ok', 1, true)
return leaving and 'leaving' or 'held back'
"""


class FlushWatch:
    """Waits until the answered writes have left Redis's memory. Threads share it."""

    def __init__(self, connection: Connection, key: str) -> None:
        """`key` selects the server of a cluster."""
        self._connection = connection
        self._key = key
        self._holds_back = True
        self._asked_at = -_POLICY_KEPT

    def wait(self, began: float) -> None:
        """Return as soon as no write before this call waits in Redis's memory.

        `began` is when the write was sent (monotonic seconds).

        Raises:
            StoreUnavailableError: a write still waits there, or Redis does not answer: nothing is known to be stored.
        """
        state = ""
        while self._may_hold_back(began):
            if time.monotonic() - began > _PATIENCE:
                raise StoreUnavailableError(
                    "Redis: the write did not reach its disk in time: the server is slow or its disk is busy"
                )
            before, state = state, self._connection.call("EVAL", _LOOK, 1, self._key)
            # The write that is 'leaving' can be ours or another client's. By the next answer it is written, or Redis has refused
            # it and holds it back.
            if state == "nothing" or before == state == "leaving":
                return
            if state == "held back":
                threading.Event().wait(_LOOK_AGAIN)

    def _may_hold_back(self, began: float) -> bool:
        """Return whether the server can hold writes back. Reads its policy now and then, if there is time left for that."""
        now = time.monotonic()
        if now - self._asked_at >= _POLICY_KEPT and now - began <= _PATIENCE:
            # A server that hides its configuration can be set to everysec.
            self._holds_back = read_setting(self._connection, "appendfsync") in {"everysec", None}
            self._asked_at = now
        return self._holds_back
