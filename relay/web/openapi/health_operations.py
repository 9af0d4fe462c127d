"""The probes and the metrics in the document. The answers follow draft-inadarei-api-health-check."""

from __future__ import annotations

from typing import Any

from relay.web.openapi.operation_spec import OperationSpec, ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema
from relay.web.openapi.schema_members import boolean, integer, list_of, nested, number, text, timestamp

_STATUSES = ("pass", "warn", "fail")


class AliveSchema(AnswerSchema):
    """The process serves requests."""

    status = text("Always `pass`: a process that does not serve does not answer", choices=("pass",))


class CheckSchema(AnswerSchema):
    """The result of one check."""

    status = text("`warn` needs attention, but webhooks are still accepted", choices=_STATUSES)
    time = timestamp("The time of the check")
    componentType = text("The kind of component", optional=True)  # noqa: N815 - the draft's name
    output = text("What is wrong, or what is guaranteed", optional=True)
    observedUnit = text("The unit of `observedValue`", optional=True)  # noqa: N815 - the draft's name


class RedisCheckSchema(CheckSchema):
    """Whether Redis accepts writes, and how durable they are."""

    appendonly = boolean("Whether it has an append-only file", null=True, optional=True)
    appendfsync = text("When that file is synced to disk", null=True, optional=True)
    maxmemory_policy = text(
        "What it evicts when its memory is full; any policy but `noeviction` loses webhooks", null=True, optional=True
    )
    memory_used_bytes = integer("The memory it uses", null=True, optional=True)
    maxmemory_bytes = integer("The memory it can use; null if there is no limit", null=True, optional=True)


class MappingsCheckSchema(CheckSchema):
    """Whether there are usable mapping files."""

    observedValue = integer("The number of usable integrations", optional=True)  # noqa: N815 - the draft's name


class WorkersCheckSchema(CheckSchema):
    """Whether workers make progress."""

    observedValue = number("The age of the latest heartbeat", null=True, optional=True)  # noqa: N815 - the draft's name
    pending = integer("The number of pending deliveries", optional=True)
    oldest_pending_s = number("The age of the oldest pending delivery that is not parked", null=True, optional=True)


class JournalCheckSchema(CheckSchema):
    """Whether the intake journal accepts webhooks while Redis is unavailable."""

    observedValue = integer("The number of webhooks in the journal", optional=True)  # noqa: N815 - the draft's name
    oldest_s = number("The age of the oldest of them", optional=True)


class ChecksSchema(AnswerSchema):
    """The checks. Each is a list with one entry."""

    redis = list_of(RedisCheckSchema, "Redis")
    mappings = list_of(MappingsCheckSchema, "The mapping files")
    workers = list_of(WorkersCheckSchema, "The workers on all machines")
    journal = list_of(JournalCheckSchema, "The intake journal of this machine")


class HealthSchema(AnswerSchema):
    """Whether this process can accept webhooks. `status` is the worst status of the checks."""

    status = text("With `fail` (503), take the process out of the load balancer", choices=_STATUSES)
    checks = nested(ChecksSchema, "The results of the checks")


_AT = "2026-11-22T10:20:30.000Z"
_JOURNAL_OFF = {"status": "pass", "output": "off: webhooks are answered 503 while Redis is unavailable", "time": _AT}
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
                "output": "accepted updates survive a kill of every process and a power cut (appendfsync always); "
                "2 MiB of memory used, no maxmemory",
                "appendonly": True,
                "appendfsync": "always",
                "maxmemory_policy": "noeviction",
                "memory_used_bytes": 2097152,
                "maxmemory_bytes": None,
                "time": _AT,
            }
        ],
        "mappings": [_MAPPINGS],
        "workers": [
            {
                "status": "pass",
                "componentType": "component",
                "observedValue": 1.2,
                "observedUnit": "s since the latest heartbeat",
                "pending": 0,
                "oldest_pending_s": None,
                "time": _AT,
            }
        ],
        "journal": [_JOURNAL_OFF],
    },
}
_UNAVAILABLE = "Redis does not answer within 0.85 s: webhooks are answered 503"
_NOT_READY: dict[str, Any] = {
    "status": "fail",
    "checks": {
        "redis": [{"status": "fail", "componentType": "datastore", "output": _UNAVAILABLE, "time": _AT}],
        "mappings": [_MAPPINGS],
        "workers": [
            {"status": "warn", "componentType": "component", "output": "unknown: Redis is unavailable", "time": _AT}
        ],
        "journal": [_JOURNAL_OFF],
    },
}
_METRICS = """# HELP relay_redis_up 1 if Redis accepts writes, otherwise 0
# TYPE relay_redis_up gauge
relay_redis_up 1.0
# HELP relay_pending Pending deliveries
# TYPE relay_pending gauge
relay_pending{integration="acme"} 3.0
"""


def _readiness(path: str, operation_id: str, summary: str) -> OperationSpec:
    return OperationSpec(
        method="get",
        path=path,
        id=operation_id,
        tag="Health",
        summary=summary,
        description=(
            "Answers within a second. The answer is 503 only if this process cannot accept webhooks: Redis is "
            "unavailable and there is no journal, the journal is full, or there is no usable mapping. If IEM or the workers "
            "are down, the answer is 200 with `warn`, so that the load balancer does not remove every node."
        ),
        responses=(
            ResponseSpec(
                200, "The process can accept webhooks", HealthSchema, {"pass": _READY}, "application/health+json"
            ),
            ResponseSpec(
                503,
                "The process cannot accept webhooks",
                HealthSchema,
                {"fail": _NOT_READY},
                "application/health+json",
            ),
        ),
    )


HEALTH = (
    OperationSpec(
        method="get",
        path="/livez",
        id="isAlive",
        tag="Health",
        summary="Check whether the process serves requests",
        description="Uses nothing else: neither Redis nor files.",
        responses=(ResponseSpec(200, "The process serves", AliveSchema, {"alive": {"status": "pass"}}),),
    ),
    _readiness("/readyz", "isReady", "Check whether the process can accept webhooks"),
    _readiness("/healthz", "isHealthy", "The same as /readyz"),
    OperationSpec(
        method="get",
        path="/metrics",
        id="readMetrics",
        tag="Health",
        summary="Get metrics for Prometheus",
        description="The counters of all web processes of this machine, and gauges of the current data in Redis.",
        responses=(
            ResponseSpec(200, "Prometheus' text format", {"type": "string"}, {"metrics": _METRICS}, "text/plain"),
        ),
    ),
)
