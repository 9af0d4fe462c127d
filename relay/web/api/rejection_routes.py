"""`/api/v1/rejections`."""

from __future__ import annotations

import re

from flask import Blueprint, Response

from relay.operations.operations import Operations
from relay.web.api.parameters import ACTOR, page_response, read_cursor, read_limit, read_parameters, replay_response
from relay.web.responses import reply

_CURSOR = re.compile(r"\d{1,15}\.[0-9A-Z]{1,40}", re.ASCII)


def add_rejection_routes(blueprint: Blueprint, operations: Operations) -> None:
    """Add the routes to the operator API."""

    @blueprint.get("/rejections", strict_slashes=False)
    def rejections() -> Response:
        integration = read_parameters("integration").get("integration")
        return page_response(operations.rejections.page(integration, limit=read_limit(), cursor=read_cursor(_CURSOR)))

    @blueprint.get("/rejections/<rejection_id>", strict_slashes=False)
    def rejection(rejection_id: str) -> Response:
        return reply(operations.rejections.find(rejection_id))

    @blueprint.post("/rejections/<rejection_id>/replay", strict_slashes=False)
    def replay_rejection(rejection_id: str) -> Response:
        return replay_response(operations.rejections.replay(rejection_id, actor=ACTOR))
