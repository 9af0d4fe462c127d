"""What to do where Virima does not tell who somebody is: a sentence for each reason, for people who look for a fault."""

from __future__ import annotations

from collections.abc import Mapping

from relay.virima.lookup import LookupResult, Outcome
from relay.virima.model import Reason

ADVICE: Mapping[Reason, str] = {
    Reason.UNREACHABLE: "Virima did not answer: check virima.url, the network, and virima.ca_file where it has a private CA",
    Reason.SERVER_ERROR: "Virima answered with an error of its own: try again later, or ask who runs it",
    Reason.RATE_LIMITED: "Virima wants fewer calls: try again later",
    Reason.REDIRECTED: "Virima sent us to another address, and redirects are not followed: set virima.url to the final one",
    Reason.UNEXPECTED_ANSWER: "the answer is none of Virima's LoginService: check virima.url, it ends before login/",
    Reason.INCOMPLETE_ANSWER: "the answer broke off, was too long or too slow: check what stands between here and Virima",
    Reason.REFUSED: "Virima let the service account in, but refused it this: allow it to impersonate users, "
    "or set virima.lookup to session",
    Reason.ANOTHER_USER: "Virima answered with another user than the one that was asked for: report it to who runs it",
    Reason.WRONG_CREDENTIALS: "Virima refused the service account: check virima.username and virima.password",
    Reason.WRONG_URL: "there is no LoginService at virima.url: it is the address before login/, "
    "such as https://login.virima.com/www_em/",
    Reason.SERVICE_ACCOUNT_MFA: "Virima wants a second factor of the service account: switch it off for this account",
    Reason.NO_EMAIL: "no email was given: there is nobody to look up",
}


def advise(result: LookupResult, who: str) -> str:
    """Return what a result that is not `found` means for `who` was asked for, and what to change."""
    if result.reason:
        return ADVICE[result.reason]
    if result.outcome is Outcome.MFA_PENDING:
        return f"Virima knows {who}, but wants a second factor: this does not count as found"
    return f"Virima knows no {who}: check the email, and what fields.resolved_by of the mapping yields"
