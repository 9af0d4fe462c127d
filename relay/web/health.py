"""`/livez`, `/readyz`, `/healthz`, `/metrics`: for balancers and monitoring.

They are asked often, so what Redis said is kept a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from relay.bootstrap import now_ms
from relay.core.values import format_time
from relay.errors import StoreUnavailableError
from relay.mappings import Catalogue
from relay.store.durability import Durability, read_durability
from relay.store.pulse import Backlog, Pulse
from relay.web.answers import reply

#: A probe has this long (seconds): the answer leaves within a second.
_PATIENCE = 0.85
_KEPT = 1.0
#: No heartbeat for this long: nobody delivers (ms).
_SILENT_AFTER = 15_000
#: Pending work older than this means that deliveries do not get on, heartbeats or not (ms).
_STUCK_AFTER = 300_000
_ORDER = ("pass", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at Redis found."""

    at: int
    durability: Durability | None = None
    youngest_beat: int | None = None
    backlogs: tuple[Backlog, ...] = ()
    fault: str | None = None


@dataclass(slots=True)
class Watch:
    """Looks at Redis in a thread of its own, so that a Redis that hangs does not hang the asker."""

    pulse: Pulse
    read_durability: Callable[[], Durability]
    names: Callable[[], list[str]]
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "health"))
    _running: Future[Look] | None = None
    _last: Look | None = None
    _last_at: float = 0.0

    def look(self) -> Look:
        """Return what was found within the last second, or now; a look that takes too long is a fault."""
        if self._last is not None and time.monotonic() - self._last_at < _KEPT:
            return self._last
        running = self._running
        if running is None or running.done():
            running = self._running = self._pool.submit(self._look)
        try:
            self._last = running.result(timeout=_PATIENCE)
        except FutureTimeoutError:
            self._last = Look(now_ms(), fault=f"Redis does not answer within {_PATIENCE} s")
        self._last_at = time.monotonic()
        return self._last

    def _look(self) -> Look:
        try:
            self.pulse.probe_write(now_ms())
            return Look(
                now_ms(),
                durability=self.read_durability(),
                youngest_beat=self.pulse.youngest_beat(),
                backlogs=tuple(self.pulse.backlogs(self.names())),
            )
        except StoreUnavailableError as error:
            return Look(now_ms(), fault=str(error))


def make_watch(pulse: Pulse, catalogue: Catalogue) -> Watch:
    """Return the watch over Redis and over the integrations of `catalogue`."""
    return Watch(
        pulse,
        lambda: read_durability(pulse.connection),
        lambda: [integration.name for integration in catalogue.usable()],
    )


def make_health(watch: Watch, catalogue: Catalogue) -> Blueprint:
    """Return the probes and the metrics."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez", strict_slashes=False)
    def live() -> Response:
        return reply({"status": "pass"})

    @blueprint.get("/readyz", strict_slashes=False)
    @blueprint.get("/healthz", strict_slashes=False)
    def ready() -> Response:
        look = watch.look()
        checks = {
            "redis": _check_redis(look),
            "mappings": _check_mappings(catalogue),
            "workers": _check_workers(look),
            "journal": {"status": "pass", "output": "off: while Redis is away webhooks are answered 503"},
        }
        worst = max((check["status"] for check in checks.values()), key=_ORDER.index)
        at = format_time(look.at)
        content = {
            "status": worst,
            "checks": {name: [{**check, "time": at}] for name, check in checks.items()},
        }
        return reply(content, 503 if worst == "fail" else 200, "application/health+json")

    @blueprint.get("/metrics", strict_slashes=False)
    def metrics() -> Response:
        return Response(render_metrics(watch), content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _check_redis(look: Look) -> dict[str, Any]:
    if look.fault or look.durability is None:
        return {"status": "fail", "componentType": "datastore", "output": look.fault}
    doubtful = not look.durability.appendonly or look.durability.eviction not in {None, "noeviction"}
    return {
        "status": "warn" if doubtful else "pass",
        "componentType": "datastore",
        "output": look.durability.promise,
        "appendonly": look.durability.appendonly,
        "appendfsync": look.durability.appendfsync,
        "maxmemory_policy": look.durability.eviction,
    }


def _check_mappings(catalogue: Catalogue) -> dict[str, Any]:
    usable = sum(1 for integration in catalogue.usable() if integration.enabled)
    broken = [complaint for file in catalogue.broken() for complaint in file.complaints()[:1]]
    found = {"componentType": "component", "observedValue": usable, "observedUnit": "usable integrations"}
    if not usable:
        none = "no usable mapping file" if broken else "no mapping file in RELAY_MAPPINGS"
        return {"status": "fail", **found, "output": "; ".join([none, *broken])}
    return {"status": "warn", **found, "output": "; ".join(broken)} if broken else {"status": "pass", **found}


def _check_workers(look: Look) -> dict[str, Any]:
    if look.fault:
        return {"status": "warn", "componentType": "component", "output": "unknown: Redis is away"}
    flowing = [backlog for backlog in look.backlogs if not backlog.parked]
    pending = sum(backlog.pending for backlog in look.backlogs)
    oldest = min((backlog.oldest for backlog in flowing if backlog.oldest is not None), default=None)
    age = None if look.youngest_beat is None else max(0, look.at - look.youngest_beat)
    complaints = [f"{backlog.integration} is parked: {backlog.parked}" for backlog in look.backlogs if backlog.parked]
    if age is None or age > _SILENT_AFTER:
        complaints.append("no worker has been heard of lately: start `relay worker`")
    elif oldest is not None and look.at - oldest > _STUCK_AFTER:
        complaints.append("deliveries do not get on: the oldest has waited for long, see the workers' log")
    return {
        "status": "warn" if complaints else "pass",
        "componentType": "component",
        "observedValue": None if age is None else round(age / 1000, 1),
        "observedUnit": "s since the youngest heartbeat",
        "pending": pending,
        "oldest_pending_s": None if oldest is None else round((look.at - oldest) / 1000, 1),
        **({"output": "; ".join(complaints)} if complaints else {}),
    }


def render_metrics(watch: Watch) -> bytes:
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

    def __init__(self, look: Look) -> None:
        self._look = look

    def collect(self) -> list[Metric]:
        look = self._look
        up = GaugeMetricFamily("relay_redis_up", "Whether Redis takes writes", value=0 if look.fault else 1)
        if look.fault:
            return [up]
        pending = GaugeMetricFamily("relay_pending", "Deliveries on their way", labels=["integration"])
        oldest = GaugeMetricFamily("relay_oldest_pending_seconds", "Age of the oldest of them", labels=["integration"])
        retrying = GaugeMetricFamily("relay_retrying", "Deliveries that wait for a retry", labels=["integration"])
        dead = GaugeMetricFamily("relay_dead_letters", "Deliveries that were given up", labels=["integration"])
        rejected = GaugeMetricFamily("relay_rejections", "Webhooks that could not be mapped", labels=["integration"])
        parked = GaugeMetricFamily(
            "relay_parked", "1 where the integration is parked", labels=["integration", "reason"]
        )
        for backlog in look.backlogs:
            name = [backlog.integration]
            pending.add_metric(name, backlog.pending)
            oldest.add_metric(name, (look.at - backlog.oldest) / 1000 if backlog.oldest is not None else 0)
            retrying.add_metric(name, backlog.retrying)
            dead.add_metric(name, backlog.dead)
            rejected.add_metric(name, backlog.rejections)
            if backlog.parked:
                parked.add_metric([*name, backlog.parked], 1)
        beat = GaugeMetricFamily("relay_worker_heartbeat_age_seconds", "Since the youngest heartbeat of a worker")
        if look.youngest_beat is not None:
            beat.add_metric([], max(0, look.at - look.youngest_beat) / 1000)
        return [up, pending, oldest, retrying, dead, rejected, parked, beat]
