"""Web's connections to Redis, each with the time that its requests can wait. Senders are answered within 2 s."""

from __future__ import annotations

from relay.settings import Settings
from relay.store.connection import Connection

#: How long a webhook waits for Redis (seconds), for one answer and for connecting.
_TIMEOUT, _CONNECT_TIMEOUT = 0.8, 0.6
#: After Redis did not answer, requests that arrive within this time are refused at once (seconds).
_COOLDOWN = 0.5
#: How long a webhook of an integration with a rate limit waits to be counted (seconds).
_RATE_TIMEOUT = 0.2
#: How long readiness waits for Redis, within its own second (seconds).
_PROBE_TIMEOUT, _PROBE_CONNECT_TIMEOUT = 0.5, 0.3


def connect_webhooks(settings: Settings) -> Connection:
    """Return the connection of webhooks: it gives up in time to answer the sender."""
    return Connection(settings.redis_url, timeout=_TIMEOUT, connect_timeout=_CONNECT_TIMEOUT, cooldown=_COOLDOWN)


def connect_rates(settings: Settings) -> Connection:
    """Return the connection that counts webhooks: it gives up early, since the webhook itself is still to be stored."""
    return Connection(settings.redis_url, timeout=_RATE_TIMEOUT, connect_timeout=_RATE_TIMEOUT, cooldown=_COOLDOWN)


def connect_probes(settings: Settings) -> Connection:
    """Return the connection of the probes."""
    return Connection(settings.redis_url, timeout=_PROBE_TIMEOUT, connect_timeout=_PROBE_CONNECT_TIMEOUT)
