"""How an integration stands, as the relay tells IEM of itself: its health, and the problems that begin and end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

#: Between two tellings of one problem, ends excepted, at least this passes (ms).
TELL_AGAIN = 300_000


@dataclass(frozen=True, slots=True)
class Counts:
    """What attempts came to since there is the integration."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    #: Time from acceptance to Success, of all that were delivered (ms).
    latency_ms: int = 0

    def since(self, before: Counts | None) -> Counts:
        """Return what came to it after `before`; None, or counts that Redis has lost: nothing."""
        if before is None or before.delivered > self.delivered or before.dead > self.dead:
            return Counts()
        return Counts(
            self.delivered - before.delivered,
            max(0, self.retried - before.retried),
            self.dead - before.dead,
            max(0, self.latency_ms - before.latency_ms),
        )


@dataclass(frozen=True, slots=True)
class IntegrationHealth:
    """How an integration stands at one moment. Times in Unix milliseconds."""

    at: int
    counts: Counts
    pending: int = 0
    #: When the oldest pending delivery was accepted.
    oldest: int | None = None
    #: Pending ones that IEM has answered, and that wait for their next attempt.
    retrying: int = 0
    #: Dead letters that nobody has closed, and when the oldest of them was accepted.
    dead: int = 0
    oldest_dead: int | None = None
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


def judge_health(now: IntegrationHealth, before: Counts | None, backlog_age: float) -> tuple[Health, str]:
    """Return the health, and why, in a sentence. `before`: the counts at the last judgement; `backlog_age` in seconds."""
    lately = now.counts.since(before)
    is_old = now.oldest_ms > backlog_age * 1000
    if lately.dead:
        return (
            Health.RED,
            f"{lately.dead} deliveries were given up since the last heartbeat; {now.dead} dead letters in all",
        )
    if now.parked is not None:
        return Health.AMBER, f"parked: {now.parked}; {now.pending} deliveries wait"
    # Those that wait for their next attempt say nothing: one ticket that IEM does not know must not look like a standstill.
    if is_old and now.pending > now.retrying and before is not None and not lately.delivered:
        return Health.RED, f"nothing was delivered since the last heartbeat, and {now.pending} deliveries wait"
    if is_old:
        return Health.AMBER, f"the oldest of {now.pending} pending deliveries has waited for {now.oldest_ms // 1000} s"
    return Health.GREEN, f"deliveries get on; {now.pending} pending"


class HealthProblem(StrEnum):
    """What is told in an event when it begins, and in another one when it is over."""

    PARKED = "parked"
    DEAD_LETTERS = "dead_letters"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Known:
    """What IEM knows of a problem: since when it is there, when that was told last, as what, and whether it is over."""

    since: int
    at: int
    detail: str = ""
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that IEM is to be told, and what it knows of the problem after that."""

    problem: HealthProblem
    says: str
    known: Known


@dataclass(frozen=True, slots=True)
class _Case:
    """A problem as it is at one moment. What is told once more has another `detail`."""

    problem: HealthProblem
    since: int
    says: str
    over: str
    is_there: bool
    detail: str = ""


def notices(now: IntegrationHealth, known: Mapping[HealthProblem, Known], backlog_age: float) -> Iterator[Notice]:
    """Return what is new of each problem: a thousand dead letters are one notice with a count. `backlog_age` in seconds.

    A problem that comes and goes is told every `TELL_AGAIN` at most.
    """
    for case in _cases(now, known.get(HealthProblem.DEAD_LETTERS), backlog_age):
        if notice := _notice(case, known.get(case.problem), now.at):
            yield notice


def _cases(now: IntegrationHealth, dead_known: Known | None, backlog_age: float) -> Iterator[_Case]:
    waits = f"{now.pending} deliveries wait"
    yield _Case(
        HealthProblem.PARKED,
        now.parked_since or now.at,
        f"parked: {now.parked}; {waits}",
        "it is not parked any more",
        now.parked is not None,
        now.parked or "",
    )
    told = int(dead_known.detail or 0) if dead_known and not dead_known.is_over else None
    more = f"; {now.counts.dead - told} of them are new" if told is not None else ""
    yield _Case(
        HealthProblem.DEAD_LETTERS,
        now.oldest_dead or now.at,
        f"{now.dead} deliveries were given up and wait for somebody{more}",
        "no dead letter is left",
        now.dead > 0,
        str(max(now.counts.dead, told or 0)),
    )
    # A parked integration's deliveries wait for that to end: it is told as parked.
    is_old = now.oldest_ms > backlog_age * 1000
    yield _Case(
        HealthProblem.BACKLOG,
        (now.oldest or now.at) + int(backlog_age * 1000),
        f"the oldest of {now.pending} pending deliveries has waited for {now.oldest_ms // 1000} s",
        f"no delivery waits for long any more; {now.pending} pending",
        is_old and now.parked is None,
    )


def _notice(case: _Case, known: Known | None, at: int) -> Notice | None:
    is_open = known is not None and not known.is_over
    if not case.is_there:
        if known is None or known.is_over:
            return None
        return Notice(case.problem, case.over, replace(known, is_over=True))
    if is_open and known is not None and known.detail == case.detail:
        return None
    if known is not None and 0 <= at - known.at < TELL_AGAIN:
        return None
    since = known.since if is_open and known is not None else case.since
    return Notice(case.problem, case.says, Known(since, at, case.detail))
