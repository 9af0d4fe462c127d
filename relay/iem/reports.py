"""The relay's reports about itself, as bodies of the publish service. This module decides what the guide leaves open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from relay.core.integration_health import AttemptCounts, Health, HealthProblem, IntegrationHealth, ProblemNotice
from relay.iem.publish_bodies import AdaptorHealth, Entity, Event, Service
from relay.iem.publish_schemas import iso_time, stamp_time

NAME = "itsm-webhook-relay"
#: The guide shows only "4". The relay uses "1" (over) to "5" (needs action).
_OVER, _FOR_INFORMATION = "1", "2"
_SEVERITIES = {HealthProblem.BACKLOG: "3", HealthProblem.PARKED: "4", HealthProblem.DEAD_LETTERS: "5"}


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """The subject of a report: one integration, and the machine that reports."""

    integration: str
    customer_id: str
    #: The ITSM tool.
    source: str
    host: str

    @property
    def entity_id(self) -> str:
        """Return the id of the relay's entity for this integration."""
        return f"{NAME}-{self.integration}"


def heartbeat(subject: ReportSubject, now: IntegrationHealth, health: Health, text: str) -> AdaptorHealth:
    """Return the adaptor's health; `text` is the reason."""
    details = {
        "integration": subject.integration,
        "pending": now.pending,
        "dead_letters": now.dead,
        "parked": now.parked,
    }
    return AdaptorHealth(
        host=subject.host,
        envcustomer_id=subject.customer_id,
        kpi_name="heartbeat",
        kpi_type="heartbeat",
        status=health,
        value=str(now.pending),
        description=f"{subject.entity_id}: {text}",
        remark="" if health is Health.GREEN else "run relay doctor: it shows what is wrong and what to do",
        timestamp=stamp_time(now.at),
        updatetimestamp=stamp_time(now.at),
        updateid=f"{subject.entity_id}-{now.at}",
        additional_info=json.dumps(details),
    )


def metrics(subject: ReportSubject, now: IntegrationHealth, before: AttemptCounts | None) -> Iterator[Event]:
    """Yield metrics: counts since `before`, and the backlog. The value is in `messages`, because there is no field for it."""
    recent = now.counts.since(before)
    latency = recent.latency_ms / recent.delivered if recent.delivered else 0.0
    values = {
        "delivered": (recent.delivered, "deliveries that IEM has accepted since the last report"),
        "retried": (recent.retried, "attempts that will be retried, since the last report"),
        "dead": (recent.dead, "deliveries that have been given up since the last report"),
        "backlog": (now.pending, "pending deliveries"),
        "oldest_pending_seconds": (now.oldest_ms // 1000, "how long the oldest pending delivery has waited"),
        "latency_ms": (round(latency), "average time from acceptance to Success, since the last report"),
    }
    for name, (value, meaning) in values.items():
        yield _event(
            subject, _EventDetails("Metric", name, _FOR_INFORMATION, meaning, str(value)), at=now.at, since=now.at
        )


def event(subject: ReportSubject, notice: ProblemNotice, at: int) -> Event:
    """Return an event. The end of a problem has the same ids as its start, so that IEM can match them."""
    severity = _OVER if notice.reported.is_over else _SEVERITIES[notice.problem]
    details = _EventDetails("Event", notice.problem, severity, f"{subject.integration}: {notice.text}", notice.text)
    return _event(subject, details, at=at, since=notice.reported.since)


def entity(subject: ReportSubject, at: int) -> Entity:
    """Return the entity that represents the relay's work for this integration."""
    return Entity(
        custcol={
            "Category": "Integration",
            "Location": subject.host,
            "Integration": subject.integration,
            "Source": subject.source,
        },
        entityid=subject.entity_id,
        topology={"parententity": ""},
        envcustomer_id=subject.customer_id,
        createdon=iso_time(at),
    )


def service(subject: ReportSubject) -> Service:
    """Return the service that represents the relay's work for this integration; it depends on that entity."""
    return Service(
        servicename=f"{subject.source} to IEM ({subject.integration})",
        service_entity_mapping=[{"entityid": subject.entity_id}],
        service_topology=[],
        envcustomer_id=subject.customer_id,
    )


@dataclass(frozen=True, slots=True)
class _EventDetails:
    """The fields in which events and metrics differ."""

    kind: str
    name: str
    severity: str
    description: str
    message: str


def _event(subject: ReportSubject, details: _EventDetails, *, at: int, since: int) -> Event:
    return Event(
        parametercategory="Integration",
        parametertype=details.kind,
        parametername=details.name,
        parameterid=details.name,
        severity=details.severity,
        description=details.description,
        messages=details.message,
        entity=subject.entity_id,
        entityid=subject.entity_id,
        mappedentityid=subject.entity_id,
        agentlocation=subject.host,
        createdon=iso_time(at),
        toolmanager=NAME,
        manageragent=NAME,
        datasourcename=subject.source,
        toolcustomerid=subject.customer_id,
        createdby=NAME,
        envcustomerid=subject.customer_id,
        toolcustomername=subject.customer_id,
        ieventid=f"{subject.entity_id}-{details.name}-{since}",
        firstoccurrence=iso_time(since),
        splitby=f"{subject.customer_id}_{subject.entity_id}_{details.name}",
    )
