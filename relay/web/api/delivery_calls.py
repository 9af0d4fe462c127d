"""`/api/v1/deliveries`, to read. What operators do with dead letters is in `dead_letter_calls`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import fields
from werkzeug.routing import Map, UnicodeConverter

from relay.operations.operations import Operations
from relay.store.delivery_reader import STATUSES, DeliveryQuery
from relay.web.api.api_call import PAGE, READ, Call
from relay.web.api.audit_calls import ACCEPTED_RECORD, LOOKUP_RECORD, AuditRecordSchema
from relay.web.api.parameters import page_response, read_cursor, read_date_time, read_limit, read_parameters
from relay.web.openapi.examples import DELIVERY_ID, NUMBER, SYS_ID
from relay.web.openapi.operation_spec import ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema
from relay.web.openapi.schema_members import boolean, cursor_member, integer, list_of, text, timestamp
from relay.web.responses import ProblemError, reply

_CURSOR = re.compile(r"[0-9A-Z]{26}", re.ASCII)
FILTERS = ("integration", "status", "sys_id", "number", "reason", "since", "until")


class AttemptSchema(AnswerSchema):
    """An attempt to push a delivery to IEM."""

    at = timestamp("When it ended")
    outcome = text("The outcome", choices=("delivered", "retry", "park", "dead"))
    reason = text("The reason for the outcome", null=True)
    status = integer("IEM's HTTP status; null if IEM did not answer", null=True)
    duration_ms = integer("The duration", null=True)
    counted = boolean(
        "false for a probe, and for a failure that led to parking: neither affects the retry delay nor giving up",
        optional=True,
    )


class DeliverySchema(AnswerSchema):
    """An accepted update on its way to IEM."""

    id = text("The delivery's id")
    integration = text("The integration")
    sys_id = text("The ticket")
    number = text("The ticket's number", null=True)
    table = text("The ticket's table", null=True)
    itsm_state = text("The ticket's state in the ITSM tool", null=True)
    version = text("The ticket's version, which orders its updates", null=True)
    resolved_by = text("Who resolved the ticket", null=True)
    from_ = text("Who posted the update", null=True, key="from")
    mapping = text("The version of the mapping file that mapped it", null=True)
    iem_state = integer("The state to push to IEM")
    updated_at = timestamp("When the ticket changed, according to the ITSM tool", null=True)
    status = text("The status; `parked`: it waits because its integration is parked", choices=STATUSES)
    reason = text("The reason for the status", null=True)
    created_at = timestamp("When it was accepted")
    finished_at = timestamp("When it was finished", null=True)
    next_attempt_at = timestamp("When the next attempt is due", null=True)
    attempts = list_of(AttemptSchema, "All attempts, in order")
    duplicates = integer("How many duplicates of the update arrived")
    superseded_by = text("The newer delivery of the same ticket", null=True)
    replay_of = text("The dead letter that this delivery replays", null=True)
    replayed_as = text("The delivery that replays this one", null=True)
    closed = text("The reason that an operator gave for discarding it", null=True)
    via = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "The fields that were not found at their first path, with the index of their path"},
    )


class DeliveryStorySchema(DeliverySchema):
    """A delivery with its audit records."""

    audit = list_of(AuditRecordSchema, "The delivery's audit records, oldest first")


class DeliveryPageSchema(AnswerSchema):
    """A page of deliveries, newest first."""

    items = list_of(DeliverySchema, "Up to `limit` deliveries")
    next_cursor = cursor_member()


class DeliveryConverter(UnicodeConverter):
    """A delivery id in a path. It is not `replay`: that path only takes POST, and answers GET with 405."""

    def __init__(self, map: Map) -> None:  # noqa: A002 - Werkzeug's name
        super().__init__(map)
        self.regex = rf"(?!replay\Z){self.regex}"


def list_deliveries(operations: Operations) -> Response:
    """Return a page of deliveries."""
    integration, query = read_query(read_parameters(*FILTERS))
    return page_response(
        operations.deliveries.page(integration, query, limit=read_limit(), cursor=read_cursor(_CURSOR))
    )


def show_delivery(operations: Operations, delivery_id: str) -> Response:
    """Return one delivery with its audit records."""
    record = operations.deliveries.find(delivery_id)
    return reply({**record, "audit": operations.audit.of_delivery(record)})


def read_query(given: Mapping[str, Any]) -> tuple[str | None, DeliveryQuery]:
    """Return the integration and the query of parameters or of a body. Raises ProblemError (422)."""
    texts = {name: given.get(name) or None for name in FILTERS}
    status = texts["status"]
    if status is not None and status not in STATUSES:
        raise ProblemError(422, f"Invalid status: expected one of {', '.join(STATUSES)}")
    since, until = read_date_time(texts, "since"), read_date_time(texts, "until")
    return texts["integration"], DeliveryQuery(status, texts["sys_id"], texts["number"], texts["reason"], since, until)


DELIVERY: dict[str, Any] = {
    "id": DELIVERY_ID,
    "integration": "acme",
    "sys_id": SYS_ID,
    "number": NUMBER,
    "table": "incident",
    "itsm_state": "6",
    "version": "7",
    "resolved_by": "fred.luddy@example.com",
    "from": "servicenow@192.0.2.7",
    "mapping": "4c539655366f",
    "iem_state": 6,
    "updated_at": "2026-11-22T10:20:30.000Z",
    "status": "delivered",
    "reason": None,
    "created_at": "2026-11-22T10:20:31.120Z",
    "finished_at": "2026-11-22T10:20:36.904Z",
    "next_attempt_at": None,
    "attempts": [
        {
            "at": "2026-11-22T10:20:31.480Z",
            "outcome": "retry",
            "reason": "server_error",
            "status": 502,
            "duration_ms": 214,
        },
        {"at": "2026-11-22T10:20:36.904Z", "outcome": "delivered", "reason": None, "status": 200, "duration_ms": 187},
    ],
    "duplicates": 1,
    "superseded_by": None,
    "replay_of": None,
    "replayed_as": None,
    "closed": None,
    "via": {"state": 1},
}

DELIVERY_CALLS = (
    Call(
        list_deliveries,
        method="get",
        rule="/deliveries",
        id="listDeliveries",
        tag="Deliveries",
        summary="List deliveries, newest first",
        description="In pages: pass `next_cursor` as `cursor` until it is null.",
        parameters=("Integration", "Status", "SysId", "Number", "Reason", "Since", "Until", "Limit", "DeliveryCursor"),
        responses=(
            ResponseSpec(
                200, "A page", DeliveryPageSchema, {"page": {"items": [DELIVERY], "next_cursor": DELIVERY_ID}}
            ),
        ),
        problems=PAGE,
    ),
    Call(
        show_delivery,
        method="get",
        rule="/deliveries/<delivery:delivery_id>",
        id="showDelivery",
        tag="Deliveries",
        summary="Get one delivery",
        description="Includes its attempts and its audit records.",
        parameters=("DeliveryId",),
        responses=(
            ResponseSpec(
                200,
                "The delivery",
                DeliveryStorySchema,
                {"delivered": {**DELIVERY, "audit": [ACCEPTED_RECORD, LOOKUP_RECORD]}},
            ),
        ),
        problems=("unknown", *READ),
    ),
)
