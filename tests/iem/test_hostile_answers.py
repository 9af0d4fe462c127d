"""Any answer of IEM, or of a proxy in front of it, gives an outcome or a token that can be sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness import IEM_PASSWORD, IEM_USER, SYS_ID
from hostile_answers import SCRAPS, answers
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from raw_server import RawServer

from relay.core.outcomes import (
    Dead,
    Delivered,
    IemAnswer,
    Outcome,
    Park,
    Retry,
    TokenNotAccepted,
    classify_push,
    classify_token,
)
from relay.http.caller import Caller
from relay.http.credentials import Credentials
from relay.iem.calls import GrantedToken, IemClient, Target
from relay.iem.token_expiry import read_expiry

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["access_token", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
TOKENS = st.one_of(
    st.sampled_from(["t0ken", "a;b", "a b", "a\r\nX: y", "", "é", "a\x00", "x" * 5_000, "a,b", '"a"', "\x7f"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x80)),
    VALUES,
)
GRANTS = TOKENS.map(lambda token: json.dumps({"data": {"access_token": token}}).encode())
SAID = st.builds(
    lambda name, value: json.dumps({name: value}).encode(),
    st.sampled_from(["message", "detail", "msg", "data"]),
    st.sampled_from(["Success", "success", "Success ", "Invalid access token"]) | VALUES,
)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as made:
        yield made


@pytest.fixture(scope="module")
def client(server: RawServer) -> Iterator[IemClient]:
    made = IemClient(Caller(server.url, ca_file=None, connections=1), Credentials(IEM_USER, IEM_PASSWORD))
    yield made
    made.close()


@settings(max_examples=examples(200), deadline=None)
@given(answers(GRANTS | SAID))
def test_any_answer_to_a_fetch_is_a_valid_token_or_an_outcome(
    server: RawServer, client: IemClient, sent: bytes
) -> None:
    server.always(sent)

    granted = client.generate_token(timeout=2)

    if isinstance(granted, GrantedToken):
        assert granted.value
        assert not set(granted.value) - set(map(chr, range(0x21, 0x7F))) | (set(granted.value) & set('",;\\'))
    else:
        assert is_outcome(classify_token(granted))
        assert len(granted.message or "") <= 200


@settings(max_examples=examples(200), deadline=None)
@given(answers(SAID | st.lists(SCRAPS, max_size=9).map(lambda parts: "".join(parts).encode())))
def test_only_200_with_success_means_delivered(server: RawServer, client: IemClient, sent: bytes) -> None:
    server.always(sent)

    answer = client.push(Target("ACME", "42"), SYS_ID, 6, "t0ken", timeout=2)
    outcome = classify_push(answer, "token")

    assert isinstance(outcome, TokenNotAccepted) or is_outcome(outcome)
    if isinstance(outcome, Delivered):
        assert b" 200" in sent.split(b"\r\n")[0]
        assert json.loads(sent.partition(b"\r\n\r\n")[2][: 1 << 20])["message"] == "Success"
    assert IEM_PASSWORD not in repr(answer)
    assert isinstance(answer, IemAnswer)


def is_outcome(outcome: Outcome) -> bool:
    return isinstance(outcome, Delivered | Retry | Park | Dead)


CLAIMS = st.one_of(
    st.binary(max_size=20),
    st.builds(lambda value: json.dumps({"exp": value}).encode(), VALUES | st.floats(0, 1e12)),
    st.sampled_from(
        [
            b'{"exp":' + b"9" * 5_000 + b"}",
            b'{"exp":1e999}',
            b'{"exp":NaN}',
            b'{"exp":-1}',
            b"[" * 5_000,
            b'{"exp":true}',
        ]
    ),
)


@given(
    st.lists(CLAIMS.map(lambda claims: base64.urlsafe_b64encode(claims).decode().rstrip("=")), max_size=4).map(".".join)
)
def test_any_token_has_a_plausible_expiry_or_none(token: str) -> None:
    ends = read_expiry(token)

    assert ends is None or 0 < ends < 1e11


@given(st.integers(1, 10**11 - 1), st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_the_expiry_of_a_jwt_is_its_exp(ends: int, more: dict[str, Any]) -> None:
    parts = ({"alg": "none"}, {**more, "exp": ends})
    token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)

    assert read_expiry(f"{token}.signature") == ends
    assert read_expiry(token) is None
