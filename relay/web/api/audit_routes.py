"""`/api/v1/audit`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Blueprint, Response

from relay.operations.operations import Operations
from relay.store.trail import TYPES, TrailQuery
from relay.web.api.parameters import page_response, read_cursor, read_date_time, read_limit, read_parameters
from relay.web.responses import ProblemError

_CURSOR = re.compile(r"(?!0+-0+@)\d{1,19}-\d{1,19}@[a-z0-9-]{1,63}", re.ASCII)
_FILTERS = ("integration", "sys_id", "number", "delivery_id", "user", "type", "since", "until")


def add_audit_routes(blueprint: Blueprint, operations: Operations) -> None:
    """Add the routes to the operator API."""

    @blueprint.get("/audit", strict_slashes=False)
    def audit() -> Response:
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
