"""Many connections, and connections that stop or change: who has sent a request is answered, and nobody shuts others out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from harness import ROOT, WEBHOOK_PASSWORD, Process, Relay, mapping, sys_id, wait_until, write_mapping

from relay.store.connection import Connection

POST = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\n"
HEAD = POST + b"Authorization: Basic c246c24tc2VjcmV0LXB3\r\nContent-Type: application/json\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n"
#: As many as a process takes with two threads.
ROOM = 1002
#: So many of them it keeps free for others.
KEPT_FREE = 16


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    assert redis is not None
    relay = Relay(tmp_path, redis_url)
    relay.environ |= {"RELAY_WEB_THREADS": "2", "RELAY_RECEIVE_TIMEOUT": "5s"}
    write_mapping(relay.mappings, "acme", mapping("http://127.0.0.1:9"))
    write_mapping(relay.mappings, "inside", mapping("http://127.0.0.1:9", allow_from=["127.0.0.0/8"]))
    yield relay
    relay.stop()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(sent)
    return connection


def children(web: Process) -> list[int]:
    pid = web.popen.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def webhook(number: int, padding: int = 0) -> bytes:
    body = json.dumps({"sys_id": sys_id(number), "state": "6", "padding": "x" * padding}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def time_of_a_webhook(relay: Relay) -> float:
    began = time.monotonic()
    assert relay.post({"sys_id": sys_id(1), "state": "6"}, timeout=30).status_code in {200, 202}
    return time.monotonic() - began


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(10)


def test_who_speaks_while_another_takes_his_place_ends_no_process(relay: Relay) -> None:
    web = relay.start_web(processes=1)
    (pid,) = children(web)
    with ExitStack() as open_ones:
        silent = [open_ones.enter_context(connect(relay.port)) for _ in range(ROOM + 10)]
        open_ones.enter_context(connect(relay.port, PROBE)).recv(12)  # all before it are accepted
        wait_until(
            lambda: sum(map(is_open, silent)) < ROOM - KEPT_FREE, "it has as much room again as it keeps, and rests"
        )
        os.kill(pid, signal.SIGSTOP)  # the new one and the old ones' requests come in one round of the poller
        oldest = [one for one in silent if is_open(one)][:5]
        open_ones.enter_context(connect(relay.port))
        for number, one in enumerate(oldest):
            one.sendall(webhook(2 + number))
        os.kill(pid, signal.SIGCONT)
        said = []
        for one in oldest:
            with suppress(OSError):
                said.append(one.recv(12))
        time_of_a_webhook(relay)

    assert children(web) == [pid], web.log[-2000:]
    assert said == [b"HTTP/1.1 202"] * 5, "who has sent a request is not put out"


@pytest.mark.parametrize("sent", [b"P", PROBE], ids=["one byte", "kept alive"])
def test_who_has_said_something_shuts_nobody_out(relay: Relay, sent: bytes) -> None:
    relay.start_web(processes=1)
    with ExitStack() as open_ones:
        for number in range(ROOM):
            one = open_ones.enter_context(connect(relay.port, sent if number < ROOM - 2 else b"P"))
            if sent != b"P" and number < ROOM - 2:
                one.recv(1)
        assert time_of_a_webhook(relay) < 2


def test_long_heads_of_incomplete_requests_stop_nobody(relay: Relay) -> None:
    relay.start_web(processes=1)
    sent = POST + b"c: x\r\n" * 10_500 + b"Content-Length: 1000\r\n\r\n"
    with ExitStack() as open_ones:
        for _ in range(900):
            open_ones.enter_context(connect(relay.port, sent))
        assert time_of_a_webhook(relay) < 6, "900 heads of 64 KB are refused meanwhile"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_new_connection_has_a_moment_to_send_its_request_when_the_process_stops(
    relay: Relay, number: signal.Signals
) -> None:
    web = relay.start_web(processes=1)
    with connect(relay.port) as fresh, connect(relay.port, webhook(1)[:50]) as slow, connect(relay.port) as kept:
        time_of_a_webhook(relay)  # both are accepted
        os.kill(web.popen.pid, number)
        wait_until(lambda: _says_that_it_stops(kept), "it stops")
        fresh.sendall(webhook(2))
        slow.sendall(webhook(1)[50:])
        assert slow.recv(12) == b"HTTP/1.1 200"
        assert fresh.recv(12) == b"HTTP/1.1 202", "as with gunicorn's own worker"


def _says_that_it_stops(kept: socket.socket) -> bool:
    kept.sendall(PROBE)
    said = b""
    while not said.endswith(b'{"status":"pass"}'):
        said += kept.recv(1000)
    return b"Connection: close" in said


@pytest.mark.parametrize("before", ['"', '127.0.0.1"', '10.0.0.1, "'])
def test_a_quotation_mark_in_a_forwarded_address_makes_no_sender_the_proxy(relay: Relay, before: str) -> None:
    relay.environ["RELAY_TRUSTED_PROXIES"] = "1"
    relay.start_web(processes=1)
    headers = {"X-Forwarded-For": f"{before}, 6.6.6.6"}  # nginx's $proxy_add_x_forwarded_for
    said = relay.post({"sys_id": sys_id(1), "state": "6"}, name="inside", headers=headers)

    assert said.status_code == 403


@pytest.mark.parametrize("size", [30_000, 60_000])
def test_a_webhook_that_the_receive_buffer_does_not_hold_is_accepted(relay: Relay, size: int) -> None:
    """As where net.ipv4.tcp_rmem is small, memory for TCP is short, or a request before it still has a part of the buffer."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # whoever is accepted inherits it
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        relay.port = listener.getsockname()[1]
        environ = {
            **os.environ,
            **relay.environ,
            "RELAY_REDIS_URL": relay.redis_url,
            "RELAY_MAPPINGS": str(relay.mappings),
            "TMPDIR": str(relay.folder),
            "ACME_WEBHOOK_PASSWORD": WEBHOOK_PASSWORD,
            "ACME_IEM_PASSWORD": "none",
        }
        command = [sys.executable, "-m", "gunicorn", "-w", "1", "-b", f"fd://{listener.fileno()}", "wsgi:app"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environ, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL
        ) as web:
            try:
                wait_until(lambda: requests.get(f"{relay.url}/livez", timeout=10).ok, "web answers")
                with connect(relay.port, webhook(1, size)) as sender:
                    assert sender.recv(12) == b"HTTP/1.1 202"
            finally:
                web.terminate()
