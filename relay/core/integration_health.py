"""The health of an integration as the relay reports it to IEM: a status, and the problems that begin and end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from relay.core.plural import count_of

#: Minimum time between two notices of one problem, except the notice that it ended (ms).
MIN_NOTICE_INTERVAL = 300_000


@dataclass(frozen=True, slots=True)
class AttemptCounts:
    """The results of all attempts since the integration was created."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    #: Time from acceptance to Success, summed over all delivered updates (ms).
    latency_ms: int = 0

    def since(self, before: AttemptCounts | None) -> AttemptCounts:
        """Return the difference to `before`; zero if there is no `before`, or if Redis has lost counts since."""
        if before is None or before.delivered > self.delivered or before.dead > self.dead:
            return AttemptCounts()
        return AttemptCounts(
            self.delivered - before.delivered,
            max(0, self.retried - before.retried),
            self.dead - before.dead,
            max(0, self.latency_ms - before.latency_ms),
        )


@dataclass(frozen=True, slots=True)
class IntegrationHealth:
    """The state of an integration at one moment. Times in Unix milliseconds."""

    at: int
    counts: AttemptCounts
    pending: int = 0
    #: When the oldest pending delivery was accepted.
    oldest: int | None = None
    #: Pending deliveries that IEM has answered, and that wait for their next attempt.
    retrying: int = 0
    #: Open dead letters, and when the oldest of them was accepted.
    dead: int = 0
    oldest_dead: int | None = None
    #: Why it is parked, and since when.
    parked: str | None = None
    parked_since: int | None = None

    @property
    def oldest_ms(self) -> int:
        """Return how long the oldest pending delivery has waited (ms)."""
        return 0 if self.oldest is None else max(0, self.at - self.oldest)


class Health(StrEnum):
    """The adaptor's status. IEM's guide shows Green only; Amber and Red are the relay's own."""

    GREEN = "Green"
    AMBER = "Amber"
    RED = "Red"


def judge_health(now: IntegrationHealth, before: AttemptCounts | None, backlog_age: float) -> tuple[Health, str]:
    """Return the status and its reason as a clause. `before`: the counts at the last heartbeat; `backlog_age` in seconds."""
    recent = now.counts.since(before)
    is_old = now.oldest_ms > backlog_age * 1000
    if recent.dead:
        total = count_of(now.dead, "dead letter")
        return Health.RED, f"{_given_up(recent.dead)} since the last heartbeat; {total} in total"
    if now.parked is not None:
        return Health.AMBER, f"parked: {now.parked}; {_waiting(now.pending)}"
    # Deliveries that wait for their next attempt do not count: one ticket that IEM does not know must not look like an outage.
    if is_old and now.pending > now.retrying and before is not None and not recent.delivered:
        return Health.RED, f"nothing has been delivered since the last heartbeat, and {_waiting(now.pending)}"
    if is_old:
        return Health.AMBER, _old_backlog(now)
    return Health.GREEN, f"no problems; {now.pending} pending"


class HealthProblem(StrEnum):
    """A problem that the relay reports in an event when it begins, and in another event when it ends."""

    PARKED = "parked"
    DEAD_LETTERS = "dead_letters"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class ReportedProblem:
    """The last notice of a problem that IEM received: when the problem began, when IEM was notified, and whether it ended."""

    since: int
    at: int
    detail: str = ""
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class ProblemNotice:
    """A message for IEM about a problem; `reported` is stored once IEM has received it."""

    problem: HealthProblem
    text: str
    reported: ReportedProblem


@dataclass(frozen=True, slots=True)
class _ProblemState:
    """A problem at one moment, present or not. It is reported again when its `detail` changes."""

    problem: HealthProblem
    since: int
    text: str
    text_when_over: str
    is_present: bool
    detail: str = ""


def find_notices(
    now: IntegrationHealth, reported: Mapping[HealthProblem, ReportedProblem], backlog_age: float
) -> Iterator[ProblemNotice]:
    """Yield a notice for each problem that is new, changed or over; for dead letters one with a count. `backlog_age` in seconds.

    A problem that begins and ends repeatedly is reported at most once per `MIN_NOTICE_INTERVAL`.
    """
    for state in _problem_states(now, reported.get(HealthProblem.DEAD_LETTERS), backlog_age):
        if notice := _find_notice(state, reported.get(state.problem), now.at):
            yield notice


def _problem_states(
    now: IntegrationHealth, reported_dead: ReportedProblem | None, backlog_age: float
) -> Iterator[_ProblemState]:
    yield _ProblemState(
        HealthProblem.PARKED,
        now.parked_since or now.at,
        f"parked: {now.parked}; {_waiting(now.pending)}",
        "no longer parked",
        now.parked is not None,
        now.parked or "",
    )
    known_dead = int(reported_dead.detail or 0) if reported_dead and not reported_dead.is_over else None
    new = f"; {now.counts.dead - known_dead} of them new" if known_dead is not None else ""
    yield _ProblemState(
        HealthProblem.DEAD_LETTERS,
        now.oldest_dead or now.at,
        f"{_given_up(now.dead)}{new}: see `relay deliveries list --status dead`",
        "no dead letters are left",
        now.dead > 0,
        str(max(now.counts.dead, known_dead or 0)),
    )
    # The deliveries of a parked integration wait because it is parked, which is reported already.
    is_old = now.oldest_ms > backlog_age * 1000
    yield _ProblemState(
        HealthProblem.BACKLOG,
        (now.oldest or now.at) + int(backlog_age * 1000),
        _old_backlog(now),
        f"the backlog is no longer old; {now.pending} pending",
        is_old and now.parked is None,
    )


def _find_notice(state: _ProblemState, reported: ReportedProblem | None, at: int) -> ProblemNotice | None:
    is_open = reported is not None and not reported.is_over
    if not state.is_present:
        if reported is None or reported.is_over:
            return None
        return ProblemNotice(state.problem, state.text_when_over, replace(reported, is_over=True))
    if is_open and reported is not None and reported.detail == state.detail:
        return None
    if reported is not None and 0 <= at - reported.at < MIN_NOTICE_INTERVAL:
        return None
    since = reported.since if is_open and reported is not None else state.since
    return ProblemNotice(state.problem, state.text, ReportedProblem(since, at, state.detail))


def _waiting(count: int) -> str:
    return count_of(count, "delivery waits", "deliveries wait")


def _given_up(count: int) -> str:
    return count_of(count, "delivery was given up", "deliveries were given up")


def _old_backlog(now: IntegrationHealth) -> str:
    return f"the oldest pending delivery has waited for {now.oldest_ms // 1000} s; {now.pending} pending"
