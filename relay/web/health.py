"""`/livez`, `/readyz`, `/healthz`: for load balancers and for people (the format is draft-inadarei-api-health-check)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from relay.core.values import format_time
from relay.mapping_files.catalogue import Catalogue
from relay.settings import Settings
from relay.store.heartbeats import SILENT_AFTER, Backlog
from relay.web.responses import reply
from relay.web.watch import StoreSnapshot, StoreWatch

#: Pending work older than this means that deliveries do not get on, heartbeats or not (ms).
_STUCK_AFTER = 300_000
#: From this part of a cap on it is told, long before webhooks are refused or dead letters go.
_NEARLY = 0.8
_ORDER = ("pass", "warn", "fail")


def make_health(watch: StoreWatch, catalogue: Catalogue, settings: Settings) -> Blueprint:
    """Return the probes."""
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
            "workers": _check_workers(look, settings),
            "journal": _check_journal(look),
        }
        worst = max((check["status"] for check in checks.values()), key=_ORDER.index)
        at = format_time(look.at)
        content = {
            "status": worst,
            "checks": {name: [{**check, "time": at}] for name, check in checks.items()},
        }
        return reply(content, 503 if worst == "fail" else 200, "application/health+json")

    return blueprint


def _check_redis(look: StoreSnapshot) -> dict[str, Any]:
    if look.fault or look.durability is None:
        takes_over = look.journal is not None and look.journal.fault is None
        status, outcome = (
            ("warn", "webhooks go to the journal") if takes_over else ("fail", "webhooks are answered 503")
        )
        return {"status": status, "componentType": "datastore", "output": f"{look.fault}: {outcome}"}
    durability = look.durability
    doubtful = not durability.appendonly or durability.eviction not in {None, "noeviction"}
    return {
        "status": "warn" if doubtful or durability.is_short_of_memory else "pass",
        "componentType": "datastore",
        "output": f"{durability.promise}; {durability.memory}",
        "appendonly": durability.appendonly,
        "appendfsync": durability.appendfsync,
        "maxmemory_policy": durability.eviction,
        "memory_used_bytes": durability.memory_used,
        "maxmemory_bytes": durability.memory_limit,
    }


def _check_journal(look: StoreSnapshot) -> dict[str, Any]:
    journal = look.journal
    if journal is None:
        return {"status": "pass", "output": "off: while Redis is away webhooks are answered 503"}
    found = {"componentType": "datastore", "observedValue": journal.entries, "observedUnit": "webhooks that wait"}
    if journal.oldest is not None:
        found["oldest_s"] = round((look.at - journal.oldest) / 1000, 1)
    if journal.fault:
        return {"status": "fail" if look.fault else "warn", **found, "output": journal.fault}
    if journal.entries:
        return {"status": "warn", **found, "output": "they go to Redis, in order, as soon as it takes them"}
    return {"status": "pass", **found}


def _check_mappings(catalogue: Catalogue) -> dict[str, Any]:
    usable = sum(1 for integration in catalogue.usable() if integration.enabled)
    broken = [complaint for file in catalogue.broken() for complaint in file.complaints()[:1]]
    found = {"componentType": "component", "observedValue": usable, "observedUnit": "usable integrations"}
    if catalogue.fault:
        return {"status": "warn" if usable else "fail", **found, "output": catalogue.fault}
    if not usable:
        files = catalogue.files()
        none = "no usable mapping file" if broken else "no integration is enabled" if files else "no mapping file"
        none += "" if files else " in RELAY_MAPPINGS"
        return {"status": "fail", **found, "output": "; ".join([none, *broken])}
    return {"status": "warn", **found, "output": "; ".join(broken)} if broken else {"status": "pass", **found}


def _check_workers(look: StoreSnapshot, settings: Settings) -> dict[str, Any]:
    if look.fault:
        return {"status": "warn", "componentType": "component", "output": "unknown: Redis is away"}
    flowing = [backlog for backlog in look.backlogs if not backlog.parked]
    pending = sum(backlog.pending for backlog in look.backlogs)
    oldest = min((backlog.oldest for backlog in flowing if backlog.oldest is not None), default=None)
    age = None if look.youngest_beat is None else max(0, look.at - look.youngest_beat)
    complaints = [f"{backlog.integration} is parked: {backlog.parked}" for backlog in look.backlogs if backlog.parked]
    complaints += [
        f"{one.integration}: lookups in Virima are parked: {one.virima_parked}"
        for one in look.backlogs
        if one.virima_parked
    ]
    complaints += [text for backlog in look.backlogs for text in _nearly_full(backlog, settings)]
    if age is None or age > SILENT_AFTER:
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


def _nearly_full(backlog: Backlog, settings: Settings) -> list[str]:
    found = (
        ("pending deliveries", backlog.pending, settings.max_pending, "RELAY_MAX_PENDING", "webhooks are answered 503"),
        ("dead letters", backlog.dead, settings.max_dead, "RELAY_MAX_DEAD", "the oldest go"),
        ("rejections", backlog.rejections, settings.max_dead, "RELAY_MAX_DEAD", "the oldest go"),
    )
    return [
        f"{backlog.integration} has {count} {what}: at {most} ({setting}) {follows}"
        for what, count, most, setting, follows in found
        if count >= _NEARLY * most
    ]
