"""IEM's access token in Redis, for all processes; or the refusal that the last fetch met."""

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
#: Frees a lock that still is its owner's.
UNLOCK_IF = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
#: A refusal is remembered for as long as somebody can have been waiting for the fetch (ms).
_REFUSAL_STAYS = 120_000


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token, or the `refusal` to give one. Times in Unix milliseconds."""

    #: Digest of the account that it is of: another one means that the credentials were changed since.
    config: str
    stored_at: int
    value: str = ""
    expires_at: int = 0
    renew_at: int = 0
    refusal: IemAnswer | None = None
    #: It was fetched in place of one that was refused; without a value: such a one is wanted.
    is_replacement: bool = False


class TokenStore:
    """The token of one integration. All methods raise `StoreUnavailableError`."""

    def __init__(self, connection: Connection, integration: str) -> None:
        self._connection = connection
        self._key = key(integration, "token")
        self._lock_key = key(integration, "token:lock")

    def load(self) -> StoredToken | None:
        """Return what is stored, or None."""
        text = self._connection.call("GET", self._key)
        if text is None:
            return None
        fields = json.loads(text)
        refusal = fields.pop("refusal")
        return StoredToken(**fields, refusal=IemAnswer(**refusal) if refusal else None)

    def save(self, token: StoredToken, *, now: int) -> None:
        """Store `token` in place of whatever was there, until it expires."""
        lifetime = token.expires_at - now if token.value else _REFUSAL_STAYS
        self._connection.write("SET", self._key, json.dumps(asdict(token)), "PX", max(lifetime, 1))

    def replace(self, value: str, stored: StoredToken) -> None:
        """Store `stored`, that holds no token, if the token still is `value`: a newer one stays."""
        self._connection.call("EVAL", _REPLACE_IF, 1, self._key, value, json.dumps(asdict(stored)), _REFUSAL_STAYS)

    def lock(self, *, for_ms: int) -> str | None:
        """Take the right to fetch a token for up to `for_ms`; returns what to unlock it with, None where another has it."""
        owner = secrets.token_hex(8)
        return owner if self._connection.write("SET", self._lock_key, owner, "NX", "PX", for_ms) else None

    def unlock(self, owner: str) -> None:
        """Give the right to fetch back, if it still is the `owner`'s."""
        self._connection.call("EVAL", UNLOCK_IF, 1, self._lock_key, owner)
