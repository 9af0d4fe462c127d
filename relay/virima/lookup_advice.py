"""Advice for a lookup that did not find its user."""

from __future__ import annotations

from relay.virima.lookup import LookupOutcome, LookupResult


def advise(result: LookupResult, user: str) -> str:
    """Return the meaning of a result other than `found`, and what to change. `user` is the user that was looked up."""
    if result.reason:
        return result.reason.row.advice
    if result.outcome is LookupOutcome.MFA_PENDING:
        return f"Virima knows {user}, but asks for a second factor: this does not count as found"
    return f"Virima does not know {user}: check the email address, and the value of fields.resolved_by in the mapping"
