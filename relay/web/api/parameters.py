"""The parts that the calls of the operator API share: their parameters, and the answers to lists and replays.

The functions that read raise ProblemError (422) if a parameter is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Response, request

from relay.core.values import parse_date_time
from relay.operations.replayer import ReplayResult
from relay.store.delivery_reader import RecordPage
from relay.web.body import read_members
from relay.web.responses import ProblemError, reply

#: The name of the API's callers in the audit trail.
ACTOR = "api"
_MAX_ITEMS, _DEFAULT_ITEMS = 500, 50


def read_parameters(*names: str) -> Mapping[str, str]:
    """Return the parameters of the query string: `names` and those of a page. Any other is an error: it would filter nothing."""
    known = (*names, "limit", "cursor")
    for name in request.args:
        if name not in known:
            raise ProblemError(422, f"Unknown parameter {name[:64]}. Known parameters: {', '.join(known)}")
    return request.args


def read_cursor(pattern: re.Pattern[str]) -> str | None:
    """Return where the page starts, or None for the first page."""
    cursor = request.args.get("cursor") or None
    if cursor is not None and not pattern.fullmatch(cursor):
        raise ProblemError(422, "Invalid cursor: expected the `next_cursor` of the previous page")
    return cursor


def read_limit() -> int:
    """Return how many items a page has."""
    text = request.args.get("limit", str(_DEFAULT_ITEMS))
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= _MAX_ITEMS:
        raise ProblemError(422, f"Invalid limit: expected a number from 1 to {_MAX_ITEMS}")
    return int(text)


def read_date_time(texts: Mapping[str, str | None], name: str) -> int | None:
    """Return a point in time in ms, or None if it is not given."""
    text = texts[name]
    if text is None:
        return None
    # In a query string the plus sign of an offset arrives as a space.
    time = parse_date_time(text.replace(" ", "+") if "T" in text else text)
    if time is None:
        raise ProblemError(422, f"Invalid {name}: expected a date and time such as 2026-11-22T10:20:30Z")
    return time


def read_why() -> str:
    """Return the reason that the body of the request gives, for the audit trail."""
    text: str = read_members(why=str).get("why", "")
    if len(text) > 500:
        raise ProblemError(422, "Invalid why: expected text of at most 500 characters")
    return text


def page_response(page: RecordPage) -> Response:
    """Return the answer to a list."""
    return reply({"items": page.items, "next_cursor": page.next_cursor})


def replay_response(result: ReplayResult) -> Response:
    """Return the answer to a replay."""
    return reply({"status": result.status, "delivery_id": result.id}, 202 if result.status == "queued" else 200)
