"""Mapping files are edited while the relay runs: without a restart, no update is lost or mapped wrongly. Real processes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from harness import IEM_PASSWORD, IEM_USER, Relay, iem_of, mapping, sys_id, wait_until, write_mapping

from relay.cli.main import relay as cli
from relay.simulators.server import SimulatorServer
from relay.store.connection import Connection
from relay.store.trail import Trail, TrailQuery

TOKEN = "operator-token-1"


@pytest.fixture
def relay(relay: Relay, iem: SimulatorServer) -> Relay:
    relay.environ |= {"RELAY_RELOAD_INTERVAL": "200ms", "RELAY_ADMIN_TOKEN": TOKEN}
    write_mapping(relay.mappings, "acme", mapping(iem.url, states={"6": "6"}))
    return relay


def integration(relay: Relay, name: str = "acme") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found: dict[str, Any] = requests.get(f"{relay.url}/api/v1/integrations/{name}", headers=headers, timeout=5).json()
    return found


def pushes(iem: SimulatorServer) -> dict[str, int]:
    return {push.sysid: push.state for push in iem_of(iem).pushes}


def test_a_changed_and_a_new_file_are_used_within_the_interval(relay: Relay, iem: SimulatorServer) -> None:
    relay.start_web()
    relay.start_worker()
    relay.post({"sys_id": sys_id(1), "state": "6"})
    wait_until(lambda: pushes(iem) == {sys_id(1): 6}, "the first update is delivered")

    write_mapping(relay.mappings, "acme", mapping(iem.url, states={"6": "9"}))
    write_mapping(relay.mappings, "new", mapping(iem.url, states={"6": "5"}))
    began = time.monotonic()
    # Several requests, because there are two web processes.
    wait_until(
        lambda: all(relay.post({"state": "6"}, name="new").status_code == 422 for _ in range(8)),
        "both web processes use the new file",
    )
    took = time.monotonic() - began

    relay.post({"sys_id": sys_id(2), "state": "6"})
    relay.post({"sys_id": sys_id(3), "state": "6"}, name="new")
    wait_until(lambda: len(pushes(iem)) == 3, "all are delivered")
    assert pushes(iem) == {sys_id(1): 6, sys_id(2): 9, sys_id(3): 5}
    assert took < 1.2


@pytest.mark.slow
def test_a_bad_edit_is_reported_and_harmless_even_after_a_restart(
    relay: Relay, iem: SimulatorServer, redis: Connection
) -> None:
    relay.start_web()
    worker = relay.start_worker()
    wait_until(lambda: "worker started" in worker.log, "the worker runs")
    path = relay.mappings / "acme.yaml"
    path.write_text(path.read_text("utf-8") + "stats: {6: 6}\n", "utf-8")

    wait_until(lambda: all(integration(relay)["faults"] for _ in range(8)), "both web processes report the fault")

    assert relay.post({"sys_id": sys_id(1), "state": "6"}).status_code == 202
    shown = integration(relay)
    assert (shown["status"], "did you mean 'states'?" in shown["faults"][0]) == ("flowing", True)
    ready = requests.get(f"{relay.url}/readyz", timeout=5)
    [check] = ready.json()["checks"]["mappings"]
    assert (ready.status_code, check["status"]) == (200, "warn")
    assert "acme.yaml:" in check["output"]
    wait_until(lambda: integration(relay)["faults_since"], "the time of the fault is shown")
    for process in relay.processes:
        process.stop()
    relay.start_web()
    relay.start_worker()
    assert relay.post({"sys_id": sys_id(2), "state": "6"}).status_code == 202
    wait_until(lambda: len(pushes(iem)) == 2, "both are delivered")
    types = [record["type"] for record in Trail(redis).page(["acme"], TrailQuery(), limit=100).items]
    assert "mapping_refused" in types
    assert "mapping_loaded" in types


@pytest.mark.slow
def test_nothing_is_lost_or_mapped_wrongly_during_many_edits(relay: Relay, iem: SimulatorServer) -> None:
    relay.start_web()
    relay.start_worker()
    stop = threading.Event()

    def edit() -> None:
        number = 0
        while not stop.wait(0.25):  # long enough for the two readings that a change needs
            number += 1
            path = relay.mappings / "acme.yaml"
            if number % 3 == 2:
                path.write_text("stats: [", "utf-8")
            else:
                write_mapping(
                    relay.mappings, "acme", mapping(iem.url, states={"6": "6", "7": "7"}, description=str(number))
                )

    editor = threading.Thread(target=edit)
    editor.start()
    tried = {"sys_id": sys_id(0), "state": "7"}
    wait_until(
        lambda: all(relay.post(tried).json()["status"] != "ignored" for _ in range(8)),
        "both web processes know both states",
    )
    answers = [
        relay.post({"sys_id": sys_id(ticket), "state": "67"[ticket % 2]}).status_code for ticket in range(1, 301)
    ]
    stop.set()
    editor.join()

    assert set(answers) <= {200, 202}
    wait_until(lambda: len(pushes(iem)) >= 301, "all are delivered", patience=40)
    assert {state for ticket, state in pushes(iem).items() if int(ticket, 16) % 2 == 1} == {7}


def test_an_integration_can_be_disabled_and_enabled(relay: Relay, iem: SimulatorServer) -> None:
    relay.start_web()
    relay.start_worker()
    write_mapping(relay.mappings, "acme", mapping(iem.url, enabled=False))

    wait_until(
        lambda: relay.post({"sys_id": sys_id(1), "state": "6"}).status_code == 404, "the integration is disabled"
    )

    write_mapping(relay.mappings, "acme", mapping(iem.url))
    wait_until(
        lambda: relay.post({"sys_id": sys_id(1), "state": "6"}).status_code in {200, 202}, "the integration is enabled"
    )
    wait_until(lambda: sys_id(1) in pushes(iem), "the update is delivered")


@pytest.mark.slow
def test_a_changed_secret_file_is_used_without_a_restart(relay: Relay, iem: SimulatorServer, tmp_path: Path) -> None:
    secret = tmp_path / "iem-password"
    secret.write_text("an old password\n", "utf-8")
    write_mapping(relay.mappings, "acme", mapping(iem.url, iem={"password": {"file": str(secret)}}))
    relay.start_web()
    worker = relay.start_worker()
    relay.post({"sys_id": sys_id(1), "state": "6"})
    wait_until(lambda: integration(relay)["reason"] == "wrong_credentials", "the old password is refused")

    (tmp_path / "new").write_text(IEM_PASSWORD, "utf-8")
    (tmp_path / "new").rename(secret)

    wait_until(lambda: sys_id(1) in pushes(iem), "the new password is tried at once")
    assert worker.popen.poll() is None
    assert IEM_PASSWORD not in worker.log


@pytest.mark.slow
def test_a_file_from_mappings_new_is_used_without_a_restart(relay: Relay, iem: SimulatorServer, tmp_path: Path) -> None:
    for secret, value in (("webhook-password", "new-pw"), ("iem-password", IEM_PASSWORD)):
        (tmp_path / f"fresh-{secret}").write_text(value, "utf-8")
    web = relay.start_web()
    worker = relay.start_worker()
    answers = ["--source", "servicenow", "--customer-id", "ACME", "--integration-id", "42", "--iem-url", iem.url]

    CliRunner().invoke(
        cli,
        ["mappings", "new", "fresh", *answers, "--iem-username", IEM_USER, "--secrets-from", str(tmp_path)],
        env={"RELAY_MAPPINGS": str(relay.mappings)},
        catch_exceptions=False,
    )

    def post() -> int:
        return relay.post({"sys_id": sys_id(1), "state": "6"}, name="fresh", auth=("servicenow", "new-pw")).status_code

    wait_until(lambda: post() in {200, 202}, "web accepts a webhook")
    wait_until(lambda: pushes(iem) == {sys_id(1): 6}, "it is delivered")
    assert "refused" not in web.log + worker.log
