"""IEM's calls as requests and answers: Generate Token (guide section 3), Fetch Ticket Update (4.3), the publish service (5)."""

from __future__ import annotations

import base64
import binascii
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

TOKEN_PATH = "/api/v1/user/token"  # noqa: S105 - a path, not a token
#: Sent with every push, beside the credential.
PUSH_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}
_MOST_MESSAGE = 200
_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Target:
    """Whose tickets a push is about."""

    customer_id: str
    integration_id: str


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """An access token; `expires_at` (Unix seconds) where it is a JWT that tells its end."""

    value: str
    expires_at: float | None
    #: What time it was at IEM (Unix seconds, whole), where the answer told.
    date: float | None = None


class IemClient:
    """IEM as one account sees it. Nothing raises on what IEM answers: refusals are answers, for the table to classify."""

    def __init__(self, caller: Caller, credentials: Credentials) -> None:
        self._caller = caller
        self._credentials = credentials

    def generate_token(self, *, timeout: float) -> GrantedToken | IemAnswer:
        """Ask for a token with the account's credentials; return it, or the answer that holds none. `timeout` in seconds."""
        headers = {"Authorization": self._credentials.basic}
        reply = self._caller.exchange("POST", TOKEN_PATH, headers=headers, body=None, timeout=timeout)
        data = (reply.content or {}).get("data")
        value = data.get("access_token") if isinstance(data, dict) else None
        if reply.status == 200 and isinstance(value, str) and _is_sendable(value):
            return GrantedToken(value, read_expiry(value), reply.date)
        return _answer_of(reply)

    def push(self, target: Target, sys_id: str, state: int, token: str | None, *, timeout: float) -> IemAnswer:
        """Tell IEM a ticket's state, with `token` in the Cookie, or without one by basic authentication. `timeout` in seconds."""
        credential = (
            {"Authorization": self._credentials.basic} if token is None else {"Cookie": f"access_token={token}"}
        )
        headers, body = {**PUSH_HEADERS, **credential}, push_body(sys_id, state)
        return _answer_of(self._caller.exchange("POST", push_path(target), headers=headers, body=body, timeout=timeout))

    def publish(self, publication: Publication, body: bytes, token: str, *, timeout: float) -> IemAnswer:
        """Publish one body, as `bodies.encode` makes it, with `token` in the Cookie. `timeout` in seconds."""
        headers = {**PUSH_HEADERS, "Cookie": f"access_token={token}"}
        path = PATHS[publication]
        return _answer_of(self._caller.exchange("POST", path, headers=headers, body=body, timeout=timeout))

    def healthcheck(self, *, timeout: float) -> IemAnswer:
        """Ask whether the publish service runs. `timeout` in seconds."""
        path = PATHS[Publication.HEALTHCHECK]
        return _answer_of(self._caller.exchange("GET", path, headers={}, body=None, timeout=timeout))

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()


def check_push(target: Target, sys_id: str, state: int) -> None:
    """Raise RequestBodyError where a push could not be written as the guide has it."""
    if type(state) is not int:
        raise RequestBodyError(f"state: expected a whole number, not {type(state).__name__}")
    try:
        "".join((target.customer_id, target.integration_id, sys_id)).encode()
    except (UnicodeEncodeError, TypeError):
        raise RequestBodyError("customer id, integration id and sys_id: expected texts of whole characters") from None


@lru_cache(maxsize=1024)
def push_path(target: Target) -> str:
    """Return the path and query of a push, below the base URL."""
    return f"/gbp/push/{quote(target.customer_id, safe='')}?integrationid={quote(target.integration_id, safe='')}"


def push_body(sys_id: str, state: int) -> bytes:
    """Return the body of a push, as the guide has it."""
    return _to_json({"state": state, "sysid": sys_id}).encode()


def read_expiry(token: str) -> float | None:
    """Return the `exp` (Unix seconds) of a JWT (RFC 7519), its signature not verified; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    expiry = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(expiry, int | float) or isinstance(expiry, bool):
        return None
    return float(expiry) if 0 < expiry < 1e11 else None


def _answer_of(reply: Reply) -> IemAnswer:
    """Return a reply as the outcomes' table wants it: half an answer is none."""
    if reply.fault is not None:
        return IemAnswer(None, fault=reply.fault)
    return IemAnswer(reply.status, _message_of(reply.content or {}, reply.status), reply.retry_after, date=reply.date)


def _message_of(content: Mapping[str, Any], status: int | None) -> str | None:
    """Return what IEM says: success in `message` alone, a refusal in `detail` too (guide section 3)."""
    for name in ("message",) if status == 200 else ("message", "detail", "msg"):
        text = content.get(name)
        if isinstance(text, str) and text:
            return text[:_MOST_MESSAGE]
    return None


def _is_sendable(token: str) -> bool:
    """Tell whether `token` can stand in a Cookie header (RFC 6265 cookie-octet)."""
    return bool(token) and all(0x21 <= ord(character) <= 0x7E and character not in '",;\\' for character in token)
