"""Whether Virima can be asked for the resolver of an update: it needs an email address."""

from __future__ import annotations

import re
from typing import Literal

Skip = Literal["no_resolver", "no_email"]

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]+@[^@\s\"(),:;<>\[\]\\]+\.[^@\s\"(),:;<>\[\]\\.]+")


def skip_reason(mode: Literal["impersonate", "session"], resolved_by: str | None) -> Skip | None:
    """Return why the lookup is skipped, or None. Mode `session` looks up the relay's own account and needs no resolver."""
    if mode == "session":
        return None
    if not resolved_by:
        return "no_resolver"
    return None if _EMAIL.fullmatch(resolved_by.strip()) else "no_email"
