"""What people can do when a lookup does not find its user."""

from __future__ import annotations

from relay.virima.lookup import LookupResult, Outcome


def advise(result: LookupResult, who: str) -> str:
    """Return what a result that is not `found` means for `who`, the user that was looked up, and what to change."""
    if result.reason:
        return result.reason.row.advice
    if result.outcome is Outcome.MFA_PENDING:
        return f"Virima knows {who}, but asks for a second factor: this does not count as found"
    return f"Virima does not know {who}: check the email address, and what fields.resolved_by of the mapping yields"
