"""What an answer of IEM means for the delivery: see docs/iem/response-handling.md.

Only this module and its table, `reasons`, interpret the HTTP statuses of IEM.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, assert_never

from relay.core.reasons import Reason

SUCCESS = "Success"
PUBLISHED = "Data published successfully"
RUNNING = "API is running"


@dataclass(frozen=True, slots=True)
class IemAnswer:
    """The relevant parts of IEM's answer to a request. `status` None: there was no answer."""

    status: int | None
    #: The body's `message` (or `detail`), if the body was a JSON object that has one.
    message: str | None = None
    #: Seconds that `Retry-After` asks for.
    retry_after: float | None = None
    #: Why there is no answer, for people. It never contains a secret.
    fault: str | None = None
    #: IEM's time (Unix seconds, whole), if the answer has a `Date`.
    date: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """IEM accepted the push."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try this delivery again later. `retry_after` (seconds): IEM asked for this wait."""

    reason: Reason
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """No delivery of this integration can succeed until its configuration is corrected."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Dead:
    """This delivery can never succeed as it is."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class TokenNotAccepted:
    """IEM refused the token. The same push can succeed at once with another token."""


Outcome = Delivered | Retry | Park | Dead

_REASON_OF_STATUS = {status: reason for reason in Reason for status in reason.row.statuses}
_REASON_OF_REFUSAL = {reason.row.refusal.lower(): reason for reason in Reason if reason.row.refusal}


def name_outcome(outcome: Outcome | None) -> tuple[str, Reason | None]:
    """Return the name of an outcome in records, logs and metrics, and its reason. None: the delivery was not attempted."""
    match outcome:
        case None:
            return "returned", None
        case Delivered():
            return "delivered", None
        case Retry(reason=reason):
            return "retry", reason
        case Park(reason=reason):
            return "park", reason
        case Dead(reason=reason):
            return "dead", reason


def classify_push(answer: IemAnswer, auth: Literal["token", "basic"]) -> Outcome | TokenNotAccepted:
    """Return what IEM's answer to `/gbp/push` means (guide section 4.3)."""
    return _classify(answer, auth, SUCCESS)


def classify_publish(answer: IemAnswer) -> Outcome | TokenNotAccepted:
    """Return what IEM's answer to a Publish call means (guide section 4.2)."""
    return _classify(answer, "token", PUBLISHED)


def classify_healthcheck(answer: IemAnswer) -> Outcome:
    """Return what the answer of the publish service's health check means (guide section 5). The call needs no credential."""
    outcome = _classify(answer, "token", RUNNING)
    return Park(Reason.ACCESS_DENIED) if isinstance(outcome, TokenNotAccepted) else outcome


def classify_token(answer: IemAnswer) -> Outcome:
    """Return what an answer of the token API that contains no token means (guide section 3)."""
    match answer.status:
        case 401:
            return Park(Reason.WRONG_CREDENTIALS)
        case 200:
            return Retry(Reason.UNEXPECTED_ANSWER)
        case _:
            outcome = _classify(answer, "basic", expected="")
            assert not isinstance(outcome, TokenNotAccepted)
            return outcome


def _classify(answer: IemAnswer, auth: Literal["token", "basic"], expected: str) -> Outcome | TokenNotAccepted:
    match answer.status:
        case None:
            return Retry(Reason.UNREACHABLE)
        case 200 if answer.message == expected:
            return Delivered()
        case 401:
            return _classify_unauthorized(answer, auth)
        case 403:
            is_credentials = _normalised_message(answer) == "invalid credentials"
            return _outcome_of(Reason.WRONG_CREDENTIALS if is_credentials else Reason.ACCESS_DENIED, answer)
        case status if status in _REASON_OF_STATUS:
            return _outcome_of(_REASON_OF_STATUS[status], answer)
        case status if 300 <= status < 400:
            return _outcome_of(Reason.REDIRECTED, answer)
        case status if status >= 500:
            return _outcome_of(Reason.SERVER_ERROR, answer)
        case _:
            return _outcome_of(Reason.UNEXPECTED_ANSWER, answer)


def _classify_unauthorized(answer: IemAnswer, auth: Literal["token", "basic"]) -> Outcome | TokenNotAccepted:
    reason = _REASON_OF_REFUSAL.get(_normalised_message(answer))
    if reason is not None:
        return _outcome_of(reason, answer)
    return TokenNotAccepted() if auth == "token" else Park(Reason.WRONG_CREDENTIALS)


def _outcome_of(reason: Reason, answer: IemAnswer) -> Outcome:
    match reason.row.leads_to:
        case "retry":
            return Retry(reason, answer.retry_after)
        case "park":
            return Park(reason)
        case "dead":
            return Dead(reason)
        case other:
            assert_never(other)


def _normalised_message(answer: IemAnswer) -> str:
    return (answer.message or "").strip().rstrip(".").lower()
