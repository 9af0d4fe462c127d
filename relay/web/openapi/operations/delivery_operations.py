"""What operators do with deliveries."""

from __future__ import annotations

from relay.web.openapi.components import OPERATORS
from relay.web.openapi.examples import ACCEPTED, DELIVERY, DELIVERY_ID, LOOKED_UP, OTHER_ID
from relay.web.openapi.operation_spec import Body, Operation, ResponseSpec
from relay.web.openapi.schemas.delivery_schemas import (
    DeliveryPageSchema,
    DeliverySchema,
    DeliveryStorySchema,
    ReplayCountsSchema,
    ReplayedSchema,
    ReplayFilterSchema,
    ReplayOptionsSchema,
    WhySchema,
    WouldReplaySchema,
)

_API = ("operator-unknown", "too-many-calls", "too-many-refusals", "api-off", "store-away")
_WRITE = ("not-json", "cut-short", "too-large", "wrong-parameter", "unknown", *_API)

DELIVERIES = (
    Operation(
        method="get",
        path="/api/v1/deliveries",
        id="listDeliveries",
        tag="Deliveries",
        summary="Deliveries, newest first",
        told="In pages: ask again with `cursor` set to `next_cursor` until that is null.",
        parameters=("Integration", "Status", "SysId", "Number", "Reason", "Since", "Until", "Limit", "DeliveryCursor"),
        answers=(
            ResponseSpec(
                200, "A page", DeliveryPageSchema, {"page": {"items": [DELIVERY], "next_cursor": DELIVERY_ID}}
            ),
        ),
        problems=("unknown", "wrong-parameter", *_API),
        security=OPERATORS,
    ),
    Operation(
        method="get",
        path="/api/v1/deliveries/{delivery_id}",
        id="showDelivery",
        tag="Deliveries",
        summary="One delivery's whole record",
        told="With its attempts and its audit records.",
        parameters=("DeliveryId",),
        answers=(
            ResponseSpec(
                200, "The record", DeliveryStorySchema, {"delivered": {**DELIVERY, "audit": [ACCEPTED, LOOKED_UP]}}
            ),
        ),
        problems=("unknown", *_API),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/deliveries/{delivery_id}/replay",
        id="replayDelivery",
        tag="Deliveries",
        summary="Deliver a dead letter again",
        told="Makes a new delivery, by today's mapping. Not while its last replay is still on its way (409).",
        parameters=("DeliveryId",),
        body=Body("How", ReplayOptionsSchema, {"asMapped": {"as_mapped": True}}),
        answers=(
            ResponseSpec(
                202, "On its way again", ReplayedSchema, {"queued": {"status": "queued", "delivery_id": OTHER_ID}}
            ),
            ResponseSpec(
                200,
                "A newer update of the ticket was accepted since",
                ReplayedSchema,
                {"superseded": {"status": "superseded", "delivery_id": OTHER_ID}},
            ),
        ),
        problems=("hindered", "backlog-full", *_WRITE),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/deliveries/{delivery_id}/discard",
        id="discardDelivery",
        tag="Deliveries",
        summary="Close a dead letter",
        told="For one that somebody has dealt with otherwise. It is kept as `discarded`.",
        parameters=("DeliveryId",),
        body=Body("Why, for the audit trail", WhySchema, {"why": {"why": "closed by hand in IEM"}}),
        answers=(
            ResponseSpec(
                200,
                "The record, closed",
                DeliverySchema,
                {
                    "discarded": {
                        **DELIVERY,
                        "status": "discarded",
                        "reason": "refused",
                        "closed": "closed by hand in IEM",
                    }
                },
            ),
        ),
        problems=("hindered", *_WRITE),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/deliveries/replay",
        id="replayDeliveries",
        tag="Deliveries",
        summary="Deliver dead letters again, by a filter",
        told="The oldest first, up to 5,000 at once. Try it with `dry_run` before.",
        body=Body(
            "Which", ReplayFilterSchema, {"refused": {"integration": "acme", "reason": "refused", "dry_run": False}}
        ),
        answers=(
            ResponseSpec(
                200,
                "How many",
                (ReplayCountsSchema, WouldReplaySchema),
                {"replayed": {"replayed": 12, "hindered": 1, "left": 0}, "dryRun": {"would_replay": 13}},
            ),
        ),
        problems=("backlog-full", *_WRITE),
        security=OPERATORS,
    ),
)
