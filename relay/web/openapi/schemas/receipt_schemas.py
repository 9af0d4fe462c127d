"""What senders of webhooks are answered."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from relay.store.delivery_reader import STATUSES
from relay.web.openapi.members import Either, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema
from relay.web.openapi.schemas.problem_schemas import FieldErrorSchema

_ID = "26 characters; names the delivery in the log, in the audit trail and to the operators"


class QueuedSchema(AnswerSchema):
    """Accepted and stored, on its way to IEM."""

    status = text("the verdict", choices=("queued",))
    delivery_id = text(_ID)


class JournaledSchema(AnswerSchema):
    """Accepted while Redis is away: on this machine's disk."""

    status = text("the verdict", choices=("journaled",))
    journal_id = text("the future delivery's id, of a batch the first record's")


class DuplicateSchema(AnswerSchema):
    """The same update was accepted before."""

    status = text("the verdict", choices=("duplicate",))
    delivery_id = text("the first one's id")


class SupersededSchema(AnswerSchema):
    """A newer update of the ticket was accepted before this older one came."""

    status = text("the verdict", choices=("superseded",))
    delivery_id = text(_ID)


class IgnoredSchema(AnswerSchema):
    """A state that the mapping does not relay."""

    status = text("the verdict", choices=("ignored",))
    reason = text("which state, and of which table")


class RejectedSchema(AnswerSchema):
    """A record of a batch that the mapping could not use; it is kept."""

    status = text("the verdict", choices=("rejected",))
    rejection_id = text("the rejection, which can be replayed once the mapping is mended")
    errors = several(FieldErrorSchema, "one for each field that cannot be used")


class BatchSchema(AnswerSchema):
    """Several records: one result each, in order. They are stored in one step, all or none."""

    status = text("says that there are results", choices=("batch",))
    results: fields.List[Any] = several(
        Either(QueuedSchema, DuplicateSchema, SupersededSchema, IgnoredSchema, RejectedSchema), "one for each record"
    )


class FoundSchema(AnswerSchema):
    """What became of a delivery, for its sender."""

    status = text("says that there is one", choices=("found",))
    delivery_id = text("as asked for")
    delivery_status = text(
        "how it stands; `journaled`: it waits in this machine's journal", choices=(*STATUSES, "journaled")
    )
