"""Why a push did not succeed, or why an integration is parked: one table with a row for each reason.

Everything that depends on a reason alone is in its row; docs/iem/response-handling.md shows the table. `outcomes` maps
IEM's answers to reasons. Only `not_found` and `bug` have special rules, in store/lua/settle.lua.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relay.core.retry import WHILE_CREDENTIALS_ARE_WRONG, WHILE_DOWN, WHILE_REFUSED, ProbeSchedule
from relay.core.row_enum import RowEnum

#: The reason of an integration that an operator parked. Not a `Reason`: no attempt has it, and no worker probes it.
PARKED_BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRow:
    """What the relay does for one reason, and what people can do about it."""

    #: What happened, in one clause.
    summary: str
    #: When an attempt has this reason: a phrase for the documentation, in Markdown.
    cause: str
    #: What people can do about it: a clause that begins in lower case.
    advice: str
    #: The outcome of an attempt with this reason.
    leads_to: Literal["retry", "park", "dead"]
    #: An exception to `leads_to`: a sentence for the documentation.
    exception: str = ""
    #: The HTTP statuses that have this reason whatever the message.
    statuses: tuple[int, ...] = ()
    #: The message of the 401 that has this reason.
    refusal: str = ""
    #: Whether this concerns IEM as a whole: five such failures in a row park the integration as `down`.
    counts_as_down: bool = False
    #: Whether the relay drops the cached token.
    drops_token: bool = False
    #: Whether IEM refuses this customer only: it can accept requests for other customers.
    concerns_customer: bool = False
    probes: ProbeSchedule = WHILE_REFUSED


class Reason(RowEnum):
    """Why an attempt did not deliver, or why an integration is parked. Also a label of metrics."""

    row: ReasonRow

    UNEXPECTED_ANSWER = (
        "unexpected_answer",
        ReasonRow(
            summary="IEM gave an unexpected answer",
            cause="200 with any other message (for example from a login page), or a status that is not in this table",
            leads_to="retry",
            advice="the answer is not from IEM: check iem.url, and what is between the relay and IEM (a login page?)",
            counts_as_down=True,
            drops_token=True,
        ),
    )
    REFUSED = (
        "refused",
        ReasonRow(
            summary="IEM called the request malformed",
            cause="400, 405, 413, 415, 422",
            leads_to="dead",
            advice="IEM calls the request malformed: check iem.url, and the sys_id and state of the delivery",
            statuses=(400, 405, 413, 415, 422),
        ),
    )
    NOT_FOUND = (
        "not_found",
        ReasonRow(
            summary="IEM does not know the ticket",
            cause="404: IEM does not know the ticket, or iem.url is wrong",
            leads_to="retry",
            exception="After 10 minutes: dead letter. Five different tickets in a row: park.",
            advice="check iem.url (no path after the host, unless IEM has one), iem.integration_id and fields.sys_id",
            statuses=(404,),
        ),
    )
    RATE_LIMITED = (
        "rate_limited",
        ReasonRow(
            summary="IEM limited the rate of requests",
            cause="429",
            leads_to="retry",
            advice="IEM wants fewer calls: try again later",
            statuses=(429,),
            counts_as_down=True,
        ),
    )
    SERVER_ERROR = (
        "server_error",
        ReasonRow(
            summary="IEM reported a server error",
            cause="5xx",
            leads_to="retry",
            advice="IEM has a fault: try again later, or ask the IEM administrators",
            counts_as_down=True,
        ),
    )
    NOT_NOW = (
        "not_now",
        ReasonRow(
            summary="IEM asked for a later retry",
            cause="408, 425",
            leads_to="retry",
            advice="IEM asks for a retry: try again later",
            statuses=(408, 425),
        ),
    )
    UNREACHABLE = (
        "unreachable",
        ReasonRow(
            summary="IEM did not answer",
            cause="no answer: DNS, connection refused or reset, TLS, timeout, more than 1 MiB",
            leads_to="retry",
            advice="check IEM and the network: DNS, firewall, proxy, certificate; if IEM is only slow, iem.timeout",
            counts_as_down=True,
        ),
    )
    REDIRECTED = (
        "redirected",
        ReasonRow(
            summary="IEM redirected the request",
            cause="3xx. A redirect is never followed: it would send the credentials elsewhere",
            leads_to="park",
            advice="set iem.url to the final address, because redirects are not followed; or find the login page in front of IEM",
            drops_token=True,
        ),
    )
    TOKEN_REFUSED = (
        "token_refused",
        ReasonRow(
            summary="IEM refused a new token",
            cause="401 about the token, or any other 401: the relay fetches a new token and repeats the push at once. "
            "IEM refused the new token too",
            leads_to="park",
            advice="IEM refuses a token that it just issued: ask the IEM administrators whether its nodes share their keys",
            drops_token=True,
        ),
    )
    WRONG_CREDENTIALS = (
        "wrong_credentials",
        ReasonRow(
            summary="IEM refused the credentials",
            cause="401 from the token call; any other 401 with `iem.auth: basic`; 403 `Invalid credentials`",
            leads_to="park",
            advice="check iem.username and iem.password, and whether the account is locked: more tries can lock it",
            probes=WHILE_CREDENTIALS_ARE_WRONG,
        ),
    )
    ACCESS_DENIED = (
        "access_denied",
        ReasonRow(
            summary="IEM denied access",
            cause="403 `Access denied`, or any other 403",
            leads_to="park",
            advice="ask the IEM administrators to make the account an API user; check any web application firewall",
        ),
    )
    INACTIVE_CUSTOMER = (
        "inactive_customer",
        ReasonRow(
            summary="the customer is not active in IEM",
            cause="401 `Data has been sent for inactive customer`",
            leads_to="park",
            advice="check iem.customer_id, or ask the IEM administrators to activate the customer",
            refusal="Data has been sent for inactive customer",
            concerns_customer=True,
        ),
    )
    USER_NOT_ASSOCIATED = (
        "user_not_associated",
        ReasonRow(
            summary="the API user is not associated with the customer in IEM",
            cause="401 `User is not associated with the customer`",
            leads_to="park",
            advice="ask the IEM administrators to associate the API user with the customer",
            refusal="User is not associated with the customer",
            concerns_customer=True,
        ),
    )
    MISCONFIGURED = (
        "misconfigured",
        ReasonRow(
            summary="the worker could not read a secret or use the URL of `iem`",
            cause="nothing was sent: a worker cannot read a secret of `iem`, or cannot use its URL",
            leads_to="park",
            advice="make the secrets and the URL of `iem` available to the worker: see its log and `relay mappings check`",
        ),
    )
    BUG = (
        "bug",
        ReasonRow(
            summary="a bug of the relay raised an exception",
            cause="a bug of the relay raised an exception",
            leads_to="retry",
            exception="After three times: dead letter.",
            advice="report this bug of the relay: the worker's log has the traceback",
        ),
    )
    DOWN = (
        "down",
        ReasonRow(
            summary="IEM is down",
            cause="five failures in a row that count towards `down`, over all deliveries of the integration",
            leads_to="park",
            advice="check IEM and the network: DNS, firewall, proxy, certificate; the worker's log has the fault",
            probes=WHILE_DOWN,
        ),
    )

    @property
    def parks_as(self) -> Reason:
        """The reason of an integration that failures with this reason park."""
        return Reason.DOWN if self.row.counts_as_down else self
