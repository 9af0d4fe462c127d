"""Access tokens of the simulated IEM: issued, looked up, revoked. What one allows is in `iem_access`."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from relay.simulators.iem_refusals import Refusal


@dataclass(frozen=True, slots=True)
class Issued:
    """What is known of a token; `expires_at` is in seconds since the epoch."""

    email: str
    expires_at: float


class IssuedTokens:
    """The tokens of one simulated IEM. Not locked: its owner is."""

    def __init__(self, lifetime: float, *, jwt: bool, now: Callable[[], float]) -> None:
        """Issue tokens that live `lifetime` seconds, JWTs with an `exp` claim or opaque strings."""
        self.lifetime = lifetime
        self.issued = 0
        self._jwt = jwt
        self._now = now
        self._key = secrets.token_bytes(32)
        self._tokens: dict[str, Issued] = {}

    def issue(self, email: str) -> str:
        """Make a new token for that API user; those from before stay good."""
        now = self._now()
        expires_at = now + self.lifetime
        token = self._sign(email, now, expires_at) if self._jwt else secrets.token_urlsafe(32)
        self._tokens[token] = Issued(email, expires_at)
        self.issued += 1
        return token

    def owner(self, token: str) -> str | Refusal:
        """Return the email that a token was issued to, or why it is refused."""
        issued = self._tokens.get(token)
        if issued is None:
            return Refusal.INVALID
        return issued.email if self._now() < issued.expires_at else Refusal.EXPIRED

    def live(self) -> int:
        """Return how many tokens are good now."""
        now = self._now()
        return sum(now < issued.expires_at for issued in self._tokens.values())

    def revoke(self) -> int:
        """Make every token invalid at once; returns how many were good."""
        live = self.live()
        self._tokens.clear()
        return live

    def _sign(self, email: str, issued_at: float, expires_at: float) -> str:
        """Make a JWT (RFC 7519) signed with HS256 under a key that nobody else knows."""
        claims = {"sub": email, "iat": int(issued_at), "exp": int(expires_at), "jti": secrets.token_hex(16)}
        signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
        return f"{signed}.{_base64url(hmac.digest(self._key, signed.encode(), hashlib.sha256))}"


def _segment(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
