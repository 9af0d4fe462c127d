"""Parses RELAY_REDIS_URL: one server, or the hosts of a Sentinel or a cluster. Connects to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

import redis

from relay.errors import ConfigurationError

_MULTI_HOST = re.compile(
    r"redis\+(?P<kind>sentinel|cluster)://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/]+)(?P<path>/.*)?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:\[\]@]+)(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORT = 6379
#: Does not repeat the URL: it can contain a password.
_INVALID = (
    "RELAY_REDIS_URL: invalid Redis address: expected a host, then a port up to 65535, then the number of a database, "
    "such as redis://127.0.0.1:6379/0; in a password, write %2F for / and %40 for @"
)


@dataclass(frozen=True, slots=True)
class MultiHostAddress:
    """The hosts to ask for the primary server, or for the nodes of a cluster."""

    kind: Literal["sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None = field(repr=False)
    service: str
    database: int


def read_address(url: str) -> MultiHostAddress | None:
    """Return the hosts that `url` lists, or None if it names one server in the form that redis-py reads.

    Raises:
        ConfigurationError: `url` is not a valid address.
    """
    match = _MULTI_HOST.fullmatch(url)
    try:
        if match is None:
            redis.Redis.from_url(url).connection_pool.make_connection()  # connects only when it is used
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
    # redis-py lets the errors that an option in the URL causes pass as they are.
    except (ValueError, TypeError, AttributeError, redis.RedisError):
        raise ConfigurationError([_INVALID]) from None


def _read_host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    port = int(match["port"] or _DEFAULT_PORT) if match else -1
    if match is None or not 0 < port <= 65535:
        raise ValueError("not a host and a port")
    return match["host"].strip("[]"), port
