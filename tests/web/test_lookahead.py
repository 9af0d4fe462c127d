"""The state of a request that is arriving: gunicorn reads a complete one without waiting for more data."""

from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.http.errors import NoMoreData, ParseException
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.web.lookahead import RequestState, classify

BODY = b'{"sys_id": "1", "state": 6}'
HEAD = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
PIECES = [
    b"POST /webhooks/acme HTTP/1.1",
    b"GET /livez HTTP/1.0",
    b"Host: relay",
    b"Content-Length: 27",
    b"content-length:  3 ",
    b"Content-Length: +5",
    b"Content-Length: 0000000100",
    b"Content-Length : 9",
    b"Content-Length:",
    b"\tContent-Length: 90",
    b"Transfer-Encoding: chunked",
    b"TRANSFER-ENCODING: identity",
    b"Expect: 100-continue",
    b"X: y",
    b" folded",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"5\r\n{}{}{}\r\n0\r\n\r\n",
    BODY,
    b"\0",
    b"",
]


def test_a_request_is_complete_exactly_at_its_last_byte() -> None:
    assert [classify(WHOLE[:length])[0] for length in range(1, len(WHOLE))] == [RequestState.PARTIAL] * (len(WHOLE) - 1)
    assert classify(WHOLE) == (RequestState.COMPLETE, len(WHOLE))
    assert classify(WHOLE[:-1]) == (RequestState.PARTIAL, len(WHOLE))
    assert classify(WHOLE + b"POST /web") == (RequestState.COMPLETE, len(WHOLE)), "the rest is the next request"


@pytest.mark.parametrize(
    "received",
    [
        b"GET /docs HTTP/1.1\r\n\r\n",
        b"\r\n\r\n" + WHOLE,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 70000\r\n\r\n{",
        HEAD + b"Content-Length: 0000000100\r\n\r\n{",
        HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\n{}{}{",
        HEAD + b"X" * 40_000,
        b"\x16\x03\x01",
    ],
)
def test_any_other_request_goes_to_the_slow_threads(received: bytes) -> None:
    assert classify(received)[0] is RequestState.OTHER


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9), st.sampled_from([b"\r\n", b"\r\n", b"\n", b""]))
def test_a_complete_request_is_read_without_waiting(pieces: list[bytes], between: bytes) -> None:
    received = HEAD[:-2] + between + between.join(pieces)

    if classify(received)[0] is RequestState.COMPLETE:
        try:
            request = next(get_parser(Config(), iter([received]), ("127.0.0.1", 1)))
            request.body.read()
        except NoMoreData:
            pytest.fail(f"{received!r} is not complete")
        except ParseException:
            pass  # a refusal does not wait either
