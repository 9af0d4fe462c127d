"""The example that runs through the document: one ticket of one integration."""

from __future__ import annotations

from typing import Any

SYS_ID, NUMBER = "9d385017c611228701d22104cc95c371", "INC0010023"
DELIVERY_ID, OTHER_ID = "01JD3W8Z6V0S9K2M4N6P8Q0R2T", "01JD3WB1C7J5N8R0T2V4X6Y8Z0"
REJECTION_ID = "RL5BGUT5F2M3KSZVCRTGP3DL6Q"

#: As ServiceNow posts it.
WEBHOOK = {
    "sys_id": SYS_ID,
    "number": NUMBER,
    "state": {"value": "6", "display_value": "Resolved"},
    "sys_mod_count": "7",
    "sys_updated_on": "2026-11-22 10:20:30",
    "resolved_by": {"value": "5137153cc611227c000bbd1bd8cd2005", "display_value": "Fred Luddy"},
}
NO_STATE = {"field": "state", "problem": "no value at `state` or `incident_state` (the mapping's `fields.state`)"}

DELIVERY: dict[str, Any] = {
    "id": DELIVERY_ID,
    "integration": "acme",
    "sys_id": SYS_ID,
    "number": NUMBER,
    "table": "incident",
    "itsm_state": "6",
    "version": "7",
    "resolved_by": "fred.luddy@example.com",
    "from": "servicenow@192.0.2.7",
    "mapping": "4c539655366f",
    "iem_state": 6,
    "updated_at": "2026-11-22T10:20:30.000Z",
    "status": "delivered",
    "reason": None,
    "created_at": "2026-11-22T10:20:31.120Z",
    "finished_at": "2026-11-22T10:20:36.904Z",
    "next_attempt_at": None,
    "attempts": [
        {
            "at": "2026-11-22T10:20:31.480Z",
            "outcome": "retry",
            "reason": "server_error",
            "status": 502,
            "duration_ms": 214,
        },
        {"at": "2026-11-22T10:20:36.904Z", "outcome": "delivered", "reason": None, "status": 200, "duration_ms": 187},
    ],
    "duplicates": 1,
    "superseded_by": None,
    "replay_of": None,
    "replayed_as": None,
    "closed": None,
    "via": {"state": 1},
}
ACCEPTED: dict[str, Any] = {
    "id": "1795342831120-0",
    "at": "2026-11-22T10:20:31.120Z",
    "type": "accepted",
    "integration": "acme",
    "delivery_id": DELIVERY_ID,
    "sys_id": SYS_ID,
    "number": NUMBER,
    "actor": "servicenow@192.0.2.7",
}
LOOKED_UP: dict[str, Any] = {
    **ACCEPTED,
    "id": "1795342831300-0",
    "at": "2026-11-22T10:20:31.300Z",
    "type": "virima_lookup",
    "actor": "relay",
    "lookup": "impersonate",
    "email": "fred.luddy@example.com",
    "outcome": "found",
    "reason": None,
    "cached": False,
    "user": {
        "id": "1017",
        "userName": "fred.luddy@example.com",
        "displayName": "Fred Luddy",
        "email": "fred.luddy@example.com",
        "organizationName": "ACME",
    },
    "status": 200,
    "duration_ms": 143,
}
COUNTS: dict[str, Any] = {
    "pending": 3,
    "oldest_pending_at": "2026-11-22T10:20:31.120Z",
    "retrying": 1,
    "dead": 2,
    "rejections": 1,
    "lookups_waiting": 0,
    "lookups_parked": None,
}
FLOWING: dict[str, Any] = {
    "name": "acme",
    "status": "flowing",
    "reason": None,
    "since": None,
    "next_probe_at": None,
    "parked_by": None,
    "parked_why": None,
    **COUNTS,
    "source": "servicenow",
    "description": "ACME production",
    "iem_customer_id": "ACME",
    "iem_integration_id": "42",
    "mapping": "4c539655366f",
    "file": "mappings/acme.yaml",
    "faults": [],
    "faults_since": None,
}
PARKED = {
    **FLOWING,
    "status": "parked",
    "reason": "by_hand",
    "since": "2026-11-22T10:25:00.000Z",
    "parked_by": "api",
    "parked_why": "IEM is upgraded tonight",
}
REJECTION: dict[str, Any] = {
    "id": REJECTION_ID,
    "integration": "acme",
    "created_at": "2026-11-22T10:20:31.120Z",
    "seen_at": "2026-11-22T10:20:31.120Z",
    "seen": 1,
    "from": "servicenow@192.0.2.7",
    "mapping": "4c539655366f",
    "idempotency_key": None,
    "errors": [NO_STATE],
    "record": {"sys_id": SYS_ID, "number": NUMBER},
}
