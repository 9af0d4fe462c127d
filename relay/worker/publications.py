"""What IEM is told of one integration, duty by duty: what there is to publish, when it is due again, what is remembered of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from relay.core.integration import PublishBlock
from relay.core.integration_health import (
    TELL_AGAIN,
    Counts,
    HealthProblem,
    IntegrationHealth,
    Known,
    judge_health,
    notices,
)
from relay.core.outcomes import Dead, Outcome, Park, Retry
from relay.core.reasons import Reason
from relay.iem import reports
from relay.iem.publish_bodies import Publication
from relay.iem.reports import Subject
from relay.iem.service import IemService
from relay.store.publication_store import PublicationStore

#: The topology is told at the start, and then this often (seconds).
_TOPOLOGY_EVERY = 86_400.0
#: After a failure a duty waits, doubling (seconds): where IEM fails, and where it refuses us as configured.
_FAILED_FIRST, _FAILED_MOST = 5.0, 300.0
_REFUSED_FIRST, REFUSED_MOST = 300.0, 3600.0


class PublicationKind(StrEnum):
    """What is told apart: one that IEM refuses holds no other one up."""

    TOPOLOGY = "topology"
    EVENTS = "events"
    HEARTBEAT = "heartbeat"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class PublishingLane:
    """One integration's publishing in this process."""

    subject: Subject
    publish: PublishBlock
    service: IemService
    store: PublicationStore
    #: Digest of the `iem` block and its secrets.
    config: str
    #: How long one turn with IEM may take (seconds).
    longest_turn: float

    @property
    def name(self) -> str:
        """The integration."""
        return self.subject.integration

    def interval(self, duty: PublicationKind) -> float | None:
        """Return how often a duty is done at most (seconds); None: it is not asked for."""
        match duty:
            case PublicationKind.TOPOLOGY:
                return _TOPOLOGY_EVERY if self.publish.topology else None
            case PublicationKind.EVENTS:
                return 0.0 if self.publish.events else None
            case PublicationKind.HEARTBEAT:
                return self.publish.heartbeat
            case PublicationKind.METRICS:
                return self.publish.metrics


Message = tuple[Publication, Mapping[str, Any], dict[str, str]]


def messages(
    lane: PublishingLane, duty: PublicationKind, now: IntegrationHealth, memory: Mapping[str, str]
) -> Iterator[Message]:
    """Return what a duty has to publish now, and what to remember once IEM has taken it."""
    match duty:
        case PublicationKind.TOPOLOGY:
            yield Publication.ENTITY, reports.entity(lane.subject, now.at), {}
            yield Publication.SERVICE, reports.service(lane.subject), {}
        case PublicationKind.EVENTS:
            for notice in notices(now, known_problems(memory), lane.publish.backlog_age):
                changes = {f"told:{notice.problem}": json.dumps(asdict(notice.known))}
                yield Publication.EVENTS, reports.event(lane.subject, notice, now.at), changes
        case PublicationKind.HEARTBEAT:
            health, says = judge_health(now, _counts(memory, duty), lane.publish.backlog_age)
            yield Publication.HEALTHCHECK, reports.heartbeat(lane.subject, now, health, says), {}
        case PublicationKind.METRICS:
            for body in reports.metrics(lane.subject, now, _counts(memory, duty)):
                yield Publication.METRICS, body, {}


def done_with(lane: PublishingLane, duty: PublicationKind, now: IntegrationHealth) -> dict[str, str]:
    """Return what to remember of a duty that was done."""
    due = now.at + int((lane.interval(duty) or 0.0) * 1000)
    return {f"{duty}:next": str(due), f"{duty}:wait": "", f"{duty}:counts": json.dumps(asdict(now.counts))}


def put_off(
    lane: PublishingLane, duty: PublicationKind, outcome: Outcome, memory: Mapping[str, str], now: IntegrationHealth
) -> dict[str, str]:
    """Return what to remember of a duty that failed: when it is tried again."""
    before = float(memory.get(f"{duty}:wait", "0"))
    match outcome:
        case Dead():
            wait = max(lane.interval(duty) or 0.0, TELL_AGAIN / 1000)
        case Retry(retry_after=retry_after):
            wait = max(min(_FAILED_MOST, max(_FAILED_FIRST, before * 2)), min(retry_after or 0.0, REFUSED_MOST))
        case _:
            wait = min(REFUSED_MOST, max(_REFUSED_FIRST, before * 2))
    concerned = list(PublicationKind) if outcome == Park(Reason.WRONG_CREDENTIALS) else [duty]
    changes = {"locked": str(now.counts.delivered)} if len(concerned) > 1 else {}
    for one in concerned:
        changes |= {f"{one}:next": str(now.at + int(wait * 1000)), f"{one}:wait": str(wait)}
    return changes


def known_problems(memory: Mapping[str, str]) -> dict[HealthProblem, Known]:
    """Return what IEM knows of problems; members that another version of the relay has added are left out."""
    names = {one.name for one in fields(Known)}
    found = {problem: json.loads(text) for problem in HealthProblem if (text := memory.get(f"told:{problem}"))}
    return {problem: Known(**{name: one[name] for name in names & one.keys()}) for problem, one in found.items()}


def _counts(memory: Mapping[str, str], duty: PublicationKind) -> Counts | None:
    text = memory.get(f"{duty}:counts")
    names = {one.name for one in fields(Counts)}
    return Counts(**{name: value for name, value in json.loads(text).items() if name in names}) if text else None
