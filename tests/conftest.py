"""Fixtures of all tests. Redis is real: the embedded Valkey, or RELAY_TEST_REDIS_URL. Each test that uses it empties it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import RedisServer, Relay, simulated_iem
from hypothesis import settings
from properties import examples
from store.bench import Bench

from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection

# CI tries the same examples every time, so that its result is reproducible; a developer's machine tries new ones.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=examples(100))
settings.register_profile("here", deadline=None, max_examples=examples(100))
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of the Redis of this test process. Tests that kill Redis start their own."""
    given = os.environ.get("RELAY_TEST_REDIS_URL")
    if given:
        # The processes of pytest-xdist would empty it during the tests of other processes.
        if "PYTEST_XDIST_WORKER" in os.environ:
            pytest.fail("RELAY_TEST_REDIS_URL names one server, which each test empties: run pytest with -n 0")
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="relay-test-") as folder:
        server = RedisServer(Path(folder)).start()
        try:
            yield server.url
        finally:
            server.stop()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Connection]:
    """A connection to an empty Redis."""
    connection = Connection(redis_url, timeout=5)
    connection.call("FLUSHALL")
    yield connection
    connection.close()


@pytest.fixture
def bench(redis: Connection) -> Bench:
    """An integration with the default settings, in an empty Redis."""
    return Bench(redis)


@pytest.fixture
def iem() -> Iterator[SimulatorServer]:
    """A simulated IEM that knows the account, customer and integration of `harness.mapping`."""
    with simulated_iem() as server:
        yield server


@pytest.fixture
def web(running_web: Relay, redis: Connection) -> Relay:
    """The web process of the folder's `running_web`, with an empty Redis."""
    assert redis is not None
    return running_web
