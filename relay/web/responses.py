"""The two kinds of answers: compact JSON with the important members first, and problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, g, request

_to_json = json.JSONEncoder(separators=(",", ":")).encode
#: Short, so that the first 100 characters also show the beginning of the detail.
_TITLES = {
    "not-found": "Not found",
    "mapping-unusable": "Mapping unusable",
    "store-unavailable": "Not stored",
    "backlog-full": "Backlog full",
    "unauthenticated": "Not authenticated",
    "address-refused": "Address refused",
    "not-json": "Not JSON",
    "unusable-payload": "Unusable payload",
    "too-many-records": "Too many records",
}


class ProblemError(Exception):
    """Ends a request with a problem document.

    `detail` starts with a capital letter and with its most important words. `extensions` are additional members.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.extensions = extensions


def reply(content: Mapping[str, Any], status: int = 200, mimetype: str = "application/json") -> Response:
    """Return `content` as compact JSON. The order of the members is kept: ServiceNow stores only the first 100 characters."""
    return Response(_to_json(content), status, mimetype=mimetype)


def problem(error: ProblemError) -> Response:
    """Return the problem document of `error`, with `status`, `title` and `detail` first."""
    phrase = HTTPStatus(error.status).phrase
    content = {
        "status": error.status,
        "title": _TITLES.get(error.kind or "", phrase),
        # Messages of other packages start with a small letter: they also appear in the middle of a line.
        "detail": error.detail[:1].upper() + error.detail[1:],
        "type": f"urn:relay:problem:{error.kind}" if error.kind else "about:blank",
        "instance": request.path,
        "request_id": g.get("request_id"),
        **error.extensions,
    }
    response = reply(content, error.status, "application/problem+json")
    response.headers.update(error.headers)
    return response
