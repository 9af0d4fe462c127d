"""One way to talk to Redis: one command or script at a time, with a time limit, repeated only if that is safe."""

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

#: A command that failed sooner than this (seconds) used a connection that Redis had closed: it is sent once more.
_STALE_WITHIN = 0.25
_EVEN_IF_FULL = "#!lua flags=allow-oom\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"


class Client(Protocol):
    """The part of redis-py's clients, for one server or for a cluster, that the relay uses."""

    def execute_command(self, *args: Any) -> Any:
        """Send one command and return its answer."""

    def pubsub(self, *, ignore_subscribe_messages: bool) -> redis.client.PubSub:
        """Return a subscriber."""

    def close(self) -> None:
        """Close every connection."""


class Connection:
    """Talks to the Redis of one URL. Threads share a connection; processes do not: make it after the fork."""

    def __init__(self, url: str, *, timeout: float, connect_timeout: float = 0.7, cooldown: float = 0.0) -> None:
        """`timeout` limits the wait for one answer, `connect_timeout` the wait for a connection (seconds).

        After Redis did not answer in time, calls fail at once for `cooldown` seconds, so that threads do not queue up.

        Raises:
            ConfigurationError: the URL is not a valid address.
        """
        address = read_address(url)
        self._cooldown = cooldown
        self._cooldown_ends = 0.0
        self._make = lambda: _make_client(url, address, timeout, connect_timeout)
        self._client: Client | None = None
        self._lock = threading.Lock()

    def call(self, *command: Any) -> Any:
        """Return the answer to a command that is harmless if Redis executes it twice.

        Raises:
            StoreUnavailableError: Redis did not answer in time, or refused; it is unknown whether the command was executed.
        """
        return self._guard(lambda client: client.execute_command(*command))

    def write(self, command: str, key: str, *arguments: Any) -> Any:
        """Return the answer to a small write, which Redis executes even when its memory is full: emptying the queues needs it.

        Raises:
            StoreUnavailableError: as `call`.
        """
        return self.call("EVAL", _EVEN_IF_FULL, 1, key, command, *arguments)

    def run(self, script: str, key: str, arguments: Sequence[str | int]) -> Any:
        """Return the result of `lua/<script>.lua` for the integration with the queue `key`. Scripts can be repeated.

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
        """Return a subscriber of `channel`, on a separate connection."""

        def make(client: Client) -> redis.client.PubSub:
            subscriber = client.pubsub(ignore_subscribe_messages=True)
            subscriber.subscribe(channel)
            return subscriber

        return Subscriber(self._guard(make))

    def warm_up(self, *scripts: str) -> None:
        """Connect and load scripts, so that the first webhook does not wait for that. Ignores an unavailable Redis."""
        with suppress(StoreUnavailableError):
            for script in scripts:
                self.call("SCRIPT LOAD", script_text(script))

    @property
    def is_cooling_down(self) -> bool:
        """Whether calls fail at once because Redis did not answer in time a moment ago."""
        return time.monotonic() < self._cooldown_ends

    def close(self) -> None:
        """Close every connection; the next call opens a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client:
            client.close()

    def _guard(self, action: Callable[[Client], Any]) -> Any:
        began = time.monotonic()
        if began < self._cooldown_ends:
            raise StoreUnavailableError("Redis: it did not answer in time a moment ago, so it is not called again yet")
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
                self._cooldown_ends = time.monotonic() + self._cooldown
            raise StoreUnavailableError(f"Redis: {_describe(error)}") from error

    def _connected(self) -> Client:
        if client := self._client:
            return client
        # Not under the lock: a cluster's client calls the cluster, and threads must not wait for each other's timeouts.
        made = self._make()
        with self._lock:
            client = self._client = self._client or made
        if client is not made:
            made.close()
        return client


def pairs(answer: Any) -> Mapping[str, str]:
    """Return the fields of an answer with their values. redis-py returns them as a list or as a dict."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


class Subscriber:
    """Receives the messages of a channel."""

    def __init__(self, pubsub: redis.client.PubSub) -> None:
        self._pubsub = pubsub

    def next(self, *, timeout: float) -> str | None:
        """Return the next message, or None if there is no message within `timeout` seconds.

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
        # The relay writes UTF-8 only. Text of other programs is shown with replacement characters, and raises no exception.
        "encoding_errors": "replace",
        "protocol": 2,
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if address is None:
        return cast("Client", redis.Redis.from_url(url, **options, **_DIRECT))
    if address.username or address.password:
        options |= {"username": address.username, "password": address.password or ""}
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return cast("Client", RedisCluster(startup_nodes=nodes, **options, **_DIRECT))
    # If every sentinel hangs, asking all of them takes as long as one connection can take.
    sentinel_timeout = connect_timeout / len(address.hosts)
    sentinel = Sentinel(
        list(address.hosts),
        sentinel_kwargs={
            "socket_timeout": sentinel_timeout,
            "socket_connect_timeout": sentinel_timeout,
            "retry": options["retry"],
        },
    )
    return cast("Client", sentinel.master_for(address.service, db=address.database, **options))


#: For clients without Sentinel.
_DIRECT: dict[str, Any] = {
    # Push messages about a provider's maintenance would make idle connections look broken.
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    # Sending the library's name and version would cost one more answer per connection.
    "driver_info": None,
}
