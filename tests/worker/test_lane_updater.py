"""A worker follows the secret files that its mapping files name, and tolerates one that is missing for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import base_environ, mapping, write_mapping

from relay.core.redact import Redactor
from relay.foundation import Foundation, connect, open_catalogue
from relay.secrets import SecretReader
from relay.settings import load_settings
from relay.store.connection import Connection
from relay.worker.lane_updater import LaneUpdater
from relay.worker.loop import Worker
from relay.worker.wiring import build_lane_updater, build_worker


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file that holds the IEM password."""
    path = tmp_path / "iem-password"
    path.write_text("the first password", "utf-8")
    return path


@pytest.fixture
def worker_and_updater(tmp_path: Path, secret: Path, redis_url: str, redis: Connection) -> tuple[Worker, LaneUpdater]:
    """A worker whose loop does not run, and its lane updater."""
    iem = {"password": {"file": str(secret)}}
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com", iem=iem))
    environ = {**base_environ(), "RELAY_REDIS_URL": redis_url, "RELAY_MAPPINGS": str(tmp_path / "mappings")}
    redactor = Redactor()
    foundation = Foundation(load_settings(environ), SecretReader(environ, redactor), redactor)
    connection = connect(foundation.settings)
    catalogue, _ = open_catalogue(foundation, connection)
    worker = build_worker(foundation, catalogue, connection)
    return worker, build_lane_updater(foundation, catalogue, worker)


def lane_after_refresh(worker: Worker, updater: LaneUpdater) -> tuple[str, str | None]:
    """Refresh the lanes, and return the configuration digest and the fault of the worker's lane."""
    updater.refresh(is_catalogue_changed=False)
    worker._receive(wait=0.0)
    lane = worker._lanes.current["acme"]
    return lane.config, lane.fault


def test_a_new_password_in_the_file_is_used(worker_and_updater: tuple[Worker, LaneUpdater], secret: Path) -> None:
    worker, updater = worker_and_updater
    before = lane_after_refresh(worker, updater)

    secret.write_text("another password", "utf-8")

    after = lane_after_refresh(worker, updater)
    assert after[0] != before[0]
    assert (before[1], after[1]) == (None, None)


def test_a_file_that_is_missing_once_changes_nothing(
    worker_and_updater: tuple[Worker, LaneUpdater], secret: Path
) -> None:
    worker, updater = worker_and_updater
    before = lane_after_refresh(worker, updater)

    secret.unlink()
    while_missing = lane_after_refresh(worker, updater)
    secret.write_text("the first password", "utf-8")

    assert while_missing == before
    assert lane_after_refresh(worker, updater) == before


def test_a_missing_file_is_reported_and_used_once_it_is_back(
    worker_and_updater: tuple[Worker, LaneUpdater], secret: Path
) -> None:
    worker, updater = worker_and_updater
    before = lane_after_refresh(worker, updater)

    secret.unlink()
    lane_after_refresh(worker, updater)
    _, fault = lane_after_refresh(worker, updater)
    secret.write_text("the first password", "utf-8")

    assert fault == f"the secret file {secret} cannot be read: No such file or directory"
    assert lane_after_refresh(worker, updater) == before
