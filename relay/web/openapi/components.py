"""What operations share: parameters, headers of answers, and the ways to authenticate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.store.delivery_reader import STATUSES
from relay.store.trail import TYPES

_TEXT: Mapping[str, Any] = {"type": "string"}


def _path(name: str, told: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": told, "schema": _TEXT, "example": example}


def _query(name: str, told: str, schema: Mapping[str, Any] = _TEXT) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": told, "schema": schema}


def _header(name: str, told: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": told, "schema": _TEXT, "example": example}


def _cursor(form: str) -> dict[str, Any]:
    return _query("cursor", "The `next_cursor` of the page before", {"type": "string", "pattern": f"^({form})?$"})


def _moment(name: str, told: str) -> dict[str, Any]:
    schema = {"type": "string", "anyOf": [{"format": "date-time"}, {"const": ""}]}
    return {**_query(name, f"{told}: a date and time, ISO 8601"), "schema": schema, "example": "2026-11-22T10:20:30Z"}


PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "Name": _path("name", "The integration: the mapping file's name without `.yaml`", "acme"),
    "DeliveryId": _path("delivery_id", "The delivery", "01JD3W8Z6V0S9K2M4N6P8Q0R2T"),
    "RejectionId": _path("rejection_id", "The rejection", "RL5BGUT5F2M3KSZVCRTGP3DL6Q"),
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "Names the update where its payload has neither version nor date: a repeat with the same key is a duplicate. "
        "`webhook-id` is understood, too",
        "INC0010023-7",
    ),
    "RequestId": _header(
        "X-Request-ID", "Comes back in the answer and stands in the log, if it is a sane one", "8f14e45fceea167a"
    ),
    "Integration": _query("integration", "Only this integration's"),
    "Status": _query("status", "Only those that stand so", {"type": "string", "enum": [*STATUSES, ""]}),
    "SysId": _query("sys_id", "Only of this ticket"),
    "Number": _query("number", "Only of the ticket with this number"),
    "Reason": _query("reason", "Only those with this reason"),
    "Since": _moment("since", "Only from then on"),
    "Until": _moment("until", "Only until then"),
    "DeliveryIdFilter": _query("delivery_id", "Only of this delivery"),
    "User": _query("user", "Only where this person is named: login, name, address or id"),
    "Type": _query("type", "Only of this type", {"type": "string", "enum": [*TYPES, ""]}),
    "Limit": _query("limit", "How many on a page", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
    "DeliveryCursor": _cursor("[0-9A-Z]{26}"),
    "RejectionCursor": _cursor("[0-9]{1,15}[.][0-9A-Z]{1,40}"),
    "AuditCursor": _cursor("(?!0+-0+@)[0-9]{1,19}-[0-9]{1,19}@[a-z0-9-]{1,63}"),
}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "RequestId": {
        "description": "The sender's, if it sent a sane one; the log has it, too",
        "schema": _TEXT,
        "example": "6e36a2e7b2a029cf",
    },
    "RetryAfter": {
        "description": "Seconds to wait before the same request again",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "Challenge": {
        "description": "How to authenticate (RFC 9110)",
        "schema": _TEXT,
        "example": 'Basic realm="acme", charset="UTF-8"',
    },
}

#: Of the ways to authenticate a sender its mapping file lists those that suffice; with `auth: none` none is needed.
SENDERS = ("basic", "apiKey", "bearer", "hmac", "standardWebhooks", "")
OPERATORS = ("operator",)

SECURITY_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A sender, by `type: basic` of the mapping's `auth`: `username` and `password`.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A sender, by `type: header`: a key in the header that the mapping names. X-API-Key is an example.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A sender, by `type: header` with `header: Authorization` and `scheme: Bearer`.",
    },
    "hmac": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Relay-Signature",
        "description": "A sender, by `type: hmac`: HMAC (sha1, sha256 or sha512) of the raw body under a shared secret, in hex "
        "or base64, in the header that the mapping names; a prefix such as `sha256=` is understood. Where the mapping "
        "has a `timestamp_header`, the signed text is `<timestamp>.<body>`, and more than five minutes of "
        "difference are refused. A request without a body is signed over an empty one.",
    },
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A sender, by `type: standard-webhooks`: `webhook-id`, `webhook-timestamp` and `webhook-signature`.",
    },
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An operator: RELAY_ADMIN_TOKEN. Where none is set the operator API is off (404), never open.",
    },
}
