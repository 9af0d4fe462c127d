"""Fixtures of the store's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import free_port, wait_until
from store.bench import (
    Bench,
    make_integration,
)
from store.servers import TIMEOUT, Serve, Server

from relay.store.connection import Connection
from relay.store.delivery_reader import DeliveryReader
from relay.store.embedded import answers


@pytest.fixture
def bench_without_collapse(redis: Connection) -> Bench:
    """An integration with `collapse: false`: a known identity is the only reason for a duplicate."""
    return Bench(redis, make_integration(collapse=False))


@pytest.fixture
def reader(redis: Connection) -> DeliveryReader:
    return DeliveryReader(redis)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a Valkey with options, and waits until it answers."""
    started: list[Server] = []

    def start(*options: str, url: str = "redis://{address}") -> Server:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        server = Server(folder, free_port(), options)
        started.append(server)
        server.start()
        wait_until(lambda: answers(url.format(address=server.address)), "Valkey answers")
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Connection]]:
    """A function that opens a connection with a short timeout."""
    opened: list[Connection] = []

    def open_connection(url: str) -> Connection:
        opened.append(Connection(url, timeout=TIMEOUT, connect_timeout=TIMEOUT))
        return opened[-1]

    yield open_connection
    for connection in opened:
        connection.close()
