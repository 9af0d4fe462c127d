"""The body of a call of the operator API: a JSON object whose members are all known. A misspelt one is told, not passed over."""

from __future__ import annotations

from typing import Any

from flask import request

from relay.core.payload import parse_body
from relay.errors import PayloadError
from relay.web.answers import ProblemError

_NAMES = {bool: "true or false", str: "text"}


def read_json() -> Any:
    """Return the request's body as JSON; 400 says why it is none."""
    return _parse(request.get_data(cache=False))


def read_members(**kinds: type[str | bool]) -> dict[str, Any]:
    """Return the members of the request's JSON object that have a value; no body at all is an empty one.

    422 where a member is not one of `kinds`, or not of its type.
    """
    raw = request.get_data(cache=False)
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
