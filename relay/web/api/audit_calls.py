"""`/api/v1/audit`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import INCLUDE

from relay.operations.operations import Operations
from relay.store.trail import TYPES, TrailQuery
from relay.web.api.api_call import PAGE, Call
from relay.web.api.parameters import page_response, read_cursor, read_date_time, read_limit, read_parameters
from relay.web.openapi.examples import DELIVERY_ID, NUMBER, SYS_ID
from relay.web.openapi.operation_spec import ResponseSpec
from relay.web.openapi.problem_schemas import AnswerSchema
from relay.web.openapi.schema_members import boolean, cursor_member, integer, list_of, nested, text, timestamp
from relay.web.responses import ProblemError

_CURSOR = re.compile(r"(?!0+-0+@)\d{1,19}-\d{1,19}@[a-z0-9-]{1,63}", re.ASCII)
_FILTERS = ("integration", "sys_id", "number", "delivery_id", "user", "type", "since", "until")


class VirimaUserSchema(AnswerSchema):
    """A person, as Virima describes them."""

    class Meta(AnswerSchema.Meta):
        """Virima can return more members."""

        unknown = INCLUDE

    id = text("The id in Virima", optional=True, null=True)
    userName = text("The login name", optional=True, null=True)  # noqa: N815 - Virima's name
    displayName = text("The full name", optional=True, null=True)  # noqa: N815 - Virima's name
    email = text("The email address", optional=True, null=True)
    organizationName = text("The organisation", optional=True, null=True)  # noqa: N815 - Virima's name


class AuditRecordSchema(AnswerSchema):
    """What happened to an update or an integration. Records cannot be changed. Each type has additional members."""

    class Meta(AnswerSchema.Meta):
        """Each type of record has its own members."""

        unknown = INCLUDE

    id = text("`<Unix ms>-<sequence>`, by the clock of Redis")
    at = timestamp("When it happened", null=True)
    type = text("What happened; `damaged`: the record was not written by the relay", choices=(*TYPES, "damaged"))
    integration = text("The integration")
    delivery_id = text("The delivery", null=True)
    sys_id = text("The ticket", null=True)
    number = text("The ticket's number", null=True)
    actor = text("Who did it: a sender, `relay`, `api`, or an operator", null=True)
    reason = text("The reason", optional=True, null=True)
    mapping = text("The version of the mapping file", optional=True, null=True)
    superseded_by = text("The newer delivery", optional=True, null=True)
    why = text("The reason that an operator gave", optional=True, null=True)
    lookup = text("Lookups: the kind of lookup in Virima", optional=True, null=True)
    email = text("Lookups: the email address of the resolver", optional=True, null=True)
    outcome = text("Lookups: `found`, `not_found`, `failed`, `mfa_pending` or `skipped`", optional=True, null=True)
    cached = boolean("Lookups: whether the result is from the cache", optional=True, null=True)
    user = nested(VirimaUserSchema, "Lookups: the user in Virima", optional=True, null=True)
    status = integer("The HTTP status of IEM or Virima", optional=True, null=True)
    duration_ms = integer("The duration of the request to IEM or Virima", optional=True, null=True)


class AuditPageSchema(AnswerSchema):
    """A page of audit records, newest first. It can be empty although more pages follow, if few records match the filter."""

    items = list_of(AuditRecordSchema, "Up to `limit` records")
    next_cursor = cursor_member()


def list_audit(operations: Operations) -> Response:
    """Return a page of the audit trail."""
    integration, query = _read_query(read_parameters(*_FILTERS))
    return page_response(operations.audit.page(integration, query, limit=read_limit(), cursor=read_cursor(_CURSOR)))


def _read_query(given: Mapping[str, str]) -> tuple[str | None, TrailQuery]:
    texts = {name: given.get(name) or None for name in _FILTERS}
    if texts["type"] is not None and texts["type"] not in TYPES:
        raise ProblemError(422, f"Invalid type: expected one of {', '.join(TYPES)}")
    query = TrailQuery(
        sys_id=texts["sys_id"],
        number=texts["number"],
        delivery_id=texts["delivery_id"],
        user=texts["user"],
        type=texts["type"],
        since=read_date_time(texts, "since"),
        until=read_date_time(texts, "until"),
    )
    return texts["integration"], query


ACCEPTED_RECORD: dict[str, Any] = {
    "id": "1795342831120-0",
    "at": "2026-11-22T10:20:31.120Z",
    "type": "accepted",
    "integration": "acme",
    "delivery_id": DELIVERY_ID,
    "sys_id": SYS_ID,
    "number": NUMBER,
    "actor": "servicenow@192.0.2.7",
}
LOOKUP_RECORD: dict[str, Any] = {
    **ACCEPTED_RECORD,
    "id": "1795342831300-0",
    "at": "2026-11-22T10:20:31.300Z",
    "type": "virima_lookup",
    "actor": "relay",
    "lookup": "impersonate",
    "email": "fred.luddy@example.com",
    "outcome": "found",
    "reason": None,
    "cached": False,
    "user": {
        "id": "1017",
        "userName": "fred.luddy@example.com",
        "displayName": "Fred Luddy",
        "email": "fred.luddy@example.com",
        "organizationName": "ACME",
    },
    "status": 200,
    "duration_ms": 143,
}
_PAGE = {"items": [LOOKUP_RECORD, ACCEPTED_RECORD], "next_cursor": "1795342831120-0@acme"}

AUDIT_CALLS = (
    Call(
        list_audit,
        method="get",
        rule="/audit",
        id="listAudit",
        tag="Audit",
        summary="List audit records, newest first",
        description="A page can be empty although more pages follow, if few records match the filter: continue with "
        "`next_cursor` until it is null.",
        parameters=(
            "Integration",
            "SysId",
            "Number",
            "DeliveryIdFilter",
            "User",
            "Type",
            "Since",
            "Until",
            "Limit",
            "AuditCursor",
        ),
        responses=(ResponseSpec(200, "A page", AuditPageSchema, {"page": _PAGE}),),
        problems=PAGE,
    ),
)
