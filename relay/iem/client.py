"""IEM's calls that the relay makes: Generate Token (guide section 3) and Fetch Ticket Update, `/gbp/push` (section 4.3)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from relay.core.outcomes import Answer
from relay.iem.http import Poster

TOKEN_PATH = "/api/v1/user/token"  # noqa: S105 - a path, not a token


@dataclass(frozen=True, slots=True)
class Account:
    """An API user of IEM."""

    username: str
    password: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


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


class IemClient:
    """IEM as one account sees it. Nothing raises on what IEM answers: refusals are answers, for the table to classify."""

    def __init__(self, poster: Poster, account: Account) -> None:
        self._poster = poster
        self._account = account

    def generate_token(self, *, timeout: float) -> GrantedToken | Answer:
        """Ask for a token with the account's credentials; return it, or the answer that holds none. `timeout` in seconds."""
        headers = {"Authorization": self._account.basic}
        reply = self._poster.post(TOKEN_PATH, headers=headers, body=None, timeout=timeout)
        data = reply.content.get("data")
        value = data.get("access_token") if isinstance(data, dict) else None
        if reply.answer.status == 200 and isinstance(value, str) and _is_sendable(value):
            return GrantedToken(value, read_expiry(value))
        return reply.answer

    def push(self, target: Target, sys_id: str, state: int, token: str | None, *, timeout: float) -> Answer:
        """Tell IEM a ticket's state, with `token` in the Cookie, or without one by basic authentication. `timeout` in seconds."""
        path = f"/gbp/push/{quote(target.customer_id, safe='')}?integrationid={quote(target.integration_id, safe='')}"
        credential = {"Authorization": self._account.basic} if token is None else {"Cookie": f"access_token={token}"}
        headers = {"Content-Type": "application/json", **credential}
        return self._poster.post(path, headers=headers, body=push_body(sys_id, state), timeout=timeout).answer

    def close(self) -> None:
        """Close the connections."""
        self._poster.close()


def push_body(sys_id: str, state: int) -> bytes:
    """Return the body of a push, as the guide has it."""
    return json.dumps({"state": state, "sysid": sys_id}, separators=(",", ":")).encode()


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


def _is_sendable(token: str) -> bool:
    """Tell whether `token` can stand in a Cookie header (RFC 6265 cookie-octet)."""
    return bool(token) and all(0x21 <= ord(character) <= 0x7E and character not in '",;\\' for character in token)
