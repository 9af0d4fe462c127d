"""The queue of an integration's deliveries: accept, take, settle, reclaim, sweep. Each step is a Lua script in `lua/`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from relay.core.ids import first_id_at
from relay.core.integration import Integration
from relay.core.retry import FAILURES_TO_PARK, MAX_BUGS, NOT_FOUND_PATIENCE, UNKNOWN_TICKETS_TO_PARK
from relay.errors import BacklogFullError, StoreUnavailableError
from relay.store.connection import Connection
from relay.store.flush import FlushWatch
from relay.store.keys import key
from relay.store.registry import Registry
from relay.store.settlements import Assignment, Settlement, TakeResult, encode_settlement
from relay.store.submissions import Submission, Verdict, encode_submissions

#: Seconds between two entries of an integration in the registry.
_REGISTER_EVERY = 60.0
#: Records of each kind that one sweep removes at most.
_SWEEP_LIMIT = 1000
#: A consumer without work that was silent for this long is removed (ms): as long as heartbeats are remembered.
_CONSUMER_GONE_AFTER = 600_000
_LIMITS = json.dumps(
    {
        "failures": FAILURES_TO_PARK,
        "unknown_tickets": UNKNOWN_TICKETS_TO_PARK,
        "bugs": MAX_BUGS,
        "patience": int(NOT_FOUND_PATIENCE * 1000),
    }
)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many records were removed because they expired or exceeded the cap, and how many records of all kinds are left."""

    expired: int
    #: Dead letters and rejections.
    over_cap: int
    left: int


class DeliveryQueue:
    """The queue of one integration. Every method is one atomic step in Redis that can be repeated.

    All of them raise `StoreUnavailableError` if Redis does not answer.
    """

    def __init__(
        self, connection: Connection, integration: str, *, retention: float, max_pending: int = 1_000_000
    ) -> None:
        """`retention` in seconds: how long finished deliveries and their tickets are kept."""
        self._connection = connection
        self._integration = integration
        self._key = key(integration, "queue")
        self._retention = int(retention * 1000)
        self._max_pending = max_pending
        self._flush = FlushWatch(connection, self._key)
        self._register_at = 0.0

    def accept(self, integration: Integration, submissions: Sequence[Submission], now: int) -> list[Verdict]:
        """Encode the records of one webhook, and accept them as `accept_encoded` does."""
        return self.accept_encoded(encode_submissions(integration, submissions, now), now)

    def accept_encoded(self, records: Sequence[str], now: int) -> list[Verdict]:
        """Store the encoded records of one or more webhooks, all or none, and return a verdict for each.

        Raises:
            BacklogFullError: too many deliveries are pending; nothing was stored.
        """
        began = time.monotonic()
        answer = self._connection.run("accept", self._key, [now, self._max_pending, *records])
        if answer == ["full"]:
            raise BacklogFullError(
                f"the integration {self._integration} has {self._max_pending} pending deliveries, the limit (RELAY_MAX_PENDING)"
            )
        self._flush.wait(began)
        self._register()
        return [Verdict(status, stored_id) for status, stored_id in zip(answer[::2], answer[1::2], strict=True)]

    def _register(self) -> None:
        """Add the integration to the registry now and then; workers do the same for the integrations that they deliver for."""
        now = time.monotonic()
        if now >= self._register_at:
            with suppress(StoreUnavailableError):
                Registry(self._connection).add(self._integration)
                self._register_at = now + _REGISTER_EVERY

    def take(self, consumer: str, limit: int, *, lease: int, config: str, now: int) -> TakeResult:
        """Hand up to `limit` deliveries to `consumer`, each for `lease` milliseconds; only a probe if parked."""
        parked, look_again_at, *taken = self._connection.run("take", self._key, [now, consumer, limit, lease, config])
        assignments = tuple(
            Assignment(
                integration=self._integration,
                id=delivery_id,
                fence=fence,
                sys_id=sys_id,
                iem_state=int(iem_state),
                tries=int(tries),
                is_probe=bool(probe),
                created_at=int(created_at),
                number=number,
                config=config,
            )
            for delivery_id, fence, sys_id, iem_state, tries, probe, created_at, number in taken
        )
        return TakeResult(assignments, parked or None, int(float(look_again_at)) if look_again_at else None)

    def settle(self, settlements: Sequence[Settlement], *, now: int) -> list[str]:
        """Record the results of attempts; returns each delivery's status, `stale` if the lease was lost."""
        attempts = [encode_settlement(settlement) for settlement in settlements]
        return list(self._connection.run("settle", self._key, [now, _LIMITS, *attempts]))

    def sweep(self, *, cap: int, now: int) -> SweepResult:
        """Remove records that were finished longer ago than the retention, up to a thousand of each kind.

        Keeps no more than `cap` dead letters, and no more than `cap` rejections.
        """
        first_kept_id = first_id_at(now - self._retention + 1)
        arguments: list[str | int] = [now, self._retention, _SWEEP_LIMIT, cap, first_kept_id]
        expired, over_cap, left = self._connection.run("sweep", self._key, arguments)
        return SweepResult(expired, over_cap, left)

    def reclaim(
        self, consumer: str, *, min_idle: int, now: int, gone_after: int = _CONSUMER_GONE_AFTER
    ) -> tuple[int, int]:
        """Put back deliveries that workers took and never settled; returns how many, and how many queue entries were missing.

        Removes other consumers that have nothing and were silent for `gone_after` milliseconds.
        """
        cursor, total, missing = "0-0", 0, 0
        while True:
            arguments: list[str | int] = [now, consumer, min_idle, cursor, 100, gone_after]
            cursor, put_back, deleted = self._connection.run("reclaim", self._key, arguments)
            total, missing = total + put_back, missing + deleted
            if cursor == "0-0":
                return total, missing
