"""Audit records."""

from __future__ import annotations

from marshmallow import INCLUDE

from relay.store.trail import TYPES
from relay.web.openapi.members import count, flag, moment, one, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema


class VirimaUserSchema(AnswerSchema):
    """A person as Virima knows them."""

    class Meta(AnswerSchema.Meta):
        """Virima may know more."""

        unknown = INCLUDE

    id = text("Virima's id", optional=True, null=True)
    userName = text("the login", optional=True, null=True)  # noqa: N815 - Virima's name
    displayName = text("the name", optional=True, null=True)  # noqa: N815 - Virima's name
    email = text("the address", optional=True, null=True)
    organizationName = text("where they work", optional=True, null=True)  # noqa: N815 - Virima's name


class AuditRecordSchema(AnswerSchema):
    """What happened to an update or an integration; records cannot be changed. Each type adds members of its own."""

    class Meta(AnswerSchema.Meta):
        """Each type of record has members of its own."""

        unknown = INCLUDE

    id = text("by Redis' clock: `<Unix ms>-<sequence>`")
    at = moment("when it happened", null=True)
    type = text("what happened; `damaged`: the relay did not write this record", choices=(*TYPES, "damaged"))
    integration = text("whose it is")
    delivery_id = text("the delivery", null=True)
    sys_id = text("the ticket", null=True)
    number = text("the ticket, for people", null=True)
    actor = text("who did it: a sender, `relay`, `api`, or an operator", null=True)
    reason = text("why", optional=True, null=True)
    mapping = text("the version of the mapping file", optional=True, null=True)
    superseded_by = text("the newer delivery", optional=True, null=True)
    why = text("why, in an operator's words", optional=True, null=True)
    lookup = text("of a lookup in Virima: how it was made", optional=True, null=True)
    email = text("of a lookup: who was looked up", optional=True, null=True)
    outcome = text("of a lookup: `found`, `not_found`, `failed`, `mfa_pending` or `skipped`", optional=True, null=True)
    cached = flag("of a lookup: whether it was answered from the cache", optional=True, null=True)
    user = one(VirimaUserSchema, "of a lookup: who it is", optional=True, null=True)
    status = count("the HTTP status of whoever was asked", optional=True, null=True)
    duration_ms = count("how long that took", optional=True, null=True)


class AuditPageSchema(AnswerSchema):
    """Some audit records, newest first. A page of a filter that few records pass can be empty: go on with `next_cursor`."""

    items = several(AuditRecordSchema, "up to `limit` of them")
    next_cursor = text("what to ask for the next page with; null: this is the last one", null=True)
