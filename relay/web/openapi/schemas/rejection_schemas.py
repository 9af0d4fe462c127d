"""Rejections: webhooks that authenticated but could not be mapped."""

from __future__ import annotations

from relay.web.openapi.members import anything, count, moment, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema
from relay.web.openapi.schemas.problem_schemas import FieldErrorSchema


class RejectionSchema(AnswerSchema):
    """A record that could not be mapped, with what was sent."""

    id = text("its id")
    integration = text("whose it is")
    created_at = moment("when it came first")
    seen_at = moment("when it came last")
    seen = count("how often it came")
    from_ = text("who posted it", null=True, key="from")
    mapping = text("the version of the mapping file that could not map it", null=True)
    idempotency_key = text("what its sender named it by", null=True)
    errors = several(FieldErrorSchema, "one for each field that cannot be used")
    record = anything("what was sent")


class RejectionPageSchema(AnswerSchema):
    """Some rejections, the last seen first."""

    items = several(RejectionSchema, "up to `limit` of them")
    next_cursor = text("what to ask for the next page with; null: this is the last one", null=True)
