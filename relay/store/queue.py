"""An integration's deliveries in Redis: accept, take, settle, reclaim. The steps themselves are the Lua scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from relay.core.dedupe import identify, version_key, window_of
from relay.core.ids import least_id
from relay.core.integration import Integration
from relay.core.model import Ignored, Mapped, Rejected, Update
from relay.core.outcomes import DOWN_REASONS, Dead, Delivered, Outcome, Park, Reason, Retry
from relay.core.resolver import why_skipped
from relay.core.retry import BUGS_TO_DIE, FAILURES_TO_PARK, NOT_FOUND_PATIENCE, UNKNOWN_TICKETS_TO_PARK, probe_schedule
from relay.errors import BacklogFullError, StoreUnavailableError
from relay.store.connection import Connection
from relay.store.flush import FlushWatch
from relay.store.keys import key
from relay.store.registry import Registry


@dataclass(frozen=True, slots=True)
class Submission:
    """One record of a webhook on its way in: what it was mapped to, and under which id it is stored."""

    id: str
    mapped: Mapped
    received_at: int
    #: Who sent it, for the record.
    sender: str
    idempotency_key: str | None = None
    #: The dead letter that this is a new delivery of.
    replay_of: str | None = None
    #: The rejection that this was.
    rejection: str | None = None
    #: Who replays it.
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a submission; `id` is a delivery's, of a rejected one the rejection's, of an ignored one empty."""

    status: str
    id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A delivery that was handed to this worker, with the fence that its settlement must show."""

    integration: str
    id: str
    fence: str
    sys_id: str
    iem_state: int
    #: Counted attempts so far.
    tries: int
    is_probe: bool
    created_at: int
    number: str
    #: Digest of the IEM configuration that it was taken with.
    config: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What `take` found: assignments, whether the integration is parked, and when to look again (Unix ms)."""

    assignments: tuple[Assignment, ...]
    parked: str | None
    look_again_at: int | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to. Times in Unix milliseconds, durations in milliseconds."""

    assignment: Assignment
    #: None: handed back without an attempt.
    outcome: Outcome | None
    at: int = 0
    duration: int = 0
    status: int | None = None
    #: Wait before the next attempt, if there is one.
    delay: int = 0
    give_up_after: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """How many records went, how many dead letters and rejections over their cap, and how many of everything are left."""

    gone: int
    over_cap: int
    left: int


#: Seconds.
_REGISTER_EVERY = 60.0
_SWEPT_AT_ONCE = 1000
#: As long as heartbeats are remembered (ms).
_CONSUMER_GONE_AFTER = 600_000
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_LIMITS = json.dumps(
    {
        "failures": FAILURES_TO_PARK,
        "unknown_tickets": UNKNOWN_TICKETS_TO_PARK,
        "bugs": BUGS_TO_DIE,
        "patience": int(NOT_FOUND_PATIENCE * 1000),
    }
)


class DeliveryQueue:
    """The queue of one integration. Every method is one atomic step in Redis, and can be repeated.

    All of them raise `StoreUnavailableError` where Redis does not answer.
    """

    def __init__(
        self, connection: Connection, integration: str, *, retention: float, max_pending: int = 1_000_000
    ) -> None:
        """`retention` in seconds: how long finished deliveries and their tickets stay."""
        self._connection = connection
        self._integration = integration
        self._key = key(integration, "queue")
        self._retention = int(retention * 1000)
        self._max_pending = max_pending
        self._flush = FlushWatch(connection, self._key)
        self._register_at = 0.0

    def accept(self, integration: Integration, submissions: Sequence[Submission], now: int) -> list[Verdict]:
        """Store the records of one webhook, all or none, and return the verdict on each.

        Raises:
            BacklogFullError: too many are pending already; nothing was stored.
        """
        return self.accept_records(encode(integration, submissions, now), now)

    def accept_records(self, records: Sequence[str], now: int) -> list[Verdict]:
        """As `accept`, of records that were encoded before: the journal's."""
        began = time.monotonic()
        answer = self._connection.run("accept", self._key, [now, self._max_pending, *records])
        if answer == ["full"]:
            raise BacklogFullError(f"{self._integration} has {self._max_pending} pending deliveries, the most it may")
        self._flush.wait(began)
        self._register()
        return [Verdict(status, an_id) for status, an_id in zip(answer[::2], answer[1::2], strict=True)]

    def _register(self) -> None:
        """Say now and then that there is something of this integration; workers say so too of those that they deliver."""
        now = time.monotonic()
        if now >= self._register_at:
            with suppress(StoreUnavailableError):
                Registry(self._connection).add(self._integration)
                self._register_at = now + _REGISTER_EVERY

    def take(self, consumer: str, most: int, *, lease: int, config: str, now: int) -> Batch:
        """Hand up to `most` deliveries to `consumer`, each for `lease` milliseconds; of a parked integration only a probe."""
        parked, again, *taken = self._connection.run("take", self._key, [now, consumer, most, lease, config])
        assignments = tuple(
            Assignment(
                integration=self._integration,
                id=an_id,
                fence=fence,
                sys_id=sys_id,
                iem_state=int(iem_state),
                tries=int(tries),
                is_probe=bool(probe),
                created_at=int(created_at),
                number=number,
                config=config,
            )
            for an_id, fence, sys_id, iem_state, tries, probe, created_at, number in taken
        )
        return Batch(assignments, parked or None, int(float(again)) if again else None)

    def settle(self, settlements: Sequence[Settlement], *, now: int) -> list[str]:
        """Write down what attempts came to; returns each delivery's status, `stale` where the lease was lost."""
        attempts = [_encode(_settled(settlement)) for settlement in settlements]
        return list(self._connection.run("settle", self._key, [now, _LIMITS, *attempts]))

    def sweep(self, *, cap: int, now: int) -> Swept:
        """Forget what was finished longer than the retention ago, a thousand of each kind at a time.

        Of dead letters and rejections no more than `cap` are kept.
        """
        young = least_id(now - self._retention + 1)
        arguments: list[str | int] = [now, self._retention, _SWEPT_AT_ONCE, cap, young]
        gone, over_cap, left = self._connection.run("sweep", self._key, arguments)
        return Swept(gone, over_cap, left)

    def reclaim(
        self, consumer: str, *, least_idle: int, now: int, gone_after: int = _CONSUMER_GONE_AFTER
    ) -> tuple[int, int]:
        """Put back what workers took and never settled; returns how many, and how many queue entries were missing.

        Forgets other consumers that have nothing and were silent for `gone_after` milliseconds.
        """
        cursor, total, missing = "0-0", 0, 0
        while True:
            arguments: list[str | int] = [now, consumer, least_idle, cursor, 100, gone_after]
            cursor, put_back, deleted = self._connection.run("reclaim", self._key, arguments)
            total, missing = total + put_back, missing + deleted
            if cursor == "0-0":
                return total, missing


def encode(integration: Integration, submissions: Sequence[Submission], now: int) -> list[str]:
    """Return the records of one webhook as the accept script takes them. `now` (Unix ms): when they were accepted.

    Journals keep them: a later version of the relay must still read what this one wrote.
    """
    return [_encode(_record_of(integration, submission, now)) for submission in submissions]


def _encode(record: dict[str, Any]) -> str:
    return _to_json({name: value for name, value in record.items() if value is not None})


def _record_of(integration: Integration, submission: Submission, now: int) -> dict[str, Any]:
    match submission.mapped:
        case Update() as update:
            return {**_relay(integration, submission, update), "created_at": now}
        case Ignored(facts=facts):
            return {
                "kind": "ignore",
                "sys_id": facts.sys_id,
                "version_key": version_key(facts.version) or None,
                "updated_at": facts.updated_at,
                "received_at": submission.received_at,
                "rejection": submission.rejection,
                "actor": submission.actor,
                "id": submission.id,
            }
        case Rejected(errors=errors, record=record):
            return {
                "kind": "reject",
                "id": submission.id,
                "created_at": now,
                "record": json.dumps(record, separators=(",", ":")),
                "errors": json.dumps([error.as_dict() for error in errors], separators=(",", ":")),
                "mapping": integration.digest,
                "from": submission.sender,
                "idempotency_key": submission.idempotency_key,
            }


def _relay(integration: Integration, submission: Submission, update: Update) -> dict[str, Any]:
    facts = update.facts
    identity = identify(update, submission.idempotency_key)
    return {
        "kind": "relay",
        "id": submission.id,
        "sys_id": facts.sys_id,
        "iem_state": update.iem_state,
        "itsm_state": facts.itsm_state,
        "number": facts.number,
        "table": facts.table,
        "version": facts.version,
        "version_key": version_key(facts.version) or None,
        "updated_at": facts.updated_at,
        "resolved_by": facts.resolved_by,
        "identity": identity.text,
        "window": int(window_of(identity, integration.dedupe.window) * 1000),
        "collapse": integration.dedupe.collapse,
        "received_at": submission.received_at,
        "mapping": integration.digest,
        "from": submission.sender,
        "replay_of": submission.replay_of,
        "rejection": submission.rejection,
        "actor": submission.actor,
        "lookup": _lookup_of(integration, facts.resolved_by),
        "via": " ".join(f"{name}:{which}" for name, which in facts.via.items()) or None,
    }


def _lookup_of(integration: Integration, resolved_by: str | None) -> dict[str, str] | None:
    if integration.virima is None:
        return None
    mode = integration.virima.lookup
    skip = why_skipped(mode, resolved_by)
    return {"mode": mode, "skip": skip} if skip else {"mode": mode}


def _settled(settlement: Settlement) -> dict[str, Any]:
    outcome = settlement.outcome
    word, reason = _words_of(outcome)
    parks_as = _parks_as(reason) if reason else None
    schedule = probe_schedule(parks_as) if parks_as else None
    return {
        "id": settlement.assignment.id,
        "fence": settlement.assignment.fence,
        "outcome": word,
        "reason": reason,
        "speaks_of_iem": True if word == "retry" and reason in DOWN_REASONS else None,
        "park_as": parks_as,
        "probe_first": int(schedule.first * 1000) if schedule else None,
        "probe_most": int(schedule.most * 1000) if schedule else None,
        "probe": True if settlement.assignment.is_probe else None,
        "delay": settlement.delay,
        "give_up_after": settlement.give_up_after,
        "config": settlement.assignment.config,
        "attempt": f"{settlement.at}|{word}|{reason or ''}|{settlement.status or ''}|{settlement.duration}",
    }


def _parks_as(reason: Reason) -> Reason:
    return Reason.DOWN if reason in DOWN_REASONS else reason


def _words_of(outcome: Outcome | None) -> tuple[str, Reason | None]:
    match outcome:
        case None:
            return "returned", None
        case Delivered():
            return "delivered", None
        case Retry(reason=reason):
            return "retry", reason
        case Park(reason=reason):
            return "park", reason
        case Dead(reason=reason):
            return "dead", reason
