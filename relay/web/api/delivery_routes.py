"""`/api/v1/deliveries`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from werkzeug.routing import Map, UnicodeConverter

from relay.errors import ConflictError, NotFoundError
from relay.operations.operations import Operations
from relay.store.delivery_reader import STATUSES, DeliveryQuery
from relay.web.api.parameters import (
    ACTOR,
    page_response,
    read_cursor,
    read_date_time,
    read_limit,
    read_parameters,
    read_why,
    replay_response,
)
from relay.web.body import read_members
from relay.web.responses import ProblemError, reply

#: The most dead letters that one call replays. The answer says how many are left.
_MAX_REPLAYED = 5_000
_CURSOR = re.compile(r"[0-9A-Z]{26}", re.ASCII)
_FILTERS = ("integration", "status", "sys_id", "number", "reason", "since", "until")


class DeliveryConverter(UnicodeConverter):
    """A delivery id in a path. It is not `replay`: that path only takes POST, and answers GET with 405."""

    def __init__(self, map: Map) -> None:  # noqa: A002 - Werkzeug's name
        super().__init__(map)
        self.regex = rf"(?!replay\Z){self.regex}"


def add_delivery_routes(blueprint: Blueprint, operations: Operations) -> None:
    """Add the routes to the operator API."""

    @blueprint.get("/deliveries", strict_slashes=False)
    def deliveries() -> Response:
        integration, query = _read_query(read_parameters(*_FILTERS))
        return page_response(
            operations.deliveries.page(integration, query, limit=read_limit(), cursor=read_cursor(_CURSOR))
        )

    @blueprint.get("/deliveries/<delivery:delivery_id>", strict_slashes=False)
    def delivery(delivery_id: str) -> Response:
        record = operations.deliveries.find(delivery_id)
        return reply({**record, "audit": operations.audit.of_delivery(record)})

    @blueprint.post("/deliveries/<delivery_id>/replay", strict_slashes=False)
    def replay_delivery(delivery_id: str) -> Response:
        as_mapped = read_members(as_mapped=bool).get("as_mapped", False)
        return replay_response(operations.deliveries.replay(delivery_id, actor=ACTOR, as_mapped=as_mapped))

    @blueprint.post("/deliveries/<delivery_id>/discard", strict_slashes=False)
    def discard_delivery(delivery_id: str) -> Response:
        return reply(operations.deliveries.discard(delivery_id, actor=ACTOR, why=read_why()))

    @blueprint.post("/deliveries/replay", strict_slashes=False)
    def replay_deliveries() -> Response:
        body = _read_replay_filter()
        integration, query = _read_query(body)
        letters = operations.deliveries.in_replay_order(integration, query)
        if body.get("dry_run"):
            return reply({"would_replay": len(letters)})
        counts = {"replayed": 0, "hindered": 0, "left": max(0, len(letters) - _MAX_REPLAYED)}
        for letter in letters[:_MAX_REPLAYED]:
            try:
                operations.deliveries.replay(letter["id"], actor=ACTOR, as_mapped=body.get("as_mapped", False))
                counts["replayed"] += 1
            except (ConflictError, NotFoundError):
                counts["hindered"] += 1
        return reply(counts)


def _read_replay_filter() -> dict[str, Any]:
    """Return the body of a replay by filter: what `_read_query` takes, and the options of the replay."""
    body = read_members(**dict.fromkeys(_FILTERS, str), dry_run=bool, as_mapped=bool)
    if body.setdefault("status", "dead") != "dead":
        raise ProblemError(422, "Invalid status: expected dead, only dead letters can be replayed")
    if empty := [name for name, value in body.items() if value == ""]:
        # A variable that a script forgot to set must not select all dead letters.
        raise ProblemError(422, f"Invalid {empty[0]}: expected text. Leave it out to match any value")
    return body


def _read_query(given: Mapping[str, Any]) -> tuple[str | None, DeliveryQuery]:
    """Return the integration and the query of parameters or of a body. Raises ProblemError (422)."""
    texts = {name: given.get(name) or None for name in _FILTERS}
    status = texts["status"]
    if status is not None and status not in STATUSES:
        raise ProblemError(422, f"Invalid status: expected one of {', '.join(STATUSES)}")
    since, until = read_date_time(texts, "since"), read_date_time(texts, "until")
    return texts["integration"], DeliveryQuery(status, texts["sys_id"], texts["number"], texts["reason"], since, until)
