"""One way to talk to Redis: a command or a script at a time, bounded in time, repeated only where that is safe."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import Sentinel

from relay.errors import StoreUnavailableError
from relay.store.address import MultiHostAddress, read_address
from relay.store.scripts import script_text

#: A command that failed sooner than this (seconds) met a connection that Redis had closed: it is sent once more.
_STALE_WITHIN = 0.25
_EVEN_IF_FULL = "#!lua flags=allow-oom\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"


class Client(Protocol):
    """What the relay needs of redis-py's clients, of one server or of a cluster."""

    def execute_command(self, *args: Any) -> Any:
        """Send one command and return its answer."""

    def pubsub(self, *, ignore_subscribe_messages: bool) -> redis.client.PubSub:
        """Return a subscriber."""

    def close(self) -> None:
        """Close every connection."""


class Connection:
    """Talks to the Redis of one URL. Threads share it; processes do not (make it after the fork)."""

    def __init__(self, url: str, *, timeout: float, connect_timeout: float = 0.7, cooldown: float = 0.0) -> None:
        """`timeout` and `connect_timeout` in seconds: how long one answer, and one connection, may take.

        After Redis did not answer in time, calls fail at once for `cooldown` seconds, so that threads do not queue up.

        Raises:
            ConfigurationError: the URL names nothing that could be connected to.
        """
        address = read_address(url)
        self._cooldown = cooldown
        self._asked_again_at = 0.0
        self._make = lambda: _make_client(url, address, timeout, connect_timeout)
        self._client: Client | None = None
        self._lock = threading.Lock()

    def call(self, *command: Any) -> Any:
        """Return the answer to a command that does no harm when it is carried out twice.

        Raises:
            StoreUnavailableError: Redis did not answer in time or refused; whether it was carried out is not known.
        """
        return self._guard(lambda client: client.execute_command(*command))

    def write(self, command: str, key: str, *arguments: Any) -> Any:
        """Return the answer to a small write that is carried out even when memory is full: what empties the queues needs it.

        Raises:
            StoreUnavailableError: as `call`.
        """
        return self.call("EVAL", _EVEN_IF_FULL, 1, key, command, *arguments)

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Return what `lua/<script>.lua` answers for the integration whose queue is `key`. Scripts can be repeated.

        Raises:
            StoreUnavailableError: as `call`.
        """

        def evaluate(client: Client) -> Any:
            try:
                return client.execute_command("EVALSHA", _sha_of(script), 1, key, *arguments)
            except NoScriptError:
                return client.execute_command("EVAL", script_text(script), 1, key, *arguments)

        return self._guard(evaluate)

    def subscribe(self, channel: str) -> Subscriber:
        """Return a subscriber of `channel`, on a connection of its own."""

        def make(client: Client) -> redis.client.PubSub:
            subscriber = client.pubsub(ignore_subscribe_messages=True)
            subscriber.subscribe(channel)
            return subscriber

        return Subscriber(self._guard(make))

    def warm_up(self, *scripts: str) -> None:
        """Connect and load scripts, so that the first webhook need not wait for that. Redis being away is no fault here."""
        with suppress(StoreUnavailableError):
            for script in scripts:
                self.call("SCRIPT LOAD", script_text(script))

    @property
    def is_cooling_down(self) -> bool:
        """Whether Redis did not answer in time a moment ago."""
        return time.monotonic() < self._asked_again_at

    def close(self) -> None:
        """Close every connection; the next call opens a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _guard(self, action: Callable[[Client], Any]) -> Any:
        began = time.monotonic()
        if began < self._asked_again_at:
            raise StoreUnavailableError("Redis: it did not answer in time a moment ago")
        try:
            try:
                return action(self._connected())
            except redis.exceptions.BusyLoadingError:
                raise
            except redis.exceptions.ConnectionError:
                if time.monotonic() - began > _STALE_WITHIN:
                    raise
                return action(self._connected())
        except (RedisError, RedisClusterException, OSError) as error:
            if isinstance(error, redis.exceptions.TimeoutError):
                self._asked_again_at = time.monotonic() + self._cooldown
            raise StoreUnavailableError(f"Redis: {_describe(error)}") from error

    def _connected(self) -> Client:
        if client := self._client:
            return client
        # Not under the lock: a cluster's client asks the cluster, and threads must not wait for one another's patience.
        made = self._make()
        with self._lock:
            client = self._client = self._client or made
        if client is not made:
            made.close()
        return client


def pairs(answer: Any) -> Mapping[str, str]:
    """Return fields and values by field, whichever form the client gave the answer."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


class Subscriber:
    """What comes over a channel."""

    def __init__(self, pubsub: redis.client.PubSub) -> None:
        self._pubsub = pubsub

    def next(self, *, timeout: float) -> str | None:
        """Return the next message, or None where none came within `timeout` seconds.

        Raises:
            StoreUnavailableError: the connection is lost.
        """
        try:
            message = self._pubsub.get_message(timeout=timeout)
        except (RedisError, OSError, ValueError) as error:
            raise StoreUnavailableError(f"Redis: {_describe(error)}") from error
        return str(message["data"]) if message is not None and message["type"] == "message" else None

    def close(self) -> None:
        """Close the connection."""
        with suppress(RedisError, OSError):
            self._pubsub.close()


def _describe(error: Exception) -> str:
    text = str(error).split("\n", 1)[0].rstrip(".")
    return f"{text or type(error).__name__} ({type(error).__name__})"


@cache
def _sha_of(script: str) -> str:
    return hashlib.sha1(script_text(script).encode(), usedforsecurity=False).hexdigest()


def _make_client(url: str, address: MultiHostAddress | None, timeout: float, connect_timeout: float) -> Client:
    options: dict[str, Any] = {
        "decode_responses": True,
        # What is no UTF-8 is none of ours: it is shown, and raises nothing.
        "encoding_errors": "replace",
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if address is None:
        return cast("Client", redis.Redis.from_url(url, **options, **_ONE_SERVER))
    if address.username or address.password:
        options |= {"username": address.username, "password": address.password or ""}
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return cast("Client", RedisCluster(startup_nodes=nodes, **options, **_ONE_SERVER))
    # However many sentinels hang, asking them all takes no longer than one connection may.
    patience = connect_timeout / len(address.hosts)
    sentinel = Sentinel(
        list(address.hosts),
        sentinel_kwargs={
            "socket_timeout": patience,
            "socket_connect_timeout": patience,
            "retry": options["retry"],
        },
    )
    return cast("Client", sentinel.master_for(address.service, db=address.database, **options))


#: Push messages about a provider's maintenance would make idle connections look broken.
_ONE_SERVER: dict[str, Any] = {
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    # Telling the server which library this is would be one more answer to wait for on each connection.
    "driver_info": None,
}
