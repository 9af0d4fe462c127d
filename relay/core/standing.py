"""How an integration stands, as the relay tells IEM of itself: its health, and the problems that begin and end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

#: A problem that goes on is told again, with a new count, no sooner than this (ms).
TELL_AGAIN = 300_000


@dataclass(frozen=True, slots=True)
class Counts:
    """What attempts came to since there is the integration."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    #: Time from acceptance to Success, of all that were delivered (ms).
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How an integration stands at one moment. Times in Unix milliseconds."""

    at: int
    counts: Counts
    pending: int = 0
    #: When the oldest pending delivery was accepted.
    oldest: int | None = None
    #: Dead letters that nobody has closed.
    dead: int = 0
    #: Why it is parked, and since when.
    parked: str | None = None
    parked_since: int | None = None

    @property
    def oldest_ms(self) -> int:
        """How long the oldest pending delivery has waited (ms)."""
        return 0 if self.oldest is None else max(0, self.at - self.oldest)


class Health(StrEnum):
    """The adaptor's status. IEM's guide shows Green only: Amber and Red are ours."""

    GREEN = "Green"
    AMBER = "Amber"
    RED = "Red"


def judge_health(now: Standing, before: Counts, backlog_age: float) -> tuple[Health, str]:
    """Return the health, and why, in a sentence. `before`: the counts at the last judgement; `backlog_age` in seconds."""
    is_old = now.oldest_ms > backlog_age * 1000
    if (died := now.counts.dead - before.dead) > 0:
        return Health.RED, f"{died} deliveries were given up since the last heartbeat; {now.dead} dead letters in all"
    if is_old and now.parked is None and now.counts.delivered == before.delivered:
        return Health.RED, f"nothing was delivered since the last heartbeat, and {now.pending} deliveries wait"
    if now.parked is not None:
        return Health.AMBER, f"parked: {now.parked}; {now.pending} deliveries wait"
    if is_old:
        return Health.AMBER, f"the oldest of {now.pending} pending deliveries has waited for {now.oldest_ms // 1000} s"
    return Health.GREEN, f"deliveries get on; {now.pending} pending"


class Problem(StrEnum):
    """What is told in an event when it begins, and in another one when it is over."""

    PARKED = "parked"
    DEAD_LETTERS = "dead_letters"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Told:
    """A problem as IEM was told of it last: since when it is there, when that was told, and how many were dead by then."""

    since: int
    at: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that IEM is to be told. `told`: what it knows of the problem after that; None: that it is over."""

    problem: Problem
    since: int
    says: str
    told: Told | None


def notices(now: Standing, told: Mapping[Problem, Told], backlog_age: float) -> Iterator[Notice]:
    """Return what is new of each problem: a thousand dead letters are one notice with a count. `backlog_age` in seconds."""
    yield from _parked(now, told.get(Problem.PARKED))
    yield from _dead_letters(now, told.get(Problem.DEAD_LETTERS))
    yield from _backlog(now, told.get(Problem.BACKLOG), backlog_age)


def _parked(now: Standing, told: Told | None) -> Iterator[Notice]:
    if now.parked is not None and told is None:
        since = now.parked_since or now.at
        says = f"parked: {now.parked}; {now.pending} deliveries wait"
        yield Notice(Problem.PARKED, since, says, Told(since, now.at))
    if now.parked is None and told is not None:
        yield Notice(Problem.PARKED, told.since, "it is not parked any more", None)


def _dead_letters(now: Standing, told: Told | None) -> Iterator[Notice]:
    if told is not None and now.dead == 0:
        yield Notice(Problem.DEAD_LETTERS, told.since, "no dead letter is left", None)
    elif told is None and now.dead > 0:
        says = f"{now.dead} deliveries were given up and wait for somebody"
        yield Notice(Problem.DEAD_LETTERS, now.at, says, Told(now.at, now.at, now.counts.dead))
    elif told is not None and now.counts.dead > told.count and now.at - told.at >= TELL_AGAIN:
        says = f"{now.counts.dead - told.count} more deliveries were given up: {now.dead} wait for somebody"
        yield Notice(Problem.DEAD_LETTERS, told.since, says, Told(told.since, now.at, now.counts.dead))


def _backlog(now: Standing, told: Told | None, backlog_age: float) -> Iterator[Notice]:
    is_old = now.oldest_ms > backlog_age * 1000
    if is_old and now.parked is None and told is None:
        since = (now.oldest or now.at) + int(backlog_age * 1000)
        says = f"the oldest of {now.pending} pending deliveries has waited for {now.oldest_ms // 1000} s"
        yield Notice(Problem.BACKLOG, since, says, Told(since, now.at))
    if not is_old and told is not None:
        yield Notice(Problem.BACKLOG, told.since, f"no delivery waits for long any more; {now.pending} pending", None)
