"""What the tests share: a real Redis (the embedded Valkey, or RELAY_TEST_REDIS_URL's), emptied before each test that uses it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.embedded import valkey_binary, wait_until_answers
from relay.store.connection import Connection


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
            wait_until_answers(url, server)
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
