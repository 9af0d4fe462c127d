"""Delivery records, and what replaying them answers."""

from __future__ import annotations

from marshmallow import Schema, fields

from relay.store.delivery_reader import STATUSES
from relay.web.openapi.members import count, flag, moment, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema
from relay.web.openapi.schemas.audit_schemas import AuditRecordSchema


class AttemptSchema(AnswerSchema):
    """One turn at IEM."""

    at = moment("when it ended")
    outcome = text("what its answer meant", choices=("delivered", "retry", "park", "dead"))
    reason = text("why, in the words of the table of outcomes", null=True)
    status = count("IEM's HTTP status; null: no answer", null=True)
    duration_ms = count("how long it took", null=True)
    counted = flag(
        "false: a probe, or a failure that led to parking; it moves neither backoff nor giving up", optional=True
    )


class DeliverySchema(AnswerSchema):
    """One accepted update on its way to IEM."""

    id = text("its id")
    integration = text("whose it is")
    sys_id = text("the ticket")
    number = text("the ticket, for people", null=True)
    table = text("the ticket's table", null=True)
    itsm_state = text("the state as the ITSM tool said it", null=True)
    version = text("orders the updates of one ticket", null=True)
    resolved_by = text("who resolved it", null=True)
    from_ = text("who posted it", null=True, key="from")
    mapping = text("the version of the mapping file that it was mapped by", null=True)
    iem_state = count("the state that IEM is told")
    updated_at = moment("when the ticket was changed, as the ITSM tool said", null=True)
    status = text("how it stands; `parked`: it waits while its integration is parked", choices=STATUSES)
    reason = text("why", null=True)
    created_at = moment("when it was accepted")
    finished_at = moment("when that was over", null=True)
    next_attempt_at = moment("when it is tried again", null=True)
    attempts = several(AttemptSchema, "every turn, in order")
    duplicates = count("how often the same update came again")
    superseded_by = text("the newer delivery of its ticket", null=True)
    replay_of = text("the dead letter that it replays", null=True)
    replayed_as = text("the delivery that replays it", null=True)
    closed = text("why somebody discarded it", null=True)
    via = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "fields that were not found at their first path: which one it was, from 0"},
    )


class DeliveryStorySchema(DeliverySchema):
    """A delivery with its audit records."""

    audit = several(AuditRecordSchema, "what the audit trail has of it, oldest first")


class DeliveryPageSchema(AnswerSchema):
    """Some deliveries, newest first."""

    items = several(DeliverySchema, "up to `limit` of them")
    next_cursor = text("what to ask for the next page with; null: this is the last one", null=True)


class ReplayedSchema(AnswerSchema):
    """What became of a replay."""

    status = text("the verdict on it", choices=("queued", "superseded", "duplicate", "ignored"))
    delivery_id = text("the new delivery; empty where the mapping ignores the state by now")


class ReplayOptionsSchema(Schema):
    """How to replay one dead letter."""

    as_mapped = flag(
        "push the IEM state that it was mapped to then, whatever the mapping says today", optional=True, null=True
    )


class WhySchema(Schema):
    """Why somebody does it, for the audit trail."""

    why = text("up to 500 characters", optional=True, null=True, maxLength=500)


class ReplayFilterSchema(Schema):
    """Which dead letters to replay; none of its members: all."""

    integration = text("of this integration", optional=True, null=True, minLength=1)
    sys_id = text("of this ticket", optional=True, null=True, minLength=1)
    number = text("of this ticket", optional=True, null=True, minLength=1)
    reason = text("that died of this", optional=True, null=True, minLength=1)
    status = text("always `dead`: nothing else is replayed", optional=True, null=True, choices=("dead",))
    since = moment("accepted then or later", optional=True, null=True)
    until = moment("accepted then or earlier", optional=True, null=True)
    as_mapped = flag("as when one is replayed", optional=True, null=True)
    dry_run = flag("only tell how many", optional=True, null=True)


class ReplayCountsSchema(AnswerSchema):
    """What became of a replay by filter."""

    replayed = count("so many are on their way again")
    hindered = count("so many could not be replayed")
    left = count("so many are over the 5,000 that one call replays: call again")


class WouldReplaySchema(AnswerSchema):
    """What a dry run tells."""

    would_replay = count("so many dead letters pass the filter")
