"""Looks resolvers up in Virima, in two modes (docs/audit/resolver-lookups.md)."""

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

LookupMode = Literal["impersonate", "session"]
#: Failures that can mean that the session has ended: the login page, or a redirect to it.
_ENDED = frozenset({LookupReason.REDIRECTED, LookupReason.UNEXPECTED_ANSWER})


class LookupOutcome(StrEnum):
    """The outcome of a lookup."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    MFA_PENDING = "mfa_pending"


@dataclass(frozen=True, slots=True)
class KnownUser:
    """The part of a user that an audit record contains."""

    id: int
    user_name: str | None
    display_name: str | None
    email: str | None
    organization_name: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the user as an audit record has it, with Virima's names."""
        return {
            "id": self.id,
            "userName": self.user_name,
            "displayName": self.display_name,
            "email": self.email,
            "organizationName": self.organization_name,
        }


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The result of a lookup. `status` is the HTTP status of the answer that decided it, or None without an answer."""

    outcome: LookupOutcome
    reason: LookupReason | None
    status: int | None
    duration_ms: int
    user: KnownUser | None = None
    #: Details of a failure, for people; not part of an audit record.
    detail: str | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return the result as an audit record has it."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "status": self.status,
            "duration_ms": self.duration_ms,
            "user": self.user.as_json() if self.user else None,
        }


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A result without its duration."""

    outcome: LookupOutcome
    reason: LookupReason | None = None
    status: int | None = None
    user: UserDetails | None = None
    detail: str | None = None


class Lookup:
    """Looks users up in the Virima of one integration. Threads share it. No answer of Virima raises an exception.

    A lookup makes at most seven calls of at most `timeout` seconds each, and can wait for the login of another thread.
    """

    def __init__(self, client: VirimaClient, *, mode: LookupMode, timeout: float, clock: Clock) -> None:
        self._client = client
        self._mode = mode
        self._timeout = timeout
        self._monotonic = clock.monotonic
        self._service = ServiceSession(client, timeout=timeout)

    def look_up(self, email: str) -> LookupResult:
        """Return the user with that email address. In the mode `session`, always return the service account."""
        if self._mode == "session":
            return self.who_am_i()
        return self._timed(lambda: self._impersonated(email.strip()))

    def who_am_i(self) -> LookupResult:
        """Return the user of the service account."""
        return self._timed(self._logged_in)

    def close(self) -> None:
        """Log the service account out and close the connections."""
        self._service.end()
        self._client.close()

    def _timed(self, look_up: Callable[[], _Verdict]) -> LookupResult:
        began = self._monotonic()
        verdict = look_up()
        duration = max(0, round((self._monotonic() - began) * 1000))
        user = _known(verdict.user) if verdict.user else None
        return LookupResult(verdict.outcome, verdict.reason, verdict.status, duration, user, verdict.detail)

    def _logged_in(self) -> _Verdict:
        def ask(session: LoginSession) -> UserAnswer:
            return self._client.logged_in_user(session, timeout=self._timeout)

        return self._in_session(ask, ended=lambda answer: isinstance(answer, NotFound) or _can_have_ended(answer))

    def _impersonated(self, email: str) -> _Verdict:
        if not email:
            return _Verdict(LookupOutcome.NOT_FOUND, LookupReason.NO_EMAIL)
        return self._in_session(lambda session: self._impersonate_once(email, session), ended=_can_have_ended)

    def _impersonate_once(self, email: str, service: LoginSession) -> UserAnswer:
        session = LoginSession()
        try:
            return self._client.impersonate(email, session, by=service, timeout=self._timeout)
        finally:
            self._client.log_out(session, timeout=self._timeout)

    def _in_session(
        self, ask: Callable[[LoginSession], UserAnswer], *, ended: Callable[[UserAnswer], bool]
    ) -> _Verdict:
        """Ask in the session of the service account, and again in a new session if the old one may have ended."""
        opened = self._service.get()
        if isinstance(opened, NotLoggedIn):
            return _judge_login(opened)
        answer = ask(opened.session)
        if not opened.is_new and ended(answer):
            opened = self._service.get(instead_of=opened.session)
            if isinstance(opened, NotLoggedIn):
                return _judge_login(opened)
            answer = ask(opened.session)
        return _judge(answer)


def _can_have_ended(answer: UserAnswer) -> bool:
    return isinstance(answer, Refused) or (isinstance(answer, Failed) and answer.reason in _ENDED)


def _judge(answer: UserAnswer) -> _Verdict:
    match answer:
        case Found(status, user):
            return _Verdict(LookupOutcome.FOUND, None, status, user)
        case MfaPending(status, user):
            return _Verdict(LookupOutcome.MFA_PENDING, None, status, user)
        case NotFound(status):
            return _Verdict(LookupOutcome.NOT_FOUND, None, status)
        case Refused(status, reason):
            return _Verdict(LookupOutcome.FAILED, reason, status)
        case Failed(status, reason, detail):
            return _Verdict(LookupOutcome.FAILED, reason, status, detail=detail)
        case _:
            assert_never(answer)


def _judge_login(answer: NotLoggedIn) -> _Verdict:
    """Return the verdict if the service account cannot log in; then nothing is known about the requested user."""
    match answer:
        case NotFound(404):
            return _Verdict(LookupOutcome.FAILED, LookupReason.WRONG_URL, 404)
        case Refused(status) | NotFound(status):
            return _Verdict(LookupOutcome.FAILED, LookupReason.WRONG_CREDENTIALS, status)
        case MfaPending(status):
            return _Verdict(LookupOutcome.MFA_PENDING, LookupReason.SERVICE_ACCOUNT_MFA, status)
        case Failed():
            return _judge(answer)
        case _:
            assert_never(answer)


def _known(user: UserDetails) -> KnownUser:
    return KnownUser(user.id, user.user_name, user.display_name, user.email, user.organization_name)
