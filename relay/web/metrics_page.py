"""`GET /metrics`: what the web processes counted together, and the depths that Redis holds now."""

from __future__ import annotations

import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from relay.web.watch import StoreSnapshot, StoreWatch


def make_metrics(watch: StoreWatch) -> Blueprint:
    """Return the endpoint."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics", strict_slashes=False)
    def metrics() -> Response:
        return Response(_render(watch), content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _render(watch: StoreWatch) -> bytes:
    """Return all metrics: those that the web processes counted together, and the depths that Redis holds now."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types there
        counted = generate_latest(registry)
    else:
        counted = generate_latest(REGISTRY)
    depths = CollectorRegistry()
    depths.register(_Depths(watch.look()))
    return counted + generate_latest(depths)


class _Depths(Collector):
    """Gauges of what one look found."""

    def __init__(self, look: StoreSnapshot) -> None:
        self._look = look

    def collect(self) -> list[Metric]:
        look = self._look
        up = GaugeMetricFamily("relay_redis_up", "Whether Redis takes writes", value=0 if look.fault else 1)
        return [up, *_journal(look), *([] if look.fault else _queues(look))]


def _journal(look: StoreSnapshot) -> list[Metric]:
    journal = look.journal
    if journal is None:
        return []
    age = (look.at - journal.oldest) / 1000 if journal.oldest is not None else 0
    return [
        GaugeMetricFamily("relay_journal_up", "Whether the journal takes webhooks", value=0 if journal.fault else 1),
        GaugeMetricFamily(
            "relay_journal_entries", "Webhooks that wait in this machine's journal", value=journal.entries
        ),
        GaugeMetricFamily("relay_journal_oldest_seconds", "Age of the oldest of them", value=age),
    ]


def _queues(look: StoreSnapshot) -> list[Metric]:
    pending = GaugeMetricFamily("relay_pending", "Deliveries on their way", labels=["integration"])
    oldest = GaugeMetricFamily("relay_oldest_pending_seconds", "Age of the oldest of them", labels=["integration"])
    retrying = GaugeMetricFamily("relay_retrying", "Deliveries that wait for a retry", labels=["integration"])
    dead = GaugeMetricFamily("relay_dead_letters", "Deliveries that were given up", labels=["integration"])
    rejected = GaugeMetricFamily("relay_rejections", "Webhooks that could not be mapped", labels=["integration"])
    parked = GaugeMetricFamily("relay_parked", "1 where the integration is parked", labels=["integration", "reason"])
    lookups = GaugeMetricFamily("relay_lookups_waiting", "Resolvers to be looked up in Virima", labels=["integration"])
    virima = GaugeMetricFamily("relay_lookups_parked", "1 where Virima is left alone", labels=["integration", "reason"])
    for backlog in look.backlogs:
        name = [backlog.integration]
        pending.add_metric(name, backlog.pending)
        oldest.add_metric(name, (look.at - backlog.oldest) / 1000 if backlog.oldest is not None else 0)
        retrying.add_metric(name, backlog.retrying)
        dead.add_metric(name, backlog.dead)
        rejected.add_metric(name, backlog.rejections)
        if backlog.parked:
            parked.add_metric([*name, backlog.parked], 1)
        lookups.add_metric(name, backlog.lookups)
        if backlog.virima_parked:
            virima.add_metric([*name, backlog.virima_parked], 1)
    beat = GaugeMetricFamily("relay_worker_heartbeat_age_seconds", "Since the youngest heartbeat of a worker")
    if look.youngest_beat is not None:
        beat.add_metric([], max(0, look.at - look.youngest_beat) / 1000)
    return [pending, oldest, retrying, dead, rejected, parked, lookups, virima, beat]
