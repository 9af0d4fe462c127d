"""What an answer of IEM means: the one table (DESIGN section 7). No other place decides about an HTTP status."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

SUCCESS = "Success"
PUBLISHED = "Data published successfully"
RUNNING = "API is running"


class Reason(StrEnum):
    """Why an attempt did not deliver, or an integration is parked. Also the metrics' label."""

    UNEXPECTED_ANSWER = "unexpected_answer"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    NOT_NOW = "not_now"
    UNREACHABLE = "unreachable"
    REDIRECTED = "redirected"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason, not a token
    WRONG_CREDENTIALS = "wrong_credentials"
    ACCESS_DENIED = "access_denied"
    INACTIVE_CUSTOMER = "inactive_customer"
    USER_NOT_ASSOCIATED = "user_not_associated"
    MISCONFIGURED = "misconfigured"
    BUG = "bug"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class IemAnswer:
    """An HTTP answer of IEM, as far as it matters; `status` None: there was none."""

    status: int | None
    #: The body's `message` (or `detail`), where it was a JSON object with one.
    message: str | None = None
    #: Seconds that `Retry-After` asks for.
    retry_after: float | None = None
    #: What went wrong on the way, for people; never holds a secret.
    fault: str | None = None
    #: What time it was there (Unix seconds, whole), where the answer told.
    date: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """IEM said Success."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try this delivery again later; `retry_after` (seconds) where IEM asked for it."""

    reason: Reason
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """No delivery of this integration can succeed until somebody mends its configuration."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Dead:
    """This delivery can never succeed as it is."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class RefusedToken:
    """The token is no good: with another one the same push can succeed at once."""


Outcome = Delivered | Retry | Park | Dead

_REFUSED = frozenset({400, 405, 413, 415, 422})
_RETRIED = {
    404: Reason.NOT_FOUND,
    408: Reason.NOT_NOW,
    425: Reason.NOT_NOW,
    429: Reason.RATE_LIMITED,
}
_CONFIGURATION = {
    "data has been sent for inactive customer": Reason.INACTIVE_CUSTOMER,
    "user is not associated with the customer": Reason.USER_NOT_ASSOCIATED,
}

#: Reasons that speak of IEM as a whole: five in a row park the integration as `down`.
DOWN_REASONS = frozenset({Reason.UNREACHABLE, Reason.SERVER_ERROR, Reason.RATE_LIMITED, Reason.UNEXPECTED_ANSWER})
#: Outcomes after which the cached token is not trusted any more.
TOKEN_DROPPING = frozenset({Reason.UNEXPECTED_ANSWER, Reason.REDIRECTED, Reason.TOKEN_REFUSED})


def classify_push(answer: IemAnswer, auth: Literal["token", "basic"]) -> Outcome | RefusedToken:
    """Return what IEM's answer to `/gbp/push` means (guide section 4.3)."""
    return _classify(answer, auth, SUCCESS)


def classify_publish(answer: IemAnswer) -> Outcome | RefusedToken:
    """Return what IEM's answer to a Publish call means (guide section 4.2)."""
    return _classify(answer, "token", PUBLISHED)


def classify_healthcheck(answer: IemAnswer) -> Outcome:
    """Return what the publish service's health check answers (guide section 5); it is asked without a credential."""
    outcome = _classify(answer, "token", RUNNING)
    return Park(Reason.ACCESS_DENIED) if isinstance(outcome, RefusedToken) else outcome


def classify_token(answer: IemAnswer) -> Outcome:
    """Return what an answer of the token API that holds no token means (guide section 3)."""
    match answer.status:
        case 401:
            return Park(Reason.WRONG_CREDENTIALS)
        case 200:
            return Retry(Reason.UNEXPECTED_ANSWER)
        case _:
            outcome = _classify(answer, "basic", expected="")
            assert not isinstance(outcome, RefusedToken)
            return outcome


def _classify(answer: IemAnswer, auth: Literal["token", "basic"], expected: str) -> Outcome | RefusedToken:
    match answer.status:
        case None:
            return Retry(Reason.UNREACHABLE)
        case 200 if answer.message == expected:
            return Delivered()
        case 401:
            return _classify_unauthorized(answer, auth)
        case 403:
            wrong = _spelt(answer) == "invalid credentials"
            return Park(Reason.WRONG_CREDENTIALS if wrong else Reason.ACCESS_DENIED)
        case status if status in _REFUSED:
            return Dead(Reason.REFUSED)
        case status if 300 <= status < 400:
            return Park(Reason.REDIRECTED)
        case status if status >= 500:
            return Retry(Reason.SERVER_ERROR, answer.retry_after)
        case status:
            return Retry(_RETRIED.get(status, Reason.UNEXPECTED_ANSWER), answer.retry_after)


def _classify_unauthorized(answer: IemAnswer, auth: Literal["token", "basic"]) -> Outcome | RefusedToken:
    known = _CONFIGURATION.get(_spelt(answer))
    if known is not None:
        return Park(known)
    return RefusedToken() if auth == "token" else Park(Reason.WRONG_CREDENTIALS)


def _spelt(answer: IemAnswer) -> str:
    return (answer.message or "").strip().rstrip(".").lower()
