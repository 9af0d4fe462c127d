"""One gunicorn for all tests of the scripts, with an integration for each way to authenticate and to read a body."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Relay, mapping, write_mapping
from servicenow.instance import NODE

_IEM = "http://127.0.0.1:9"
ADMIN_TOKEN = "operator-token-1"
HMAC_SECRET, API_KEY, WHSEC = "hmac-sécret 'x'", "api-key-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_TABLES = {"problem": {"states": {106: 6, 107: 6}}, "Change Request": {"states": {"Closed": 6, "Review": 6}}}


def _hmac(**changes: Any) -> dict[str, Any]:
    return {"type": "hmac", "header": "X-Relay-Signature", "secret": [{"env": "ACME_HMAC"}, {"env": "OLD"}], **changes}


def _header(**changes: Any) -> dict[str, Any]:
    return {"type": "header", "header": "X-API-Key", "value": {"env": "ACME_KEY"}, **changes}


AUTHS: dict[str, list[dict[str, Any]]] = {
    "hmac": [_hmac()],
    "hmac-hex": [_hmac(encoding="hex")],
    "hmac-sha1": [_hmac(algorithm="sha1", encoding="hex")],
    "hmac-sha512": [_hmac(algorithm="sha512", encoding="hex")],
    "hmac-sha512-base64": [_hmac(algorithm="sha512", encoding="base64")],
    "hmac-timestamp": [_hmac(timestamp_header="X-Relay-Timestamp", encoding="base64")],
    "hmac-timestamp-hex": [_hmac(timestamp_header="X-Relay-Timestamp", encoding="hex")],
    "header": [_header()],
    "bearer": [_header(header="Authorization", scheme="Bearer")],
    "standard-webhooks": [{"type": "standard-webhooks", "secret": {"env": "ACME_WHSEC"}}],
}
FIELDS = {
    "sys_id": "ids.incident_sys_id",
    "state": ["new_values.state", "state_label"],
    "table": ['meta."the-table"', "table"],
    "number": "ids.incident_number",
    "version": ["to_number(rev)", "rev"],
    "updated_at": "updated_on",
    "resolved_by": ["people[0].email", "updated_by"],
}
SHAPES: dict[str, dict[str, Any]] = {
    "own-fields": {"fields": FIELDS},
    "envelope": {"records": "data.incidents"},
    "list": {"records": "events[].record", "fields": FIELDS},
    "whole-list": {"records": "[*]"},
    "alternatives": {"records": "[?sys_id] || result"},
    "function": {"records": "not_null(result, @)"},
    "alone": {"records": "[@]"},
    "fixed-table": {"fields": {"table": "'incident'"}},
    "clashing": {"fields": {"number": ["state.number", "number"]}},
}


@pytest.fixture(scope="session", autouse=True)
def node_process() -> Iterator[None]:
    """Node ends with the tests."""
    yield
    NODE.stop()


@pytest.fixture(scope="session")
def running_web(redis_url: str) -> Iterator[Relay]:
    """Web; `acme` has basic authentication, and other tables."""
    with tempfile.TemporaryDirectory(prefix="relay-servicenow-") as folder:
        secrets = {"ACME_HMAC": HMAC_SECRET, "ACME_KEY": API_KEY, "ACME_WHSEC": WHSEC, "OLD": "an older one"}
        relay = Relay(Path(folder), redis_url, {**secrets, "RELAY_ADMIN_TOKEN": ADMIN_TOKEN})
        write_mapping(relay.mappings, "acme", mapping(_IEM, tables=_TABLES))
        write_mapping(relay.mappings, "open", mapping(_IEM, auth="none"))
        write_mapping(relay.mappings, "secretless", mapping(_IEM, auth=[_header(value={"env": "NOT_SET"})]))
        for name, auth in AUTHS.items():
            write_mapping(relay.mappings, name, mapping(_IEM, auth=auth))
        for name, shape in SHAPES.items():
            write_mapping(relay.mappings, name, mapping(_IEM, auth="none", **shape))
        relay.start_web(processes=1)
        yield relay
        relay.stop()
