"""The outcome of each answer of IEM in docs/iem/response-handling.md, and of every HTTP status."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.outcomes import (
    Dead,
    Delivered,
    IemAnswer,
    Outcome,
    Park,
    Retry,
    TokenNotAccepted,
    classify_publish,
    classify_push,
    classify_token,
)
from relay.core.reasons import Reason

Auth = Literal["token", "basic"]
OUTCOMES = (Delivered, Retry, Park, Dead)
STATUSES = range(100, 600)
#: Messages of IEM's guide, of other systems, and impossible ones.
MESSAGES = (
    None,
    "",
    "Success",
    "success",
    "Data published successfully",
    "Invalid access token",
    "Data has been sent for inactive customer",
    "Invalid credentials",
    "<html>",
    "\x00\ud800",
    "x" * 10_000,
)
INACTIVE = "Data has been sent for inactive customer"
NOT_ASSOCIATED = "User is not associated with the customer"


@pytest.mark.parametrize("auth", ["token", "basic"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (IemAnswer(200, "Success"), Delivered()),
        (IemAnswer(200, None), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, ""), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, "Data published successfully"), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, "Successfully queued"), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(401, INACTIVE), Park(Reason.INACTIVE_CUSTOMER)),
        (IemAnswer(401, NOT_ASSOCIATED), Park(Reason.USER_NOT_ASSOCIATED)),
        (IemAnswer(403, "Access denied"), Park(Reason.ACCESS_DENIED)),
        (IemAnswer(403, "Invalid credentials"), Park(Reason.WRONG_CREDENTIALS)),
        (IemAnswer(403, "Success"), Park(Reason.ACCESS_DENIED)),
        (IemAnswer(403), Park(Reason.ACCESS_DENIED)),
        (IemAnswer(400), Dead(Reason.REFUSED)),
        (IemAnswer(405), Dead(Reason.REFUSED)),
        (IemAnswer(413), Dead(Reason.REFUSED)),
        (IemAnswer(415), Dead(Reason.REFUSED)),
        (IemAnswer(422), Dead(Reason.REFUSED)),
        (IemAnswer(404), Retry(Reason.NOT_FOUND)),
        (IemAnswer(408), Retry(Reason.NOT_NOW)),
        (IemAnswer(425), Retry(Reason.NOT_NOW)),
        (IemAnswer(429), Retry(Reason.RATE_LIMITED)),
        (IemAnswer(500), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(502, "<html>"), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(503), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(504), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(599), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(408, retry_after=7.0), Retry(Reason.NOT_NOW, 7.0)),
        (IemAnswer(425, retry_after=7.0), Retry(Reason.NOT_NOW, 7.0)),
        (IemAnswer(429, retry_after=7.0), Retry(Reason.RATE_LIMITED, 7.0)),
        (IemAnswer(500, retry_after=7.0), Retry(Reason.SERVER_ERROR, 7.0)),
        (IemAnswer(503, retry_after=7.0), Retry(Reason.SERVER_ERROR, 7.0)),
        (IemAnswer(300), Park(Reason.REDIRECTED)),
        (IemAnswer(301), Park(Reason.REDIRECTED)),
        (IemAnswer(302), Park(Reason.REDIRECTED)),
        (IemAnswer(304), Park(Reason.REDIRECTED)),
        (IemAnswer(308, "Success"), Park(Reason.REDIRECTED)),
        (IemAnswer(399), Park(Reason.REDIRECTED)),
        (IemAnswer(None, fault="connection refused"), Retry(Reason.UNREACHABLE)),
        (IemAnswer(None, "Success"), Retry(Reason.UNREACHABLE)),
    ],
    ids=repr,
)
def test_an_answer_to_a_push_has_its_outcome(answer: IemAnswer, outcome: Outcome, auth: Auth) -> None:
    assert classify_push(answer, auth) == outcome


@pytest.mark.parametrize(
    "message",
    [
        "Invalid access token",
        "Access token has expired",
        "Missing access token",
        "Something new",
        "Invalid credentials",
        "",
        None,
    ],
)
def test_a_401_refuses_the_token_or_with_basic_auth_the_credentials(message: str | None) -> None:
    answer = IemAnswer(401, message)

    assert classify_push(answer, "token") == TokenNotAccepted()
    assert classify_push(answer, "basic") == Park(Reason.WRONG_CREDENTIALS)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f" {INACTIVE}. ", Reason.INACTIVE_CUSTOMER),
        (INACTIVE.upper(), Reason.INACTIVE_CUSTOMER),
        (f"{NOT_ASSOCIATED}.", Reason.USER_NOT_ASSOCIATED),
        (NOT_ASSOCIATED.lower(), Reason.USER_NOT_ASSOCIATED),
    ],
)
def test_a_refusal_is_recognised_in_any_case_with_or_without_full_stop(message: str, reason: Reason) -> None:
    assert classify_push(IemAnswer(401, message), "token") == Park(reason)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (IemAnswer(200, "Data published successfully"), Delivered()),
        (IemAnswer(200, "Success"), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, None), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(401, "Missing access token"), TokenNotAccepted()),
        (IemAnswer(401, INACTIVE), Park(Reason.INACTIVE_CUSTOMER)),
        (IemAnswer(403, "Access denied"), Park(Reason.ACCESS_DENIED)),
        (IemAnswer(400), Dead(Reason.REFUSED)),
        (IemAnswer(404), Retry(Reason.NOT_FOUND)),
        (IemAnswer(500), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(302), Park(Reason.REDIRECTED)),
        (IemAnswer(None), Retry(Reason.UNREACHABLE)),
    ],
    ids=repr,
)
def test_an_answer_to_a_publish_call_has_its_outcome(answer: IemAnswer, outcome: Outcome | TokenNotAccepted) -> None:
    assert classify_publish(answer) == outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (IemAnswer(401, "Invalid username/password."), Park(Reason.WRONG_CREDENTIALS)),
        (IemAnswer(401, INACTIVE), Park(Reason.WRONG_CREDENTIALS)),
        (IemAnswer(401), Park(Reason.WRONG_CREDENTIALS)),
        (IemAnswer(403, "Invalid credentials"), Park(Reason.WRONG_CREDENTIALS)),
        (IemAnswer(403, "Access denied"), Park(Reason.ACCESS_DENIED)),
        (IemAnswer(200), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, ""), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(200, "Success"), Retry(Reason.UNEXPECTED_ANSWER)),
        (IemAnswer(400), Dead(Reason.REFUSED)),
        (IemAnswer(404), Retry(Reason.NOT_FOUND)),
        (IemAnswer(429, retry_after=7.0), Retry(Reason.RATE_LIMITED, 7.0)),
        (IemAnswer(503), Retry(Reason.SERVER_ERROR)),
        (IemAnswer(302), Park(Reason.REDIRECTED)),
        (IemAnswer(None), Retry(Reason.UNREACHABLE)),
    ],
    ids=repr,
)
def test_an_answer_of_the_token_call_has_its_outcome(answer: IemAnswer, outcome: Outcome) -> None:
    assert classify_token(answer) == outcome


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: repr(message)[:30])
def test_every_status_has_an_outcome_whatever_the_message(message: str | None) -> None:
    for status in STATUSES:
        answer = IemAnswer(status, message, retry_after=3.0)

        assert isinstance(classify_push(answer, "basic"), OUTCOMES), status
        assert isinstance(classify_token(answer), OUTCOMES), status
        assert isinstance(classify_push(answer, "token"), (*OUTCOMES, TokenNotAccepted)), status
        assert isinstance(classify_publish(answer), (*OUTCOMES, TokenNotAccepted)), status


def test_only_200_means_delivered() -> None:
    pushed = [status for status in STATUSES if classify_push(IemAnswer(status, "Success"), "token") == Delivered()]
    published = [
        status
        for status in STATUSES
        if classify_publish(IemAnswer(status, "Data published successfully")) == Delivered()
    ]

    assert pushed == published == [200]


def test_only_401_refuses_the_token() -> None:
    answers = [IemAnswer(status, "Invalid access token") for status in STATUSES]

    assert [answer.status for answer in answers if classify_push(answer, "token") == TokenNotAccepted()] == [401]
    assert [answer.status for answer in answers if classify_push(answer, "basic") == TokenNotAccepted()] == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, None])
def test_a_token_call_never_means_delivered(status: int | None) -> None:
    assert classify_token(IemAnswer(status, "")) != Delivered()


@pytest.mark.parametrize("status", [100, 201, 202, 204, 206, 402, 406, 409, 410, 418, 451])
def test_an_unlisted_status_is_retried_as_unexpected(status: int) -> None:
    assert classify_push(IemAnswer(status, "Success"), "token") == Retry(Reason.UNEXPECTED_ANSWER)


@settings(deadline=None)
@given(
    status=st.none() | st.integers(0, 999),
    message=st.none() | st.text(st.characters()),
    retry_after=st.none() | st.floats(),
    auth=st.sampled_from(("token", "basic")),
)
def test_any_answer_has_an_outcome(
    *, status: int | None, message: str | None, retry_after: float | None, auth: Auth
) -> None:
    answer = IemAnswer(status, message, retry_after)

    assert isinstance(classify_push(answer, auth), (*OUTCOMES, TokenNotAccepted))
    assert isinstance(classify_token(answer), OUTCOMES)


def test_the_reasons_that_count_as_down() -> None:
    assert sorted(reason for reason in Reason if reason.row.counts_as_down) == [
        "rate_limited",
        "server_error",
        "unexpected_answer",
        "unreachable",
    ]


def test_the_reasons_that_drop_the_cached_token() -> None:
    assert sorted(reason for reason in Reason if reason.row.drops_token) == [
        "redirected",
        "token_refused",
        "unexpected_answer",
    ]
