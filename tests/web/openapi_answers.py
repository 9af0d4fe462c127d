"""Holding a real answer to what the document says of it."""

from __future__ import annotations

from typing import Any

import requests
from web.openapi_document import faults, operations, resolve

BY_ID = {operation["operationId"]: (path, method, operation) for path, method, operation in operations()}


def check(operation_id: str, answer: requests.Response) -> None:
    """Fail where `answer` has a status, a type, a header or a member that the document does not tell, or lacks one."""
    responses = BY_ID[operation_id][2]["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code} of {operation_id}: {answer.text[:300]}"
    told = responses[str(answer.status_code)]
    media = answer.headers["Content-Type"].partition(";")[0]
    assert media in told["content"], f"{media} of {operation_id}"
    value = answer.json() if media.endswith("json") else answer.text
    assert faults(told["content"][media]["schema"], value) == []
    _check_headers(told["headers"], answer)


def _check_headers(told: dict[str, Any], answer: requests.Response) -> None:
    for name, header in told.items():
        # With several problems of one status not each has each header.
        if name in answer.headers:
            schema = resolve(header)["schema"]
            value = answer.headers[name]
            assert faults(schema, int(value) if schema["type"] == "integer" else value) == []
    wanted = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}.get(answer.status_code, "X-Request-ID")
    if answer.headers["Content-Type"] == "application/problem+json":
        assert not answer.json()["detail"][0].islower()
        assert {wanted, "X-Request-ID"} <= set(answer.headers) & set(told)
