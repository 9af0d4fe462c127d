"""When an access token expires, and when it is to be replaced. Unix seconds."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

#: A token with a short life is replaced when this part of it is left, even if the caller's margin is longer.
_MARGIN_PART = 0.1


@dataclass(frozen=True, slots=True)
class TokenLife:
    """When a token expires, and when it is due to be replaced."""

    expires_at: float
    renew_at: float


def plan_life(expiry: float | None, *, now: float, assumed: float, max_margin: float) -> TokenLife:
    """Return the life of a token that was fetched `now`.

    `expiry` is the token's own (`read_expiry`). Without one, or with one in the past, a life of `assumed` seconds is assumed.
    The token is replaced `max_margin` seconds before it expires, or when a tenth of its life is left, whichever is later.
    """
    expires_at = expiry if expiry and expiry > now else now + assumed
    return TokenLife(expires_at, expires_at - min(max_margin, (expires_at - now) * _MARGIN_PART))


def read_expiry(token: str) -> float | None:
    """Return the `exp` of a JWT (RFC 7519) without verifying its signature; None for any other token."""
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
