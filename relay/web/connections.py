"""Web's connections to Redis, each with the timeout that its requests allow. Senders get an answer within 2 s."""

from __future__ import annotations

from relay.settings import Settings
from relay.store.connection import Connection

#: How long a webhook waits for one answer of Redis, and for connecting (seconds).
_TIMEOUT, _CONNECT_TIMEOUT = 0.8, 0.6
#: After Redis did not answer, requests that arrive within this time fail at once (seconds).
_COOLDOWN = 0.5
#: How long a webhook waits until the rate limit has counted it (seconds).
_RATE_TIMEOUT = 0.2
#: How long a probe waits for Redis, to answer within a second itself (seconds).
_PROBE_TIMEOUT, _PROBE_CONNECT_TIMEOUT = 0.5, 0.3


def connect_webhooks(settings: Settings) -> Connection:
    """Return the connection for webhooks. It times out early enough to answer the sender."""
    return Connection(settings.redis_url, timeout=_TIMEOUT, connect_timeout=_CONNECT_TIMEOUT, cooldown=_COOLDOWN)


def connect_rates(settings: Settings) -> Connection:
    """Return the connection that counts webhooks. It times out early: the webhook must still be stored."""
    return Connection(settings.redis_url, timeout=_RATE_TIMEOUT, connect_timeout=_RATE_TIMEOUT, cooldown=_COOLDOWN)


def connect_probes(settings: Settings) -> Connection:
    """Return the connection for the probes."""
    return Connection(settings.redis_url, timeout=_PROBE_TIMEOUT, connect_timeout=_PROBE_CONNECT_TIMEOUT)
