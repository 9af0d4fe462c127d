"""The access tokens of the simulated IEM: issued, looked up and revoked. `iem_access.py` decides what they allow."""

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
    """The owner of a token, and its expiry in seconds since the epoch."""

    email: str
    expires_at: float


class IssuedTokens:
    """The tokens of one simulated IEM. Not thread-safe: the owner locks."""

    def __init__(self, lifetime: float, *, jwt: bool, now: Callable[[], float]) -> None:
        """Issue tokens with this lifetime (seconds): JWTs with an `exp` claim, or opaque strings."""
        self.lifetime = lifetime
        self.issued = 0
        self._jwt = jwt
        self._now = now
        self._key = secrets.token_bytes(32)
        self._tokens: dict[str, Issued] = {}

    def issue(self, email: str) -> str:
        """Return a new token for this API user; earlier tokens remain valid."""
        now = self._now()
        expires_at = now + self.lifetime
        token = self._sign(email, now, expires_at) if self._jwt else secrets.token_urlsafe(32)
        self._tokens[token] = Issued(email, expires_at)
        self.issued += 1
        return token

    def owner(self, token: str) -> str | Refusal:
        """Return the email address of a token's user, or the refusal."""
        issued = self._tokens.get(token)
        if issued is None:
            return Refusal.INVALID
        return issued.email if self._now() < issued.expires_at else Refusal.EXPIRED

    def live(self) -> int:
        """Return the number of valid tokens."""
        now = self._now()
        return sum(now < issued.expires_at for issued in self._tokens.values())

    def revoke(self) -> int:
        """Make every token invalid, and return the number of those that were valid."""
        live = self.live()
        self._tokens.clear()
        return live

    def _sign(self, email: str, issued_at: float, expires_at: float) -> str:
        """Return a JWT (RFC 7519), signed with HS256 and a random key."""
        claims = {"sub": email, "iat": int(issued_at), "exp": int(expires_at), "jti": secrets.token_hex(16)}
        signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
        return f"{signed}.{_base64url(hmac.digest(self._key, signed.encode(), hashlib.sha256))}"


def _segment(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
