"""IEM's calls as requests and answers: Generate Token (guide section 3), Fetch Ticket Update (4.3), the publish service (5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from relay.core.outcomes import IemAnswer
from relay.errors import RequestBodyError
from relay.http.caller import Caller, Reply
from relay.http.credentials import Credentials
from relay.iem.publish_bodies import PATHS, Publication
from relay.iem.token_expiry import read_expiry

TOKEN_PATH = "/api/v1/user/token"  # noqa: S105 - a path, not a token
#: The headers of every push, except the credential.
PUSH_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}
_MAX_MESSAGE = 200
_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Target:
    """The customer and integration in IEM that a push is for."""

    customer_id: str
    integration_id: str


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """An access token; `expires_at` (Unix seconds) if it is a JWT with an expiry."""

    value: str
    expires_at: float | None
    #: IEM's time (Unix seconds, whole), if the answer has a `Date`.
    date: float | None = None


class IemClient:
    """Calls IEM with one account. No answer of IEM raises an exception: `core.outcomes` classifies the answers."""

    def __init__(self, caller: Caller, credentials: Credentials) -> None:
        self._caller = caller
        self._credentials = credentials

    def generate_token(self, *, timeout: float) -> GrantedToken | IemAnswer:
        """Request a token; return it, or the answer that contains none. `timeout` in seconds."""
        headers = {"Authorization": self._credentials.basic}
        reply = self._caller.exchange("POST", TOKEN_PATH, headers=headers, body=None, timeout=timeout)
        data = (reply.content or {}).get("data")
        value = data.get("access_token") if isinstance(data, dict) else None
        if reply.status == 200 and isinstance(value, str) and _is_sendable(value):
            return GrantedToken(value, read_expiry(value), reply.date)
        return _answer_of(reply)

    def push(self, target: Target, sys_id: str, state: int, token: str | None, *, timeout: float) -> IemAnswer:
        """Push a ticket's state, with `token` in the Cookie, or with basic authentication if it is None. `timeout` in seconds."""
        credential = (
            {"Authorization": self._credentials.basic} if token is None else {"Cookie": f"access_token={token}"}
        )
        headers, body = {**PUSH_HEADERS, **credential}, push_body(sys_id, state)
        return _answer_of(self._caller.exchange("POST", push_path(target), headers=headers, body=body, timeout=timeout))

    def publish(self, publication: Publication, body: bytes, token: str, *, timeout: float) -> IemAnswer:
        """Publish one body, encoded by `publish_schemas.encode`, with `token` in the Cookie. `timeout` in seconds."""
        headers = {**PUSH_HEADERS, "Cookie": f"access_token={token}"}
        path = PATHS[publication]
        return _answer_of(self._caller.exchange("POST", path, headers=headers, body=body, timeout=timeout))

    def healthcheck(self, *, timeout: float) -> IemAnswer:
        """Call the health check of the publish service. `timeout` in seconds."""
        path = PATHS[Publication.HEALTHCHECK]
        return _answer_of(self._caller.exchange("GET", path, headers={}, body=None, timeout=timeout))

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()


def check_push(target: Target, sys_id: str, state: int) -> None:
    """Raise RequestBodyError if the push cannot be written as the guide describes it."""
    if type(state) is not int:
        raise RequestBodyError(f"state: expected a whole number, not {type(state).__name__}")
    try:
        "".join((target.customer_id, target.integration_id, sys_id)).encode()
    except (UnicodeEncodeError, TypeError):
        raise RequestBodyError(
            "customer id, integration id and sys_id: expected texts without lone surrogates"
        ) from None


@lru_cache(maxsize=1024)
def push_path(target: Target) -> str:
    """Return the path and query of a push, to be appended to the base URL."""
    return f"/gbp/push/{quote(target.customer_id, safe='')}?integrationid={quote(target.integration_id, safe='')}"


def push_body(sys_id: str, state: int) -> bytes:
    """Return the body of a push (guide section 4.3)."""
    return _to_json({"state": state, "sysid": sys_id}).encode()


def _answer_of(reply: Reply) -> IemAnswer:
    """Return a reply as `core.outcomes` expects it: an incomplete answer counts as none."""
    if reply.fault is not None:
        return IemAnswer(None, fault=reply.fault)
    return IemAnswer(reply.status, _message_of(reply.content or {}, reply.status), reply.retry_after, date=reply.date)


def _message_of(content: Mapping[str, Any], status: int | None) -> str | None:
    """Return IEM's message. Success is only in `message`; a refusal can also be in `detail` (guide section 3)."""
    for name in ("message",) if status == 200 else ("message", "detail", "msg"):
        text = content.get(name)
        if isinstance(text, str) and text:
            return text[:_MAX_MESSAGE]
    return None


def _is_sendable(token: str) -> bool:
    """Return whether a Cookie header can contain `token` (RFC 6265 cookie-octet)."""
    return bool(token) and all(0x21 <= ord(character) <= 0x7E and character not in '",;\\' for character in token)
