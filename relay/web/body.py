"""The body of a request. The operator API's is a JSON object of known members: a misspelt one is told, not passed over."""

from __future__ import annotations

from typing import Any

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from relay.core.payload import parse_body
from relay.errors import PayloadError
from relay.web.arrivals import has_arrived
from relay.web.responses import ProblemError

_NAMES = {bool: "true or false", str: "text"}


def receive_body() -> bytes:
    """Return the body of the request, when it is all here.

    408 where it ends before its time, or took longer than it may; 400 where it is not framed as it says.
    """
    try:
        body = request.get_data(cache=False)
    except ClientDisconnected:
        raise _cut_short() from None
    except ParseException:
        raise ProblemError(400, "the body is not chunked as RFC 9112 section 7.1 says", kind="not-json") from None
    finally:
        has_arrived()
    if len(body) < min(request.content_length or 0, request.max_content_length or 0):
        raise _cut_short()
    return body


def _cut_short() -> ProblemError:
    return ProblemError(408, "the body did not arrive whole: send it again")


def read_json() -> Any:
    """Return the request's body as JSON; 400 says why it is none."""
    return _parse(receive_body())


def read_members(**kinds: type[str | bool]) -> dict[str, Any]:
    """Return the members of the request's JSON object that have a value; no body at all is an empty one.

    422 where a member is not one of `kinds`, or not of its type.
    """
    raw = receive_body()
    body = _parse(raw) if raw.strip() else {}
    if not isinstance(body, dict):
        raise ProblemError(422, "expected a JSON object")
    for name, value in body.items():
        kind = kinds.get(name)
        if kind is None:
            raise ProblemError(422, f"{name[:64]}: there is no such member here; there are {', '.join(kinds)}")
        if value is not None and type(value) is not kind:
            raise ProblemError(422, f"{name}: expected {_NAMES[kind]}")
    return {name: value for name, value in body.items() if value is not None}


def _parse(raw: bytes) -> Any:
    try:
        return parse_body(raw)
    except PayloadError as error:
        raise ProblemError(400, str(error), kind="not-json") from None
