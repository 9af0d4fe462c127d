"""The payloads on the pages are read as the pages say."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest
from docs.markdown import ROOT, Block, blocks, read_text, section, tables
from docs.site_mappings import integration_of, shortest_file

from relay.core.mapping import find_value, map_payload
from relay.core.model import Update
from relay.core.values import format_time

SHAPES = "docs/senders/payload-shapes.md"
NORMALISATION = "docs/mapping-files/value-normalisation.md"
SERVICE_EXCHANGE = "docs/getting-started/first-service-exchange-integration.md"
KNOWN_SHAPES = 5


def shapes() -> list[list[Block]]:
    """Return the blocks of each shape: a payload, what to add to the mapping file if anything, what the relay reads."""
    return [blocks(part) for part in re.split(r"^## Shape \d", read_text(SHAPES), flags=re.MULTILINE)[1:]]


def test_the_page_shows_every_known_shape() -> None:
    assert len(shapes()) == KNOWN_SHAPES


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape[0].text[:24])
def test_a_payload_is_read_as_shown(shape: list[Block]) -> None:
    payload, *additions, shown = shape
    integration = integration_of(shortest_file() + "".join(block.text for block in additions))

    (update,) = map_payload(integration, json.loads(payload.text))

    assert isinstance(update, Update)
    assert dict(line.split(maxsplit=1) for line in shown.text.splitlines()) == _facts_of(update)


def test_values_are_normalised_as_shown() -> None:
    (table,) = tables(section("Values and labels", NORMALISATION))
    state = integration_of(shortest_file()).fields["state"]

    for payload, value, label in table.rows:
        found, _ = find_value(state, {"state": json.loads(payload.strip("`"))})
        assert found
        assert (found.value, found.label) == (value.strip("`"), label.strip("`") or None)


def test_the_service_exchange_file_follows_its_sheet() -> None:
    (table,) = tables(read_text(SERVICE_EXCHANGE))
    (file,) = (block.text for block in blocks(read_text(SERVICE_EXCHANGE)) if block.language == "yaml")
    integration = integration_of(file)
    example = (ROOT / "mappings/_service-exchange.example.yaml").read_text("utf-8")

    for row in table.rows:
        for key, path in re.findall(r"`fields\.(\w+): ([\w.]+)`", row[3]):
            assert [one.expression for one in integration.fields[key]] == [path]
            assert f"  {key}: {path}" in example
    states = f"states: {{{', '.join(f'{itsm}: {iem}' for itsm, iem in integration.states.items())}}}"
    assert any(states in row[3] for row in table.rows)
    assert any(integration.sys_id_pattern.pattern in row[3] for row in table.rows)
    assert integration.records.expression == "ticket"


def _facts_of(update: Update) -> dict[str, str]:
    facts = {name: value for name, value in asdict(update.ticket).items() if value is not None and name != "via"}
    if update.ticket.updated_at is not None:
        facts["updated_at"] = format_time(update.ticket.updated_at)
    return {"iem_state": str(update.iem_state), "state": facts.pop("itsm_state"), **facts}
