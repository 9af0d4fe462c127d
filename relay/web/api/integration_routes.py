"""`/api/v1/integrations` and `/api/v1/stats`."""

from __future__ import annotations

from flask import Blueprint, Response

from relay.errors import NotFoundError, TooManyRecordsError
from relay.operations.dry_run import DryRun
from relay.operations.operations import Operations
from relay.web.api.parameters import ACTOR, read_why
from relay.web.body import read_json
from relay.web.responses import ProblemError, reply
from relay.web.webhooks import read_idempotency_key


def add_integration_routes(blueprint: Blueprint, operations: Operations) -> None:
    """Add the routes to the operator API."""

    @blueprint.get("/integrations", strict_slashes=False)
    def integrations() -> Response:
        return reply({"items": operations.integrations.show_all(), "next_cursor": None})

    @blueprint.get("/integrations/<name>", strict_slashes=False)
    def integration(name: str) -> Response:
        return reply(operations.integrations.show(name))

    @blueprint.post("/integrations/<name>/park", strict_slashes=False)
    def park(name: str) -> Response:
        return reply(operations.integrations.park(name, actor=ACTOR, why=read_why()))

    @blueprint.post("/integrations/<name>/resume", strict_slashes=False)
    def resume(name: str) -> Response:
        return reply(operations.integrations.resume(name, actor=ACTOR, why=read_why()))

    @blueprint.post("/integrations/<name>/try", strict_slashes=False)
    def try_payload(name: str) -> Response:
        file = operations.integrations.mapping_file(name)
        if file is None or file.integration is None:
            raise NotFoundError(f"There is no usable integration {name[:64]}")
        try:
            # With the active version, even if the file has errors by now.
            return reply(DryRun(file).try_payload(read_json(), read_idempotency_key()))
        except TooManyRecordsError as error:
            raise ProblemError(413, str(error), kind="too-many-records") from None

    @blueprint.get("/stats", strict_slashes=False)
    def stats() -> Response:
        return reply(operations.integrations.stats())
