"""`relay explain` prints the whole history of a ticket in sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run_relay
from harness import base_environ, mapping, write_mapping
from store.bench import DELIVERED, MINUTE, NOT_NOW, REFUSED, SECOND, WRONG_CREDENTIALS, Bench

from relay.clock import now_ms
from relay.core.mapping import map_record
from relay.core.model import Update
from relay.mapping_files.folder import read_mapping
from relay.store.circuit import Circuit
from relay.store.connection import Connection
from relay.store.lookup_queue import LookupQueue, LookupSettlement

SYS_ID = "9d385017c611228701d22104cc95c371"
VIRIMA = {"url": "https://virima.example.com", "username": "u", "password": {"env": "PW"}, "lookup": "impersonate"}
Explain = Callable[..., str]


@pytest.fixture
def bench(tmp_path: Path, redis: Connection) -> Bench:
    path = write_mapping(
        tmp_path / "mappings", "acme", mapping("https://iem.example.com", virima=VIRIMA, states={"6": "6", "7": "7"})
    )
    integration = read_mapping(path).integration
    assert integration
    bench = Bench(redis, integration)
    bench.now = now_ms()  # the trail uses the clock of Redis
    return bench


@pytest.fixture
def explain(tmp_path: Path, redis_url: str) -> Explain:
    environ = {**base_environ(), "RELAY_MAPPINGS": str(tmp_path / "mappings"), "RELAY_REDIS_URL": redis_url}

    def run(wanted: str, *, status: int = 0) -> str:
        done = run_relay("explain", wanted, environ=environ)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def accept(bench: Bench, version: str, **record: str) -> str:
    """Accept a record with the mapping."""
    content = {"sys_id": SYS_ID, "incident_state": "6", "number": "INC0010023", "sys_mod_count": version, **record}
    mapped = map_record(bench.integration, content)
    assert isinstance(mapped, Update)
    return bench.accept(replace(mapped)).id


def test_the_history_of_a_delivered_ticket(bench: Bench, explain: Explain) -> None:
    delivery = accept(bench, "7", resolved_by="beth.anglin@example.com")
    accept(bench, "7", resolved_by="beth.anglin@example.com")
    bench.attempt(NOT_NOW, delay=SECOND)
    bench.wait(SECOND)
    bench.attempt(DELIVERED)
    queue = LookupQueue(bench.redis, "acme", config="c")
    [wanted], _ = queue.take(1, lease=SECOND, now=bench.now)
    user = {
        "id": 1001,
        "userName": "beth",
        "displayName": "Beth Anglin",
        "email": "beth.anglin@example.com",
        "organizationName": "ACME",
    }
    record = {
        "lookup": "impersonate",
        "email": "beth.anglin@example.com",
        "outcome": "found",
        "cached": False,
        "user": user,
    }
    queue.settle([LookupSettlement(wanted, record)], failures=5, now=bench.now)

    history = explain("INC0010023")

    assert history == explain(SYS_ID) == explain(delivery)
    lines = [line.strip() for line in history.splitlines()]
    assert lines[0] == f"Ticket INC0010023 (sys_id {SYS_ID}) of the integration acme"
    assert lines[2] == f"Delivery {delivery}"
    assert lines[3].endswith("received from servicenow")
    assert f"sys_id      {SYS_ID} from `sys_id`" in lines
    assert "state       6 from `incident_state`" in lines, "the second of the paths that the preset has"
    assert "version     7 from `sys_mod_count`" in lines
    assert any(line.startswith("ServiceNow state 6 maps to IEM state 6 (mapping ") for line in lines)
    assert "verdict: queued; 1 duplicate received later" in lines
    assert any(
        line.endswith("not delivered: IEM asked for a later retry; the relay tries again later (not_now, 40 ms)")
        for line in lines
    )
    assert any(line.endswith("pushed to IEM (40 ms)") for line in lines)
    assert any(
        line.endswith("resolver in Virima: Beth Anglin <beth.anglin@example.com> (id 1001, ACME)") for line in lines
    )
    assert lines[-1].startswith("now: delivered: IEM answered Success at ")


def test_superseded_and_waiting_deliveries_are_explained(bench: Bench, explain: Explain) -> None:
    older = accept(bench, "7")
    newer = accept(bench, "8", incident_state="7")
    late = accept(bench, "6")
    bench.attempt(NOT_NOW, delay=10 * MINUTE)

    history = explain(SYS_ID)

    assert history.count("Delivery ") == 3
    assert f"now: superseded by a newer update of the ticket ({newer})" in history
    assert (
        f"verdict: superseded: a newer update of the ticket ({newer}) was accepted before this one arrived" in history
    )
    assert "now: the next attempt is at " in history
    assert "resolver in Virima: skipped: no_resolver (the update names no resolver)" in history
    assert history.index(older) < history.index(newer) < history.index(f"Delivery {late}")


@pytest.mark.parametrize(
    ("by_hand", "sentence"),
    [
        (True, "by beth: maintenance. Resume it with"),
        (False, "(wrong_credentials). The oldest delivery is sent as a probe at "),
    ],
)
def test_the_outlook_of_a_parked_ticket_is_the_probe_or_resume(
    bench: Bench, explain: Explain, *, by_hand: bool, sentence: str
) -> None:
    accept(bench, "7")
    if by_hand:
        Circuit(bench.redis).park("acme", actor="beth", why="maintenance", now=bench.now)
    else:
        bench.attempt(WRONG_CREDENTIALS)

    history = explain(SYS_ID)

    assert "now: the integration has been parked since " in history
    assert sentence in history


def test_a_dead_letter_is_explained_with_advice(bench: Bench, explain: Explain) -> None:
    delivery = accept(bench, "7")
    bench.attempt(REFUSED)

    assert f"`relay deliveries replay {delivery}`" in explain(delivery)


def test_a_changed_mapping_is_not_used_to_explain_old_deliveries(
    bench: Bench, explain: Explain, tmp_path: Path
) -> None:
    accept(bench, "7")
    write_mapping(tmp_path / "mappings", "acme", mapping("https://iem.example.com", fields={"state": "other_state"}))

    history = explain(SYS_ID)

    assert "from `" not in history
    assert "state       6" in history


def test_an_unknown_ticket_is_reported(bench: Bench, explain: Explain) -> None:
    message = explain("INC9999999", status=1)

    assert "No accepted update found for INC9999999" in message


def test_one_number_in_two_integrations_is_two_tickets(
    bench: Bench, explain: Explain, tmp_path: Path, redis: Connection
) -> None:
    path = write_mapping(tmp_path / "mappings", "globex", mapping("https://iem.example.com"))
    other = read_mapping(path).integration
    assert other
    accept(bench, "7")
    second = Bench(redis, other)
    second.now = bench.now
    accept(second, "7")

    history = explain("INC0010023")

    assert history.count("Ticket INC0010023") == 2
    assert "of the integration acme\n" in history
    assert "of the integration globex\n" in history


def test_an_empty_argument_is_wrong_usage(bench: Bench, explain: Explain) -> None:
    assert "give the sys_id or number of a ticket" in explain("", status=2)
