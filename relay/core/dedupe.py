"""The identity and the version of an update, which the verdict compares: see docs/mapping-files/ordering-and-deduplication.md.

The verdict itself is one atomic step in the store.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from relay.core.model import Update

#: Longest time for which a repeated update without a version or date is recognised (seconds).
UNDATED_WINDOW = 600.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Two updates of a ticket with equal identities are the same update. `dated`: it contains a version or a date."""

    text: str
    dated: bool


def identify(update: Update, idempotency_key: str | None) -> Identity:
    """Return the identity of `update` within its ticket: its IEM state with its version, or else its date, or else the key."""
    ticket = update.ticket
    if ticket.version is not None:
        return Identity(f"{update.iem_state}:v{ticket.version}", dated=True)
    if ticket.updated_at is not None:
        return Identity(f"{update.iem_state}:u{ticket.updated_at}", dated=True)
    if idempotency_key:
        digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return Identity(f"{update.iem_state}:k{digest}", dated=False)
    return Identity(f"{update.iem_state}:-", dated=False)


def identity_window(identity: Identity, window: float) -> float:
    """Return for how many seconds `identity` is remembered if the mapping's `dedupe.window` is `window`."""
    return window if identity.dated else min(window, UNDATED_WINDOW)


def version_key(version: str | None) -> str:
    """Return a string that sorts as the number does: sign, length of the whole part, all digits. Without a version it is empty.

    Redis compares strings, because a Lua number loses digits beyond 2**53.
    """
    if version is None:
        return ""
    whole, _, fraction = version.removeprefix("-").partition(".")
    magnitude = f"{len(whole):03d}{whole}{fraction}"
    if not version.startswith("-"):
        return f"1{magnitude}"
    # The further from zero, the smaller the number: digits are inverted, and the final 1 makes a shorter fraction sort
    # after a longer one.
    return "0" + "".join(f"0{9 - int(digit)}" for digit in magnitude) + "1"
