"""`relay doctor` as a function, and a simulated Virima."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Result, run_relay
from doctor.findings import Doctor
from harness import IEM_PASSWORD, base_environ
from virima.site import SERVICE

from relay.clock import now_ms
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.store.connection import Connection
from relay.store.heartbeats import Heartbeats

SECRETS = (IEM_PASSWORD, SERVICE.password, "not-the-one", "sn-secret-pw", "admin-token-1")


@pytest.fixture
def virima() -> Iterator[SimulatorServer]:
    """A simulated Virima."""
    with SimulatorServer(SimulatedVirima([SERVICE])) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of mapping files."""
    return tmp_path / "mappings"


@pytest.fixture
def doctor(tmp_path: Path, folder: Path, redis_url: str, redis: Connection) -> Doctor:
    """A function that runs `relay doctor` while a worker sends heartbeats; keywords are added to its environment."""
    Heartbeats(redis).beat("a-worker-1-x", now_ms())

    def run(*arguments: str, **environ: str) -> Result:
        journal = tmp_path / "journal"
        journal.mkdir(exist_ok=True)
        settings = {
            "RELAY_REDIS_URL": redis_url,
            "RELAY_BIND": "127.0.0.1:9",
            "RELAY_MAPPINGS": str(folder),
            "RELAY_JOURNAL": str(journal),
            "RELAY_JOURNAL_MAX": "4MiB",
            "RELAY_ADMIN_TOKEN": "admin-token-1",
            "RELAY_AUDIT_KEY": "audit-key-1",
            "VIRIMA_PASSWORD": SERVICE.password,
            "WRONG_PASSWORD": "not-the-one",
        }
        result = run_relay("doctor", *arguments, environ={**base_environ(), **settings, **environ})
        assert "Traceback" not in result.stderr
        assert [secret for secret in SECRETS if secret in result.stdout + result.stderr] == []
        return result

    return run
