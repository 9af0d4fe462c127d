"""One gunicorn with two processes for all tests of the answers; Redis is emptied before each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Relay, mapping, write_mapping

from relay.store.connection import Connection

_HMAC = {"type": "hmac", "header": "X-Relay-Signature", "secret": {"env": "ACME_HMAC"}}
_KEY = {"type": "header", "header": "X-API-Key", "value": {"env": "ACME_KEY"}}
_BEARER = {"type": "header", "header": "Authorization", "scheme": "Bearer", "value": {"env": "ACME_KEY"}}
_IEM = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def running_web(redis_url: str) -> Iterator[Relay]:
    """Web over several integrations, among them broken, disabled and address-bound ones."""
    with tempfile.TemporaryDirectory(prefix="relay-web-") as folder:
        relay = Relay(Path(folder), redis_url, {"ACME_HMAC": "hmac-secret", "ACME_KEY": "api-key-secret"})
        relay.environ |= {
            "RELAY_MAX_BODY": "64KiB",
            "RELAY_TRUSTED_PROXIES": "1",
            "RELAY_ADMIN_TOKEN": "operator-token-1",
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
def web(running_web: Relay, redis: Connection) -> Relay:
    """Web over an empty Redis."""
    assert redis is not None
    return running_web
