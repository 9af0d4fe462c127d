"""Senders that are slow, and those that send no request at all: they hold nobody up, and are told what is wrong."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import Process, Relay, mapping, sys_id, write_mapping
from web.openapi_answers import BY_ID

from relay.store.connection import Connection

REQUEST_LATE = "The request did not arrive completely. Send it again"
BODY_LATE = "The body did not arrive completely. Send the request again"
HEAD = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    relay = Relay(tmp_path, redis_url)
    relay.environ |= {"RELAY_WEB_THREADS": "2", "RELAY_RECEIVE_TIMEOUT": "1s"}
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    yield relay
    relay.stop()


@pytest.fixture
def web(relay: Relay) -> Process:
    return relay.start_web(processes=1)


def connect(relay: Relay, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", relay.port), timeout=10)
    connection.sendall(sent)
    return connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the header and the problem of the answer, after which the connection has ended."""
    said = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    header = dict(field.lower().split(": ", 1) for field in fields)
    assert header["content-type"] == "application/problem+json"
    assert list(json.loads(body))[:3] == ["status", "title", "detail"]
    return int(first.split()[1]), header, json.loads(body)


@pytest.mark.usefixtures("web")
def test_slow_senders_hold_nobody_up(relay: Relay) -> None:
    beginnings = [
        b"",
        b"P",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ]
    with ExitStack() as open_ones:
        for number in range(200):
            open_ones.enter_context(connect(relay, beginnings[number % len(beginnings)]))
        began = time.monotonic()
        statuses = {relay.post({"sys_id": sys_id(number), "state": "6"}).status_code for number in range(20)}
        took = time.monotonic() - began

    assert statuses == {202}
    assert took < 1, "nobody waited until the slow ones were cut off"


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (HEAD, REQUEST_LATE),
        (b"GET /docs HTTP/1.1\r\n", REQUEST_LATE),
        (HEAD + b"Content-Length: 9\r\n\r\n{", REQUEST_LATE),
        (HEAD + b"Content-Length: 70000\r\n\r\n{", BODY_LATE),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", BODY_LATE),
    ],
)
def test_what_takes_too_long_to_arrive_is_told_so(relay: Relay, web: Process, sent: bytes, detail: str) -> None:
    with connect(relay, sent) as connection:
        status, _, problem = answer_of(connection)

    assert "408" in BY_ID["receiveWebhook"][2]["responses"]
    assert (status, problem["detail"]) == (408, detail)
    assert '"message": "a request took too long to arrive"' in web.log


@pytest.mark.usefixtures("web")
def test_what_arrives_in_pieces_but_in_time_is_accepted(relay: Relay) -> None:
    payload = json.dumps({"sys_id": sys_id(1), "state": "6"}).encode()
    authorization = b"Authorization: Basic c246c24tc2VjcmV0LXB3\r\n"
    with connect(relay, HEAD[:30]) as connection:
        for piece in (HEAD[30:], authorization, b"Content-Length: %d\r\n\r\n" % len(payload), payload[:9], payload[9:]):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 202")


@pytest.mark.usefixtures("web")
def test_a_kept_connection_outlives_the_time_that_one_request_has(relay: Relay) -> None:
    probe = b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n"
    with connect(relay, probe) as connection:
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            said = b""
            while not said.endswith(b'{"status":"pass"}'):
                said += connection.recv(1000)
            connection.sendall(probe)


@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "The request line is too long (LimitRequestLine)"),
        (
            HEAD + b"X-Long: " + b"x" * 9000 + b"\r\n\r\n",
            431,
            "The header has too many fields, or one that is too long",
        ),
        (HEAD + b"X-Many: x\r\n" * 150 + b"\r\n", 431, "The header has too many fields, or one that is too long"),
        (HEAD + b"Transfer-Encoding: frob\r\n\r\n", 501, "This Transfer-Encoding is not supported"),
        (HEAD + b"Expect: a miracle\r\n\r\n", 417, "Only the expectation 100-continue is supported"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400, "not a valid HTTP/1.1 request (RFC 9112)"),
        (
            HEAD + b"Authorization: Basic c246c2Vj\0\r\n\r\n",
            400,
            "not a valid HTTP/1.1 request (RFC 9112) (InvalidHeader)",
        ),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "not a valid HTTP/1.1 request (RFC 9112)"),
    ],
)
def test_what_is_no_request_is_a_problem_document(
    relay: Relay, web: Process, sent: bytes, status: int, detail: str
) -> None:
    with connect(relay, sent) as connection:
        said, header, problem = answer_of(connection)

    assert (said, problem["status"]) == (status, status)
    assert detail in problem["detail"]
    assert problem["request_id"] == header["x-request-id"]
    assert problem["request_id"] in web.log
    assert "c246c2Vj" not in web.log
