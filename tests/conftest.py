"""What the tests share: a real Redis (the embedded Valkey, or RELAY_TEST_REDIS_URL's), emptied before each test that uses it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relay.embedded import answers, valkey_binary
from relay.store.connection import Connection


def wait_until(holds: Callable[[], object], what: str, *, patience: float = 20) -> None:
    """Return as soon as `holds`; fail, naming `what` was waited for, after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience} s in vain until {what}"
        threading.Event().wait(0.01)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a server of this test process's own (appendfsync everysec: tests that kill it start their own)."""
    given = os.environ.get("RELAY_TEST_REDIS_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="relay-test-") as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", "", "--appendonly", "yes"]
        server = subprocess.Popen([str(valkey_binary()), *options], stdout=subprocess.DEVNULL)
        try:
            url = f"unix://{socket}"
            wait_until(lambda: answers(url), "the test's Redis answers")
            yield url
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Connection]:
    """A connection to an empty Redis."""
    connection = Connection(redis_url, timeout=5)
    connection.call("FLUSHALL")
    yield connection
    connection.close()
