"""Payloads as real senders send them, byte for byte (tests/payloads), each with all that it must come to (expected.yaml)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.core.integration import Integration
from relay.core.mapping import map_payload
from relay.core.model import Ignored, Mapped, Rejected, TicketFields, Update
from relay.core.payload import parse_body
from relay.core.values import format_time
from relay.errors import PayloadError
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

FOLDER = Path(__file__).parent.with_name("payloads")
CASES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "expected.yaml").read_text("utf-8"))
MAPPING = {
    "source": "servicenow",
    "auth": "none",
    "iem": {
        "url": "https://iem.example.com",
        "customer_id": "ACME",
        "integration_id": "42",
        "username": "relay@example.com",
        "password": {"env": "ACME_IEM_PASSWORD"},
    },
}


def integration_of(case: dict[str, Any]) -> Integration:
    text = yaml.safe_dump({**MAPPING, **case.get("mapping", {})})
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.integration is not None, parsed.faults
    return parsed.integration


def tell(mapped: Mapped) -> dict[str, Any]:
    """Return `mapped` in the words of expected.yaml."""
    match mapped:
        case Update(ticket=ticket, iem_state=iem_state):
            return {"update": {**tell_facts(ticket), "iem_state": iem_state}}
        case Ignored(ticket=ticket, reason=reason):
            return {"ignored": {**tell_facts(ticket), "reason": reason}}
        case Rejected(errors=errors):
            return {"rejected": [error.as_dict() for error in errors]}


def tell_facts(ticket: TicketFields) -> dict[str, Any]:
    told = {name: value for name, value in asdict(ticket).items() if value is not None and name != "via"}
    return told if ticket.updated_at is None else {**told, "updated_at": format_time(ticket.updated_at)}


def name_of(case: dict[str, Any]) -> str:
    return f"{case['file']}{' by ' + ', '.join(case['mapping']) if 'mapping' in case else ''}"


@pytest.mark.parametrize("case", [case for case in CASES if "results" in case], ids=name_of)
def test_a_payload_comes_to_what_is_expected_of_it(case: dict[str, Any]) -> None:
    body = (FOLDER / case["file"]).read_bytes()

    mapped = map_payload(integration_of(case), parse_body(body))

    assert [tell(one) for one in mapped] == case["results"]


@pytest.mark.parametrize("case", [case for case in CASES if "unreadable" in case], ids=name_of)
def test_a_broken_body_says_what_is_wrong_with_it_and_where(case: dict[str, Any]) -> None:
    body = (FOLDER / case["file"]).read_bytes()

    with pytest.raises(PayloadError) as caught:
        parse_body(body)

    details = case["unreadable"]
    assert str(caught.value) in (details if isinstance(details, list) else [details])


def test_every_payload_has_an_expectation_and_every_expectation_a_payload() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".txt"}}

    assert files == {case["file"] for case in CASES}
    assert all(("results" in case) != ("unreadable" in case) for case in CASES)
