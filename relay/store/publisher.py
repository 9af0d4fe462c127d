"""What IEM was told of an integration, and which process tells it."""

from __future__ import annotations

from collections.abc import Mapping

from relay.core.standing import Counts
from relay.store.connection import Connection, pairs
from relay.store.keys import key

#: Takes the lease, or prolongs one's own.
_HOLD = """#!lua flags=allow-oom
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"""


class PublisherStore:
    """The memory of one integration's publisher. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str) -> None:
        self._connection = connection
        self._integration = integration

    def hold(self, owner: str, *, for_ms: int) -> bool:
        """Be the one who tells IEM, for so long; False where another process is."""
        return bool(self._connection.call("EVAL", _HOLD, 1, self._key("publisher:lease"), owner, for_ms))

    def counts(self) -> Counts:
        """Return what attempts came to."""
        names = ("delivered", "retrying", "dead", "latency_ms")
        found = self._connection.call("HMGET", self._key("counts"), *names)
        return Counts(*(int(one or 0) for one in found))

    def recall(self) -> Mapping[str, str]:
        """Return what was remembered."""
        return pairs(self._connection.call("HGETALL", self._key("publisher")))

    def remember(self, changes: Mapping[str, str | None]) -> None:
        """Remember what IEM was told; None: forget it."""
        for name, text in changes.items():
            if text is None:
                self._connection.write("HDEL", self._key("publisher"), name)
            else:
                self._connection.write("HSET", self._key("publisher"), name, text)

    def _key(self, name: str) -> str:
        return key(self._integration, name)
