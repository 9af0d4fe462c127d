"""Connections that try to use up what others need: the poller, the threads, the file descriptors, the log."""

from __future__ import annotations

import json
import resource
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from harness import Relay, wait_until
from web.sockets import HEAD, PROBE, children, connect, time_of_a_webhook


@pytest.mark.parametrize("sent", [PROBE.replace(b"1.1", b"1.0"), b"not a request\r\n\r\n"])
def test_an_answered_connection_left_open_does_not_delay_others(small_web: Relay, sent: bytes) -> None:
    with ExitStack() as connections:
        for _ in range(5):
            connections.enter_context(connect(small_web.port, sent)).recv(1)
        assert time_of_a_webhook(small_web) < 1


def split_head() -> bytes:
    """A request, and a second one whose head ends after the 8192 bytes that gunicorn reads at once."""
    beginning = PROBE + HEAD + b"Content-Length: 100\r\nX-Long: "
    return beginning + b"x" * (8192 - len(beginning) - 2) + b"\r\n" + b"X-End: x\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 0000000100\r\n\r\n{",
        HEAD + b"Content-Length: 10000000000\r\n\r\n{",
        b"\r\n\r\n" + HEAD,
        split_head(),
    ],
    ids=["ten digits", "ten gigabytes", "an empty line", "a head in two buffers"],
)
def test_a_request_that_only_looks_complete_occupies_no_fast_thread(small_web: Relay, sent: bytes) -> None:
    with ExitStack() as connections:
        for _ in range(4):
            connections.enter_context(connect(small_web.port, sent))
        time_of_a_webhook(small_web)  # the process has read the connections above
        assert time_of_a_webhook(small_web) < 1


def test_a_sender_that_does_not_read_its_answers_loses_its_thread(small_web: Relay) -> None:
    with ExitStack() as connections:
        greedy = []
        for _ in range(2):
            connection = connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", small_web.port))
            connection.settimeout(0.02)
            greedy.append(connection)
        for _ in range(100):
            for connection in greedy:
                with suppress(OSError):
                    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: relay\r\n\r\n")
        wait_until(lambda: time_of_a_webhook(small_web) < 1, "their answers are abandoned", patience=15)


def test_a_process_without_file_descriptors_keeps_running(unstarted_relay: Relay) -> None:
    web = unstarted_relay.start_web(processes=1)
    (pid,) = children(web)
    in_use = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 20, in_use + 20))
    with ExitStack() as connections:
        for _ in range(40):
            connections.enter_context(connect(unstarted_relay.port))
        wait_until(lambda: "too many open files" in web.log, "the process logs it")
    wait_until(lambda: time_of_a_webhook(unstarted_relay) < 1, "there are file descriptors again")

    assert children(web) == [pid], web.log


@pytest.mark.slow
@pytest.mark.alone
def test_a_connection_without_a_request_does_not_delay_the_stop(unstarted_relay: Relay) -> None:
    web = unstarted_relay.start_web(processes=1)
    with connect(unstarted_relay.port):
        time_of_a_webhook(unstarted_relay)
        began = time.monotonic()
        web.stop(signal.SIGTERM)
        assert time.monotonic() - began < 5


@pytest.mark.slow
def test_silent_connections_make_room_for_others(unstarted_relay: Relay) -> None:
    unstarted_relay.environ["GUNICORN_CMD_ARGS"] = "--worker-connections 40"
    web = unstarted_relay.start_web(processes=1)
    (pid,) = children(web)
    with ExitStack() as connections:
        for _ in range(120):
            connections.enter_context(connect(unstarted_relay.port))
        assert [time_of_a_webhook(unstarted_relay) < 2 for _ in range(5)] == [True] * 5

    assert children(web) == [pid], web.log


@pytest.mark.parametrize(
    ("path", "address"),
    [("/webhooks/inside", "192.0.2.1"), ("/nothing", "192.0.2.2"), ("/webhooks/unknown", "192.0.2.3")],
)
def test_refusals_of_any_kind_do_not_fill_the_log(small_web: Relay, path: str, address: str) -> None:
    with requests.Session() as session:
        session.headers["X-Forwarded-For"] = address
        for _ in range(1100):
            assert session.post(f"{small_web.url}{path}", data=b"").status_code >= 400

    lines = [line for line in small_web.processes[0].logged if line.get("remote_address") == address]
    assert 900 < len(lines) <= 1001


def logged_request(relay: Relay, request_id: str) -> str:
    """Return the log line of a request, as soon as it is there."""

    def lines() -> list[str]:
        return [
            line for line in relay.processes[0].log.splitlines(keepends=True) if request_id in line and line[-1] == "\n"
        ]

    wait_until(lines, "the request is logged")
    return lines()[0]


def test_a_long_query_is_cut_in_the_log(small_web: Relay) -> None:
    headers = {"X-Request-ID": "a-long-query"}
    requests.get(f"{small_web.url}/livezz?{'&'.join('a' * 1900)}", headers=headers, timeout=5)

    assert len(logged_request(small_web, "a-long-query")) < 2500


@pytest.mark.parametrize(("start", "request_id"), [("/livezz?", "in-a-query"), (f"/{'x' * 150}/", "in-a-path")])
def test_a_secret_is_redacted_before_a_text_is_cut(small_web: Relay, start: str, request_id: str) -> None:
    token = small_web.environ["RELAY_ADMIN_TOKEN"]
    requests.get(small_web.url + start + token, headers={"X-Request-ID": request_id}, timeout=5)

    assert '"http_status": 404' in logged_request(small_web, request_id)
    assert token[:24] not in small_web.processes[0].log


def test_a_path_cannot_add_lines_or_colours_to_a_text_log(unstarted_relay: Relay) -> None:
    unstarted_relay.environ["RELAY_LOG_FORMAT"] = "text"
    web = unstarted_relay.start_web(processes=1)
    requests.get(f"{unstarted_relay.url}/a%0dINFO%1b[31m%c2%9b31m", timeout=5)
    wait_until(lambda: "http_status=404" in web.log, "the request is logged")
    raw = (web.folder / f"{web.name}.log").read_bytes()

    assert not [code for code in (b"\r", b"\x1b", b"\xc2\x9b") if code in raw]


def test_a_header_does_not_change_the_path(small_web: Relay) -> None:
    answer = requests.get(f"{small_web.url}/webhooks/metrics", headers={"SCRIPT_NAME": "/webhooks"}, timeout=5)

    assert answer.status_code in {404, 405}, "a proxy that only allows /webhooks could be bypassed"


def test_a_duplicate_key_at_the_end_is_found_quickly(small_web: Relay) -> None:
    names = [f"{number:04x}" for number in range(24_000)]
    body = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"
    began = time.monotonic()
    answer = requests.post(f"{small_web.url}/webhooks/open", data=body, timeout=60)

    assert (answer.status_code, json.loads(answer.content)["title"]) == (400, "Not JSON")
    assert time.monotonic() - began < 1
