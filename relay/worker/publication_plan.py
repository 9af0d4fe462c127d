"""What the relay publishes to IEM about one integration: the messages, when each kind is due, and what to remember."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from relay.core.integration_health import (
    MIN_NOTICE_INTERVAL,
    AttemptCounts,
    HealthProblem,
    IntegrationHealth,
    ReportedProblem,
    find_notices,
    judge_health,
)
from relay.core.mapping_blocks import PublishBlock
from relay.core.outcomes import Dead, Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.iem import reports
from relay.iem.publish_bodies import Publication
from relay.iem.reports import ReportSubject
from relay.iem.service import IemService
from relay.store.publication_store import PublicationStore

#: The topology is published when a process starts, and then at this interval (seconds).
_TOPOLOGY_EVERY = 86_400.0
#: Waits after a failed publication, first and maximum, doubling: IEM failed, and IEM refused the configuration (seconds).
_FAILED_FIRST, _FAILED_MAX = 5.0, 300.0
_REFUSED_FIRST, REFUSED_MAX = 300.0, 3600.0


class PublicationKind(StrEnum):
    """Kinds that are published independently: a kind that IEM refuses does not hold up the others."""

    TOPOLOGY = "topology"
    EVENTS = "events"
    HEARTBEAT = "heartbeat"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class PublishingLane:
    """One integration's publishing in this process."""

    subject: ReportSubject
    publish: PublishBlock
    service: IemService
    store: PublicationStore
    #: Digest of the `iem` block and its secrets.
    config: str
    #: Maximum duration of one call of the service (seconds).
    longest_turn: float

    @property
    def name(self) -> str:
        """The integration."""
        return self.subject.integration

    def interval(self, kind: PublicationKind) -> float | None:
        """Return the minimum interval of a kind (seconds), or None if the mapping does not ask for it."""
        match kind:
            case PublicationKind.TOPOLOGY:
                return _TOPOLOGY_EVERY if self.publish.topology else None
            case PublicationKind.EVENTS:
                return 0.0 if self.publish.events else None
            case PublicationKind.HEARTBEAT:
                return self.publish.heartbeat
            case PublicationKind.METRICS:
                return self.publish.metrics


#: What to publish, the body, and what to remember once IEM has accepted it.
Message = tuple[Publication, Mapping[str, Any], dict[str, str]]


def messages(
    lane: PublishingLane, kind: PublicationKind, health: IntegrationHealth, memory: Mapping[str, str]
) -> Iterator[Message]:
    """Yield the messages of a kind that are new since what `memory` says."""
    match kind:
        case PublicationKind.TOPOLOGY:
            yield Publication.ENTITY, reports.entity(lane.subject, health.at), {}
            yield Publication.SERVICE, reports.service(lane.subject), {}
        case PublicationKind.EVENTS:
            for notice in find_notices(health, reported_problems(memory), lane.publish.backlog_age):
                changes = {f"told:{notice.problem}": json.dumps(asdict(notice.reported))}
                yield Publication.EVENTS, reports.event(lane.subject, notice, health.at), changes
        case PublicationKind.HEARTBEAT:
            status, text = judge_health(health, _counts(memory, kind), lane.publish.backlog_age)
            yield Publication.HEALTHCHECK, reports.heartbeat(lane.subject, health, status, text), {}
        case PublicationKind.METRICS:
            for body in reports.metrics(lane.subject, health, _counts(memory, kind)):
                yield Publication.METRICS, body, {}


def after_success(lane: PublishingLane, kind: PublicationKind, health: IntegrationHealth) -> dict[str, str]:
    """Return what to remember after a kind was published."""
    due = health.at + int((lane.interval(kind) or 0.0) * 1000)
    return {f"{kind}:next": str(due), f"{kind}:wait": "", f"{kind}:counts": json.dumps(asdict(health.counts))}


def after_failure(
    lane: PublishingLane, kind: PublicationKind, outcome: Outcome, memory: Mapping[str, str], health: IntegrationHealth
) -> dict[str, str]:
    """Return what to remember after IEM did not accept a kind: when to try again. Wrong credentials delay all kinds."""
    previous = float(memory.get(f"{kind}:wait", "0"))
    match outcome:
        case Dead():
            wait = max(lane.interval(kind) or 0.0, MIN_NOTICE_INTERVAL / 1000)
        case Retry(retry_after=retry_after):
            wait = max(min(_FAILED_MAX, max(_FAILED_FIRST, previous * 2)), min(retry_after or 0.0, REFUSED_MAX))
        case _:
            wait = min(REFUSED_MAX, max(_REFUSED_FIRST, previous * 2))
    is_locked = outcome == Park(Reason.WRONG_CREDENTIALS)
    changes = {"locked": str(health.counts.delivered)} if is_locked else {}
    for delayed in PublicationKind if is_locked else [kind]:
        changes |= {f"{delayed}:next": str(health.at + int(wait * 1000)), f"{delayed}:wait": str(wait)}
    return changes


def reported_problems(memory: Mapping[str, str]) -> dict[HealthProblem, ReportedProblem]:
    """Return the problems that were reported to IEM. Fields that another version of the relay added are ignored."""
    names = {field.name for field in fields(ReportedProblem)}
    found = {problem: json.loads(text) for problem in HealthProblem if (text := memory.get(f"told:{problem}"))}
    return {
        problem: ReportedProblem(**{name: known[name] for name in names & known.keys()})
        for problem, known in found.items()
    }


def _counts(memory: Mapping[str, str], kind: PublicationKind) -> AttemptCounts | None:
    text = memory.get(f"{kind}:counts")
    names = {field.name for field in fields(AttemptCounts)}
    return AttemptCounts(**{name: value for name, value in json.loads(text).items() if name in names}) if text else None
