"""One HTTP exchange as values: what a simulated service is asked, and what it answers. No sockets here."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs

JSON = "application/json"


class NotJsonError(ValueError):
    """A request whose body or content type is not JSON."""


@dataclass(frozen=True, slots=True)
class SimulatorRequest:
    """One request as it came: `target` is path and query as sent, header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """Return the target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    def query(self, name: str) -> str | None:
        """Return the query parameter of that name, None unless it is there exactly once."""
        values = parse_qs(self.target.partition("?")[2], keep_blank_values=True).get(name, [])
        return values[0] if len(values) == 1 else None

    def cookie(self, name: str) -> str | None:
        """Return the value of one cookie, None where it was not sent or is empty."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                return value.strip() or None
        return None

    def basic(self) -> tuple[str, str] | None:
        """Return user and password of `Authorization: Basic` (RFC 7617, UTF-8), None where unreadable."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon else None

    def json(self) -> object:
        """Return the parsed body; raises NotJsonError, also where the content type is another one."""
        content_type = self.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != JSON:
            raise NotJsonError(f"expected Content-Type {JSON}, got {content_type or 'none'}")
        return parse_json(self.body)


@dataclass(frozen=True, slots=True)
class SimulatorResponse:
    """One answer; Content-Type and Content-Length are added on the wire."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Operation = Callable[[SimulatorRequest], SimulatorResponse]


class SimulatedService(Protocol):
    """A simulated service: everything that `server.SimulatorServer` needs to serve it."""

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        """Answer one request, applying what it asks; called from many threads at once."""
        ...

    def now(self) -> float:
        """Return the service's own time in seconds since the epoch."""
        ...

    def state(self) -> dict[str, object]:
        """Return what the service holds, as JSON values without any credential."""
        ...

    def revoke(self) -> int:
        """End every token or session at once; returns how many there were."""
        ...

    def reset(self) -> None:
        """Go back to the state right after construction."""
        ...


def parse_json(body: bytes) -> object:
    """Return the value of a JSON text; raises NotJsonError, for one that is nested too deep as well."""
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJsonError("expected a JSON body") from None
    return parsed


def reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> SimulatorResponse:
    """Make a JSON answer of a value."""
    return SimulatorResponse(status, json.dumps(value).encode(), JSON, headers or {})


def message(status: int, text: str) -> SimulatorResponse:
    """Make the answer that IEM and Virima give where they have one sentence to say."""
    return reply(status, {"message": text})


def wrong_method(allowed: Collection[str]) -> SimulatorResponse:
    """Make a 405 that names the methods of that path (RFC 9110 section 15.5.6)."""
    return reply(405, {"message": "Method not allowed"}, {"Allow": ", ".join(sorted(allowed))})
