"""IEM's access token, shared by all processes; or IEM's refusal of the last fetch."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass

from relay.core.outcomes import IemAnswer
from relay.store.connection import Connection
from relay.store.keys import key

_REPLACE_IF = """#!lua flags=allow-oom
local stored = redis.call('GET', KEYS[1])
if not stored or cjson.decode(stored).value ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1"""
#: Releases a lock if its owner still holds it.
UNLOCK_IF = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
#: A refusal is kept for as long as a process may have waited for the fetch (ms).
_REFUSAL_KEPT = 120_000


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token, the refusal of the last fetch, or (with neither) the note that a token was dropped. Times in Unix milliseconds."""

    #: Digest of the credentials. A different digest means that the credentials were changed.
    config: str
    stored_at: int
    value: str = ""
    expires_at: int = 0
    renew_at: int = 0
    refusal: IemAnswer | None = None
    #: The token replaces a refused one. Without a value: a replacement is to be fetched.
    is_replacement: bool = False


class TokenStore:
    """The token of one integration. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str) -> None:
        self._connection = connection
        self._key = key(integration, "token")
        self._lock_key = key(integration, "token:lock")

    def load(self) -> StoredToken | None:
        """Return the stored token or refusal, or None."""
        text = self._connection.call("GET", self._key)
        if text is None:
            return None
        fields = json.loads(text)
        refusal = fields.pop("refusal")
        return StoredToken(**fields, refusal=IemAnswer(**refusal) if refusal else None)

    def save(self, token: StoredToken, *, now: int) -> None:
        """Store `token` until it expires, in place of any other."""
        lifetime = token.expires_at - now if token.value else _REFUSAL_KEPT
        self._connection.write("SET", self._key, json.dumps(asdict(token)), "PX", max(lifetime, 1))

    def replace(self, value: str, stored: StoredToken) -> None:
        """Store `stored`, which contains no token, if the current token is still `value`: a newer token is kept."""
        self._connection.call("EVAL", _REPLACE_IF, 1, self._key, value, json.dumps(asdict(stored)), _REFUSAL_KEPT)

    def lock(self, *, for_ms: int) -> str | None:
        """Lock the fetching of a token for up to `for_ms`; returns the owner to unlock it with, or None if it is locked."""
        owner = secrets.token_hex(8)
        return owner if self._connection.write("SET", self._lock_key, owner, "NX", "PX", for_ms) else None

    def unlock(self, owner: str) -> None:
        """Release the lock if `owner` still holds it."""
        self._connection.call("EVAL", UNLOCK_IF, 1, self._lock_key, owner)
