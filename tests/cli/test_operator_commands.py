"""`relay integrations|deliveries|rejections`: in processes of their own, with a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from harness import base_environ, mapping, write_mapping

from relay.core.model import FieldError, Rejected, TicketFields, Update
from relay.core.orphan_reasons import OrphanReason
from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.mapping_files.folder import read_mapping
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Settlement
from relay.store.submissions import Submission

NOW = 1_795_342_830_000
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, redis: Connection, redis_url: str) -> Run:
    """Three dead letters and a rejection of `acme`, and a function that runs `relay`."""
    path = write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com"))
    integration = read_mapping(path).integration
    assert integration
    queue = DeliveryQueue(redis, "acme", retention=86400)
    for number in range(3):
        ticket = TicketFields(f"{number:032x}", "6", number=f"INC{number}")
        queue.accept(integration, [Submission(f"{number:026d}", Update(ticket, 6), NOW, "sn")], NOW + number)
    queue.accept(
        integration, [Submission("REJECTION", Rejected((FieldError("state", "no value"),), {"a": 1}), NOW, "sn")], NOW
    )
    taken = queue.take("a test", 10, lease=1000, config="c", now=NOW + 10).assignments
    queue.settle([Settlement(delivery, Dead(Reason.REFUSED), at=NOW, status=400) for delivery in taken], now=NOW + 11)
    environ = {**base_environ(), "RELAY_MAPPINGS": str(path.parent), "RELAY_REDIS_URL": redis_url}

    def relay(*arguments: str) -> Result:
        return run_relay(*arguments, environ=environ)

    return relay


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    content: list[dict[str, Any]] = json.loads(result.stdout)
    return content


def test_integrations_are_listed_parked_and_resumed(run: Run) -> None:
    table = run("integrations", "list").stdout.splitlines()
    parked = run("integrations", "park", "acme", "--why", "maintenance")
    state = listed(run, "integrations", "list")[0]
    resumed = run("integrations", "resume", "acme")

    assert table[0].split()[:3] == ["name", "status", "reason"]
    assert table[1].split()[:2] == ["acme", "flowing"]
    assert parked.returncode == resumed.returncode == 0
    assert (state["status"], state["parked_why"]) == ("parked", "maintenance")
    assert state["parked_by"].startswith("cli")
    again = run("integrations", "resume", "acme")
    assert (again.returncode, again.stderr) == (1, "the integration acme is not parked\n")


def test_an_integration_without_a_file_is_still_listed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mappings" / "acme.yaml").unlink()
    write_mapping(tmp_path / "mappings", "other", mapping("https://iem.example.com"))

    states = {integration["name"]: integration["status"] for integration in listed(run, "integrations", "list")}
    found = listed(run, "deliveries", "list", "--integration", "acme")

    assert states == {"acme": "removed", "other": "flowing"}
    assert len(found) == 3
    replayed = run("deliveries", "replay", found[0]["id"])
    assert (replayed.returncode, replayed.stderr) == (1, "the integration acme has no mapping file: restore it first\n")


def test_a_disabled_integration_cannot_be_resumed_by_hand(run: Run, tmp_path: Path, redis: Connection) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com", enabled=False))
    Circuit(redis).set_aside("acme", OrphanReason.DISABLED, now=NOW)

    resumed = run("integrations", "resume", "acme")

    assert listed(run, "integrations", "list")[0]["status"] == "disabled"
    assert (resumed.returncode, resumed.stderr) == (
        1,
        "the integration acme is disabled in its mapping file; deliveries resume when the file enables it\n",
    )


def test_deliveries_are_listed_and_shown(run: Run) -> None:
    found = listed(run, "deliveries", "list", "--status", "dead")
    shown = run("deliveries", "show", found[0]["id"])

    assert [delivery["number"] for delivery in found] == ["INC2", "INC1", "INC0"]
    assert "refused" in shown.stdout
    assert "attempts:" in shown.stdout
    missing = run("deliveries", "show", "NOTHING")
    assert (missing.returncode, missing.stderr) == (1, "there is no delivery NOTHING\n")


def test_a_dry_run_replays_nothing_and_a_replay_keeps_the_order(run: Run) -> None:
    dry = run("deliveries", "replay", "--integration", "acme", "--dry-run")
    before = len(listed(run, "deliveries", "list", "--status", "dead"))
    done = run("deliveries", "replay", "--integration", "acme", "--reason", "refused", "--rate", "1000")

    assert "INC0" in dry.stdout
    assert before == 3
    assert (done.returncode, done.stdout) == (0, "3 replayed\n")
    queued = listed(run, "deliveries", "list", "--status", "queued")
    assert [delivery["number"] for delivery in queued] == ["INC2", "INC1", "INC0"]


def test_a_delivery_that_cannot_be_replayed_is_exit_status_1(run: Run) -> None:
    letter = listed(run, "deliveries", "list", "--status", "dead")[0]["id"]
    run("deliveries", "discard", letter, "--why", "known")

    result = run("deliveries", "replay", letter)

    assert result.returncode == 1
    assert "it is no longer a dead letter" in result.stderr


def test_replay_and_discard_need_ids_or_a_filter(run: Run) -> None:
    for arguments in (("deliveries", "replay"), ("deliveries", "discard"), ("rejections", "replay")):
        assert run(*arguments).returncode == 2


def test_rejections_are_listed_shown_replayed_and_discarded(run: Run) -> None:
    assert [rejection["id"] for rejection in listed(run, "rejections", "list")] == ["REJECTION"]
    assert '"a": 1' in run("rejections", "show", "REJECTION").stdout
    assert run("rejections", "replay", "REJECTION").returncode == 1
    assert run("rejections", "discard", "REJECTION", "--why", "a test").stdout == "1 discarded\n"
    assert listed(run, "rejections", "list") == []


def test_an_unavailable_redis_is_reported_in_one_line(tmp_path: Path) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com"))
    environ = {**base_environ(), "RELAY_MAPPINGS": str(tmp_path / "mappings"), "RELAY_REDIS_URL": "unix:///nowhere"}

    result = run_relay("deliveries", "list", environ=environ)

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Redis: ")
