"""The example of a dry run."""

from __future__ import annotations

from typing import Any

from relay.web.openapi.examples import NUMBER, SYS_ID

_BODY = f'{{"state":6,"sysid":"{SYS_ID}"}}'
_PUSH = "/gbp/push/ACME?integrationid=42"

TRIAL: dict[str, Any] = {
    "integration": "acme",
    "mapping": "4c539655366f",
    "file": "mappings/acme.yaml",
    "enabled": True,
    "records": {"path": "result || @", "line": None, "column": None, "found": 1},
    "results": [
        {
            "result": "relayed",
            "sys_id": SYS_ID,
            "itsm_state": "6",
            "number": NUMBER,
            "version": "7",
            "iem_state": 6,
            "matched": {"under": "states", "state": "6", "iem_state": 6, "by": "value", "line": 15, "column": 6},
            "dedupe": {
                "identity": "6:v7",
                "known_for": "1d",
                "collapse": True,
                "ordered_by": "version",
                "order": "7",
            },
            "push": _BODY,
            "request": {
                "method": "POST",
                "url": f"https://iem.example.com{_PUSH}",
                "path": _PUSH,
                "headers": {"Content-Type": "application/json", "Cookie": "access_token=•••"},
                "body": _BODY,
            },
            "fields": [
                {
                    "name": "state",
                    "paths": [
                        {"path": "state", "line": 12, "column": 11, "found": None, "is_value": False},
                        {
                            "path": "incident_state",
                            "line": 12,
                            "column": 18,
                            "found": {"value": "6", "display_value": "Resolved"},
                            "is_value": True,
                        },
                    ],
                    "value": "6",
                    "label": "Resolved",
                    "used": "6",
                }
            ],
        }
    ],
}
