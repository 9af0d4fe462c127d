"""The problems that requests can end with: the cause, the headers, and an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema

from relay.web.openapi.examples import DELIVERY_ID, NO_STATE, REJECTION_ID
from relay.web.openapi.problem_schemas import ProblemSchema, UnusablePayloadSchema

_RETRY = {"Retry-After": "RetryAfter"}
_CHALLENGE = {"WWW-Authenticate": "Challenge"}
_WEBHOOK_PATH, _API_PATH = "/webhooks/acme", "/api/v1/deliveries"


@dataclass(frozen=True, slots=True)
class ProblemSpec:
    """A problem. `headers` maps each header to the name of its component."""

    status: int
    description: str
    example: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    schema: type[Schema] = ProblemSchema


def _example(status: int, title: str, detail: str, kind: str | None, instance: str = _WEBHOOK_PATH) -> dict[str, Any]:
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
        "The body is not JSON, not UTF-8, nested deeper than 64 levels, or not valid chunked encoding",
        _example(400, "Not JSON", "Line 1 column 15: trailing comma: no value follows it", "not-json"),
    ),
    "sender-unknown": ProblemSpec(
        401,
        "The sender's credentials are wrong or missing. They are checked on the raw bytes, before the body is parsed",
        _example(
            401,
            "Not authenticated",
            "Wrong or missing credentials for the integration acme: expected basic authentication",
            "unauthenticated",
        ),
        _CHALLENGE,
    ),
    "operator-unknown": ProblemSpec(
        401,
        "The bearer token is wrong or missing",
        _example(
            401,
            "Not authenticated",
            "Wrong or missing bearer token: expected RELAY_ADMIN_TOKEN",
            "unauthenticated",
            _API_PATH,
        ),
        _CHALLENGE,
    ),
    "address-refused": ProblemSpec(
        403,
        "The sender's address is not in the mapping's `allow_from`",
        _example(
            403,
            "Address refused",
            "Address 192.0.2.7 is not in `allow_from` of the integration acme",
            "address-refused",
        ),
    ),
    "no-integration": ProblemSpec(
        404,
        "There is no such integration, or it is disabled",
        _example(404, "Not found", "There is no integration acme", "not-found"),
    ),
    "no-delivery": ProblemSpec(
        404,
        "The integration has no such delivery",
        _example(404, "Not found", f"The integration acme has no delivery {DELIVERY_ID}", "not-found"),
    ),
    "api-off": ProblemSpec(
        404,
        "The operator API is off, because RELAY_ADMIN_TOKEN is not set",
        _example(404, "Not found", "The operator API is off. Set RELAY_ADMIN_TOKEN to use it", "not-found", _API_PATH),
    ),
    "unknown": ProblemSpec(
        404,
        "There is no such integration, delivery or rejection",
        _example(404, "Not found", f"There is no delivery {DELIVERY_ID}", "not-found", _API_PATH),
    ),
    "hindered": ProblemSpec(
        409,
        "The current state does not allow it; `detail` says why",
        _example(409, "Conflict", "The integration acme is not parked", "conflict", "/api/v1/integrations/acme/resume"),
    ),
    "cut-short": ProblemSpec(
        408,
        "The body is incomplete, or took longer than RELAY_RECEIVE_TIMEOUT to arrive",
        _example(408, "Request Timeout", "The body did not arrive completely. Send the request again", None),
    ),
    "too-large": ProblemSpec(
        413,
        "The body is larger than RELAY_MAX_BODY",
        _example(413, "Content Too Large", "The body is larger than 262144 bytes. Send fewer records at once", None),
    ),
    "too-many-records": ProblemSpec(
        413,
        "The body contains more than 500 records",
        _example(413, "Too many records", "612 records in one payload: send at most 500", "too-many-records"),
    ),
    "other-type": ProblemSpec(
        415,
        "The content type is certainly not JSON, or the body is compressed",
        _example(
            415, "Unsupported Media Type", "Content type application/xml is not JSON. Send application/json", None
        ),
    ),
    "unusable-payload": ProblemSpec(
        422,
        "The body is JSON, but the mapping finds no usable sys_id or state. It is kept as a rejection",
        {
            **_example(422, "Unusable payload", f"Field state: {NO_STATE['problem']}", "unusable-payload"),
            "errors": [NO_STATE],
            "rejection_id": REJECTION_ID,
        },
        schema=UnusablePayloadSchema,
    ),
    "wrong-parameter": ProblemSpec(
        422,
        "A parameter, or a member of the body, is unknown or invalid; `detail` names it",
        _example(422, "Unprocessable Content", "Invalid limit: expected a number from 1 to 500", None, _API_PATH),
    ),
    "rate-limited": ProblemSpec(
        429,
        "The webhooks exceed the mapping's `rate_limit`",
        _example(
            429,
            "Too Many Requests",
            "Rate limit exceeded: 50 webhooks per second. Send the webhook again later",
            "rate-limited",
        ),
        _RETRY,
    ),
    "too-many-calls": ProblemSpec(
        429,
        "The calls exceed the rate limit RELAY_API_RATE",
        _example(
            429,
            "Too Many Requests",
            "Rate limit exceeded: RELAY_API_RATE calls per second. Try again later",
            "rate-limited",
            _API_PATH,
        ),
        _RETRY,
    ),
    "too-many-refusals": ProblemSpec(
        429,
        "This address has sent more than 1,000 refused requests per minute. Requests with valid credentials are still accepted",
        _example(
            429,
            "Too Many Requests",
            "Too many refused requests from 192.0.2.7 (more than 1000 per minute). Correct the credentials, then wait",
            "too-many-refusals",
        ),
        _RETRY,
    ),
    "fault": ProblemSpec(
        500,
        "A bug in the relay. Its log has the traceback under `request_id`. An update is not confirmed as stored",
        _example(
            500,
            "Internal Server Error",
            "Send the request again. The relay's log has the traceback under request_id 6e36a2e7b2a029cf",
            None,
        ),
    ),
    "not-stored": ProblemSpec(
        503,
        "Redis did not confirm the update within 2 seconds. The update is not confirmed as stored: send it again",
        _example(503, "Not stored", "The update is not confirmed as stored. Send it again", "store-unavailable"),
        _RETRY,
    ),
    "backlog-full": ProblemSpec(
        503,
        "The integration has RELAY_MAX_PENDING pending deliveries. Nothing was stored",
        _example(
            503,
            "Backlog full",
            "The integration acme has 1000000 pending deliveries, the limit (RELAY_MAX_PENDING)",
            "backlog-full",
        ),
        _RETRY,
    ),
    "mapping-unusable": ProblemSpec(
        503,
        "The integration's mapping file has faults, or none of its webhook secrets can be read",
        _example(
            503,
            "Mapping unusable",
            "The mapping file of acme has faults. `relay mappings check` on the relay's machine lists them",
            "mapping-unusable",
        ),
        _RETRY,
    ),
    "store-away": ProblemSpec(
        503,
        "Redis does not answer",
        _example(503, "Not stored", "Redis does not answer. Try again later", "store-unavailable", _API_PATH),
        _RETRY,
    ),
}
