"""The web processes that tests share. Each test starts with an empty Redis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Relay, mapping, write_mapping
from web.scenario import TOKEN, Scenario, accept, give_up_all

from relay.store.connection import Connection

_HMAC = {"type": "hmac", "header": "X-Relay-Signature", "secret": {"env": "ACME_HMAC"}}
_KEY = {"type": "header", "header": "X-API-Key", "value": {"env": "ACME_KEY"}}
_BEARER = {"type": "header", "header": "Authorization", "scheme": "Bearer", "value": {"env": "ACME_KEY"}}
_IEM = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def running_web(redis_url: str) -> Iterator[Relay]:
    """Two processes for several integrations: some are broken, disabled or restricted to an address."""
    with tempfile.TemporaryDirectory(prefix="relay-web-") as folder:
        relay = Relay(Path(folder), redis_url, {"ACME_HMAC": "hmac-secret", "ACME_KEY": "api-key-secret"})
        relay.environ |= {
            "RELAY_MAX_BODY": "64KiB",
            "RELAY_TRUSTED_PROXIES": "1",
            "RELAY_ADMIN_TOKEN": TOKEN,
        }
        files = {
            "acme": mapping(_IEM),
            "strict": mapping(_IEM, unlisted_states="reject"),
            "signed": mapping(_IEM, auth=[_HMAC, _KEY, _BEARER]),
            "open": mapping(_IEM, auth="none"),
            "inside": mapping(_IEM, allow_from=["10.0.0.0/8"]),
            "off": mapping(_IEM, enabled="false"),
            "secretless": mapping(_IEM, auth=[{"type": "basic", "username": "sn", "password": {"env": "NOT_SET"}}]),
            "broken": {"source": "servicenow", "stats": {6: 6}},
        }
        for name, content in files.items():
            write_mapping(relay.mappings, name, content)
        relay.start_web()
        yield relay
        relay.stop()


@pytest.fixture
def scenario(web: Relay, redis: Connection) -> Scenario:
    """Web with a dead letter and a rejection."""
    return Scenario(web, redis)


@pytest.fixture
def dead_letters(web: Relay, redis: Connection) -> list[str]:
    """The ids of three dead letters, the oldest first."""
    ids = accept(web, 1, 2, 3)
    give_up_all(redis)
    return ids


@pytest.fixture(scope="session")
def running_small_web(redis_url: str) -> Iterator[Relay]:
    """One process with two threads, behind one trusted proxy: a thread or connection that is held is noticed."""
    with tempfile.TemporaryDirectory(prefix="relay-small-web-") as folder:
        relay = small_relay(Path(folder), redis_url)
        relay.environ["RELAY_TRUSTED_PROXIES"] = "1"
        relay.start_web(processes=1)
        yield relay
        relay.stop()


@pytest.fixture
def small_web(running_small_web: Relay, redis: Connection) -> Relay:
    """One process with two threads, and an empty Redis."""
    assert redis is not None
    return running_small_web


@pytest.fixture
def unstarted_relay(tmp_path: Path, redis_url: str, redis: Connection) -> Iterator[Relay]:
    """The same, not started: for tests that change its environment, limit it or stop it."""
    assert redis is not None
    relay = small_relay(tmp_path, redis_url)
    yield relay
    relay.stop()


def small_relay(folder: Path, redis_url: str) -> Relay:
    """Return a relay, not started, whose web processes have two threads."""
    relay = Relay(folder, redis_url, {"RELAY_WEB_THREADS": "2", "RELAY_RECEIVE_TIMEOUT": "5s"})
    relay.environ["RELAY_ADMIN_TOKEN"] = "admin-token-" + "q9Zr" * 20
    write_mapping(relay.mappings, "acme", mapping(_IEM))
    write_mapping(relay.mappings, "inside", mapping(_IEM, allow_from=["10.0.0.0/8"]))
    write_mapping(relay.mappings, "local", mapping(_IEM, allow_from=["127.0.0.0/8"]))
    write_mapping(relay.mappings, "open", mapping(_IEM, auth="none"))
    return relay
