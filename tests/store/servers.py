"""Valkey servers that the tests of connections start, stop and suspend."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import redis_binary

from relay.errors import StoreUnavailableError
from relay.store.connection import Connection

#: The timeout of these tests' connections, and the time that a test allows in addition (seconds).
TIMEOUT, SLACK = 0.4, 0.8


@dataclass(slots=True)
class Server:
    """A Valkey on a TCP port, with any options."""

    folder: Path
    port: int
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start the server. It may not answer yet."""
        fixed = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--loglevel", "warning")
        command = [str(redis_binary()), *self.options, *fixed, *more]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill the server if it runs."""
        if self.process and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
            self.process.wait()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"


Serve = Callable[..., Server]
Connect = Callable[[str], Connection]


def seconds_until_unavailable(ask: Callable[[], object]) -> float:
    """Return after how many seconds `ask` reports that Redis is unavailable."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        ask()
    return time.monotonic() - began


def error_of(connection: Connection) -> str:
    """Return the error of a call, or an empty text if Redis answers."""
    try:
        connection.call("GET", "k1")
    except StoreUnavailableError as error:
        return str(error)
    return ""
