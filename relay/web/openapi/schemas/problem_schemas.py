"""Problem documents (RFC 9457)."""

from __future__ import annotations

from relay.web.openapi.members import count, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema


class FieldErrorSchema(AnswerSchema):
    """Why a field of a record cannot be used."""

    field = text("the mapping's word for it: `sys_id`, `state`, or `records` where there is no record at all")
    problem = text("what is wrong with it, and which paths were looked at")
    value = text("what was found", optional=True)


class ProblemSchema(AnswerSchema):
    """A problem document. `status`, `title` and `detail` come first: senders keep only the first 100 characters."""

    status = count("the HTTP status", minimum=400, maximum=599)
    title = text("what kind of problem it is, in two or three words")
    detail = text("what was expected, what was seen, and what to do")
    type = text(
        "`urn:relay:problem:…`, the kind for machines; `about:blank` where the status says it all", format="uri"
    )
    instance = text("the path that was asked for")
    request_id = text("the id of this request, as in X-Request-ID and in the log")


class UnusablePayloadSchema(ProblemSchema):
    """A problem document that says which fields the mapping did not find; the webhook is kept as a rejection."""

    errors = several(FieldErrorSchema, "one for each field that cannot be used")
    rejection_id = text("the rejection, which can be replayed once the mapping is mended")
