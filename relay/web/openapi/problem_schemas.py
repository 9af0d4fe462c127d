"""The schema that all answers are based on, and those of problem documents (RFC 9457)."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema

from relay.web.openapi.schema_members import integer, list_of, text


class AnswerSchema(Schema):
    """An answer. Later versions can add members."""

    class Meta:
        """The document says nothing about other members."""

        unknown = EXCLUDE


class FieldErrorSchema(AnswerSchema):
    """Why a field of a record cannot be used."""

    field = text("The field: `sys_id`, `state`, or `records` if there is no record at all")
    problem = text("What is wrong, and which paths were read")
    value = text("The value that was found", optional=True)


class ProblemSchema(AnswerSchema):
    """A problem document. `status`, `title` and `detail` come first: ServiceNow stores only the first 100 characters."""

    status = integer("The HTTP status", minimum=400, maximum=599)
    title = text("The kind of problem, in two or three words")
    detail = text("What is wrong and what to do")
    type = text(
        "`urn:relay:problem:…`, the kind of problem for machines; `about:blank` if the status says it all", format="uri"
    )
    instance = text("The path of the request")
    request_id = text("The id of the request, as in X-Request-ID and in the log")


class UnusablePayloadSchema(ProblemSchema):
    """A problem document that lists the fields that the mapping did not find. The webhook is kept as a rejection."""

    errors = list_of(FieldErrorSchema, "One entry for each field that cannot be used")
    rejection_id = text("The rejection. It can be replayed when the mapping has been corrected")
