"""What a dry run of a payload tells."""

from __future__ import annotations

from marshmallow import fields

from relay.web.openapi.members import Either, anything, count, flag, one, several, text
from relay.web.openapi.schemas.answer_schema import AnswerSchema
from relay.web.openapi.schemas.problem_schemas import FieldErrorSchema


class PlaceSchema(AnswerSchema):
    """Where something stands in the mapping file; null: the source's preset has it."""

    line = count("from 1", null=True)
    column = count("from 1", null=True)


class PathLookSchema(PlaceSchema):
    """A path that was looked at."""

    path = text("the JMESPath")
    found = anything("what stands there; a long value is cut short")
    is_value = flag("whether that counts as a value")


class FieldLookSchema(AnswerSchema):
    """How a field was read."""

    name = text("the mapping's word for it")
    paths = several(PathLookSchema, "up to the one that yielded the value")
    value = text("the value, normalised", null=True)
    label = text("the display value beside it", null=True)
    used = text("what the relay goes by", null=True)


class OrderSchema(AnswerSchema):
    """By what the update is older or newer than others of its ticket."""

    ordered_by = text("the first that it has", choices=("version", "updated_at", "arrival"))
    order = text("its value; null: the time that it arrives", null=True)


class IdentitySchema(OrderSchema):
    """By what a repeat of the update is known."""

    identity = text("IEM state and version, or what there is")
    known_for = text("how long a repeat is known")
    collapse = flag("whether the same IEM state again is no second push")


class MatchedRowSchema(PlaceSchema):
    """The row of `states` that matched."""

    under = text("where in the mapping file")
    state = text("the row's key")
    iem_state = count("the row's value")
    by = text("what of the state matched it", choices=("value", "label"))


class RequestSchema(AnswerSchema):
    """The push as it would be sent, with a mask for the credential."""

    method = text("always POST", choices=("POST",))
    url = text("where to")
    path = text("its path and query")
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "its headers"}
    )
    body = text("its body")


class RecordTrialSchema(AnswerSchema):
    """How a record was read."""

    looks = fields.List(
        fields.Nested(FieldLookSchema),
        required=True,
        data_key="fields",
        metadata={"description": "how each field was read"},
    )


class TicketTrialSchema(RecordTrialSchema):
    """A record that names a ticket and its state."""

    sys_id = text("the ticket")
    itsm_state = text("the state as the ITSM tool said it")
    number = text("the ticket, for people", null=True)
    version = text("orders the updates of one ticket", null=True)


class RelayedTrialSchema(TicketTrialSchema):
    """A record that would be relayed."""

    result = text("what it comes to", choices=("relayed",))
    iem_state = count("the state that IEM would be told")
    matched = one(MatchedRowSchema, "the row of `states` that matched", null=True)
    dedupe = one(IdentitySchema, "by what a repeat, and an older one, are known")
    push = text("the body for IEM")
    request = one(RequestSchema, "the request to IEM")


class IgnoredTrialSchema(TicketTrialSchema):
    """A record that would be ignored."""

    result = text("what it comes to", choices=("ignored",))
    reason = text("why")
    dedupe = one(OrderSchema, "by what an older one is known")


class RejectedTrialSchema(RecordTrialSchema):
    """A record that would be rejected."""

    result = text("what it comes to", choices=("rejected",))
    errors = several(FieldErrorSchema, "one for each field that cannot be used")


class RecordsSchema(PlaceSchema):
    """Where the records were looked for."""

    path = text("the JMESPath")
    found = count("how many there are")


class TrialSchema(AnswerSchema):
    """What a payload would come to."""

    integration = text("whose mapping")
    mapping = text("which version of it")
    file = text("where the file is")
    enabled = flag("whether webhooks are taken at all")
    records = one(RecordsSchema, "where the records are")
    results = several(Either(RelayedTrialSchema, IgnoredTrialSchema, RejectedTrialSchema), "one for each record")
