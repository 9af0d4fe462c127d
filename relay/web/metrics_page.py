"""`GET /metrics`: the counters of all web processes of this machine, and gauges read from Redis."""

from __future__ import annotations

import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from relay.web.store_monitor import StoreMonitor, StoreSnapshot


def make_metrics(monitor: StoreMonitor) -> Blueprint:
    """Return the endpoint."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics", strict_slashes=False)
    def metrics() -> Response:
        return Response(_render(monitor), content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _render(monitor: StoreMonitor) -> bytes:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in the library
        counted = generate_latest(registry)
    else:
        counted = generate_latest(REGISTRY)
    gauges = CollectorRegistry()
    gauges.register(_StoreGauges(monitor.snapshot()))
    return counted + generate_latest(gauges)


class _StoreGauges(Collector):
    """Gauges of one snapshot."""

    def __init__(self, snapshot: StoreSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> list[Metric]:
        snapshot = self._snapshot
        up = GaugeMetricFamily(
            "relay_redis_up", "1 if Redis accepts writes, otherwise 0", value=0 if snapshot.fault else 1
        )
        return [up, *_journal(snapshot), *([] if snapshot.fault else _queues(snapshot))]


def _journal(snapshot: StoreSnapshot) -> list[Metric]:
    journal = snapshot.journal
    if journal is None:
        return []
    age = (snapshot.at - journal.oldest) / 1000 if journal.oldest is not None else 0
    return [
        GaugeMetricFamily(
            "relay_journal_up", "1 if the journal accepts webhooks, otherwise 0", value=0 if journal.fault else 1
        ),
        GaugeMetricFamily("relay_journal_entries", "Webhooks waiting in this machine's journal", value=journal.entries),
        GaugeMetricFamily("relay_journal_oldest_seconds", "Age of the oldest webhook in the journal", value=age),
    ]


def _queues(snapshot: StoreSnapshot) -> list[Metric]:
    pending = GaugeMetricFamily("relay_pending", "Pending deliveries", labels=["integration"])
    oldest = GaugeMetricFamily(
        "relay_oldest_pending_seconds", "Age of the oldest pending delivery", labels=["integration"]
    )
    retrying = GaugeMetricFamily("relay_retrying", "Deliveries waiting for a retry", labels=["integration"])
    dead = GaugeMetricFamily(
        "relay_dead_letters", "Dead letters: deliveries that were given up", labels=["integration"]
    )
    rejected = GaugeMetricFamily("relay_rejections", "Webhook records that could not be mapped", labels=["integration"])
    parked = GaugeMetricFamily("relay_parked", "1 if the integration is parked", labels=["integration", "reason"])
    lookups = GaugeMetricFamily(
        "relay_lookups_waiting", "Resolvers waiting for a lookup in Virima", labels=["integration"]
    )
    virima = GaugeMetricFamily(
        "relay_lookups_parked", "1 if lookups in Virima are parked", labels=["integration", "reason"]
    )
    for backlog in snapshot.backlogs:
        name = [backlog.integration]
        pending.add_metric(name, backlog.pending)
        oldest.add_metric(name, (snapshot.at - backlog.oldest) / 1000 if backlog.oldest is not None else 0)
        retrying.add_metric(name, backlog.retrying)
        dead.add_metric(name, backlog.dead)
        rejected.add_metric(name, backlog.rejections)
        if backlog.parked:
            parked.add_metric([*name, backlog.parked], 1)
        lookups.add_metric(name, backlog.lookups)
        if backlog.virima_parked:
            virima.add_metric([*name, backlog.virima_parked], 1)
    heartbeat = GaugeMetricFamily("relay_worker_heartbeat_age_seconds", "Age of the latest worker heartbeat")
    if snapshot.latest_heartbeat is not None:
        heartbeat.add_metric([], max(0, snapshot.at - snapshot.latest_heartbeat) / 1000)
    return [pending, oldest, retrying, dead, rejected, parked, lookups, virima, heartbeat]
