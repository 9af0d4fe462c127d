"""One web process for all tests of the scripts, with every integration of `integrations.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Relay, mapping, write_mapping
from servicenow.instance import NODE
from servicenow.integrations import (
    ADMIN_TOKEN,
    API_KEY,
    AUTHS,
    HMAC_SECRET,
    SHAPES,
    TABLES,
    UNREACHABLE_IEM,
    WHSEC,
    header_auth,
)


@pytest.fixture(scope="session", autouse=True)
def node_process() -> Iterator[None]:
    """End Node after the last test."""
    yield
    NODE.stop()


@pytest.fixture(scope="session")
def running_web(redis_url: str) -> Iterator[Relay]:
    """The web process. `acme` has basic authentication, and other tables."""
    with tempfile.TemporaryDirectory(prefix="relay-servicenow-") as folder:
        secrets = {"ACME_HMAC": HMAC_SECRET, "ACME_KEY": API_KEY, "ACME_WHSEC": WHSEC, "OLD": "an older one"}
        relay = Relay(Path(folder), redis_url, {**secrets, "RELAY_ADMIN_TOKEN": ADMIN_TOKEN})
        write_mapping(relay.mappings, "acme", mapping(UNREACHABLE_IEM, tables=TABLES))
        write_mapping(relay.mappings, "open", mapping(UNREACHABLE_IEM, auth="none"))
        write_mapping(
            relay.mappings, "secretless", mapping(UNREACHABLE_IEM, auth=[header_auth(value={"env": "NOT_SET"})])
        )
        for name, auth in AUTHS.items():
            write_mapping(relay.mappings, name, mapping(UNREACHABLE_IEM, auth=auth))
        for name, shape in SHAPES.items():
            write_mapping(relay.mappings, name, mapping(UNREACHABLE_IEM, auth="none", **shape))
        relay.start_web(processes=1)
        yield relay
        relay.stop()
