"""Payloads of real senders, byte for byte (tests/payloads), each with its expected results (expected.yaml)."""

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


def as_expected(mapped: Mapped) -> dict[str, Any]:
    """Return `mapped` in the form of expected.yaml."""
    match mapped:
        case Update(ticket=ticket, iem_state=iem_state):
            return {"update": {**as_fields(ticket), "iem_state": iem_state}}
        case Ignored(ticket=ticket, reason=reason):
            return {"ignored": {**as_fields(ticket), "reason": reason}}
        case Rejected(errors=errors):
            return {"rejected": [error.as_dict() for error in errors]}


def as_fields(ticket: TicketFields) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(ticket).items() if value is not None and name != "via"}
    return fields if ticket.updated_at is None else {**fields, "updated_at": format_time(ticket.updated_at)}


def name_of(case: dict[str, Any]) -> str:
    return f"{case['file']}{' by ' + ', '.join(case['mapping']) if 'mapping' in case else ''}"


@pytest.mark.parametrize("case", [case for case in CASES if "results" in case], ids=name_of)
def test_each_payload_has_the_expected_result(case: dict[str, Any]) -> None:
    body = (FOLDER / case["file"]).read_bytes()

    mapped = map_payload(integration_of(case), parse_body(body))

    assert [as_expected(result) for result in mapped] == case["results"]


@pytest.mark.parametrize("case", [case for case in CASES if "unreadable" in case], ids=name_of)
def test_each_broken_body_has_the_expected_error(case: dict[str, Any]) -> None:
    body = (FOLDER / case["file"]).read_bytes()

    with pytest.raises(PayloadError) as caught:
        parse_body(body)

    details = case["unreadable"]
    assert str(caught.value) in (details if isinstance(details, list) else [details])


def test_payloads_and_expectations_match_one_to_one() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".json", ".txt"}}

    assert files == {case["file"] for case in CASES}
    assert all(("results" in case) != ("unreadable" in case) for case in CASES)
