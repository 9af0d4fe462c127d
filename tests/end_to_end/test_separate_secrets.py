"""Web reads only webhook secrets, and workers read only outbound secrets: all files that the processes open are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import (
    IEM_PASSWORD,
    IEM_USER,
    ROOT,
    WEBHOOK_PASSWORD,
    Relay,
    mapping,
    sys_id,
    wait_until,
    write_mapping,
)

from relay.simulators.server import SimulatorServer

#: An audit hook (PEP 578) that records each secret file that Python opens.
HOOK = """
import os, sys
def record(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".secret"):
        log = os.environ["OPENED"] + ("-worker" if sys.argv[-1] == "worker" else "-web")
        with open(log, "a") as file:
            file.write(os.path.basename(str(arguments[0])) + "\\n")
sys.addaudithook(record)
"""

NAMED = {"username": "user", "password": "password"}


@pytest.fixture
def relay(tmp_path: Path, relay: Relay, iem: SimulatorServer) -> Relay:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HOOK, "ascii")
    for name, value in {"webhook": WEBHOOK_PASSWORD, "user": IEM_USER, "password": IEM_PASSWORD}.items():
        (tmp_path / f"{name}.secret").write_text(value, "ascii")
    relay.environ |= {"OPENED": str(tmp_path / "opened"), "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
    auth = [{"type": "basic", "username": "sn", "password": {"file": str(tmp_path / "webhook.secret")}}]
    account = {name: {"file": str(tmp_path / f"{file}.secret")} for name, file in NAMED.items()}
    write_mapping(relay.mappings, "acme", mapping(iem.url, auth=auth, iem=account))
    return relay


def opened(relay: Relay, side: str) -> set[str]:
    return set((relay.folder / f"opened-{side}").read_text("ascii").split())


def test_each_kind_of_process_opens_only_its_own_secrets(relay: Relay) -> None:
    relay.start_web(processes=1)
    relay.start_worker()
    delivery = relay.post({"sys_id": sys_id(1), "state": "6"}).json()["delivery_id"]
    wait_until(lambda: relay.delivery_status(delivery) == "delivered", "the update is delivered")

    assert opened(relay, "web") == {"webhook.secret"}
    assert opened(relay, "worker") == {"user.secret", "password.secret"}
