"""Slow senders and malformed requests: they do not delay others, and get an answer that says what is wrong."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from harness import Process, Relay, sys_id
from web.conftest import small_relay
from web.openapi_answers import BY_ID
from web.sockets import AUTHORIZATION, HEAD, PROBE, connect

from relay.web import arrivals
from relay.web.arrivals import Arrivals

REQUEST_LATE = "The request did not arrive completely. Send it again"
BODY_LATE = "The body did not arrive completely. Send the request again"


@pytest.fixture(scope="module")
def running_web(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """One process with two threads and the shortest timeout."""
    relay = small_relay(tmp_path_factory.mktemp("arrivals"), redis_url)
    relay.environ["RELAY_RECEIVE_TIMEOUT"] = "1s"
    relay.start_web(processes=1)
    yield relay
    relay.stop()


@pytest.fixture
def log(web: Relay) -> Process:
    return web.processes[0]


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the headers and the problem document of the last answer on a connection."""
    answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    headers = dict(field.lower().split(": ", 1) for field in fields)
    assert headers["content-type"] == "application/problem+json"
    assert list(json.loads(body))[:3] == ["status", "title", "detail"]
    return int(first.split()[1]), headers, json.loads(body)


def test_slow_senders_do_not_delay_others(small_web: Relay) -> None:
    beginnings = [
        b"",
        b"P",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ]
    with ExitStack() as connections:
        for number in range(200):
            connections.enter_context(connect(small_web.port, beginnings[number % len(beginnings)]))
        began = time.monotonic()
        statuses = {small_web.post({"sys_id": sys_id(number), "state": "6"}).status_code for number in range(20)}
        seconds = time.monotonic() - began

    assert statuses == {202}
    assert seconds < 1, "the slow ones time out after 5 s, and no sender waits for that"


def test_a_request_that_takes_too_long_to_arrive_is_408(web: Relay, log: Process) -> None:
    sent = {
        HEAD: REQUEST_LATE,
        b"GET /docs HTTP/1.1\r\n": REQUEST_LATE,
        HEAD + b"Content-Length: 9\r\n\r\n{": REQUEST_LATE,
        HEAD + b"Content-Length: 70000\r\n\r\n{": BODY_LATE,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{": BODY_LATE,
    }
    logged_before = log.log.count('"message": "a request took too long to arrive"')
    with ExitStack() as connections:
        open_connections = [connections.enter_context(connect(web.port, beginning)) for beginning in sent]
        answers = [answer_of(connection) for connection in open_connections]

    assert "408" in BY_ID["receiveWebhook"][2]["responses"]
    assert [(status, problem["detail"]) for status, _, problem in answers] == [(408, late) for late in sent.values()]
    assert log.log.count('"message": "a request took too long to arrive"') == logged_before + len(sent)


def test_an_answer_that_takes_too_long_to_send_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arrivals, "_ANSWER_TIMEOUT", 0.0)
    deadlines = Arrivals()
    deadlines.start()
    connection, sender = socket.socketpair()
    with connection, sender, caplog.at_level(logging.WARNING, "relay"):
        sender.settimeout(10)
        deadlines.begin(connection, within=60)
        deadlines.mark_received(connection)
        rest = sender.recv(1)

    assert rest == b"", "the connection is shut down"
    assert [record.message for record in caplog.records] == ["an answer took too long to send"]


def test_a_request_that_arrives_in_pieces_but_in_time_is_accepted(web: Relay) -> None:
    payload = json.dumps({"sys_id": sys_id(1), "state": "6"}).encode()
    length = b"Content-Length: %d\r\n\r\n" % len(payload)
    with connect(web.port, HEAD[:30]) as connection:
        for piece in (HEAD[30:], AUTHORIZATION, length, payload[:9], payload[9:]):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 202")


def test_a_connection_can_live_longer_than_the_receive_timeout(web: Relay) -> None:
    with connect(web.port, PROBE) as connection:
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            answer = b""
            while not answer.endswith(b'{"status":"pass"}'):
                answer += connection.recv(1000)
            connection.sendall(PROBE)


TOO_LONG = "The header has too many fields, or one that is too long"
INVALID = "not a valid HTTP/1.1 request (RFC 9112)"


@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "The request line is too long (LimitRequestLine)"),
        (HEAD + b"X-Long: " + b"x" * 9000 + b"\r\n\r\n", 431, TOO_LONG),
        (HEAD + b"X-Many: x\r\n" * 150 + b"\r\n", 431, TOO_LONG),
        (HEAD + b"Transfer-Encoding: frob\r\n\r\n", 501, "This Transfer-Encoding is not supported"),
        (HEAD + b"Expect: a miracle\r\n\r\n", 417, "Only the expectation 100-continue is supported"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400, INVALID),
        (HEAD + b"Authorization: Basic c246c2Vj\0\r\n\r\n", 400, f"{INVALID} (InvalidHeader)"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, INVALID),
    ],
)
def test_a_malformed_request_gets_a_problem_document(
    web: Relay, log: Process, sent: bytes, status: int, detail: str
) -> None:
    with connect(web.port, sent) as connection:
        answered, headers, problem = answer_of(connection)

    assert (answered, problem["status"]) == (status, status)
    assert detail in problem["detail"]
    assert problem["request_id"] == headers["x-request-id"]
    assert problem["request_id"] in log.log
    assert "c246c2Vj" not in log.log
