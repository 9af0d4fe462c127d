"""Why a lookup did not find its user: one table with a row for each reason, as docs/audit/resolver-lookups.md shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relay.core.retry import WHILE_CREDENTIALS_ARE_WRONG, WHILE_DOWN, WHILE_REFUSED, ProbeSchedule
from relay.core.row_enum import RowEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRow:
    """The effects of one reason, and the advice for people."""

    #: The cause: a phrase for the documentation, in Markdown.
    cause: str
    #: The advice for people: a sentence without its full stop.
    advice: str
    #: Whether this parks the lookups of the integration: one such failure, or five in a row.
    parks: Literal["at_once", "in_a_row", "never"] = "never"
    #: Whether this parks the lookups as `down`, counted together with the other failures that park as `down`.
    counts_as_down: bool = False
    probes: ProbeSchedule = WHILE_REFUSED


class LookupReason(RowEnum):
    """Why a lookup did not find its user."""

    row: LookupRow

    UNREACHABLE = (
        "unreachable",
        LookupRow(
            cause="Virima did not answer",
            advice="Virima did not answer: check virima.url, the network, and virima.ca_file if Virima has a private CA",
            parks="in_a_row",
            counts_as_down=True,
            probes=WHILE_DOWN,
        ),
    )
    SERVER_ERROR = (
        "server_error",
        LookupRow(
            cause="Virima answered with 5xx",
            advice="Virima reports an internal error: try again later, or ask the Virima administrators",
            parks="in_a_row",
            counts_as_down=True,
            probes=WHILE_DOWN,
        ),
    )
    RATE_LIMITED = (
        "rate_limited",
        LookupRow(
            cause="Virima answered 429",
            advice="Virima limits the rate of calls: try again later",
            parks="in_a_row",
            counts_as_down=True,
            probes=WHILE_DOWN,
        ),
    )
    UNEXPECTED_ANSWER = (
        "unexpected_answer",
        LookupRow(
            cause="the answer is not from Virima's LoginService",
            advice="the answer is not from Virima's LoginService: check virima.url, which ends before login/",
            parks="in_a_row",
            counts_as_down=True,
            probes=WHILE_DOWN,
        ),
    )
    INCOMPLETE_ANSWER = (
        "incomplete_answer",
        LookupRow(
            cause="the answer ended early, was too long or took too long",
            advice="the answer ended early, was too long or took too long: check what is between the relay and Virima",
            parks="in_a_row",
            counts_as_down=True,
            probes=WHILE_DOWN,
        ),
    )
    REFUSED = (
        "refused",
        LookupRow(
            cause="the service account can log in, but is not allowed to impersonate",
            advice="Virima accepted the service account's login, but refused this call: allow the account to impersonate "
            "users, or set virima.lookup to session",
            parks="in_a_row",
        ),
    )
    WRONG_CREDENTIALS = (
        "wrong_credentials",
        LookupRow(
            cause="Virima refuses the service account",
            advice="Virima refused the service account: check virima.username and virima.password",
            parks="at_once",
            probes=WHILE_CREDENTIALS_ARE_WRONG,
        ),
    )
    SERVICE_ACCOUNT_MFA = (
        "service_account_mfa",
        LookupRow(
            cause="Virima asks for a second factor of the service account",
            advice="Virima asks for a second factor of the service account: switch it off for this account",
            parks="at_once",
            probes=WHILE_CREDENTIALS_ARE_WRONG,
        ),
    )
    WRONG_URL = (
        "wrong_url",
        LookupRow(
            cause="there is no LoginService at `virima.url`",
            advice="there is no LoginService at virima.url: use the address before login/, "
            "such as https://login.virima.com/www_em/",
            parks="at_once",
        ),
    )
    REDIRECTED = (
        "redirected",
        LookupRow(
            cause="Virima answered with a redirect, which is not followed",
            advice="Virima redirected to another address, and redirects are not followed: set virima.url to the final address",
            parks="at_once",
        ),
    )
    ANOTHER_USER = (
        "another_user",
        LookupRow(
            cause="Virima answered with a user other than the requested one",
            advice="Virima answered with a user other than the requested one: report it to the Virima administrators",
        ),
    )
    NO_EMAIL = (
        "no_email",
        LookupRow(
            cause="no email address was given",
            advice="no email address was given, so there is no user to look up",
        ),
    )

    @property
    def parks_as(self) -> str:
        """The reason for which failures with this reason park the lookups."""
        return "down" if self.row.counts_as_down else self.value
