"""The names of the keys. The table in `relay.store` describes what each contains."""

from __future__ import annotations

WAKE_CHANNEL = "relay:wake"
WORKERS = "relay:workers"
READINESS_PROBE = "relay:probe"
INTEGRATIONS = "relay:integrations"


def key(integration: str, name: str) -> str:
    """Return the key `name` of an integration. All keys of an integration are in one cluster slot."""
    return f"relay:{{{integration}}}:{name}"
