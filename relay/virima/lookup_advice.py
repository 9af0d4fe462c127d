"""What to do where Virima does not tell who somebody is: a sentence for each reason, for people who look for a fault."""

from __future__ import annotations

from collections.abc import Mapping

from relay.virima.lookup import LookupResult, Outcome
from relay.virima.results import LookupReason

ADVICE: Mapping[LookupReason, str] = {
    LookupReason.UNREACHABLE: "Virima did not answer: check virima.url, the network, and virima.ca_file if it has a private CA",
    LookupReason.SERVER_ERROR: "Virima answered with an error of its own: try again later, or ask who runs it",
    LookupReason.RATE_LIMITED: "Virima wants fewer calls: try again later",
    LookupReason.REDIRECTED: "Virima sent us to another address, and redirects are not followed: set virima.url to the final one",
    LookupReason.UNEXPECTED_ANSWER: "the answer is none of Virima's LoginService: check virima.url, it ends before login/",
    LookupReason.INCOMPLETE_ANSWER: "the answer broke off, was too long or too slow: check what stands between here and Virima",
    LookupReason.REFUSED: "Virima let the service account in, but refused it this: allow it to impersonate users, "
    "or set virima.lookup to session",
    LookupReason.ANOTHER_USER: "Virima answered with another user than the one that was asked for: report it to who runs it",
    LookupReason.WRONG_CREDENTIALS: "Virima refused the service account: check virima.username and virima.password",
    LookupReason.WRONG_URL: "there is no LoginService at virima.url: it is the address before login/, "
    "such as https://login.virima.com/www_em/",
    LookupReason.SERVICE_ACCOUNT_MFA: "Virima wants a second factor of the service account: switch it off for this account",
    LookupReason.NO_EMAIL: "no email was given: there is nobody to look up",
}


def advise(result: LookupResult, who: str) -> str:
    """Return what a result that is not `found` means for `who` was asked for, and what to change."""
    if result.reason:
        return ADVICE[result.reason]
    if result.outcome is Outcome.MFA_PENDING:
        return f"Virima knows {who}, but wants a second factor: this does not count as found"
    return f"Virima knows no {who}: check the email, and what fields.resolved_by of the mapping yields"
