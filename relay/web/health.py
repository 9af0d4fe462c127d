"""`/livez`, `/readyz`, `/healthz`: for load balancers and for people. The format is draft-inadarei-api-health-check."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from relay.core.values import format_time
from relay.mapping_files.catalogue import Catalogue
from relay.settings import Settings
from relay.store.heartbeats import SILENT_AFTER, Backlog
from relay.web.responses import reply
from relay.web.store_monitor import StoreMonitor, StoreSnapshot

#: Deliveries are stalled if the oldest pending one is older than this, whether or not workers send heartbeats (ms).
_STALLED_AFTER = 300_000
#: The share of a limit from which a warning is reported, before webhooks are refused or dead letters are deleted.
_WARN_FROM = 0.8
_BY_SEVERITY = ("pass", "warn", "fail")


def make_health(monitor: StoreMonitor, catalogue: Catalogue, settings: Settings) -> Blueprint:
    """Return the endpoints of the probes."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/livez", strict_slashes=False)
    def live() -> Response:
        return reply({"status": "pass"})

    @blueprint.get("/readyz", strict_slashes=False)
    @blueprint.get("/healthz", strict_slashes=False)
    def ready() -> Response:
        snapshot = monitor.snapshot()
        checks = {
            "redis": _check_redis(snapshot),
            "mappings": _check_mappings(catalogue),
            "workers": _check_workers(snapshot, settings),
            "journal": _check_journal(snapshot),
        }
        worst = max((check["status"] for check in checks.values()), key=_BY_SEVERITY.index)
        at = format_time(snapshot.at)
        content = {
            "status": worst,
            "checks": {name: [{**check, "time": at}] for name, check in checks.items()},
        }
        return reply(content, 503 if worst == "fail" else 200, "application/health+json")

    return blueprint


def _check_redis(snapshot: StoreSnapshot) -> dict[str, Any]:
    if snapshot.fault or snapshot.durability is None:
        takes_over = snapshot.journal is not None and snapshot.journal.fault is None
        status, outcome = (
            ("warn", "webhooks go to the journal") if takes_over else ("fail", "webhooks are answered 503")
        )
        return {"status": status, "componentType": "datastore", "output": f"{snapshot.fault}: {outcome}"}
    durability = snapshot.durability
    doubtful = not durability.appendonly or durability.eviction not in {None, "noeviction"}
    return {
        "status": "warn" if doubtful or durability.is_short_of_memory else "pass",
        "componentType": "datastore",
        "output": f"{durability.guarantee}; {durability.memory}",
        "appendonly": durability.appendonly,
        "appendfsync": durability.appendfsync,
        "maxmemory_policy": durability.eviction,
        "memory_used_bytes": durability.memory_used,
        "maxmemory_bytes": durability.memory_limit,
    }


def _check_journal(snapshot: StoreSnapshot) -> dict[str, Any]:
    journal = snapshot.journal
    if journal is None:
        return {"status": "pass", "output": "off: webhooks are answered 503 while Redis is unavailable"}
    found = {"componentType": "datastore", "observedValue": journal.entries, "observedUnit": "waiting webhooks"}
    if journal.oldest is not None:
        found["oldest_s"] = round((snapshot.at - journal.oldest) / 1000, 1)
    if journal.fault:
        return {"status": "fail" if snapshot.fault else "warn", **found, "output": journal.fault}
    if journal.entries:
        return {
            "status": "warn",
            **found,
            "output": "the webhooks are moved to Redis, in order, as soon as it accepts writes",
        }
    return {"status": "pass", **found}


def _check_mappings(catalogue: Catalogue) -> dict[str, Any]:
    usable = sum(1 for integration in catalogue.usable() if integration.enabled)
    broken = [complaint for file in catalogue.broken() for complaint in file.formatted_faults()[:1]]
    found = {"componentType": "component", "observedValue": usable, "observedUnit": "usable integrations"}
    if catalogue.fault:
        return {"status": "warn" if usable else "fail", **found, "output": catalogue.fault}
    if not usable:
        files = catalogue.files()
        empty = "no integration is enabled" if files else "no mapping file in RELAY_MAPPINGS"
        return {
            "status": "fail",
            **found,
            "output": "; ".join(["no usable mapping file", *broken] if broken else [empty]),
        }
    return {"status": "warn", **found, "output": "; ".join(broken)} if broken else {"status": "pass", **found}


def _check_workers(snapshot: StoreSnapshot, settings: Settings) -> dict[str, Any]:
    if snapshot.fault:
        return {"status": "warn", "componentType": "component", "output": "unknown: Redis is unavailable"}
    flowing = [backlog for backlog in snapshot.backlogs if not backlog.parked]
    pending = sum(backlog.pending for backlog in snapshot.backlogs)
    oldest = min((backlog.oldest for backlog in flowing if backlog.oldest is not None), default=None)
    age = None if snapshot.latest_heartbeat is None else max(0, snapshot.at - snapshot.latest_heartbeat)
    complaints = [
        f"{backlog.integration} is parked: {backlog.parked}" for backlog in snapshot.backlogs if backlog.parked
    ]
    complaints += [
        f"{backlog.integration}: lookups in Virima are parked: {backlog.virima_parked}"
        for backlog in snapshot.backlogs
        if backlog.virima_parked
    ]
    complaints += [text for backlog in snapshot.backlogs for text in _nearly_full(backlog, settings)]
    if age is None or age > SILENT_AFTER:
        complaints.append(f"no worker has sent a heartbeat for {SILENT_AFTER // 1000} s: start `relay worker`")
    elif oldest is not None and snapshot.at - oldest > _STALLED_AFTER:
        complaints.append("deliveries are stalled: the oldest is more than five minutes old; see the workers' log")
    return {
        "status": "warn" if complaints else "pass",
        "componentType": "component",
        "observedValue": None if age is None else round(age / 1000, 1),
        "observedUnit": "s since the latest heartbeat",
        "pending": pending,
        "oldest_pending_s": None if oldest is None else round((snapshot.at - oldest) / 1000, 1),
        **({"output": "; ".join(complaints)} if complaints else {}),
    }


def _nearly_full(backlog: Backlog, settings: Settings) -> list[str]:
    counts = (
        ("pending deliveries", backlog.pending, settings.max_pending, "RELAY_MAX_PENDING", "webhooks are answered 503"),
        ("dead letters", backlog.dead, settings.max_dead, "RELAY_MAX_DEAD", "the oldest are deleted"),
        ("rejections", backlog.rejections, settings.max_dead, "RELAY_MAX_DEAD", "the oldest are deleted"),
    )
    return [
        f"{backlog.integration} has {count} {what}: at {limit} ({setting}) {consequence}"
        for what, count, limit, setting, consequence in counts
        if count >= _WARN_FROM * limit
    ]
