"""The meaning of Virima's answers, for every status and for unexpected bodies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.http.caller import Reply
from relay.virima.classification import classify, classify_logout, classify_response, classify_user
from relay.virima.lookup_reasons import LookupReason
from relay.virima.results import Failed, Found, MfaPending, NotFound, Refused, Response, TransactionMessage, UserDetails

USER = {"id": 7, "email": "jane@example.com", "userName": "jane"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = [
    "id",
    "email",
    "userName",
    "displayName",
    "enableMFA",
    "mfaChecked",
    "recordId",
    "status",
    "response",
    "password",
]


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_a_meaning(status: int) -> None:
    answer = classify_user(Reply(status, USER))

    match status:
        case 401 | 403:
            assert answer == Refused(status)
        case 404:
            assert answer == NotFound(404)
        case 429:
            assert answer == Failed(429, LookupReason.RATE_LIMITED)
        case _ if status >= 500:
            assert answer == Failed(status, LookupReason.SERVER_ERROR)
        case _ if 300 <= status < 400:
            assert answer == Failed(status, LookupReason.REDIRECTED)
        case _ if 200 <= status < 300:
            assert isinstance(answer, Found)
        case _:
            assert answer == Failed(status, LookupReason.UNEXPECTED_ANSWER)


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (Reply(None, fault="ConnectionError: refused"), (None, LookupReason.UNREACHABLE)),
        (Reply(200, fault="an answer of more than 1 MiB"), (200, LookupReason.INCOMPLETE_ANSWER)),
        (Reply(200, None), (200, LookupReason.UNEXPECTED_ANSWER)),
        (Reply(200, {"id": "seven"}), (200, LookupReason.UNEXPECTED_ANSWER)),
        (Reply(200, {"id": True}), (200, LookupReason.UNEXPECTED_ANSWER)),
        (Reply(200, {"id": [7]}), (200, LookupReason.UNEXPECTED_ANSWER)),
        (Reply(500, fault="half an answer"), (500, LookupReason.SERVER_ERROR)),
    ],
)
def test_an_unusable_answer_is_a_failure(reply: Reply, meaning: tuple[int | None, LookupReason]) -> None:
    answer = classify_user(reply)

    assert isinstance(answer, Failed)
    assert (answer.status, answer.reason) == meaning


@pytest.mark.parametrize("content", [{}, {"id": None}, {"id": ""}, {"id": 0}, {"id": "0"}, {"message": "no"}])
def test_an_answer_with_no_id_means_no_such_user(content: dict[str, Any]) -> None:
    assert classify_user(Reply(200, content)) == NotFound(200)
    assert classify_response(Reply(200, content)) == NotFound(200)


@pytest.mark.parametrize(
    ("flags", "is_pending"),
    [
        ({"enableMFA": True, "mfaChecked": False}, True),
        ({"enableMFA": True, "mfaChecked": None}, True),
        ({"enableMFA": True}, True),
        ({"enableMFA": "true", "mfaChecked": "false"}, True),
        ({"enableMFA": 1, "mfaChecked": 0}, True),
        ({"enableMFA": True, "mfaChecked": True}, False),
        ({"enableMFA": False, "mfaChecked": False}, False),
        ({"enableMFA": None, "mfaChecked": None}, False),
        ({}, False),
    ],
)
def test_a_second_factor_is_pending_until_it_is_known_to_be_given(flags: dict[str, Any], is_pending: bool) -> None:
    answer = classify_user(Reply(200, {**USER, **flags}))

    assert isinstance(answer, MfaPending if is_pending else Found)


@pytest.mark.parametrize("given_id", [7, "7", " 7 ", 7.0])
def test_values_of_other_types_do_not_hide_the_user(given_id: object) -> None:
    odd = {"phone": 4711, "isAdmin": None, "isVendor": "yes", "theme": {"a": 1}, "timezone": True, "unheard": [1]}

    answer = classify_user(Reply(200, {**USER, **odd, "id": given_id}), asked="Jane@example.com")

    assert answer == Found(200, UserDetails(7, "jane@example.com", "jane", phone="4711"))


def test_a_requested_user_without_an_email_is_a_failure() -> None:
    answer = classify_user(Reply(200, {"id": 7}), asked="jane@example.com")

    assert isinstance(answer, Failed)
    assert answer.reason is LookupReason.UNEXPECTED_ANSWER


def test_names_have_no_control_characters() -> None:
    answer = classify_user(Reply(200, {**USER, "displayName": "Jane\x1b[2J\ud800\nDoe"}))

    assert isinstance(answer, Found)
    assert answer.user.display_name == "Jane [2J  Doe"


@pytest.mark.parametrize("content", [{}, {"id": "x"}, {"id": 0, "status": False}])
def test_any_answer_to_a_logout_is_accepted(content: dict[str, Any]) -> None:
    assert isinstance(classify_logout(Reply(200, content)), TransactionMessage)


def test_a_response_is_read() -> None:
    assert classify_response(Reply(200, {"id": "3", "response": "Mail sent"})) == Response(3, "Mail sent")
    assert classify_response(Reply(200, {"id": "x"})) == Failed(
        200, LookupReason.UNEXPECTED_ANSWER, "the id in the answer is not a whole number"
    )


@given(st.integers(100, 599) | st.none(), JSON | st.dictionaries(st.sampled_from(NAMES), JSON), st.none() | st.text())
def test_no_answer_raises(status: int | None, content: Any, asked: str | None) -> None:
    reply = Reply(status, content if isinstance(content, dict) else None)

    classify(reply)
    classify_logout(reply)
    classify_response(reply)
    repr(classify_user(reply, asked=asked)).encode()
