"""Who resolved a ticket, as Virima knows that user: the two ways to look somebody up (contract, "What the relay uses it for")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, assert_never

from relay.clock import Clock
from relay.virima.login_service import LoginSession, VirimaClient
from relay.virima.lookup_reasons import LookupReason
from relay.virima.results import Failed, Found, MfaPending, NotFound, Refused, UserAnswer, UserDetails
from relay.virima.service_session import NotLoggedIn, ServiceSession

Mode = Literal["impersonate", "session"]
#: What a server may say of a session that has ended: a refusal, its login page, or the way there.
_ENDED = frozenset({LookupReason.REDIRECTED, LookupReason.UNEXPECTED_ANSWER})


class Outcome(StrEnum):
    """What a lookup came to."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    MFA_PENDING = "mfa_pending"


@dataclass(frozen=True, slots=True)
class KnownUser:
    """As much of a user as an audit record tells."""

    id: int
    user_name: str | None
    display_name: str | None
    email: str | None
    organization_name: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as an audit record has it, in Virima's names."""
        return {
            "id": self.id,
            "userName": self.user_name,
            "displayName": self.display_name,
            "email": self.email,
            "organizationName": self.organization_name,
        }


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a lookup came to; `status` is that of the answer which decided it, None where there was none."""

    outcome: Outcome
    reason: LookupReason | None
    status: int | None
    duration_ms: int
    user: KnownUser | None = None
    #: What went wrong on the way, for people; no part of a record.
    detail: str | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return it as an audit record has it."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "status": self.status,
            "duration_ms": self.duration_ms,
            "user": self.user.as_json() if self.user else None,
        }


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A result before its time is taken."""

    outcome: Outcome
    reason: LookupReason | None = None
    status: int | None = None
    user: UserDetails | None = None
    detail: str | None = None


class Lookup:
    """Looks users up in one integration's Virima. Threads share it. Nothing raises on what Virima answers.

    A lookup makes at most seven calls, each over within `timeout` seconds; and it may wait for another thread's login.
    """

    def __init__(self, client: VirimaClient, *, mode: Mode, timeout: float, clock: Clock) -> None:
        self._client = client
        self._mode = mode
        self._timeout = timeout
        self._monotonic = clock.monotonic
        self._service = ServiceSession(client, timeout=timeout)

    def look_up(self, email: str) -> LookupResult:
        """Return the user with that email; in mode `session` the service account, whoever resolved it."""
        if self._mode == "session":
            return self.who_am_i()
        return self._timed(lambda: self._impersonated(email.strip()))

    def who_am_i(self) -> LookupResult:
        """Return the service account's own user."""
        return self._timed(self._logged_in)

    def close(self) -> None:
        """Log the service account out and close the connections."""
        self._service.end()
        self._client.close()

    def _timed(self, judge: Callable[[], _Verdict]) -> LookupResult:
        began = self._monotonic()
        one = judge()
        duration = max(0, round((self._monotonic() - began) * 1000))
        return LookupResult(
            one.outcome, one.reason, one.status, duration, _known(one.user) if one.user else None, one.detail
        )

    def _logged_in(self) -> _Verdict:
        def ask(session: LoginSession) -> UserAnswer:
            return self._client.logged_in_user(session, timeout=self._timeout)

        return self._in_session(ask, ended=lambda answer: isinstance(answer, NotFound) or _may_have_ended(answer))

    def _impersonated(self, email: str) -> _Verdict:
        if not email:
            return _Verdict(Outcome.NOT_FOUND, LookupReason.NO_EMAIL)
        return self._in_session(lambda session: self._impersonate_once(email, session), ended=_may_have_ended)

    def _impersonate_once(self, email: str, service: LoginSession) -> UserAnswer:
        session = LoginSession()
        try:
            return self._client.impersonate(email, session, by=service, timeout=self._timeout)
        finally:
            self._client.log_out(session, timeout=self._timeout)

    def _in_session(
        self, ask: Callable[[LoginSession], UserAnswer], *, ended: Callable[[UserAnswer], bool]
    ) -> _Verdict:
        """Ask in the service account's session, and once more in a new one where the old one may have ended."""
        lent = self._service.get()
        if isinstance(lent, NotLoggedIn):
            return _judge_login(lent)
        answer = ask(lent.session)
        if not lent.is_new and ended(answer):
            lent = self._service.get(instead_of=lent.session)
            if isinstance(lent, NotLoggedIn):
                return _judge_login(lent)
            answer = ask(lent.session)
        return _judge(answer)


def _may_have_ended(answer: UserAnswer) -> bool:
    return isinstance(answer, Refused) or (isinstance(answer, Failed) and answer.reason in _ENDED)


def _judge(answer: UserAnswer) -> _Verdict:
    match answer:
        case Found(status, user):
            return _Verdict(Outcome.FOUND, None, status, user)
        case MfaPending(status, user):
            return _Verdict(Outcome.MFA_PENDING, None, status, user)
        case NotFound(status):
            return _Verdict(Outcome.NOT_FOUND, None, status)
        case Refused(status, reason):
            return _Verdict(Outcome.FAILED, reason, status)
        case Failed(status, reason, detail):
            return _Verdict(Outcome.FAILED, reason, status, detail=detail)
        case _:
            assert_never(answer)


def _judge_login(answer: NotLoggedIn) -> _Verdict:
    """Return what it means that the service account is not logged in: nothing is known of the user who was asked for."""
    match answer:
        case NotFound(404):
            return _Verdict(Outcome.FAILED, LookupReason.WRONG_URL, 404)
        case Refused(status) | NotFound(status):
            return _Verdict(Outcome.FAILED, LookupReason.WRONG_CREDENTIALS, status)
        case MfaPending(status):
            return _Verdict(Outcome.MFA_PENDING, LookupReason.SERVICE_ACCOUNT_MFA, status)
        case Failed():
            return _judge(answer)
        case _:
            assert_never(answer)


def _known(user: UserDetails) -> KnownUser:
    return KnownUser(user.id, user.user_name, user.display_name, user.email, user.organization_name)
