"""The example ticket that appears throughout the document."""

from __future__ import annotations

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
