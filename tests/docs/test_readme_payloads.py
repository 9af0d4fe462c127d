"""The payloads that the README shows come to what it says, and so do the verdicts of its example."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from docs.markdown import Block, blocks, section, tables

from relay.clock import now_ms
from relay.core.integration import Integration
from relay.core.mapping import map_payload
from relay.core.model import Update
from relay.core.values import format_time
from relay.foundation import new_id
from relay.intake.accept import Intake, Sender
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets
from relay.store.connection import Connection
from relay.store.queue import DeliveryQueue

CONTRACT_SHAPES = 5


def smallest_mapping() -> str:
    """Return the shortest file that the README shows."""
    return next(block.text for block in blocks(section("Your first integration")) if block.language == "yaml")


def integration_of(text: str) -> Integration:
    parsed = parse_mapping_file("readme", text, load_presets())
    assert parsed.integration, parsed.faults
    return parsed.integration


def shapes() -> list[list[Block]]:
    """Return the blocks of each shape: a payload, what to add to the mapping file where that is anything, what is read."""
    parts = re.split(r"^\*\*Shape \d", section("Payloads that ServiceNow instances send"), flags=re.MULTILINE)[1:]
    return [blocks(part) for part in parts]


def test_the_readme_shows_every_shape_that_is_known() -> None:
    assert len(shapes()) == CONTRACT_SHAPES


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape[0].text[:24])
def test_a_payload_comes_to_what_the_readme_says(shape: list[Block]) -> None:
    payload, *additions, told = shape
    integration = integration_of(smallest_mapping() + "".join(block.text for block in additions))

    (update,) = map_payload(integration, json.loads(payload.text))

    assert isinstance(update, Update)
    assert _told(told.text) == _read(update)


def test_the_example_of_a_problem_has_the_members_in_the_order_in_which_they_are_sent() -> None:
    (example,) = blocks(section("Answers of the webhook endpoint"))

    assert list(json.loads(example.text))[:3] == ["status", "title", "detail"]


def test_the_verdicts_come_out_as_the_readme_tells(redis: Connection) -> None:
    integration = integration_of(smallest_mapping())
    queue = DeliveryQueue(redis, integration.name, retention=60)
    intake = Intake(lambda _: queue, now_ms=now_ms, new_id=new_id)
    (table,) = tables(section("The verdict on an update"))
    letters: dict[str, str] = {}

    for ticket, version, state, answer, letter, why in table.rows:
        record = {"sys_id": f"{int(ticket[3:]):032x}", "sys_mod_count": version, "state": state}
        (receipt,) = intake.accept(integration, record, Sender("test"), now_ms())

        assert receipt.status == answer, why
        if letter:
            assert letters.setdefault(letter, receipt.id) == receipt.id, why

    assert len(set(letters.values())) == len(letters)


def test_the_service_exchange_example_is_what_its_sheet_says() -> None:
    text = section("Service Exchange: from the field mapping sheet to the file")
    (table,) = tables(text)
    file = next(block.text for block in blocks(text) if block.language == "yaml")
    integration = integration_of(file)
    example = (Path(__file__).parents[2] / "mappings/_service-exchange.example.yaml").read_text("utf-8")

    for row in table.rows:
        for key, path in re.findall(r"`fields\.(\w+): ([\w.]+)`", row[3]):
            assert [one.expression for one in integration.fields[key]] == [path]
            assert f"  {key}: {path}" in example
    assert f"states: {{{', '.join(f'{itsm}: {iem}' for itsm, iem in integration.states.items())}}}" in text
    assert integration.sys_id_pattern.pattern in text
    assert integration.records.expression == "ticket"


def _told(text: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in text.splitlines())


def _read(update: Update) -> dict[str, str]:
    facts = {name: value for name, value in asdict(update.facts).items() if value is not None and name != "via"}
    if update.facts.updated_at is not None:
        facts["updated_at"] = format_time(update.facts.updated_at)
    return {"iem_state": str(update.iem_state), "state": facts.pop("itsm_state"), **facts}
