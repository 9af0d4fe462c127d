"""A relay for each test: Redis, a simulated IEM, and processes, all ended afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import RedisServer, Relay, iem_of, mapping, simulated_iem, wait_until, write_mapping
from virima.conftest import served, server

from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem
from relay.store.connection import Connection

__all__ = ["Site", "open_site", "served", "server", "site"]


@dataclass(frozen=True, slots=True)
class Site:
    """A relay with its Redis and its simulated IEM."""

    redis: RedisServer
    server: SimulatorServer
    iem: SimulatedIem
    relay: Relay

    def pushed(self) -> list[str]:
        """Return the sys_ids of the pushes, in order."""
        return [push.sysid for push in self.iem.pushes]

    def wait_for_pushes(self, count: int, *, patience: float = 20) -> None:
        """Wait until `count` different tickets were pushed."""
        wait_until(lambda: len(set(self.pushed())) >= count, f"{count} tickets are pushed", patience=patience)


@contextmanager
def open_site() -> Iterator[Site]:
    """Open a site with the integration `acme`. No process of the relay runs yet."""
    with tempfile.TemporaryDirectory(prefix="relay-run-") as name, simulated_iem() as server:
        folder = Path(name)
        redis = RedisServer(folder).start()
        relay = Relay(folder, redis.url)
        write_mapping(relay.mappings, "acme", mapping(server.url))
        iem = iem_of(server)
        try:
            yield Site(redis, server, iem, relay)
        finally:
            relay.stop()
            redis.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site for one test."""
    with open_site() as opened:
        yield opened


@pytest.fixture
def relay(tmp_path: Path, redis_url: str, redis: Connection, iem: SimulatorServer) -> Iterator[Relay]:
    """A relay with the integration `acme` and an empty Redis; nothing of the relay runs yet."""
    assert redis is not None
    relay = Relay(tmp_path, redis_url)
    write_mapping(relay.mappings, "acme", mapping(iem.url))
    yield relay
    relay.stop()
