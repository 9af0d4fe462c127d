"""What operators do with rejections, and the audit trail."""

from __future__ import annotations

from relay.web.openapi.components import OPERATORS
from relay.web.openapi.examples import ACCEPTED, DELIVERY_ID, LOOKED_UP, REJECTION
from relay.web.openapi.operation_spec import Operation, ResponseSpec
from relay.web.openapi.schemas.audit_schemas import AuditPageSchema
from relay.web.openapi.schemas.delivery_schemas import ReplayedSchema
from relay.web.openapi.schemas.rejection_schemas import RejectionPageSchema, RejectionSchema

_API = ("operator-unknown", "too-many-calls", "too-many-refusals", "api-off", "store-away")
_PAGED = ("unknown", "wrong-parameter", *_API)

REJECTIONS = (
    Operation(
        method="get",
        path="/api/v1/rejections",
        id="listRejections",
        tag="Rejections",
        summary="Webhooks that could not be mapped, the last seen first",
        told="In pages: ask again with `cursor` set to `next_cursor` until that is null.",
        parameters=("Integration", "Limit", "RejectionCursor"),
        answers=(
            ResponseSpec(200, "A page", RejectionPageSchema, {"page": {"items": [REJECTION], "next_cursor": None}}),
        ),
        problems=_PAGED,
        security=OPERATORS,
    ),
    Operation(
        method="get",
        path="/api/v1/rejections/{rejection_id}",
        id="showRejection",
        tag="Rejections",
        summary="One rejection, with what was sent",
        told="Tells what the mapping did not find, and has the record as it came.",
        parameters=("RejectionId",),
        answers=(ResponseSpec(200, "The rejection", RejectionSchema, {"rejection": REJECTION}),),
        problems=("unknown", *_API),
        security=OPERATORS,
    ),
    Operation(
        method="post",
        path="/api/v1/rejections/{rejection_id}/replay",
        id="replayRejection",
        tag="Rejections",
        summary="Accept a rejection by today's mapping",
        told="As if the webhook came now. Where the mapping still does not find what it needs: 409.",
        parameters=("RejectionId",),
        answers=(
            ResponseSpec(
                202, "On its way", ReplayedSchema, {"queued": {"status": "queued", "delivery_id": DELIVERY_ID}}
            ),
            ResponseSpec(
                200,
                "Nothing to do: the verdict says why",
                ReplayedSchema,
                {"duplicate": {"status": "duplicate", "delivery_id": DELIVERY_ID}},
            ),
        ),
        problems=("unknown", "hindered", "backlog-full", *_API),
        security=OPERATORS,
    ),
    Operation(
        method="get",
        path="/api/v1/audit",
        id="listAudit",
        tag="Audit",
        summary="The audit trail, newest first",
        told="In pages. A page of a filter that few records pass can be empty: go on with `next_cursor` until that is null.",
        parameters=(
            "Integration",
            "SysId",
            "Number",
            "DeliveryIdFilter",
            "User",
            "Type",
            "Since",
            "Until",
            "Limit",
            "AuditCursor",
        ),
        answers=(
            ResponseSpec(
                200,
                "A page",
                AuditPageSchema,
                {"page": {"items": [LOOKED_UP, ACCEPTED], "next_cursor": "1795342831120-0@acme"}},
            ),
        ),
        problems=_PAGED,
        security=OPERATORS,
    ),
)
