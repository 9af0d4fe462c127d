"""What people can do if a lookup does not find its user."""

from __future__ import annotations

from relay.virima.lookup import LookupOutcome, LookupResult


def advise(result: LookupResult, user: str) -> str:
    """Return what a result other than `found` means for `user`, the user that was looked up, and what to change."""
    if result.reason:
        return result.reason.row.advice
    if result.outcome is LookupOutcome.MFA_PENDING:
        return f"Virima knows {user}, but asks for a second factor: this does not count as found"
    return f"Virima does not know {user}: check the email address, and what fields.resolved_by of the mapping yields"
