"""What operations share: parameters, headers of answers, and authentication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.store.delivery_reader import STATUSES
from relay.store.trail import TYPES

_TEXT: Mapping[str, Any] = {"type": "string"}


def path_parameter(name: str, description: str, example: str) -> dict[str, Any]:
    """Return a parameter in a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": _TEXT,
        "example": example,
    }


def query_parameter(name: str, description: str, schema: Mapping[str, Any] = _TEXT) -> dict[str, Any]:
    """Return an optional parameter in a query string."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": _TEXT, "example": example}


def _cursor(pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^({pattern})?$"}
    return query_parameter("cursor", "The `next_cursor` of the previous page", schema)


def _date_time(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "anyOf": [{"format": "date-time"}, {"const": ""}]}
    parameter = query_parameter(name, f"{description} (a date and time, ISO 8601)", schema)
    return {**parameter, "example": "2026-11-22T10:20:30Z"}


PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "Name": path_parameter("name", "The integration: the mapping file's name without `.yaml`", "acme"),
    "DeliveryId": path_parameter("delivery_id", "The id of the delivery", "01JD3W8Z6V0S9K2M4N6P8Q0R2T"),
    "RejectionId": path_parameter("rejection_id", "The id of the rejection", "RL5BGUT5F2M3KSZVCRTGP3DL6Q"),
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "Identifies the update if its payload has neither a version nor a date: a repeat with the same key is a duplicate. "
        "`webhook-id` is accepted too",
        "INC0010023-7",
    ),
    "RequestId": _header(
        "X-Request-ID",
        "The id of the request in the answer and in the log: up to 128 letters, digits and `._:/+=-`",
        "8f14e45fceea167a",
    ),
    "Integration": query_parameter("integration", "Only this integration"),
    "Status": query_parameter(
        "status", "Only deliveries with this status", {"type": "string", "enum": [*STATUSES, ""]}
    ),
    "SysId": query_parameter("sys_id", "Only the ticket with this sys_id"),
    "Number": query_parameter("number", "Only the ticket with this number"),
    "Reason": query_parameter("reason", "Only deliveries with this reason"),
    "Since": _date_time("since", "Only from this time on"),
    "Until": _date_time("until", "Only up to this time"),
    "DeliveryIdFilter": query_parameter("delivery_id", "Only this delivery"),
    "User": query_parameter("user", "Only records that name this person by login, name, email address or id"),
    "Type": query_parameter("type", "Only records of this type", {"type": "string", "enum": [*TYPES, ""]}),
    "Limit": query_parameter(
        "limit",
        "The maximum number of items on a page",
        {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
    ),
    "DeliveryCursor": _cursor("[0-9A-Z]{26}"),
    "RejectionCursor": _cursor("[0-9]{1,15}[.][0-9A-Z]{1,40}"),
    "AuditCursor": _cursor("(?!0+-0+@)[0-9]{1,19}-[0-9]{1,19}@[a-z0-9-]{1,63}"),
}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "RequestId": {
        "description": "The id of the request, as in the log: the sender's own if it is valid",
        "schema": _TEXT,
        "example": "6e36a2e7b2a029cf",
    },
    "RetryAfter": {
        "description": "How long to wait before sending the request again (seconds)",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "Challenge": {
        "description": "How to authenticate (RFC 9110)",
        "schema": _TEXT,
        "example": 'Basic realm="acme", charset="UTF-8"',
    },
}

#: A sender uses one of those that its mapping file lists. The empty name: no authentication, for `auth: none`.
SENDERS = ("basic", "apiKey", "bearer", "hmac", "standardWebhooks", "")
OPERATORS = ("operator",)

SECURITY_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A sender with `type: basic` in the mapping's `auth`: `username` and `password`.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A sender with `type: header`: a key in the header that the mapping names. X-API-Key is an example.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A sender with `type: header`, `header: Authorization` and `scheme: Bearer`.",
    },
    "hmac": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Relay-Signature",
        "description": "A sender with `type: hmac`: the HMAC (sha1, sha256 or sha512) of the raw body with a shared secret, in "
        "hex or base64, in the header that the mapping names. A prefix such as `sha256=` is accepted. If the mapping has a "
        "`timestamp_header`, the signed text is `<timestamp>.<body>`, and a timestamp that differs by more than five "
        "minutes is refused. The signature of a request without a body is over an empty body.",
    },
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A sender with `type: standard-webhooks`: `webhook-id`, `webhook-timestamp` and `webhook-signature`.",
    },
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An operator with RELAY_ADMIN_TOKEN. If it is not set, the operator API is off (404).",
    },
}
