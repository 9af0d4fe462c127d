"""Many connections, and connections that stop or change: a complete request is answered, and no sender locks others out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import requests
from harness import ROOT, WEBHOOK_PASSWORD, Relay, sys_id, wait_until
from web.conftest import small_relay
from web.sockets import PROBE, children, connect, is_open, time_of_a_webhook, webhook

#: How many connections a process with two threads accepts, and how many it keeps free.
MAX_CONNECTIONS, RESERVED = 1002, 16


def test_a_connection_that_sends_while_it_would_be_evicted_is_served(small_web: Relay) -> None:
    web = small_web.processes[0]
    (pid,) = children(web)
    with ExitStack() as connections:
        silent = [connections.enter_context(connect(small_web.port)) for _ in range(MAX_CONNECTIONS + 10)]
        connections.enter_context(connect(small_web.port, PROBE)).recv(12)  # all of the above are accepted
        wait_until(lambda: sum(map(is_open, silent)) < MAX_CONNECTIONS - RESERVED, "the process has evicted enough")
        os.kill(pid, signal.SIGSTOP)  # so that the poller reports the new connection and the requests together
        oldest = [connection for connection in silent if is_open(connection)][:5]
        connections.enter_context(connect(small_web.port))
        for number, connection in enumerate(oldest):
            connection.sendall(webhook(2 + number))
        os.kill(pid, signal.SIGCONT)
        answers = []
        for connection in oldest:
            with suppress(OSError):
                answers.append(connection.recv(12))
        time_of_a_webhook(small_web)

    assert children(web) == [pid], web.log[-2000:]
    assert answers == [b"HTTP/1.1 202"] * 5


@pytest.mark.parametrize("sent", [b"P", PROBE], ids=["one byte", "kept alive"])
def test_connections_that_have_sent_something_do_not_lock_others_out(small_web: Relay, sent: bytes) -> None:
    with ExitStack() as connections:
        for number in range(MAX_CONNECTIONS):
            is_last = number >= MAX_CONNECTIONS - 2
            connection = connections.enter_context(connect(small_web.port, b"P" if is_last else sent))
            if sent != b"P" and not is_last:
                connection.recv(1)
        assert time_of_a_webhook(small_web) < 2


@pytest.mark.slow
@pytest.mark.alone
def test_long_incomplete_heads_do_not_block_others(small_web: Relay) -> None:
    sent = b"POST /webhooks/acme HTTP/1.1\r\nHost: relay\r\n" + b"c: x\r\n" * 10_500 + b"Content-Length: 1000\r\n\r\n"
    with ExitStack() as connections:
        for _ in range(900):
            connections.enter_context(connect(small_web.port, sent))
        assert time_of_a_webhook(small_web) < 6, "900 heads of 64 KB are refused in this time"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_stops_still_serves_a_new_connection(unstarted_relay: Relay, number: signal.Signals) -> None:
    web = unstarted_relay.start_web(processes=1)
    port = unstarted_relay.port
    with connect(port) as new, connect(port, webhook(1)[:50]) as slow, connect(port) as kept:
        time_of_a_webhook(unstarted_relay)  # all three are accepted
        os.kill(web.popen.pid, number)
        wait_until(lambda: _announces_its_stop(kept), "the process stops")
        new.sendall(webhook(2))
        slow.sendall(webhook(1)[50:])
        assert slow.recv(12) == b"HTTP/1.1 200"
        assert new.recv(12) == b"HTTP/1.1 202", "like gunicorn's own worker"


def _announces_its_stop(kept: socket.socket) -> bool:
    kept.sendall(PROBE)
    answer = b""
    while not answer.endswith(b'{"status":"pass"}'):
        answer += kept.recv(1000)
    return b"Connection: close" in answer


@pytest.mark.parametrize("before", ['"', '127.0.0.1"', '10.0.0.1, "'])
def test_a_quotation_mark_in_a_forwarded_address_is_not_the_proxy(small_web: Relay, before: str) -> None:
    headers = {"X-Forwarded-For": f"{before}, 6.6.6.6"}  # nginx's $proxy_add_x_forwarded_for
    answer = small_web.post({"sys_id": sys_id(1), "state": "6"}, name="local", headers=headers)

    assert answer.status_code == 403


@pytest.fixture(scope="module")
def web_with_small_buffers(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Web with small receive buffers, as if the kernel were short of memory or an earlier request were still buffered."""
    relay = small_relay(tmp_path_factory.mktemp("small-buffers"), redis_url)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # accepted connections inherit it
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
            wait_until(lambda: requests.get(f"{relay.url}/livez", timeout=10).ok, "web answers")
            yield relay
            web.terminate()


@pytest.mark.parametrize("size", [30_000, 60_000])
@pytest.mark.usefixtures("redis")
def test_a_webhook_larger_than_the_receive_buffer_is_accepted(web_with_small_buffers: Relay, size: int) -> None:
    with connect(web_with_small_buffers.port, webhook(1, size)) as sender:
        assert sender.recv(12) == b"HTTP/1.1 202"
