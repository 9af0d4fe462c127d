"""What `RELAY_REDIS_URL` says: one server, or the hosts of a Sentinel or a cluster. Nothing is connected to here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

import redis

from relay.errors import ConfigurationError

_SEVERAL_HOSTS = re.compile(
    r"redis\+(?P<kind>sentinel|cluster)://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/]+)(?P<path>/.*)?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]@]+)(?::(?P<port>[0-9]{1,5}))?")
_USUAL_PORT = 6379
#: Nothing of the URL is told: it may hold a password.
_NO_ADDRESS = (
    "RELAY_REDIS_URL: not an address of Redis: expected a host, then a port up to 65535, then the number of a database, "
    "such as redis://127.0.0.1:6379/0; in a password, write %2F for / and %40 for @"
)


@dataclass(frozen=True, slots=True)
class MultiHostAddress:
    """The hosts to ask for the server, or for the cluster's nodes."""

    kind: Literal["sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None = field(repr=False)
    service: str
    database: int


def read_address(url: str) -> MultiHostAddress | None:
    """Return the several hosts that `url` names; None: it names one server, in redis-py's own form.

    Raises:
        ConfigurationError: it names nothing that could be connected to.
    """
    match = _SEVERAL_HOSTS.fullmatch(url)
    try:
        if match is None:
            redis.Redis.from_url(url).connection_pool.make_connection()  # which connects when it is used
            return None
        service, _, database = (match["path"] or "/").strip("/").partition("/")
        return MultiHostAddress(
            "cluster" if match["kind"] == "cluster" else "sentinel",
            tuple(_read_host(text) for text in match["hosts"].split(",")),
            unquote(match["user"] or "") or None,
            unquote(match["password"] or "") or None,
            service or "mymaster",
            int(database or 0),
        )
    # redis-py raises whatever an option in the URL leads to.
    except (ValueError, TypeError, AttributeError, redis.RedisError):
        raise ConfigurationError([_NO_ADDRESS]) from None


def _read_host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    port = int(match["port"] or _USUAL_PORT) if match else -1
    if match is None or not 0 < port <= 65535:
        raise ValueError("not a host and a port")
    return match["host"].strip("[]"), port
