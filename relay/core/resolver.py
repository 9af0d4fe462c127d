"""Whom to look up in Virima for an update: the resolver's email, or why there is none to ask for."""

from __future__ import annotations

import re
from typing import Literal

Skip = Literal["no_resolver", "no_email"]

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]+@[^@\s\"(),:;<>\[\]\\]+\.[^@\s\"(),:;<>\[\]\\.]+")


def skip_reason(mode: Literal["impersonate", "session"], resolved_by: str | None) -> Skip | None:
    """Return why nobody is looked up, or None. In mode `session` it is the relay's own account, whoever resolved the ticket."""
    if mode == "session":
        return None
    if not resolved_by:
        return "no_resolver"
    return None if _EMAIL.fullmatch(resolved_by.strip()) else "no_email"
