"""What to do where IEM does not take what we send: a sentence for each reason, for people who look for a fault."""

from __future__ import annotations

from collections.abc import Mapping

from relay.core.outcomes import Reason

ADVICE: Mapping[Reason, str] = {
    Reason.UNEXPECTED_ANSWER: "the answer is none of IEM's: check iem.url, and what stands between here and IEM (a login page?)",
    Reason.REFUSED: "IEM calls the request malformed: check iem.url",
    Reason.NOT_FOUND: "check iem.url (no path behind the host, unless IEM has one) and iem.integration_id",
    Reason.RATE_LIMITED: "IEM wants fewer calls: try again later",
    Reason.SERVER_ERROR: "a fault of IEM's own: try again later, or ask who runs it",
    Reason.NOT_NOW: "IEM wants to be asked again later",
    Reason.UNREACHABLE: "look at IEM and the way to it: DNS, firewall, certificate; iem.timeout if it is only slow",
    Reason.REDIRECTED: "redirects are not followed: set iem.url to the final address, or look for a login page before IEM",
    Reason.TOKEN_REFUSED: "IEM refuses a token that it has just given: ask who runs IEM whether its nodes share their keys",
    Reason.WRONG_CREDENTIALS: "check iem.username and iem.password, and whether the account is locked: more tries can lock it",
    Reason.ACCESS_DENIED: "have IEM make the account an API user; look at a web application firewall",
    Reason.INACTIVE_CUSTOMER: "check iem.customer_id, or have the customer activated in IEM",
    Reason.USER_NOT_ASSOCIATED: "have IEM associate the API user with the customer",
    Reason.MISCONFIGURED: "a worker cannot read a secret of `iem`, or its URL is unusable: see `relay mappings check`",
    Reason.BUG: "a bug of the relay: its log has the traceback, report it",
    Reason.DOWN: "look at IEM and the way to it: DNS, firewall, certificate; the worker's log has the fault",
}
