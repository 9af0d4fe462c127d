"""What load balancers, monitoring and readers of this document call."""

from __future__ import annotations

from typing import Any

from relay.web.openapi.operation_spec import Operation, ResponseSpec
from relay.web.openapi.schemas.health_schemas import AliveSchema, HealthSchema

_AT = "2026-11-22T10:20:30.000Z"
_JOURNAL_OFF = {"status": "pass", "output": "off: while Redis is away webhooks are answered 503", "time": _AT}
_MAPPINGS = {
    "status": "pass",
    "componentType": "component",
    "observedValue": 2,
    "observedUnit": "usable integrations",
    "time": _AT,
}
_READY: dict[str, Any] = {
    "status": "pass",
    "checks": {
        "redis": [
            {
                "status": "pass",
                "componentType": "datastore",
                "output": "what is accepted survives a power cut (appendfsync always); 2 MB used, no limit",
                "appendonly": True,
                "appendfsync": "always",
                "maxmemory_policy": "noeviction",
                "memory_used_bytes": 2097152,
                "maxmemory_bytes": 0,
                "time": _AT,
            }
        ],
        "mappings": [_MAPPINGS],
        "workers": [
            {
                "status": "pass",
                "componentType": "component",
                "observedValue": 1.2,
                "observedUnit": "s since the youngest heartbeat",
                "pending": 0,
                "oldest_pending_s": None,
                "time": _AT,
            }
        ],
        "journal": [_JOURNAL_OFF],
    },
}
_AWAY = "Redis does not answer within 0.85 s: webhooks are answered 503"
_NOT_READY: dict[str, Any] = {
    "status": "fail",
    "checks": {
        "redis": [{"status": "fail", "componentType": "datastore", "output": _AWAY, "time": _AT}],
        "mappings": [_MAPPINGS],
        "workers": [{"status": "warn", "componentType": "component", "output": "unknown: Redis is away", "time": _AT}],
        "journal": [_JOURNAL_OFF],
    },
}
_METRICS = """# HELP relay_redis_up Whether Redis takes writes
# TYPE relay_redis_up gauge
relay_redis_up 1.0
# HELP relay_pending Deliveries on their way
# TYPE relay_pending gauge
relay_pending{integration="acme"} 3.0
"""


def _readiness(path: str, an_id: str, summary: str) -> Operation:
    return Operation(
        method="get",
        path=path,
        id=an_id,
        tag="Health",
        summary=summary,
        told=(
            "Answers within a second. 503 only where this process cannot accept webhooks: Redis is away and there "
            "is no journal, the journal is full, or there is no usable mapping. IEM or workers being down is a "
            "`warn`, with 200: it must not take every node out of the balancer."
        ),
        answers=(
            ResponseSpec(200, "It can", HealthSchema, {"pass": _READY}, "application/health+json"),
            ResponseSpec(503, "It cannot", HealthSchema, {"fail": _NOT_READY}, "application/health+json"),
        ),
    )


PROBES = (
    Operation(
        method="get",
        path="/livez",
        id="isAlive",
        tag="Health",
        summary="Whether the process serves",
        told="Touches nothing else: neither Redis nor files.",
        answers=(ResponseSpec(200, "It does", AliveSchema, {"alive": {"status": "pass"}}),),
    ),
    _readiness("/readyz", "isReady", "Whether this process can accept webhooks"),
    _readiness("/healthz", "isHealthy", "The same as /readyz"),
    Operation(
        method="get",
        path="/metrics",
        id="readMetrics",
        tag="Health",
        summary="Metrics for Prometheus",
        told="What the web processes of this machine counted together, and the depths that Redis holds now.",
        answers=(
            ResponseSpec(200, "Prometheus' text format", {"type": "string"}, {"metrics": _METRICS}, "text/plain"),
        ),
    ),
    Operation(
        method="get",
        path="/openapi.json",
        id="readOpenapi",
        tag="Documents",
        summary="This document",
        told="OpenAPI 3.1, whose schemas are JSON Schema 2020-12.",
        answers=(
            ResponseSpec(
                200,
                "The document",
                {"type": "object", "required": ["openapi", "info", "paths"]},
                {
                    "document": {
                        "openapi": "3.1.0",
                        "info": {"title": "ITSM webhook relay", "version": "0.1.0"},
                        "paths": {},
                    }
                },
            ),
        ),
    ),
    Operation(
        method="get",
        path="/docs",
        id="readDocs",
        tag="Documents",
        summary="This document as a page",
        told="One page of HTML that loads nothing else and needs no JavaScript.",
        answers=(
            ResponseSpec(
                200, "The page", {"type": "string"}, {"page": '<!doctype html><html lang="en">…</html>'}, "text/html"
            ),
        ),
    ),
)
