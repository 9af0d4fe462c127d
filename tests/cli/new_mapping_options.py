"""Options, environment and folder of `relay mappings new`."""

from __future__ import annotations

from pathlib import Path

from harness import base_environ

ANSWERS = {
    "--source": "servicenow",
    "--customer-id": "ACME",
    "--integration-id": "42",
    "--iem-url": "https://iem.example.com",
    "--iem-username": "relay-api@example.com",
}
SECRETS = {"ACME_PROD_WEBHOOK_PASSWORD": "one", "ACME_PROD_IEM_PASSWORD": "two"}
VIRIMA = ("--virima-url", "https://virima.example.com", "--virima-username", "relay@example.com")


def options(**changes: str | None) -> list[str]:
    """Return good options; `changes` replace some, and leave out those that are None."""
    answers = ANSWERS | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [part for option, value in answers.items() if value is not None for part in (option, value)]


def environ_of(**environ: str) -> dict[str, str]:
    kept = {name: value for name, value in base_environ().items() if not name.startswith("ACME_")}
    return {**kept, "RELAY_MAPPINGS": "mappings", "NO_COLOR": "1", **environ}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "mappings").iterdir())
