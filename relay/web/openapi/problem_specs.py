"""The problems that requests end with: when, with which headers, and an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

from relay.web.openapi.schemas.problem_schemas import ProblemSchema, UnusablePayloadSchema

_RETRY = {"Retry-After": "RetryAfter"}
_CHALLENGE = {"WWW-Authenticate": "Challenge"}
_HOOK, _API = "/webhooks/acme", "/api/v1/deliveries"
_NO_STATE = "no value at `state` or `incident_state` (the mapping's `fields.state`)"


@dataclass(frozen=True, slots=True)
class ProblemSpec:
    """A way to end; `headers` by the name of their component."""

    status: int
    told: str
    example: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    schema: type[Schema] = ProblemSchema


def _example(status: int, title: str, detail: str, kind: str | None, instance: str = _HOOK) -> dict[str, Any]:
    return {
        "status": status,
        "title": title,
        "detail": detail,
        "type": f"urn:relay:problem:{kind}" if kind else "about:blank",
        "instance": instance,
        "request_id": "6e36a2e7b2a029cf",
    }


PROBLEMS: Mapping[str, ProblemSpec] = {
    "not-json": ProblemSpec(
        400,
        "The body is not JSON, not UTF-8, nested deeper than 64 levels, or not chunked as it says",
        _example(400, "Not JSON", "line 1 column 15: a trailing comma before }", "not-json"),
    ),
    "sender-unknown": ProblemSpec(
        401,
        "The sender is not authenticated; checked on the raw bytes, before they are parsed",
        _example(
            401, "Not authenticated", "expected the credentials of the integration acme (basic)", "unauthenticated"
        ),
        _CHALLENGE,
    ),
    "operator-unknown": ProblemSpec(
        401,
        "The bearer token is missing or wrong",
        _example(401, "Not authenticated", "expected RELAY_ADMIN_TOKEN as a bearer token", "unauthenticated", _API),
        _CHALLENGE,
    ),
    "address-refused": ProblemSpec(
        403,
        "The sender's address is not in the mapping's `allow_from`",
        _example(
            403,
            "Address refused",
            "the address 192.0.2.7 is not in `allow_from` of the integration acme",
            "address-refused",
        ),
    ),
    "no-integration": ProblemSpec(
        404,
        "There is no such integration, or it is disabled",
        _example(404, "Not found", "there is no integration acme", "not-found"),
    ),
    "no-delivery": ProblemSpec(
        404,
        "The integration has no such delivery",
        _example(404, "Not found", "the integration acme has no delivery 01JD3W8Z6V0S9K2M4N6P8Q0R2T", "not-found"),
    ),
    "api-off": ProblemSpec(
        404,
        "RELAY_ADMIN_TOKEN is not set: the operator API is off",
        _example(404, "Not found", "the operator API is off: set RELAY_ADMIN_TOKEN", "not-found", _API),
    ),
    "unknown": ProblemSpec(
        404,
        "There is no such integration, delivery or rejection",
        _example(404, "Not found", "there is no delivery 01JD3W8Z6V0S9K2M4N6P8Q0R2T", "not-found", _API),
    ),
    "hindered": ProblemSpec(
        409,
        "It cannot be done as things stand; `detail` says why",
        _example(409, "Conflict", "01JD3W8Z6V0S9K2M4N6P8Q0R2T: its last replay is still pending", "conflict", _API),
    ),
    "cut-short": ProblemSpec(
        408,
        "The body ended before its time, or took longer than RELAY_RECEIVE_TIMEOUT to arrive",
        _example(408, "Request Timeout", "the body did not arrive whole: send it again", None),
    ),
    "too-large": ProblemSpec(
        413,
        "The body is larger than RELAY_MAX_BODY",
        _example(413, "Content Too Large", "the body is larger than 262144 bytes: send fewer records at once", None),
    ),
    "too-many-records": ProblemSpec(
        413,
        "The body holds more than 500 records",
        _example(413, "Too many records", "612 records in one payload: send at most 500", "too-many-records"),
    ),
    "other-type": ProblemSpec(
        415,
        "A content type that is surely not JSON, or a compressed body",
        _example(415, "Unsupported Media Type", "application/xml is not JSON: send application/json", None),
    ),
    "unusable-payload": ProblemSpec(
        422,
        "JSON, but the mapping finds no usable sys_id or state; kept as a rejection",
        {
            **_example(422, "Unusable payload", f"state: {_NO_STATE}", "unusable-payload"),
            "errors": [{"field": "state", "problem": _NO_STATE}],
            "rejection_id": "RL5BGUT5F2M3KSZVCRTGP3DL6Q",
        },
        schema=UnusablePayloadSchema,
    ),
    "wrong-parameter": ProblemSpec(
        422,
        "A parameter or a member of the body is not what is expected; `detail` names it",
        _example(422, "Unprocessable Content", "limit: expected a number from 1 to 500", None, _API),
    ),
    "rate-limited": ProblemSpec(
        429,
        "Faster than the mapping's `rate_limit`",
        _example(429, "Too Many Requests", "more than 50 webhooks a second: send it again later", "rate-limited"),
        _RETRY,
    ),
    "too-many-calls": ProblemSpec(
        429,
        "More calls a second than `RELAY_API_RATE`",
        _example(
            429, "Too Many Requests", "more calls a second than RELAY_API_RATE: call again later", "rate-limited", _API
        ),
        _RETRY,
    ),
    "too-many-refusals": ProblemSpec(
        429,
        "More than 1,000 refused requests a minute from this address. Who has the right credentials is let in",
        _example(
            429,
            "Too Many Requests",
            "more than 1000 refused requests a minute from 192.0.2.7: wait, and correct the credentials",
            "too-many-refusals",
        ),
        _RETRY,
    ),
    "fault": ProblemSpec(
        500,
        "A bug of the relay; its log has the traceback under `request_id`. Nothing is known to be stored",
        _example(
            500,
            "Internal Server Error",
            "the relay failed, and its operators see why under request_id 6e36a2e7b2a029cf: send it again",
            None,
        ),
    ),
    "not-stored": ProblemSpec(
        503,
        "Redis does not take the update: it is not known to be stored, send it again. Answered within 2 seconds",
        _example(503, "Not stored", "the update is not known to be stored: send it again", "store-unavailable"),
        _RETRY,
    ),
    "backlog-full": ProblemSpec(
        503,
        "The integration has RELAY_MAX_PENDING deliveries waiting; nothing was stored",
        _example(503, "Backlog full", "acme has 100000 pending deliveries: no more are taken", "backlog-full"),
        _RETRY,
    ),
    "mapping-unusable": ProblemSpec(
        503,
        "The integration's mapping file has faults, or none of its webhook secrets can be read",
        _example(
            503,
            "Mapping unusable",
            "the mapping file of acme has faults: `relay mappings check` on the relay's machine tells which",
            "mapping-unusable",
        ),
        _RETRY,
    ),
    "store-away": ProblemSpec(
        503,
        "Redis does not answer",
        _example(503, "Not stored", "Redis does not answer: ask again", "store-unavailable", _API),
        _RETRY,
    ),
}
