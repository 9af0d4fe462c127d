"""`/api/v1/integrations` and `/api/v1/stats`. The dry run of an integration is in `dry_run_calls`."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from relay.operations.operations import Operations
from relay.web.api.api_call import READ, WRITE, Call
from relay.web.api.parameters import ACTOR, read_why
from relay.web.openapi.operation_spec import RequestBodySpec, ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema
from relay.web.openapi.schema_members import integer, list_of, text, timestamp
from relay.web.responses import reply


class CountsSchema(AnswerSchema):
    """The backlog of an integration."""

    pending = integer("Pending deliveries")
    oldest_pending_at = timestamp("When the oldest pending delivery was accepted", null=True)
    retrying = integer("Deliveries waiting for a retry")
    dead = integer("Dead letters")
    rejections = integer("Rejections")
    lookups_waiting = integer("Resolvers waiting for a lookup in Virima")
    lookups_parked = text("Why lookups in Virima are parked; null if they are not", null=True)


class IntegrationSchema(CountsSchema):
    """A mapping file, and the state of its deliveries."""

    name = text("The mapping file's name without `.yaml`")
    status = text("The status", choices=("flowing", "parked", "disabled", "broken", "removed"))
    reason = text("Why it is parked", null=True)
    since = timestamp("Since when it has been parked", null=True)
    next_probe_at = timestamp("When IEM is tried again", null=True)
    parked_by = text("Who parked it by hand", null=True)
    parked_why = text("The reason that they gave", null=True)
    source = text("The ITSM tool: `servicenow` or `service-exchange`", null=True)
    description = text("The description in the mapping file", null=True)
    iem_customer_id = text("The customer id in IEM", null=True)
    iem_integration_id = text("The integration id in IEM", null=True)
    mapping = text("The version of the mapping file that is active", null=True)
    file = text("The path of the mapping file", null=True)
    faults = list_of(fields.String(), "The faults of the current mapping file")
    faults_since = timestamp("Since when the file has had faults", null=True)


class IntegrationListSchema(AnswerSchema):
    """All integrations, on one page."""

    items = list_of(IntegrationSchema, "All integrations, by name")
    next_cursor = text("Always null", null=True)


class BacklogSchema(CountsSchema):
    """The backlog of one integration."""

    integration = text("The integration's name")


class WorkerSchema(AnswerSchema):
    """A worker that sent a heartbeat in the last ten minutes."""

    worker = text("The worker's name")
    last_heartbeat_at = timestamp("The time of its latest heartbeat")


class StatsSchema(AnswerSchema):
    """Backlogs and workers."""

    integrations = list_of(BacklogSchema, "One entry for each integration")
    workers = list_of(WorkerSchema, "The workers on all machines")


class WhySchema(Schema):
    """The reason for an action, for the audit trail."""

    why = text("Up to 500 characters", optional=True, null=True, maxLength=500)


def list_integrations(operations: Operations) -> Response:
    """Return the status of all integrations."""
    return reply({"items": operations.integrations.show_all(), "next_cursor": None})


def show_integration(operations: Operations, name: str) -> Response:
    """Return the status of one integration."""
    return reply(operations.integrations.show(name))


def park(operations: Operations, name: str) -> Response:
    """Park an integration."""
    return reply(operations.integrations.park(name, actor=ACTOR, why=read_why()))


def resume(operations: Operations, name: str) -> Response:
    """Resume an integration."""
    return reply(operations.integrations.resume(name, actor=ACTOR, why=read_why()))


def show_stats(operations: Operations) -> Response:
    """Return the backlogs and the workers."""
    return reply(operations.integrations.stats())


_WHY = RequestBodySpec("The reason, for the audit trail", WhySchema, {"why": {"why": "IEM is being upgraded"}})
_COUNTS: dict[str, Any] = {
    "pending": 3,
    "oldest_pending_at": "2026-11-22T10:20:31.120Z",
    "retrying": 1,
    "dead": 2,
    "rejections": 1,
    "lookups_waiting": 0,
    "lookups_parked": None,
}
_FLOWING: dict[str, Any] = {
    "name": "acme",
    "status": "flowing",
    "reason": None,
    "since": None,
    "next_probe_at": None,
    "parked_by": None,
    "parked_why": None,
    **_COUNTS,
    "source": "servicenow",
    "description": "ACME production",
    "iem_customer_id": "ACME",
    "iem_integration_id": "42",
    "mapping": "4c539655366f",
    "file": "mappings/acme.yaml",
    "faults": [],
    "faults_since": None,
}
_PARKED = {
    **_FLOWING,
    "status": "parked",
    "reason": "by_hand",
    "since": "2026-11-22T10:25:00.000Z",
    "parked_by": "api",
    "parked_why": "IEM is being upgraded",
}
_STATS = {
    "integrations": [{"integration": "acme", **_COUNTS}],
    "workers": [{"worker": "relay-1-4711", "last_heartbeat_at": "2026-11-22T10:20:30.000Z"}],
}

INTEGRATION_CALLS = (
    Call(
        list_integrations,
        method="get",
        rule="/integrations",
        id="listIntegrations",
        tag="Integrations",
        summary="List all integrations and their status",
        description="Includes integrations with a broken, disabled or removed mapping file.",
        responses=(
            ResponseSpec(
                200, "All integrations", IntegrationListSchema, {"one": {"items": [_FLOWING], "next_cursor": None}}
            ),
        ),
        problems=READ,
    ),
    Call(
        show_integration,
        method="get",
        rule="/integrations/<name>",
        id="showIntegration",
        tag="Integrations",
        summary="Get the status of one integration",
        description="Includes the faults of its mapping file.",
        parameters=("Name",),
        responses=(ResponseSpec(200, "The integration", IntegrationSchema, {"flowing": _FLOWING, "parked": _PARKED}),),
        problems=("unknown", *READ),
    ),
    Call(
        park,
        method="post",
        rule="/integrations/<name>/park",
        id="parkIntegration",
        tag="Integrations",
        summary="Stop deliveries until the integration is resumed",
        description="Webhooks are still accepted, and wait. An integration that is already parked becomes parked by hand.",
        parameters=("Name",),
        body=_WHY,
        responses=(ResponseSpec(200, "The parked integration", IntegrationSchema, {"parked": _PARKED}),),
        problems=WRITE,
    ),
    Call(
        resume,
        method="post",
        rule="/integrations/<name>/resume",
        id="resumeIntegration",
        tag="Integrations",
        summary="Resume a parked integration",
        description="If IEM's refusals parked it, a probe is sent at once. Parked lookups in Virima resume too.",
        parameters=("Name",),
        body=_WHY,
        responses=(ResponseSpec(200, "The integration", IntegrationSchema, {"flowing": _FLOWING}),),
        problems=("hindered", *WRITE),
    ),
    Call(
        show_stats,
        method="get",
        rule="/stats",
        id="readStats",
        tag="Integrations",
        summary="Get backlogs and workers",
        description="The backlog of every integration, and the workers that have sent heartbeats recently.",
        responses=(ResponseSpec(200, "Backlogs and workers", StatsSchema, {"stats": _STATS}),),
        problems=READ,
    ),
)
