"""The names of keys; `relay.store` tells what each holds."""

from __future__ import annotations

WAKE_CHANNEL = "relay:wake"
WORKERS = "relay:workers"
READINESS_PROBE = "relay:probe"
INTEGRATIONS = "relay:integrations"


def key(integration: str, name: str) -> str:
    """Return the key `name` of an integration; all of them stand in one cluster slot."""
    return f"relay:{{{integration}}}:{name}"
