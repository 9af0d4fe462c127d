"""What the relay tells IEM of itself, as bodies of the publish service. What the guide leaves open is decided here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from relay.core.integration_health import AttemptCounts, Health, HealthProblem, IntegrationHealth, ProblemNotice
from relay.iem.publish_bodies import AdaptorHealth, Entity, Event, Service
from relay.iem.publish_schemas import iso_time, stamp_time

NAME = "itsm-webhook-relay"
#: The guide shows "4" alone. Ours: from "1", over, to "5", somebody must act.
_OVER, _FOR_INFORMATION = "1", "2"
_SEVERITIES = {HealthProblem.BACKLOG: "3", HealthProblem.PARKED: "4", HealthProblem.DEAD_LETTERS: "5"}


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """Whom a report is about: one integration, and the machine that tells of it."""

    integration: str
    customer_id: str
    #: The ITSM tool.
    source: str
    host: str

    @property
    def entity_id(self) -> str:
        """The relay's entity of this integration."""
        return f"{NAME}-{self.integration}"


def heartbeat(subject: ReportSubject, now: IntegrationHealth, health: Health, says: str) -> AdaptorHealth:
    """Return the adaptor's health."""
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
        description=f"{subject.entity_id}: {says}",
        remark="" if health is Health.GREEN else "relay doctor tells what is wrong, and what to do",
        timestamp=stamp_time(now.at),
        updatetimestamp=stamp_time(now.at),
        updateid=f"{subject.entity_id}-{now.at}",
        additional_info=json.dumps(details),
    )


def metrics(subject: ReportSubject, now: IntegrationHealth, before: AttemptCounts | None) -> Iterator[Event]:
    """Return a metric each: counts since `before`, and how it stands. The value is in `messages`: there is no field for it."""
    lately = now.counts.since(before)
    latency = lately.latency_ms / lately.delivered if lately.delivered else 0.0
    values = {
        "delivered": (lately.delivered, "deliveries that IEM took, since the last report"),
        "retried": (lately.retried, "attempts that are tried again, since the last report"),
        "dead": (lately.dead, "deliveries that were given up, since the last report"),
        "backlog": (now.pending, "deliveries that wait"),
        "oldest_pending_seconds": (now.oldest_ms // 1000, "how long the oldest of them has waited"),
        "latency_ms": (round(latency), "from acceptance to Success on average, since the last report"),
    }
    for name, (value, meaning) in values.items():
        yield _event(
            subject, _Particulars("Metric", name, _FOR_INFORMATION, meaning, str(value)), at=now.at, since=now.at
        )


def event(subject: ReportSubject, notice: ProblemNotice, at: int) -> Event:
    """Return an event. The one that ends a problem has the ids of the one that began it, so that IEM knows it."""
    severity = _OVER if notice.reported.is_over else _SEVERITIES[notice.problem]
    one = _Particulars("Event", notice.problem, severity, f"{subject.integration}: {notice.text}", notice.text)
    return _event(subject, one, at=at, since=notice.reported.since)


def entity(subject: ReportSubject, at: int) -> Entity:
    """Return the relay, as far as it serves this integration, as an entity."""
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
    """Return the relaying of this integration as a service, on that entity."""
    return Service(
        servicename=f"{subject.source} to IEM ({subject.integration})",
        service_entity_mapping=[{"entityid": subject.entity_id}],
        service_topology=[],
        envcustomer_id=subject.customer_id,
    )


@dataclass(frozen=True, slots=True)
class _Particulars:
    """What is particular to one event or metric."""

    kind: str
    name: str
    severity: str
    description: str
    message: str


def _event(subject: ReportSubject, one: _Particulars, *, at: int, since: int) -> Event:
    return Event(
        parametercategory="Integration",
        parametertype=one.kind,
        parametername=one.name,
        parameterid=one.name,
        severity=one.severity,
        description=one.description,
        messages=one.message,
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
        ieventid=f"{subject.entity_id}-{one.name}-{since}",
        firstoccurrence=iso_time(since),
        splitby=f"{subject.customer_id}_{subject.entity_id}_{one.name}",
    )
