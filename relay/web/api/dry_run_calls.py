"""`/api/v1/integrations/<name>/try`: the dry run of a payload."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import fields

from relay.errors import NotFoundError, TooManyRecordsError
from relay.operations.dry_run import DryRun
from relay.operations.operations import Operations
from relay.web.api.api_call import Call
from relay.web.body import read_json
from relay.web.openapi.examples import NUMBER, SYS_ID, WEBHOOK
from relay.web.openapi.operation_spec import RequestBodySpec, ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema, FieldErrorSchema
from relay.web.openapi.schema_members import OneOfSchemas, any_value, boolean, integer, list_of, nested, text
from relay.web.responses import ProblemError, reply
from relay.web.webhooks import read_idempotency_key


class PlaceSchema(AnswerSchema):
    """A place in the mapping file; null if it is from the source's preset."""

    line = integer("The line, from 1", null=True)
    column = integer("The column, from 1", null=True)


class PathLookSchema(PlaceSchema):
    """A path that was read."""

    path = text("The JMESPath")
    found = any_value("What was found at the path; a long value is cut short")
    is_value = boolean("Whether this counts as a value")


class FieldLookSchema(AnswerSchema):
    """How a field was read."""

    name = text("The field's name in the mapping")
    paths = list_of(PathLookSchema, "The paths that were read, up to the one that has a value")
    value = text("The normalised value", null=True)
    label = text("The display value", null=True)
    used = text("What the relay uses", null=True)


class OrderSchema(AnswerSchema):
    """What makes the update older or newer than others of its ticket."""

    ordered_by = text("The first of these that the update has", choices=("version", "updated_at", "arrival"))
    order = text("Its value; null for the time of arrival", null=True)


class IdentitySchema(OrderSchema):
    """How a repeat of the update is recognised."""

    identity = text("The IEM state with the version, the date or the idempotency key")
    known_for = text("How long a repeat is recognised")
    collapse = boolean("Whether the same IEM state again is a duplicate")


class MatchedRowSchema(PlaceSchema):
    """The row of `states` that matched."""

    under = text("The key in the mapping file that contains the row")
    state = text("The row's key")
    iem_state = integer("The row's value")
    by = text("What matched the key", choices=("value", "label"))


class RequestSchema(AnswerSchema):
    """The push as it would be sent, with its credential masked."""

    method = text("Always POST", choices=("POST",))
    url = text("The URL")
    path = text("The path and query of the URL")
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "The headers"}
    )
    body = text("The body")


class RecordTrialSchema(AnswerSchema):
    """How a record was read."""

    looks = fields.List(
        fields.Nested(FieldLookSchema),
        required=True,
        data_key="fields",
        metadata={"description": "How each field was read"},
    )


class TicketTrialSchema(RecordTrialSchema):
    """A record with a usable ticket and state."""

    sys_id = text("The ticket")
    itsm_state = text("The ticket's state in the ITSM tool")
    number = text("The ticket's number", null=True)
    version = text("The ticket's version, which orders its updates", null=True)


class RelayedTrialSchema(TicketTrialSchema):
    """A record that would be relayed."""

    result = text("The result", choices=("relayed",))
    iem_state = integer("The state that would be pushed to IEM")
    matched = nested(MatchedRowSchema, "The row of `states` that matched", null=True)
    dedupe = nested(IdentitySchema, "How repeats and older updates are recognised")
    push = text("The body for IEM")
    request = nested(RequestSchema, "The request to IEM")


class IgnoredTrialSchema(TicketTrialSchema):
    """A record that would be ignored."""

    result = text("The result", choices=("ignored",))
    reason = text("Why it would be ignored")
    dedupe = nested(OrderSchema, "How older updates are recognised")


class RejectedTrialSchema(RecordTrialSchema):
    """A record that would be rejected."""

    result = text("The result", choices=("rejected",))
    errors = list_of(FieldErrorSchema, "One entry for each field that cannot be used")


class RecordsSchema(PlaceSchema):
    """Where the records were looked for."""

    path = text("The JMESPath")
    found = integer("The number of records")


class TrialSchema(AnswerSchema):
    """How a payload would be handled."""

    integration = text("The integration")
    mapping = text("The version of the mapping file")
    file = text("The path of the mapping file")
    enabled = boolean("Whether the integration is enabled")
    records = nested(RecordsSchema, "Where the records are")
    results = list_of(
        OneOfSchemas(RelayedTrialSchema, IgnoredTrialSchema, RejectedTrialSchema), "One result for each record"
    )


def try_payload(operations: Operations, name: str) -> Response:
    """Show how a payload would be handled."""
    file = operations.integrations.mapping_file(name)
    if file is None or file.integration is None:
        raise NotFoundError(f"there is no usable integration {name[:64]}")
    try:
        # With the active version of the mapping, even if the file now has faults.
        return reply(DryRun(file).try_payload(read_json(), read_idempotency_key()))
    except TooManyRecordsError as error:
        raise ProblemError(413, str(error), kind="too-many-records") from None


_PUSH_BODY = f'{{"state":6,"sysid":"{SYS_ID}"}}'
_PUSH_PATH = "/gbp/push/ACME?integrationid=42"
_RELAYED: dict[str, Any] = {
    "result": "relayed",
    "sys_id": SYS_ID,
    "itsm_state": "6",
    "number": NUMBER,
    "version": "7",
    "iem_state": 6,
    "matched": {"under": "states", "state": "6", "iem_state": 6, "by": "value", "line": 15, "column": 6},
    "dedupe": {"identity": "6:v7", "known_for": "1d", "collapse": True, "ordered_by": "version", "order": "7"},
    "push": _PUSH_BODY,
    "request": {
        "method": "POST",
        "url": f"https://iem.example.com{_PUSH_PATH}",
        "path": _PUSH_PATH,
        "headers": {"Content-Type": "application/json", "Cookie": "access_token=•••"},
        "body": _PUSH_BODY,
    },
    "fields": [
        {
            "name": "state",
            "paths": [
                {"path": "state", "line": 12, "column": 11, "found": None, "is_value": False},
                {
                    "path": "incident_state",
                    "line": 12,
                    "column": 18,
                    "found": {"value": "6", "display_value": "Resolved"},
                    "is_value": True,
                },
            ],
            "value": "6",
            "label": "Resolved",
            "used": "6",
        }
    ],
}
_TRIAL: dict[str, Any] = {
    "integration": "acme",
    "mapping": "4c539655366f",
    "file": "mappings/acme.yaml",
    "enabled": True,
    "records": {"path": "result || @", "line": None, "column": None, "found": 1},
    "results": [_RELAYED],
}

DRY_RUN_CALLS = (
    Call(
        try_payload,
        method="post",
        rule="/integrations/<name>/try",
        id="tryPayload",
        tag="Integrations",
        summary="Show how a payload would be handled, without sending it",
        description="A dry run: shows how each record is read and what would be sent to IEM. Nothing is sent or stored.",
        parameters=("Name", "IdempotencyKey"),
        body=RequestBodySpec(
            "The body of a webhook",
            {"description": "Any JSON; the mapping file defines how it is read"},
            {"record": WEBHOOK},
            required=True,
        ),
        responses=(ResponseSpec(200, "How each record would be handled", TrialSchema, {"relayed": _TRIAL}),),
        problems=("not-json", "cut-short", "too-large", "too-many-records", "unknown"),
    ),
)
