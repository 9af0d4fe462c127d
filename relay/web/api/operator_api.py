"""The operator API as a whole: its list of calls, its token, its rate limit, its errors."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable

from flask import Blueprint, Response, g, request

from relay.errors import BacklogFullError, ConflictError, NotFoundError, StoreUnavailableError
from relay.operations.operations import Operations
from relay.web.api.api_call import PREFIX, Call
from relay.web.api.audit_calls import AUDIT_CALLS
from relay.web.api.dead_letter_calls import DEAD_LETTER_CALLS
from relay.web.api.delivery_calls import DELIVERY_CALLS, DeliveryConverter
from relay.web.api.dry_run_calls import DRY_RUN_CALLS
from relay.web.api.integration_calls import INTEGRATION_CALLS
from relay.web.api.rejection_calls import REJECTION_CALLS
from relay.web.refusals import Refusals, too_many_refusals
from relay.web.responses import ProblemError, problem

CALLS: tuple[Call, ...] = (
    *INTEGRATION_CALLS,
    *DRY_RUN_CALLS,
    *DELIVERY_CALLS,
    *DEAD_LETTER_CALLS,
    *REJECTION_CALLS,
    *AUDIT_CALLS,
)


def make_api(operations: Operations, token: str | None, count_call: Callable[[], float]) -> Blueprint:
    """Return the API. Without a `token` each of its paths is 404.

    `count_call` counts a call against the rate limit, and returns how long the caller should wait (seconds, 0 if not at all).
    """
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    blueprint.record_once(lambda state: state.app.url_map.converters.update(delivery=DeliveryConverter))
    _require_token(blueprint, token, Refusals())
    _limit_rate(blueprint, count_call)
    _handle_errors(blueprint)
    for call in CALLS:
        call.add_to(blueprint, operations)
    return blueprint


def _require_token(blueprint: Blueprint, token: str | None, refusals: Refusals) -> None:
    @blueprint.before_request
    def check_token() -> None:
        if token is None:
            raise ProblemError(404, "The operator API is off. Set RELAY_ADMIN_TOKEN to use it", kind="not-found")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # WSGI decodes header bytes as Latin-1 (PEP 3333).
        is_valid = hmac.compare_digest(given.strip(" \t").encode("latin-1", "replace"), token.encode())
        if scheme.lower() != "bearer" or not is_valid:
            detail = "Wrong or missing bearer token: expected RELAY_ADMIN_TOKEN"
            challenge = {"WWW-Authenticate": 'Bearer realm="operators"'}
            refusal = ProblemError(401, detail, kind="unauthenticated", headers=challenge)
            raise too_many_refusals(refusals, refusal) or refusal
        g.is_authenticated = True


def _limit_rate(blueprint: Blueprint, count_call: Callable[[], float]) -> None:
    @blueprint.before_request
    def check_rate() -> None:
        try:
            wait = count_call()
        except StoreUnavailableError:
            return  # the call itself will report it
        if wait:
            detail = "Rate limit exceeded: RELAY_API_RATE calls per second. Try again later"
            raise ProblemError(429, detail, kind="rate-limited", headers={"Retry-After": str(math.ceil(wait))})


def _handle_errors(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(NotFoundError)
    def not_found(error: NotFoundError) -> Response:
        return problem(ProblemError(404, str(error), kind="not-found"))

    @blueprint.errorhandler(ConflictError)
    def conflict(error: ConflictError) -> Response:
        return problem(ProblemError(409, str(error), kind="conflict"))

    @blueprint.errorhandler(StoreUnavailableError)
    def unavailable(error: StoreUnavailableError) -> Response:
        g.fault = str(error)
        detail, headers = "Redis does not answer. Try again later", {"Retry-After": "5"}
        return problem(ProblemError(503, detail, kind="store-unavailable", headers=headers))

    @blueprint.errorhandler(BacklogFullError)
    def full(error: BacklogFullError) -> Response:
        return problem(ProblemError(503, str(error), kind="backlog-full", headers={"Retry-After": "60"}))
