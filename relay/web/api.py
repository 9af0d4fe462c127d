"""`/api/v1/…`: the operator API. Behind a bearer token; without one it is off, never open."""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.routing import Map, UnicodeConverter

from relay.core.values import parse_date_time
from relay.errors import BacklogFullError, StoreUnavailableError, TooManyRecordsError
from relay.operations.dry_run import DryRun
from relay.operations.operations import HinderedError, Operations, UnknownError
from relay.operations.replay import Replayed
from relay.store.delivery_reader import STATUSES, DeliveryPage, DeliveryQuery
from relay.store.trail import TYPES, TrailQuery
from relay.web.body import read_json, read_members
from relay.web.refusals import Refusals, too_many_refusals
from relay.web.responses import ProblemError, problem, reply
from relay.web.webhooks import read_idempotency_key

_ACTOR = "api"
_MOST_ITEMS, _USUAL_ITEMS = 500, 50
#: One call replays at most so many; the answer says how many are left.
_MOST_REPLAYED = 5_000
_TRAIL_FILTERS = ("integration", "sys_id", "number", "delivery_id", "user", "type", "since", "until")
_TRAIL_CURSOR = re.compile(r"(?!0+-0+@)\d{1,19}-\d{1,19}@[a-z0-9-]{1,63}", re.ASCII)
_REJECTION_CURSOR = re.compile(r"\d{1,15}\.[0-9A-Z]{1,40}", re.ASCII)
_DELIVERY_CURSOR = re.compile(r"[0-9A-Z]{26}", re.ASCII)
_FILTERS = ("integration", "status", "sys_id", "number", "reason", "since", "until")


class _DeliveryConverter(UnicodeConverter):
    """A delivery's id in a path: not `replay`, which is a call of its own, and answers GET with 405."""

    def __init__(self, map: Map) -> None:  # noqa: A002 - Werkzeug's name
        super().__init__(map)
        self.regex = rf"(?!replay\Z){self.regex}"


def make_api(operations: Operations, token: str | None, wait: Callable[[], float]) -> Blueprint:
    """Return the API; with no `token` every path of it is 404. `wait` counts a call, and tells when one may come (seconds)."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
    blueprint.record_once(lambda state: state.app.url_map.converters.update(delivery=_DeliveryConverter))
    _guard(blueprint, token, Refusals())
    _limit_rate(blueprint, wait)
    _add_integrations(blueprint, operations)
    _add_deliveries(blueprint, operations)
    _add_rejections(blueprint, operations)
    _add_audit(blueprint, operations)

    @blueprint.get("/stats", strict_slashes=False)
    def stats() -> Response:
        return reply(operations.stats())

    return blueprint


def _limit_rate(blueprint: Blueprint, wait: Callable[[], float]) -> None:
    @blueprint.before_request
    def check_rate() -> None:
        try:
            seconds = wait()
        except StoreUnavailableError:
            return  # the call itself tells
        if seconds:
            detail = "more calls a second than RELAY_API_RATE: call again later"
            raise ProblemError(429, detail, kind="rate-limited", headers={"Retry-After": str(math.ceil(seconds))})


def _guard(blueprint: Blueprint, token: str | None, refusals: Refusals) -> None:
    @blueprint.before_request
    def check() -> None:
        if token is None:
            raise ProblemError(404, "the operator API is off: set RELAY_ADMIN_TOKEN", kind="not-found")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # WSGI takes a header's bytes for Latin-1 (PEP 3333).
        good = hmac.compare_digest(given.strip(" \t").encode("latin-1", "replace"), token.encode())
        if scheme.lower() != "bearer" or not good:
            challenge = {"WWW-Authenticate": 'Bearer realm="operators"'}
            refusal = ProblemError(
                401, "expected RELAY_ADMIN_TOKEN as a bearer token", kind="unauthenticated", headers=challenge
            )
            raise too_many_refusals(refusals, refusal) or refusal
        g.is_known = True

    @blueprint.errorhandler(UnknownError)
    def unknown(error: UnknownError) -> Response:
        return problem(ProblemError(404, str(error), kind="not-found"))

    @blueprint.errorhandler(HinderedError)
    def hindered(error: HinderedError) -> Response:
        return problem(ProblemError(409, str(error), kind="conflict"))

    @blueprint.errorhandler(StoreUnavailableError)
    def unavailable(error: StoreUnavailableError) -> Response:
        g.fault = str(error)
        detail, headers = "Redis does not answer: ask again", {"Retry-After": "5"}
        return problem(ProblemError(503, detail, kind="store-unavailable", headers=headers))

    @blueprint.errorhandler(BacklogFullError)
    def full(error: BacklogFullError) -> Response:
        return problem(ProblemError(503, str(error), kind="backlog-full", headers={"Retry-After": "60"}))


def _add_integrations(blueprint: Blueprint, operations: Operations) -> None:
    @blueprint.get("/integrations", strict_slashes=False)
    def integrations() -> Response:
        return reply({"items": operations.integrations(), "next_cursor": None})

    @blueprint.get("/integrations/<name>", strict_slashes=False)
    def integration(name: str) -> Response:
        return reply(operations.integration(name))

    @blueprint.post("/integrations/<name>/park", strict_slashes=False)
    def park(name: str) -> Response:
        return reply(operations.park(name, actor=_ACTOR, why=_why()))

    @blueprint.post("/integrations/<name>/resume", strict_slashes=False)
    def resume(name: str) -> Response:
        return reply(operations.resume(name, actor=_ACTOR, why=_why()))

    @blueprint.post("/integrations/<name>/try", strict_slashes=False)
    def try_payload(name: str) -> Response:
        file = operations.catalogue.find(name)
        if file is None or file.integration is None:
            raise UnknownError(f"there is no usable integration {name[:64]}")
        try:
            # By the version at work, whatever is wrong with the file since.
            return reply(DryRun(file).try_payload(read_json(), read_idempotency_key()))
        except TooManyRecordsError as error:
            raise ProblemError(413, str(error), kind="too-many-records") from None


def _add_deliveries(blueprint: Blueprint, operations: Operations) -> None:
    @blueprint.get("/deliveries", strict_slashes=False)
    def deliveries() -> Response:
        integration, query = _read_filter(_parameters(*_FILTERS))
        return _paged(operations.page(integration, query, limit=_limit(), cursor=_cursor(_DELIVERY_CURSOR)))

    @blueprint.get("/deliveries/<delivery:delivery_id>", strict_slashes=False)
    def delivery(delivery_id: str) -> Response:
        found = operations.delivery(delivery_id)
        return reply({**found, "audit": operations.story(found)})

    @blueprint.post("/deliveries/<delivery_id>/replay", strict_slashes=False)
    def replay_delivery(delivery_id: str) -> Response:
        as_mapped = read_members(as_mapped=bool).get("as_mapped", False)
        return _replayed(operations.replay_delivery(delivery_id, actor=_ACTOR, as_mapped=as_mapped))

    @blueprint.post("/deliveries/<delivery_id>/discard", strict_slashes=False)
    def discard_delivery(delivery_id: str) -> Response:
        return reply(operations.discard_delivery(delivery_id, actor=_ACTOR, why=_why()))

    @blueprint.post("/deliveries/replay", strict_slashes=False)
    def replay_deliveries() -> Response:
        body = _read_letters_filter()
        integration, query = _read_filter(body)
        letters = list(operations.dead_letters(integration, query))
        if body.get("dry_run"):
            return reply({"would_replay": len(letters)})
        counts = {"replayed": 0, "hindered": 0, "left": max(0, len(letters) - _MOST_REPLAYED)}
        for letter in letters[:_MOST_REPLAYED]:
            try:
                operations.replay_delivery(letter["id"], actor=_ACTOR, as_mapped=body.get("as_mapped", False))
                counts["replayed"] += 1
            except (HinderedError, UnknownError):
                counts["hindered"] += 1
        return reply(counts)


def _add_rejections(blueprint: Blueprint, operations: Operations) -> None:
    @blueprint.get("/rejections", strict_slashes=False)
    def rejections() -> Response:
        integration = _parameters("integration").get("integration")
        return _paged(operations.rejections(integration, limit=_limit(), cursor=_cursor(_REJECTION_CURSOR)))

    @blueprint.get("/rejections/<rejection_id>", strict_slashes=False)
    def rejection(rejection_id: str) -> Response:
        return reply(operations.rejection(rejection_id))

    @blueprint.post("/rejections/<rejection_id>/replay", strict_slashes=False)
    def replay_rejection(rejection_id: str) -> Response:
        return _replayed(operations.replay_rejection(rejection_id, actor=_ACTOR))


def _add_audit(blueprint: Blueprint, operations: Operations) -> None:
    @blueprint.get("/audit", strict_slashes=False)
    def audit() -> Response:
        integration, query = _read_trail_filter(_parameters(*_TRAIL_FILTERS))
        return _paged(operations.audit(integration, query, limit=_limit(), cursor=_cursor(_TRAIL_CURSOR)))


def _parameters(*names: str) -> Mapping[str, str]:
    """Return the query's parameters: `names`, and the page's; 422 where there is another, which would narrow nothing down."""
    known = (*names, "limit", "cursor")
    for name in request.args:
        if name not in known:
            raise ProblemError(422, f"{name[:64]}: there is no such parameter here; there are {', '.join(known)}")
    return request.args


def _cursor(form: re.Pattern[str]) -> str | None:
    cursor = request.args.get("cursor") or None
    if cursor is not None and not form.fullmatch(cursor):
        raise ProblemError(422, "cursor: expected the `next_cursor` of the page before")
    return cursor


def _read_trail_filter(given: Mapping[str, str]) -> tuple[str | None, TrailQuery]:
    texts = {name: given.get(name) or None for name in _TRAIL_FILTERS}
    if texts["type"] is not None and texts["type"] not in TYPES:
        raise ProblemError(422, f"type: expected one of {', '.join(TYPES)}")
    query = TrailQuery(
        sys_id=texts["sys_id"],
        number=texts["number"],
        delivery_id=texts["delivery_id"],
        user=texts["user"],
        type=texts["type"],
        since=_when(texts, "since"),
        until=_when(texts, "until"),
    )
    return texts["integration"], query


def _paged(page: DeliveryPage) -> Response:
    return reply({"items": page.items, "next_cursor": page.next_cursor})


def _replayed(replayed: Replayed) -> Response:
    return reply({"status": replayed.status, "delivery_id": replayed.id}, 202 if replayed.status == "queued" else 200)


def _why() -> str:
    text: str = read_members(why=str).get("why", "")
    if len(text) > 500:
        raise ProblemError(422, "why: expected text of at most 500 characters")
    return text


def _limit() -> int:
    text = request.args.get("limit", str(_USUAL_ITEMS))
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= _MOST_ITEMS:
        raise ProblemError(422, f"limit: expected a number from 1 to {_MOST_ITEMS}")
    return int(text)


def _read_letters_filter() -> dict[str, Any]:
    """Return the body of a replay by filter: what `_read_filter` takes, and how to go about it."""
    body = read_members(**dict.fromkeys(_FILTERS, str), dry_run=bool, as_mapped=bool)
    if body.setdefault("status", "dead") != "dead":
        raise ProblemError(422, "status: expected dead: nothing else is replayed")
    if empty := [name for name, value in body.items() if value == ""]:
        # A variable that a script did not set must not mean all of them.
        raise ProblemError(422, f"{empty[0]}: expected text: leave it out where any will do")
    return body


def _read_filter(given: Mapping[str, Any]) -> tuple[str | None, DeliveryQuery]:
    """Return the integration and the query that parameters or a body mean; 422 says what is wrong with them."""
    texts = {name: given.get(name) or None for name in _FILTERS}
    status = texts["status"]
    if status is not None and status not in STATUSES:
        raise ProblemError(422, f"status: expected one of {', '.join(STATUSES)}")
    query = DeliveryQuery(
        status, texts["sys_id"], texts["number"], texts["reason"], _when(texts, "since"), _when(texts, "until")
    )
    return texts["integration"], query


def _when(texts: Mapping[str, str | None], name: str) -> int | None:
    text = texts[name]
    if text is None:
        return None
    # In a query string the plus sign of an offset arrives as a blank.
    moment = parse_date_time(text.replace(" ", "+") if "T" in text else text)
    if moment is None:
        raise ProblemError(422, f"{name}: expected a date and time such as 2026-11-22T10:20:30Z")
    return moment
