"""The request and the answer of an HTTP exchange with a simulated service, as values. No sockets here."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs

JSON = "application/json"


class NotJsonError(ValueError):
    """The body or the content type of a request is not JSON."""


@dataclass(frozen=True, slots=True)
class SimulatorRequest:
    """A request as received: `target` is path and query as sent, header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """Return the target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    def query(self, name: str) -> str | None:
        """Return a query parameter, or None unless it is given exactly once."""
        values = parse_qs(self.target.partition("?")[2], keep_blank_values=True).get(name, [])
        return values[0] if len(values) == 1 else None

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie, or None if it was not sent or is empty."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                return value.strip() or None
        return None

    def basic(self) -> tuple[str, str] | None:
        """Return user and password of `Authorization: Basic` (RFC 7617, UTF-8), or None if they cannot be read."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon else None

    def json(self) -> object:
        """Return the parsed body.

        Raises:
            NotJsonError: the body or the content type is not JSON.
        """
        content_type = self.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != JSON:
            raise NotJsonError(f"expected Content-Type {JSON}, got {content_type or 'none'}")
        return parse_json(self.body)


@dataclass(frozen=True, slots=True)
class SimulatorResponse:
    """An answer; the server adds Content-Type and Content-Length."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Operation = Callable[[SimulatorRequest], SimulatorResponse]


class SimulatedService(Protocol):
    """The interface that `SimulatorServer` requires of a service."""

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        """Apply one request and return the answer; many threads call this at the same time."""
        ...

    def now(self) -> float:
        """Return the time of the service in seconds since the epoch."""
        ...

    def state(self) -> dict[str, object]:
        """Return the state of the service as JSON values, without credentials."""
        ...

    def revoke(self) -> int:
        """End every token or session, and return their number."""
        ...

    def reset(self) -> None:
        """Restore the state right after construction."""
        ...


def parse_json(body: bytes) -> object:
    """Return the value of a JSON text.

    Raises:
        NotJsonError: it is not JSON, or nested too deeply.
    """
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJsonError("expected a JSON body") from None
    return parsed


def reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> SimulatorResponse:
    """Return a value as a JSON answer."""
    return SimulatorResponse(status, json.dumps(value).encode(), JSON, headers or {})


def message(status: int, text: str) -> SimulatorResponse:
    """Return an answer with a sentence, in the form that IEM and Virima use."""
    return reply(status, {"message": text})


def wrong_method(allowed: Collection[str]) -> SimulatorResponse:
    """Return a 405 with the allowed methods of the path (RFC 9110 section 15.5.6)."""
    return reply(405, {"message": "Method not allowed"}, {"Allow": ", ".join(sorted(allowed))})
