"""The processes to measure and those to compare them with, over one Redis, on this machine."""

from __future__ import annotations

import base64
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

import requests
from harness import (
    ROOT,
    WEBHOOK_PASSWORD,
    Process,
    RedisServer,
    Relay,
    base_environ,
    free_port,
    mapping,
    sys_id,
    write_mapping,
)
from harness import wait_until as wait

from benchmarks.senders import post
from benchmarks.upstream import Upstream
from relay.store.connection import Connection

AUTHORIZATION = "Basic " + base64.b64encode(f"sn:{WEBHOOK_PASSWORD}".encode()).decode()
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Setting:
    """How the site is set up. `fsync`: Redis's `appendfsync`; `delay`: seconds until IEM answers a push."""

    fsync: str = "always"
    delay: float = 0.0
    concurrency: int = 16
    max_in_flight: int = 16


class Site:
    """A Redis with an append-only file, an IEM, and the processes that are started over them. A context manager."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        stack = self._stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-benchmark-")))
        self.redis = RedisServer(self.folder, fsync=self.setting.fsync).start()
        stack.callback(self.redis.stop)
        self.upstream = Upstream(delay=self.setting.delay)
        stack.callback(self.upstream.close)
        self.connection = Connection(self.redis.url, timeout=60)
        stack.callback(self.connection.close)
        self.relay = Relay(self.folder, self.redis.url)
        stack.callback(self.relay.stop)
        self.relay.environ |= {"RELAY_CONCURRENCY": str(self.setting.concurrency), "RELAY_LOG_LEVEL": "INFO"}
        iem = {"max_in_flight": self.setting.max_in_flight, "timeout": "10s"}
        self.mapping_file = write_mapping(self.relay.mappings, "acme", mapping(self.upstream.url, iem=iem))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start_web(self) -> int:
        """Start web, and return its port."""
        self.relay.start_web(processes=2)
        return self.relay.port

    def start_floor(self) -> int:
        """Start the floor of intake with the same gunicorn settings, and return its port."""
        port = free_port()
        command = ["-m", "gunicorn", "-c", "python:relay.web.gunicorn_conf", "-w", "2", "-b", f"127.0.0.1:{port}"]
        self.start([*command, "benchmarks.floor:app"], "floor")
        wait(lambda: _is_there(port), "the floor answers")
        return port

    def start_loop(self, *, threads: int) -> Process:
        """Start the minimal loop."""
        arguments = [self.redis.url, str(self.upstream.port), self.upstream.token(), str(threads)]
        return self.start(["-m", "benchmarks.loop", *arguments], "loop")

    def start(self, arguments: list[str], name: str) -> Process:
        """Start Python with `arguments` and the environment of the relay."""
        environ = {**base_environ(), "RELAY_REDIS_URL": self.redis.url, "RELAY_MAPPINGS": str(self.relay.mappings)}
        environ |= {"TMPDIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        process = Process([sys.executable, *arguments], environ, self.folder, f"{name}-{next(_numbers)}")
        self._stack.callback(process.stop, signal.SIGKILL)
        return process


def resolutions(*, twice: bool = False) -> Iterator[bytes]:
    """Yield the requests of webhooks for new tickets; with `twice` each is sent two times."""
    for ticket in tickets():
        yield from [webhook(ticket)] * (2 if twice else 1)


def tickets() -> Iterator[int]:
    """Yield numbers of tickets that have not been sent yet."""
    return count(next(_numbers) << 40)


def webhook(ticket: int) -> bytes:
    """Return the request of a webhook that resolves a ticket."""
    return post("/webhooks/acme", AUTHORIZATION, json.dumps(incident(ticket)).encode())


def incident(ticket: int) -> dict[str, str]:
    """Return the record of a resolved ticket as ServiceNow sends it."""
    return {
        "sys_id": sys_id(ticket),
        "number": f"INC{ticket % 10**7:07d}",
        "sys_class_name": "incident",
        "state": "6",
        "sys_mod_count": "7",
        "sys_updated_on": "2026-03-14 09:26:53",
        "resolved_by": "beth.anglin@example.com",
    }


def _is_there(port: int) -> bool:
    try:
        return requests.post(f"http://127.0.0.1:{port}/webhooks/acme", timeout=1).status_code == 401
    except requests.RequestException:
        return False
