"""Connections that hold what others need: the poller, the threads that work, the descriptors, the log."""

from __future__ import annotations

import json
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from harness import Process, Relay, mapping, sys_id, wait_until, write_mapping

from relay.store.connection import Connection

HEAD = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n"
TOKEN = "admin-token-" + "q9Zr" * 20


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    assert redis is not None
    relay = Relay(tmp_path, redis_url)
    relay.environ |= {"RELAY_WEB_THREADS": "2", "RELAY_RECEIVE_TIMEOUT": "5s", "RELAY_ADMIN_TOKEN": TOKEN}
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    write_mapping(relay.mappings, "inside", mapping("http://127.0.0.1:9", allow_from=["10.0.0.0/8"]))
    yield relay
    relay.stop()


def connect(relay: Relay, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", relay.port), timeout=10)
    connection.sendall(sent)
    return connection


def time_of_a_webhook(relay: Relay) -> float:
    began = time.monotonic()
    assert relay.post({"sys_id": sys_id(1), "state": "6"}, timeout=30).status_code in {200, 202}
    return time.monotonic() - began


def children(web: Process) -> list[int]:
    pid = web.popen.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


@pytest.mark.parametrize("sent", [PROBE.replace(b"1.1", b"1.0"), b"no request\r\n\r\n"])
def test_an_answered_connection_that_its_sender_leaves_open_holds_nobody_up(relay: Relay, sent: bytes) -> None:
    relay.start_web(processes=1)
    with ExitStack() as open_ones:
        for _ in range(5):
            open_ones.enter_context(connect(relay, sent)).recv(1)
        assert time_of_a_webhook(relay) < 1, "the poller waits for nobody to close his end"


def split_head() -> bytes:
    """A request, and a second one whose head ends behind the 8192 bytes that gunicorn reads at once."""
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
def test_what_only_looks_like_a_whole_request_holds_no_thread_that_works(relay: Relay, sent: bytes) -> None:
    relay.start_web(processes=1)
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(connect(relay, sent))
        time_of_a_webhook(relay)  # who came before has a thread by now, if it is to have one
        assert time_of_a_webhook(relay) < 1


def test_who_does_not_read_the_answers_holds_no_thread_for_ever(relay: Relay) -> None:
    relay.start_web(processes=1)
    with ExitStack() as open_ones:
        greedy = []
        for _ in range(2):
            one = open_ones.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.connect(("127.0.0.1", relay.port))
            one.settimeout(0.02)
            greedy.append(one)
        for _ in range(100):
            for one in greedy:
                with suppress(OSError):
                    one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: relay\r\n\r\n")
        wait_until(lambda: time_of_a_webhook(relay) < 1, "they are given up", patience=15)


def test_running_out_of_descriptors_ends_no_web_process(relay: Relay) -> None:
    web = relay.start_web(processes=1)
    (pid,) = children(web)
    in_use = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 20, in_use + 20))
    with ExitStack() as open_ones:
        for _ in range(40):
            open_ones.enter_context(connect(relay, b""))
        wait_until(lambda: "too many open files" in web.log, "it is told")
    wait_until(lambda: time_of_a_webhook(relay) < 1, "there is room again")

    assert children(web) == [pid], web.log


def test_a_connection_without_a_request_does_not_delay_the_stop(relay: Relay) -> None:
    web = relay.start_web(processes=1)
    with connect(relay, b""):
        time_of_a_webhook(relay)
        began = time.monotonic()
        web.stop(signal.SIGTERM)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["/webhooks/inside", "/nothing", "/webhooks/nobody"])
def test_refusals_of_every_kind_do_not_fill_the_log(relay: Relay, path: str) -> None:
    web = relay.start_web(processes=1)
    with requests.Session() as session:
        for _ in range(1500):
            assert session.post(f"{relay.url}{path}", data=b"").status_code >= 400

    assert sum(line.get("message") == "request" for line in web.logged) <= 1001


def test_a_long_query_is_cut_in_the_log(relay: Relay) -> None:
    web = relay.start_web(processes=1)
    requests.get(f"{relay.url}/livezz?{'&'.join('a' * 1900)}", timeout=5)

    assert max(map(len, web.log.splitlines())) < 2500


@pytest.mark.parametrize("path", [f"/livezz?{TOKEN}", f"/{'x' * 150}/{TOKEN}"])
def test_a_secret_is_blotted_out_before_a_text_is_cut(relay: Relay, path: str) -> None:
    web = relay.start_web(processes=1)
    requests.get(relay.url + path, timeout=5)
    wait_until(lambda: '"http_status": 404' in web.log, "it is logged")

    assert TOKEN[:24] not in web.log


def test_a_path_writes_no_lines_and_no_colours_into_a_log_of_text(relay: Relay) -> None:
    relay.environ["RELAY_LOG_FORMAT"] = "text"
    web = relay.start_web(processes=1)
    requests.get(f"{relay.url}/a%0dINFO%1b[31m%c2%9b31m", timeout=5)
    wait_until(lambda: "http_status=404" in web.log, "it is logged")
    raw = (web.folder / f"{web.name}.log").read_bytes()

    assert not [code for code in (b"\r", b"\x1b", b"\xc2\x9b") if code in raw]


def test_a_header_does_not_change_the_path(relay: Relay) -> None:
    relay.start_web(processes=1)
    said = requests.get(f"{relay.url}/webhooks/metrics", headers={"SCRIPT_NAME": "/webhooks"}, timeout=5)

    assert said.status_code in {404, 405}, "a proxy on this machine that lets only /webhooks pass would be got round"


def test_a_key_that_stands_twice_at_the_end_is_found_soon(relay: Relay) -> None:
    write_mapping(relay.mappings, "open", mapping("http://127.0.0.1:9", auth="none"))
    relay.start_web(processes=1)
    names = [f"{number:04x}" for number in range(24_000)]
    body = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"
    began = time.monotonic()
    said = requests.post(f"{relay.url}/webhooks/open", data=body, timeout=60)

    assert (said.status_code, json.loads(said.content)["title"]) == (400, "Not JSON")
    assert time.monotonic() - began < 1


def test_who_says_nothing_makes_room_for_others(relay: Relay) -> None:
    relay.environ["GUNICORN_CMD_ARGS"] = "--worker-connections 40"
    web = relay.start_web(processes=1)
    (pid,) = children(web)
    with ExitStack() as open_ones:
        for _ in range(120):
            open_ones.enter_context(connect(relay, b""))
        assert [time_of_a_webhook(relay) < 2 for _ in range(5)] == [True] * 5

    assert children(web) == [pid], web.log
