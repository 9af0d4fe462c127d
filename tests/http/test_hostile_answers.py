"""Any bytes that a service answers give a reply within the limits, and no exception."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hostile_answers import DATES, NUMBERS, answers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from properties import examples
from raw_server import RawServer

from relay.http.caller import Caller, _read_date, _retry_after
from relay.http.cookies import SessionCookies

NOW = 1_795_342_830.0
SECRETS = ("password", "sessionId")
MEMBERS = st.sampled_from(["password", "PASSWORD", "sessionid", "sessionId", "id", "passwords", ""])
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as made:
        yield made


@pytest.fixture(scope="module")
def caller(server: RawServer) -> Iterator[Caller]:
    made = Caller(server.url, ca_file=None, connections=1, omit=SECRETS, now=lambda: NOW)
    yield made
    made.close()


@settings(max_examples=examples(200), deadline=None)
@given(answers())
def test_any_bytes_give_a_reply_and_sendable_cookies(server: RawServer, caller: Caller, sent: bytes) -> None:
    cookies = SessionCookies()
    server.always(sent)

    reply = caller.exchange("GET", "/a", headers={}, body=None, timeout=2, keep_in=cookies)
    again = caller.exchange("GET", "/a", headers={}, body=None, timeout=2, cookies=cookies)

    assert again.status == reply.status
    assert reply.status is None or 100 <= reply.status <= 999
    assert reply.retry_after is None or 0 <= reply.retry_after < math.inf
    assert (reply.status is not None) or reply.fault
    assert reply.content is None or reply.fault is None
    assert "access_token" not in f"{reply!r}{cookies!r}"


@settings(max_examples=examples(200), deadline=None)
@given(st.dictionaries(MEMBERS, JSON, max_size=4))
def test_secret_members_are_dropped_at_any_depth(server: RawServer, caller: Caller, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    server.always(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    reply = caller.exchange("GET", "/a", headers={}, body=None, timeout=2)

    assert reply.content == without(content)


def without(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: without(member) for name, member in value.items() if name.lower() not in {"password", "sessionid"}
            }
        case list():
            return [without(item) for item in value]
        case _:
            return value


@settings(max_examples=examples(500), deadline=None)
@given(NUMBERS | DATES | st.text(st.characters(codec="latin-1")))
@example("0\x1f")
def test_any_retry_after_gives_seconds_or_none(text: str) -> None:
    seconds = _retry_after(text, NOW)

    assert seconds is None or 0 <= seconds < 1e12


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants them so
def test_an_http_date_is_read_back(moment: datetime) -> None:
    at = moment.replace(microsecond=0)

    assert _read_date(format_datetime(at, usegmt=True)) == at.timestamp()
    assert _retry_after(format_datetime(at, usegmt=True), NOW) == max(0.0, at.timestamp() - NOW)
