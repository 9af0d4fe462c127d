"""What operators do with integrations."""

from __future__ import annotations

from relay.web.openapi.components import OPERATORS
from relay.web.openapi.examples import COUNTS, FLOWING, PARKED, WEBHOOK
from relay.web.openapi.operation_spec import Body, Operation, ResponseSpec
from relay.web.openapi.operations.dry_run_example import TRIAL
from relay.web.openapi.schemas.delivery_schemas import WhySchema
from relay.web.openapi.schemas.dry_run_schemas import TrialSchema
from relay.web.openapi.schemas.integration_schemas import IntegrationListSchema, IntegrationSchema, StatsSchema

_API = ("operator-unknown", "too-many-calls", "too-many-refusals", "api-off", "store-away")
_WRITE = ("not-json", "cut-short", "too-large", "wrong-parameter", "unknown", *_API)
_WHY = Body("Why, for the audit trail", WhySchema, {"why": {"why": "IEM is upgraded tonight"}})


INTEGRATIONS = (
    Operation(
        method="get",
        path="/api/v1/integrations",
        id="listIntegrations",
        tag="Integrations",
        summary="How all integrations stand",
        told="All of them, also those whose mapping file is broken, disabled or gone.",
        answers=(
            ResponseSpec(
                200, "All integrations", IntegrationListSchema, {"one": {"items": [FLOWING], "next_cursor": None}}
            ),
        ),
        problems=_API,
        security=OPERATORS,
    ),
    Operation(
        method="get",
        path="/api/v1/integrations/{name}",
        id="showIntegration",
        tag="Integrations",
        summary="How one integration stands",
        told="With the faults of its mapping file, if it has any.",
        parameters=("Name",),
        answers=(ResponseSpec(200, "The integration", IntegrationSchema, {"flowing": FLOWING, "parked": PARKED}),),
        problems=("unknown", *_API),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/integrations/{name}/park",
        id="parkIntegration",
        tag="Integrations",
        summary="Deliver nothing until somebody resumes it",
        told="Webhooks are accepted all the same, and wait. An integration that is parked already is parked by hand from now on.",
        parameters=("Name",),
        body=_WHY,
        answers=(ResponseSpec(200, "The integration, parked", IntegrationSchema, {"parked": PARKED}),),
        problems=_WRITE,
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/integrations/{name}/resume",
        id="resumeIntegration",
        tag="Integrations",
        summary="Let a parked integration go on",
        told="By a probe at once where IEM's refusal parked it. Lookups in Virima that are parked go on, too.",
        parameters=("Name",),
        body=_WHY,
        answers=(ResponseSpec(200, "The integration", IntegrationSchema, {"flowing": FLOWING}),),
        problems=("hindered", *_WRITE),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/integrations/{name}/try",
        id="tryPayload",
        tag="Integrations",
        summary="What a payload would come to",
        told="A dry run: tells how each record is read and what IEM would be sent. Nothing is sent or stored.",
        parameters=("Name", "IdempotencyKey"),
        body=Body(
            "The body of a webhook",
            {"description": "any JSON; the mapping file tells how it is read"},
            {"record": WEBHOOK},
            required=True,
        ),
        answers=(ResponseSpec(200, "What each record comes to", TrialSchema, {"relayed": TRIAL}),),
        problems=(
            "not-json",
            "cut-short",
            "too-large",
            "too-many-records",
            "unknown",
            "operator-unknown",
            "too-many-calls",
            "too-many-refusals",
            "api-off",
        ),
        security=OPERATORS,
    ),
    Operation(
        method="get",
        path="/api/v1/stats",
        id="readStats",
        tag="Integrations",
        summary="Backlogs and workers",
        told="What every integration has waiting, and the workers that were heard of.",
        answers=(
            ResponseSpec(
                200,
                "Backlogs and workers",
                StatsSchema,
                {
                    "stats": {
                        "integrations": [{"integration": "acme", **COUNTS}],
                        "workers": [{"worker": "relay-1-4711", "last_heartbeat_at": "2026-11-22T10:20:30.000Z"}],
                    }
                },
            ),
        ),
        problems=_API,
        security=OPERATORS,
    ),
)
