"""Compares a real answer with its description in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import requests
from web.openapi_document import faults, operations, resolve

BY_ID = {operation["operationId"]: (path, method, operation) for path, method, operation in operations()}


def check(operation_id: str, answer: requests.Response) -> None:
    """Fail if the document does not describe the status, type, headers or a member of `answer`, or if a member is missing."""
    responses = BY_ID[operation_id][2]["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code} of {operation_id}: {answer.text[:300]}"
    described = responses[str(answer.status_code)]
    media_type = answer.headers["Content-Type"].partition(";")[0]
    assert media_type in described["content"], f"{media_type} of {operation_id}"
    value = answer.json() if media_type.endswith("json") else answer.text
    assert faults(described["content"][media_type]["schema"], value) == []
    _check_headers(described["headers"], answer)


def _check_headers(described: dict[str, Any], answer: requests.Response) -> None:
    for name, header in described.items():
        # If several problems have the same status, not each of them has each header.
        if name in answer.headers:
            schema = resolve(header)["schema"]
            value = answer.headers[name]
            assert faults(schema, int(value) if schema["type"] == "integer" else value) == []
    required = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(answer.status_code, "X-Request-ID")
    if answer.headers["Content-Type"] == "application/problem+json":
        assert not answer.json()["detail"][0].islower()
        assert {required, "X-Request-ID"} <= set(answer.headers) & set(described)
