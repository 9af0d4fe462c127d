"""What operators do with dead letters, below `/api/v1/deliveries`: replay one, discard one, replay many by a filter."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema

from relay.errors import ConflictError, NotFoundError
from relay.operations.operations import Operations
from relay.web.api.api_call import WRITE, Call
from relay.web.api.delivery_calls import DELIVERY, FILTERS, DeliverySchema, read_query
from relay.web.api.integration_calls import WhySchema
from relay.web.api.parameters import ACTOR, read_why, replay_response
from relay.web.body import read_members
from relay.web.openapi.examples import OTHER_ID
from relay.web.openapi.operation_spec import RequestBodySpec, ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema
from relay.web.openapi.schema_members import boolean, integer, text, timestamp
from relay.web.responses import ProblemError, reply

#: The maximum number of dead letters that one call replays. The answer says how many are left.
_MAX_REPLAYED = 5_000


class ReplayedSchema(AnswerSchema):
    """The result of a replay."""

    status = text("The verdict on the new delivery", choices=("queued", "superseded", "duplicate", "ignored"))
    delivery_id = text("The new delivery; empty if the mapping now ignores the state")


class ReplayOptionsSchema(Schema):
    """How to replay a dead letter."""

    as_mapped = boolean(
        "Push the IEM state to which it was mapped then, instead of mapping its state again",
        optional=True,
        null=True,
    )


class ReplayFilterSchema(Schema):
    """Which dead letters to replay. Without a filter: all of them."""

    integration = text("Only this integration", optional=True, null=True, minLength=1)
    sys_id = text("Only the ticket with this sys_id", optional=True, null=True, minLength=1)
    number = text("Only the ticket with this number", optional=True, null=True, minLength=1)
    reason = text("Only dead letters with this reason", optional=True, null=True, minLength=1)
    status = text("Always `dead`: only dead letters can be replayed", optional=True, null=True, choices=("dead",))
    since = timestamp("Only accepted at this time or later", optional=True, null=True)
    until = timestamp("Only accepted at this time or earlier", optional=True, null=True)
    as_mapped = boolean("As for a replay of one dead letter", optional=True, null=True)
    dry_run = boolean("Only count the dead letters that match", optional=True, null=True)


class ReplayCountsSchema(AnswerSchema):
    """The result of a replay by a filter."""

    replayed = integer("The number of dead letters that were replayed")
    hindered = integer("The number of dead letters that could not be replayed")
    left = integer("The number of dead letters beyond the 5,000 that one call replays: call again")


class WouldReplaySchema(AnswerSchema):
    """The result of a dry run."""

    would_replay = integer("The number of dead letters that match the filter")


def replay_delivery(operations: Operations, delivery_id: str) -> Response:
    """Replay one dead letter."""
    as_mapped = read_members(as_mapped=bool).get("as_mapped", False)
    return replay_response(operations.deliveries.replay(delivery_id, actor=ACTOR, as_mapped=as_mapped))


def discard_delivery(operations: Operations, delivery_id: str) -> Response:
    """Discard one dead letter."""
    return reply(operations.deliveries.discard(delivery_id, actor=ACTOR, why=read_why()))


def replay_deliveries(operations: Operations) -> Response:
    """Replay the dead letters that match a filter."""
    body = _read_replay_filter()
    integration, query = read_query(body)
    dead_letters = operations.deliveries.in_replay_order(integration, query)
    if body.get("dry_run"):
        return reply({"would_replay": len(dead_letters)})
    counts = {"replayed": 0, "hindered": 0, "left": max(0, len(dead_letters) - _MAX_REPLAYED)}
    for dead_letter in dead_letters[:_MAX_REPLAYED]:
        try:
            operations.deliveries.replay(dead_letter["id"], actor=ACTOR, as_mapped=body.get("as_mapped", False))
            counts["replayed"] += 1
        except (ConflictError, NotFoundError):
            counts["hindered"] += 1
    return reply(counts)


def _read_replay_filter() -> dict[str, Any]:
    """Return the body of a replay by filter: what `read_query` takes, and the options of the replay."""
    body = read_members(**dict.fromkeys(FILTERS, str), dry_run=bool, as_mapped=bool)
    if body.setdefault("status", "dead") != "dead":
        raise ProblemError(422, "Invalid status: expected dead, because only dead letters can be replayed")
    if empty := [name for name, value in body.items() if value == ""]:
        # A variable that a script forgot to set must not select all dead letters.
        raise ProblemError(422, f"Invalid {empty[0]}: expected text. Leave it out to match any value")
    return body


_WHY = {"why": "resolved by hand in IEM"}
_DISCARDED = {**DELIVERY, "status": "discarded", "reason": "refused", "closed": "resolved by hand in IEM"}

DEAD_LETTER_CALLS = (
    Call(
        replay_delivery,
        method="post",
        rule="/deliveries/<delivery_id>/replay",
        id="replayDelivery",
        tag="Deliveries",
        summary="Replay a dead letter",
        description="Makes a new delivery with the current mapping. While an earlier replay is pending, the answer is 409.",
        parameters=("DeliveryId",),
        body=RequestBodySpec("Options", ReplayOptionsSchema, {"asMapped": {"as_mapped": True}}),
        responses=(
            ResponseSpec(
                202, "Queued again", ReplayedSchema, {"queued": {"status": "queued", "delivery_id": OTHER_ID}}
            ),
            ResponseSpec(
                200,
                "A newer update of the ticket has been accepted since",
                ReplayedSchema,
                {"superseded": {"status": "superseded", "delivery_id": OTHER_ID}},
            ),
        ),
        problems=("hindered", "backlog-full", *WRITE),
    ),
    Call(
        discard_delivery,
        method="post",
        rule="/deliveries/<delivery_id>/discard",
        id="discardDelivery",
        tag="Deliveries",
        summary="Discard a dead letter",
        description="Closes a dead letter that needs no replay. It is kept with the status `discarded`.",
        parameters=("DeliveryId",),
        body=RequestBodySpec("The reason, for the audit trail", WhySchema, {"why": _WHY}),
        responses=(ResponseSpec(200, "The discarded delivery", DeliverySchema, {"discarded": _DISCARDED}),),
        problems=("hindered", *WRITE),
    ),
    Call(
        replay_deliveries,
        method="post",
        rule="/deliveries/replay",
        id="replayDeliveries",
        tag="Deliveries",
        summary="Replay the dead letters that match a filter",
        description="Replays the oldest first, up to 5,000 in one call. To count them before, use `dry_run`.",
        body=RequestBodySpec(
            "The filter",
            ReplayFilterSchema,
            {"refused": {"integration": "acme", "reason": "refused", "dry_run": False}},
        ),
        responses=(
            ResponseSpec(
                200,
                "The numbers of dead letters",
                (ReplayCountsSchema, WouldReplaySchema),
                {"replayed": {"replayed": 12, "hindered": 1, "left": 0}, "dryRun": {"would_replay": 13}},
            ),
        ),
        problems=("backlog-full", *WRITE),
    ),
)
