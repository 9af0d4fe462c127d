"""`/api/v1/rejections`."""

from __future__ import annotations

import re
from typing import Any

from flask import Response

from relay.operations.operations import Operations
from relay.web.api.api_call import PAGE, READ, Call
from relay.web.api.dead_letter_calls import ReplayedSchema
from relay.web.api.parameters import ACTOR, page_response, read_cursor, read_limit, read_parameters, replay_response
from relay.web.openapi.examples import DELIVERY_ID, NO_STATE, NUMBER, REJECTION_ID, SYS_ID
from relay.web.openapi.operation_spec import ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema, FieldErrorSchema
from relay.web.openapi.schema_members import any_value, cursor_member, integer, list_of, text, timestamp
from relay.web.responses import reply

_CURSOR = re.compile(r"\d{1,15}\.[0-9A-Z]{1,40}", re.ASCII)


class RejectionSchema(AnswerSchema):
    """A record that could not be mapped, as it was sent."""

    id = text("The rejection's id")
    integration = text("The integration")
    created_at = timestamp("When it first arrived")
    seen_at = timestamp("When it last arrived")
    seen = integer("How often it arrived")
    from_ = text("Who posted it", null=True, key="from")
    mapping = text("The version of the mapping file that could not map it", null=True)
    idempotency_key = text("The idempotency key that the sender gave", null=True)
    errors = list_of(FieldErrorSchema, "One entry for each field that cannot be used")
    record = any_value("The record as it was sent")


class RejectionPageSchema(AnswerSchema):
    """A page of rejections, the last seen first."""

    items = list_of(RejectionSchema, "Up to `limit` rejections")
    next_cursor = cursor_member()


def list_rejections(operations: Operations) -> Response:
    """Return a page of rejections."""
    integration = read_parameters("integration").get("integration")
    return page_response(operations.rejections.page(integration, limit=read_limit(), cursor=read_cursor(_CURSOR)))


def show_rejection(operations: Operations, rejection_id: str) -> Response:
    """Return one rejection."""
    return reply(operations.rejections.find(rejection_id))


def replay_rejection(operations: Operations, rejection_id: str) -> Response:
    """Replay one rejection."""
    return replay_response(operations.rejections.replay(rejection_id, actor=ACTOR))


_REJECTION: dict[str, Any] = {
    "id": REJECTION_ID,
    "integration": "acme",
    "created_at": "2026-11-22T10:20:31.120Z",
    "seen_at": "2026-11-22T10:20:31.120Z",
    "seen": 1,
    "from": "servicenow@192.0.2.7",
    "mapping": "4c539655366f",
    "idempotency_key": None,
    "errors": [NO_STATE],
    "record": {"sys_id": SYS_ID, "number": NUMBER},
}

REJECTION_CALLS = (
    Call(
        list_rejections,
        method="get",
        rule="/rejections",
        id="listRejections",
        tag="Rejections",
        summary="List webhooks that could not be mapped, the last seen first",
        description="In pages: pass `next_cursor` as `cursor` until it is null.",
        parameters=("Integration", "Limit", "RejectionCursor"),
        responses=(
            ResponseSpec(200, "A page", RejectionPageSchema, {"page": {"items": [_REJECTION], "next_cursor": None}}),
        ),
        problems=PAGE,
    ),
    Call(
        show_rejection,
        method="get",
        rule="/rejections/<rejection_id>",
        id="showRejection",
        tag="Rejections",
        summary="Get one rejection",
        description="Includes the record as it was sent, and the fields that the mapping did not find.",
        parameters=("RejectionId",),
        responses=(ResponseSpec(200, "The rejection", RejectionSchema, {"rejection": _REJECTION}),),
        problems=("unknown", *READ),
    ),
    Call(
        replay_rejection,
        method="post",
        rule="/rejections/<rejection_id>/replay",
        id="replayRejection",
        tag="Rejections",
        summary="Accept a rejection with the current mapping",
        description="Handles the record as if it arrived now. If the mapping still cannot map it, the answer is 409.",
        parameters=("RejectionId",),
        responses=(
            ResponseSpec(202, "Queued", ReplayedSchema, {"queued": {"status": "queued", "delivery_id": DELIVERY_ID}}),
            ResponseSpec(
                200,
                "Nothing to do; the verdict says why",
                ReplayedSchema,
                {"duplicate": {"status": "duplicate", "delivery_id": DELIVERY_ID}},
            ),
        ),
        problems=("unknown", "hindered", "backlog-full", *READ),
    ),
)
