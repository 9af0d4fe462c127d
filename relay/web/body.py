"""Reads request bodies. The operator API takes a JSON object with known members: a misspelt member is an error."""

from __future__ import annotations

from typing import Any

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from relay.core.payload import parse_body
from relay.errors import PayloadError
from relay.web.arrivals import mark_received
from relay.web.responses import ProblemError

#: How much of a refused body is read and discarded (bytes). After a larger one the connection is closed, in gunicorn's
#: `ThreadWorker._keepalive_after`.
_MAX_DISCARDED = 8 << 20
_NAMES = {bool: "true or false", str: "text"}


def receive_body() -> bytes:
    """Return the body of the request.

    Raises:
        ProblemError: 408 if the body is incomplete or took too long; 400 if its chunked encoding is invalid.
    """
    try:
        body = request.get_data(cache=False)
    except ClientDisconnected:
        raise _incomplete() from None
    except ParseException:
        detail = "The body is not valid chunked encoding (RFC 9112 section 7.1)"
        raise ProblemError(400, detail, kind="not-json") from None
    finally:
        mark_received()
    if len(body) < min(request.content_length or 0, request.max_content_length or 0):
        raise _incomplete()
    return body


def receive_limited_body(limit: int) -> bytes:
    """Return the body of a webhook of up to `limit` bytes.

    Raises:
        ProblemError: 413 if the body is larger; 415 if it is compressed; 408 and 400 as for `receive_body`.
    """
    length = request.content_length or 0
    if length > limit:
        _discard_body(length)
        raise _too_large(limit)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "Content-Encoding is not supported. Send the body uncompressed")
    body = receive_body()
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, f"The body is larger than {limit} bytes. Send fewer records at once")


def _discard_body(length: int) -> None:
    """Read a refused body, so that the rest of it is not taken for the next request on the connection."""
    stream, left = request.environ["wsgi.input"], min(length, _MAX_DISCARDED)
    while left > 0 and (chunk := stream.read(min(left, 1 << 16))):
        left -= len(chunk)


def _incomplete() -> ProblemError:
    return ProblemError(408, "The body did not arrive completely. Send the request again")


def read_json() -> Any:
    """Return the request's body as JSON. Raises ProblemError (400) if it is not JSON."""
    return _parse(receive_body())


def read_members(**kinds: type[str | bool]) -> dict[str, Any]:
    """Return the members of the request's JSON object, without those that are null. An empty body is an empty object.

    Raises:
        ProblemError: 422 if a member is not one of `kinds`, or does not have its type.
    """
    raw = receive_body()
    body = _parse(raw) if raw.strip() else {}
    if not isinstance(body, dict):
        raise ProblemError(422, "Expected a JSON object")
    for name, value in body.items():
        kind = kinds.get(name)
        if kind is None:
            raise ProblemError(422, f"Unknown member {name[:64]}. Known members: {', '.join(kinds)}")
        if value is not None and type(value) is not kind:
            raise ProblemError(422, f"Invalid {name}: expected {_NAMES[kind]}")
    return {name: value for name, value in body.items() if value is not None}


def _parse(raw: bytes) -> Any:
    try:
        return parse_body(raw)
    except PayloadError as error:
        raise ProblemError(400, str(error), kind="not-json") from None
