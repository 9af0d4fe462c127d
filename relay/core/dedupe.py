"""Which updates are the same one, and which is the newer (DESIGN section 4, "The verdict on an update").

The verdict itself is one atomic step in the store; here is what it compares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from relay.core.model import Update

#: Without a version or a date, a repeated update is known for this long at most (seconds).
UNDATED_WINDOW = 600.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two updates of one ticket the same; `dated` where it holds a version or a date."""

    text: str
    dated: bool


def identify(update: Update, idempotency_key: str | None) -> Identity:
    """Return the identity of `update` within its ticket: its IEM state, and the first of version, date and key."""
    ticket = update.ticket
    if ticket.version is not None:
        return Identity(f"{update.iem_state}:v{ticket.version}", dated=True)
    if ticket.updated_at is not None:
        return Identity(f"{update.iem_state}:u{ticket.updated_at}", dated=True)
    if idempotency_key:
        digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return Identity(f"{update.iem_state}:k{digest}", dated=False)
    return Identity(f"{update.iem_state}:-", dated=False)


def window_of(identity: Identity, window: float) -> float:
    """Return for how many seconds `identity` is remembered where the mapping says `window`."""
    return window if identity.dated else min(window, UNDATED_WINDOW)


def version_key(version: str | None) -> str:
    """Return a string of digits that sorts as the number does ("" for none): sign, length of the whole part, all digits.

    Redis compares these as strings, where a Lua number would lose digits beyond 2**53.
    """
    if version is None:
        return ""
    whole, _, fraction = version.removeprefix("-").partition(".")
    magnitude = f"{len(whole):03d}{whole}{fraction}"
    if not version.startswith("-"):
        return f"1{magnitude}"
    # The further from zero, the smaller: digits turned round, and an end that sorts behind whatever could follow there.
    return "0" + "".join(f"0{9 - int(digit)}" for digit in magnitude) + "1"
