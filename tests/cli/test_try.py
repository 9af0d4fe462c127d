"""`relay try`: shows how a payload would be handled, sends nothing, and needs no Redis."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run_relay
from flask import Flask
from harness import SYS_ID, base_environ

from relay.clock import now_ms
from relay.core.dedupe import identify
from relay.core.model import TicketFields, Update
from relay.foundation import new_id
from relay.intake.accept import Intake, Sender
from relay.mapping_files.folder import read_mapping
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.web.webhooks import read_idempotency_key

MAPPING = """\
source: servicenow
auth: none
fields:
  state: [state, incident_state]
  number: incident.number
states:
  6: 6
  closed complete: 7
tables:
  Problem Task: {states: {4: 9}}
iem:
  url: https://iem.example.com/base/
  customer_id: A C/ME
  integration_id: "42"
  username: relay-api@example.com
  password: {env: ACME_IEM_PASSWORD}
"""
Try = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Try:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "acme.yaml").write_text(MAPPING, "utf-8")

    def run(*arguments: str, payload: Any = None, **environ: str) -> Result:
        # Nothing listens there: a dry run needs no Redis.
        settings = {"RELAY_REDIS_URL": "redis://127.0.0.1:1/0", "RELAY_MAPPINGS": "mappings", **environ}
        given = payload if isinstance(payload, str) else json.dumps(payload)
        environ = {**base_environ(), **settings}
        return run_relay("try", *arguments, environ=environ, folder=tmp_path, stdin=given)

    return run


def results(run: Try, payload: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("acme", "-", "--json", payload=payload).stdout)["results"]
    return found


def field(result: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in result["fields"] if entry["name"] == name)
    return found


def test_the_output_shows_each_value_with_its_source_and_the_request(run: Try) -> None:
    result = run("acme", "-", payload={"sys_id": SYS_ID, "incident_state": "6.0", "incident": {"number": "INC1"}})

    assert result.returncode == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0].startswith("acme (mappings/acme.yaml, version ")
    assert lines[0].endswith("1 record at `result || @` (set by the source)")
    assert lines[2:4] == ["record 1: relayed with state 6", f"  sys_id       {SYS_ID}"]
    for line in (
        "  state        6.0",
        "               `state` (line 4) found null: no value",
        '               `incident_state` (line 4) found "6.0"',
        '               `incident.number` (line 5) found "INC1"',
        "               `sys_mod_count` (set by the source) found null: no value",
        "  matched      `6: 6` of `states` (line 7), by value",
        "  identity     6:-, remembered for 10m; a repeat of the same IEM state is not pushed",
        "  order        by time of arrival",
        "    POST https://iem.example.com/base/gbp/push/A%20C%2FME?integrationid=42",
        "    Cookie: access_token=•••",
        f'    {{"state":6,"sysid":"{SYS_ID}"}}',
    ):
        assert line in lines


def test_a_value_is_shown_as_found_as_normalised_and_as_used(run: Try) -> None:
    record = {
        "sys_id": SYS_ID,
        "state": {"value": "", "display_value": "Closed Complete"},
        "sys_mod_count": "007",
        "sys_updated_on": "yesterday",
    }

    [result] = results(run, record)

    state = field(result, "state")
    assert state["paths"] == [
        {"path": "state", "line": 4, "column": 11, "found": record["state"], "is_value": True},
    ]
    assert (state["value"], state["label"], state["used"]) == (None, "Closed Complete", "Closed Complete")
    assert (field(result, "version")["value"], field(result, "version")["used"]) == ("007", "7")
    assert (field(result, "updated_at")["value"], field(result, "updated_at")["used"]) == ("yesterday", None)
    assert result["matched"] == {
        "under": "states",
        "state": "closed complete",
        "iem_state": 7,
        "by": "label",
        "line": 8,
        "column": 3,
    }
    assert result["dedupe"] == {
        "identity": "7:v7",
        "known_for": "1d",
        "collapse": True,
        "ordered_by": "version",
        "order": "7",
    }


def test_the_matching_row_of_another_table_is_shown_with_its_line(run: Try) -> None:
    [result] = results(run, {"sys_id": SYS_ID, "state": "4", "table": "problem_task"})

    assert result["matched"] == {
        "under": "tables.Problem Task.states",
        "state": "4",
        "iem_state": 9,
        "by": "value",
        "line": 10,
        "column": 27,
    }


def test_each_record_is_shown_and_a_rejected_one_is_exit_status_1(run: Try) -> None:
    payload = {"result": [{"sys_id": SYS_ID, "state": "6"}, {"sys_id": SYS_ID, "state": "2"}, {"state": "6"}, 7]}

    result = run("acme", "-", payload=payload)

    assert result.returncode == 1
    assert [line for line in result.stdout.splitlines() if line.startswith("record ")] == [
        "record 1: relayed with state 6",
        "record 2: ignored: state 2 is not listed in the mapping's `states`",
        "record 3: rejected: sys_id: no value at `sys_id` (the mapping's `fields.sys_id`)",
        "record 4: rejected: records: expected an object with fields, not a number",
    ]


def test_an_empty_payload_and_too_many_records_are_reported(run: Try) -> None:
    none = run("acme", "-", payload=[])
    many = run("acme", "-", payload=[{}] * 501)

    assert none.returncode == many.returncode == 1
    assert "rejected: records: no record at `result || @`" in none.stdout
    assert many.stderr == "501 records in one payload: send at most 500\n"


def test_payload_and_mapping_can_be_files(run: Try, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text(json.dumps({"sys_id": SYS_ID, "state": "6"}), "utf-8")
    draft = tmp_path / "mappings" / "_draft.yaml"
    draft.write_text(MAPPING.replace("6: 6", "6: 5").replace("username", "auth: basic\n  username"), "utf-8")

    result = run("mappings/_draft.yaml", "payload.json")

    assert "relayed with state 5" in result.stdout
    assert "Authorization: Basic •••" in result.stdout


def test_a_url_from_the_environment_is_shown_as_its_reference(run: Try, tmp_path: Path) -> None:
    text = MAPPING.replace("https://iem.example.com/base/", "{env: IEM_URL}")
    (tmp_path / "mappings" / "acme.yaml").write_text(text, "utf-8")

    [result] = results(run, {"sys_id": SYS_ID, "state": "6"})

    assert result["request"]["url"] == "{env: IEM_URL}/gbp/push/A%20C%2FME?integrationid=42"


def test_control_sequences_in_a_payload_are_escaped(run: Try) -> None:
    result = run("acme", "-", payload={"sys_id": SYS_ID, "state": "\x1b[31m\x9b", "incident": {"number": "\x1b]0;"}})

    assert "\x1b" not in result.stdout
    assert "\x9b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("globex", "-"), 1, "there is no integration globex; existing integrations: acme"),
        (("globex.yaml", "-"), 1, "there is no mapping file globex.yaml"),
        (("acme", "nothing.json"), 1, "there is no file nothing.json"),
        (("acme", "-"), 1, "line 1 column 2"),
        (("broken", "-"), 78, "mappings/broken.yaml:1:1: missing key 'auth'"),
        (("acme", "01JD3W8Z6V0S9K2M4N6P8Q0R2T"), 1, "Redis"),
    ],
)
def test_an_impossible_dry_run_is_reported_in_a_sentence(
    run: Try, tmp_path: Path, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    if arguments[0] == "broken":
        (tmp_path / "mappings" / "broken.yaml").write_text("source: servicenow\n", "utf-8")

    result = run(*arguments, payload="{")

    assert result.returncode == status
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def identity(run: Try, key: str, **record: str) -> str:
    report = json.loads(run("acme", "-", "--json", "--idempotency-key", key, payload=record).stdout)
    found: str = report["results"][0]["dedupe"]["identity"]
    return found


@pytest.mark.parametrize("key", ["one", " one\t", "schlüssel", ""])
def test_an_idempotency_key_is_part_of_the_identity_like_its_header(run: Try, key: str) -> None:
    app, environ = Flask("test"), {"HTTP_IDEMPOTENCY_KEY": key.strip(" \t").encode().decode("latin-1")}
    with app.test_request_context(environ_overrides=environ):
        arrived = read_idempotency_key()

    shown = identity(run, key, sys_id=SYS_ID, state="6")

    assert shown == identify(Update(TicketFields(SYS_ID, "6"), 6), arrived).text
    assert shown.startswith("6:k" if key else "6:-")


def test_a_version_or_a_date_makes_the_idempotency_key_irrelevant(run: Try) -> None:
    assert identity(run, "one", sys_id=SYS_ID, state="6", sys_mod_count="7") == "6:v7"
    assert identity(run, "one", sys_id=SYS_ID, state="6", sys_updated_on="2026-11-22 10:20:30").startswith("6:u")


def test_a_rejection_has_its_own_idempotency_key(run: Try) -> None:
    result = run("acme", "01JD3W8Z6V0S9K2M4N6P8Q0R2T", "--idempotency-key", "one")

    assert result.returncode == 2
    assert "--idempotency-key: a rejection already has the key that was sent with it" in result.stderr


@pytest.mark.parametrize("payload", [[{"state": "6"}], []], ids=["a record", "a whole payload"])
def test_a_stored_rejection_is_tried_by_its_id(
    run: Try, tmp_path: Path, redis: Connection, redis_url: str, payload: Any
) -> None:
    integration = read_mapping(tmp_path / "mappings" / "acme.yaml").integration
    assert integration
    queue = DeliveryQueue(redis, "acme", retention=60)
    intake = Intake(lambda _: queue, now_ms=now_ms, new_id=new_id)
    [receipt] = intake.accept(integration, payload, Sender("test"), now_ms())

    result = run("acme", receipt.id, RELAY_REDIS_URL=redis_url)

    assert result.returncode == 1
    assert "rejected: " in result.stdout
    assert receipt.status == "rejected"


def test_a_payload_can_come_from_a_pipe(run: Try, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=(tmp_path / "pipe").write_text, args=(json.dumps({"sys_id": SYS_ID, "state": "6"}),)
    )
    writer.start()

    result = run("acme", "pipe")
    writer.join()

    assert result.returncode == 0, result.stderr
    assert "relayed with state 6" in result.stdout


def test_a_body_that_web_would_refuse_is_reported(run: Try) -> None:
    result = run("acme", "-", payload={"sys_id": SYS_ID, "state": "6", "description": "x" * 300_000})

    assert "relayed with state 6" in result.stdout
    assert "would be answered 413: RELAY_MAX_BODY is 262144 bytes" in result.stderr
