"""The integrations of the tests of scripts: one for each way to authenticate, and one for each way to read a body."""

from __future__ import annotations

import base64
from typing import Any

from harness import WEBHOOK_PASSWORD, Relay
from servicenow.instance import Instance, script_of

UNREACHABLE_IEM = "http://127.0.0.1:9"
IEM = "https://iem.example.com"
ADMIN_TOKEN = "operator-token-1"
HMAC_SECRET, API_KEY, WHSEC = "hmac-sécret 'x'", "api-key-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TABLES = {"problem": {"states": {106: 6, 107: 6}}, "Change Request": {"states": {"Closed": 6, "Review": 6}}}


def hmac_auth(**changes: Any) -> dict[str, Any]:
    return {"type": "hmac", "header": "X-Relay-Signature", "secret": [{"env": "ACME_HMAC"}, {"env": "OLD"}], **changes}


def header_auth(**changes: Any) -> dict[str, Any]:
    return {"type": "header", "header": "X-API-Key", "value": {"env": "ACME_KEY"}, **changes}


AUTHS: dict[str, list[dict[str, Any]]] = {
    "hmac": [hmac_auth()],
    "hmac-hex": [hmac_auth(encoding="hex")],
    "hmac-sha1": [hmac_auth(algorithm="sha1", encoding="hex")],
    "hmac-sha512": [hmac_auth(algorithm="sha512", encoding="hex")],
    "hmac-sha512-base64": [hmac_auth(algorithm="sha512", encoding="base64")],
    "hmac-timestamp": [hmac_auth(timestamp_header="X-Relay-Timestamp", encoding="base64")],
    "hmac-timestamp-hex": [hmac_auth(timestamp_header="X-Relay-Timestamp", encoding="hex")],
    "header": [header_auth()],
    "bearer": [header_auth(header="Authorization", scheme="Bearer")],
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


HMAC = {
    "type": "hmac",
    "header": "X-Sig",
    "encoding": "hex",
    "timestamp_header": "X-Time",
    "secret": {"env": "ACME_HMAC"},
}
KINDS = ("basic", "hmac", "header", "standard-webhooks")
#: Kinds of authentication that use the key without encoding.
_KEYS = {"header": API_KEY, "bearer": API_KEY, "standard-webhooks": WHSEC}


def instance_for(web: Relay, name: str = "acme", **changes: Any) -> Instance:
    """Return an instance that is set up as the guide of the scripts says."""
    key = _KEYS.get(name, base64.b64encode(HMAC_SECRET.encode()).decode())
    properties = {f"relay.{name}.url": f"{web.url}/webhooks/{name}", f"relay.{name}.key": key}
    profile = ("sn", WEBHOOK_PASSWORD) if name == "acme" else None
    return Instance(**{"properties": properties, "message": f"Relay {name}", "profile": profile, **changes})


def script_for(web: Relay, name: str, *options: str) -> str:
    """Return the script for an integration; the command reads only its file."""
    return script_of(web.mappings, str(web.mappings / f"{name}.yaml"), *options)
