"""Mapping of payloads to updates. `test_payload_corpus` has the payloads of real senders."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.integration import Integration
from relay.core.mapping import MAX_RECORDS, find_records, map_payload, map_record, version_of
from relay.core.mapping_blocks import FIELDS
from relay.core.model import FieldError, Ignored, Mapped, Rejected, TicketFields, Update
from relay.mapping_files.parser import parse_mapping_file
from relay.mapping_files.sources import load_presets

TICKET = "9d385017c611228701d22104cc95c371"
OTHER_TICKET = "ef43c6d40a0a0b5700c77f9bf387afe3"
EXAMPLE = Path(__file__).parents[1].joinpath("full-mapping.yaml").read_text("utf-8")
MINIMAL = """\
source: servicenow
auth: none
iem:
  url: https://iem.example.com
  customer_id: ACME
  integration_id: "42"
  username: relay@example.com
  password: {env: ACME_IEM_PASSWORD}
"""
#: A mapping in which every field has an expression that can fail.
ADVENTUROUS = (
    MINIMAL
    + """\
records: "result || records[] || values(@) || @"
fields:
  sys_id: ["join('', sys_id)", "max_by(@, &id).id", "sys_id"]
  state: ["to_number(state)", "state[0]", "keys(state) | [0]", "length(state)"]
  table: "not_null(table, sys_class_name)"
  number: "to_string(@)"
  version: "sum(sys_mod_count)"
  updated_at: "sort(@) | [-1]"
  resolved_by: "resolved_by.*.email | [0]"
sys_id_pattern: ""
unlisted_states: reject
"""
)


@cache
def integration_of(text: str) -> Integration:
    parsed = parse_mapping_file("acme", text, load_presets())
    assert parsed.integration is not None, parsed.faults
    return parsed.integration


def map_one(record: Any, *lines: str) -> Mapped:
    """Map `record` by MINIMAL with `lines` appended."""
    return map_record(integration_of(MINIMAL + "\n".join(lines)), record)


def ticket_of(mapped: Mapped) -> TicketFields:
    assert isinstance(mapped, Update | Ignored)
    return mapped.ticket


def fields_of(mapped: Mapped) -> list[str]:
    assert isinstance(mapped, Rejected)
    return [error.field for error in mapped.errors]


# Records


@pytest.mark.parametrize(
    ("expression", "payload", "records"),
    [
        ("result || @", {"a": 1}, [{"a": 1}]),
        ("result || @", {"result": {"a": 1}}, [{"a": 1}]),
        ("result || @", {"result": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
        ("result || @", [{"a": 1}], [{"a": 1}]),
        ("result || @", [], []),
        ("result || @", None, []),
        ("@", {"result": {"a": 1}}, [{"result": {"a": 1}}]),
        ("result", {"a": 1}, []),
        ("result", {"result": []}, []),
        ("records[]", {"records": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
        ("records[]", {"records": {"a": 1}}, []),
        ("records[].incident", {"records": [{"incident": {"a": 1}}, {"problem": {"a": 2}}]}, [{"a": 1}]),
    ],
)
def test_the_mapping_finds_one_or_several_records(expression: str, payload: Any, records: list[Any]) -> None:
    integration = integration_of(f"{MINIMAL}records: '{expression}'\n")

    assert find_records(integration, payload) == records


def test_each_record_has_its_own_result_in_order() -> None:
    payload = [{"sys_id": TICKET, "state": "6"}, {"sys_id": OTHER_TICKET, "state": "2"}, {"state": "6"}]

    mapped = map_payload(integration_of(MINIMAL), payload)

    assert [type(result) for result in mapped] == [Update, Ignored, Rejected]


@pytest.mark.parametrize("payload", [None, []])
def test_a_payload_without_a_record_is_one_rejection(payload: Any) -> None:
    mapped = map_payload(integration_of(MINIMAL), payload)

    problem = "no record at `result || @` (the mapping's `records`)"
    assert mapped == [Rejected((FieldError("records", problem),), payload)]


@pytest.mark.parametrize(
    ("record", "kind", "shown"),
    [
        (None, "null", "null"),
        (True, "a boolean", "a boolean"),
        (6, "a number", "a number"),
        (6.5, "a number", "a number"),
        ("x" * 100, "a string", "x" * 64),
        ([{}], "a list", "a list"),
    ],
)
def test_a_record_that_is_not_an_object_is_rejected(record: Any, kind: str, shown: str) -> None:
    problem = f"expected an object with fields, not {kind}"

    assert map_one(record) == Rejected((FieldError("records", problem, shown),), record)


def test_the_limit_of_records_is_500() -> None:
    assert MAX_RECORDS == 500


# Fields


def test_every_field_is_found_by_its_path() -> None:
    record = {
        "id": {"value": TICKET.upper(), "link": "https://…"},
        "ticket": {"status": "done", "table": "incident"},
        "INC": 10023,
        "revision": "007.50",
        "changed": "2026-11-22 10:20:30",
        "by": {"mail": " ann@example.com "},
    }
    fields = (
        "fields: {sys_id: id, state: ticket.status, table: ticket.table, number: INC, version: revision, "
        "updated_at: changed, resolved_by: by.mail}"
    )

    mapped = map_one(record, fields, "states: {Done: 6}", "sys_id_pattern: '^[0-9A-F]{32}$'")

    assert mapped == Update(
        TicketFields(
            sys_id=TICKET.upper(),
            itsm_state="done",
            table="incident",
            number="10023",
            version="7.5",
            updated_at=1_795_342_830_000,
            resolved_by="ann@example.com",
        ),
        iem_state=6,
    )


@pytest.mark.parametrize(
    ("record", "resolved_by"),
    [
        ({"resolved_by": "ann"}, "ann"),
        ({"resolved_by": {"email": "ann@example.com", "value": "46d4"}}, "ann@example.com"),
        ({"resolved_by": {"email": "", "value": "46d4"}}, "46d4"),
        ({"resolved_by": {"email": "${current.resolved_by.email}", "display_value": "Ann"}}, "Ann"),
        ({"resolved_by": ""}, None),
        ({}, None),
    ],
)
def test_the_first_path_that_finds_a_value_wins(record: dict[str, Any], resolved_by: str | None) -> None:
    mapped = map_one({"sys_id": TICKET, "state": "6", **record})

    assert ticket_of(mapped).resolved_by == resolved_by


@pytest.mark.parametrize("field", ["number", "version", "updated_at", "resolved_by", "table"])
@pytest.mark.parametrize("nothing", [None, "", "null", "${current.x}", [], {}], ids=repr)
def test_an_optional_field_without_a_value_is_absent(field: str, nothing: Any) -> None:
    mapped = map_one({"sys_id": TICKET, "state": "6", "x": nothing}, f"fields: {{{field}: x}}")

    assert isinstance(mapped, Update)
    assert getattr(mapped.ticket, field) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("7", "7"),
        ("7.0", "7"),
        ("007", "7"),
        ("0", "0"),
        ("000", "0"),
        ("0.50", "0.5"),
        ("00.0", "0"),
        ("10", "10"),
        ("9" * 40, "9" * 40),
        (f"1.{'0' * 19}1", f"1.{'0' * 19}1"),
        ("9" * 255, "9" * 255),
        ("9" * 256, None),
        (f"1.{'1' * 21}", f"1.{'1' * 21}"),
        ("", None),
        (None, None),
        ("-1", "-1"),
        ("-0.50", "-0.5"),
        ("-0", "0"),
        ("+1", "1"),
        ("1e3", None),
        ("1,012", None),
        ("7.", "7"),
        (".7", None),
        ("7 ", None),
        ("seven", None),
        ("٧", None),
        ("NaN", None),
    ],
)
def test_a_version_is_normalised_to_its_shortest_spelling(text: str | None, version: str | None) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("raw", "version"),
    [
        (7, "7"),
        (10.0, "10"),
        (7.5, "7.5"),
        ({"value": 10.0, "display_value": "10"}, "10"),
        ({"display_value": "10"}, None),
    ],
    ids=repr,
)
def test_a_version_is_never_read_from_a_label(raw: Any, version: str | None) -> None:
    assert ticket_of(map_one({"sys_id": TICKET, "state": "6", "sys_mod_count": raw})).version == version


@pytest.mark.parametrize(
    ("raw", "updated_at"),
    [
        ("2026-11-22 10:20:30", 1_795_342_830_000),
        ({"value": "2026-11-22 10:20:30", "display_value": "2026-11-22 02:20:30"}, 1_795_342_830_000),
        ({"display_value": "2026-11-22 02:20:30"}, None),
        ("22/11/2026", None),
        (1_795_342_830, None),
    ],
    ids=repr,
)
def test_a_date_is_never_read_from_a_label(raw: Any, updated_at: int | None) -> None:
    assert ticket_of(map_one({"sys_id": TICKET, "state": "6", "sys_updated_on": raw})).updated_at == updated_at


@pytest.mark.parametrize(
    ("sys_id", "problem", "shown"),
    [
        (None, "no value at `sys_id` (the mapping's `fields.sys_id`)", None),
        ("", "no value at `sys_id` (the mapping's `fields.sys_id`)", ""),
        ("${current.sys_id}", "no value at `sys_id` (the mapping's `fields.sys_id`)", "${current.sys_id}"),
        ([TICKET], "no value at `sys_id` (the mapping's `fields.sys_id`)", "a list"),
        ({"link": "x"}, "no value at `sys_id` (the mapping's `fields.sys_id`)", "an object"),
        ("INC0010023", "does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)", "INC0010023"),
        (TICKET.upper(), "does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)", TICKET.upper()),
        (TICKET + TICKET + TICKET, "does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)", TICKET + TICKET),
        (6, "does not match `^[0-9a-f]{32}$` (the mapping's `sys_id_pattern`)", "6"),
    ],
    ids=repr,
)
def test_a_record_without_a_valid_sys_id_is_rejected(sys_id: Any, problem: str, shown: str | None) -> None:
    record = {"sys_id": sys_id, "state": "6"}

    assert map_one(record) == Rejected((FieldError("sys_id", problem, shown),), record)


def test_ids_that_are_too_long_are_rejected_by_any_pattern() -> None:
    assert fields_of(map_one({"sys_id": "x" * 256, "state": "6"}, "sys_id_pattern: ''")) == ["sys_id"]
    assert isinstance(map_one({"sys_id": "x" * 255, "state": "6"}, "sys_id_pattern: ''"), Update)


def test_ids_that_make_the_pattern_slow_are_rejected() -> None:
    mapped = map_one({"sys_id": "a" * 200 + "!", "state": "6"}, "sys_id_pattern: '^(a|aa)+$'")

    assert isinstance(mapped, Rejected)
    (error,) = mapped.errors
    assert error.problem == (
        "the pattern `^(a|aa)+$` (the mapping's `sys_id_pattern`) takes too long for this id: "
        "simplify it, because repeats inside repeats are slow"
    )


def test_all_errors_of_a_record_are_reported_together() -> None:
    mapped = map_one({"number": "INC0010023"})

    assert isinstance(mapped, Rejected)
    assert [error.as_dict() for error in mapped.errors] == [
        {"field": "sys_id", "problem": "no value at `sys_id` (the mapping's `fields.sys_id`)"},
        {"field": "state", "problem": "no value at `state` or `incident_state` (the mapping's `fields.state`)"},
    ]


def test_long_texts_are_cut() -> None:
    ticket = ticket_of(map_one({"sys_id": TICKET, "state": "x" * 300, "number": "y" * 300, "resolved_by": "z" * 300}))

    assert (ticket.itsm_state, ticket.number, ticket.resolved_by) == ("x" * 255, "y" * 255, "z" * 255)


# States and tables


@pytest.mark.parametrize("state", [6, "6", 6.0, " 6 ", "06", {"value": "6", "display_value": "Resolved"}], ids=repr)
def test_a_listed_state_is_relayed_in_any_spelling(state: Any) -> None:
    mapped = map_one({"sys_id": TICKET, "state": state})

    assert isinstance(mapped, Update)
    assert mapped.iem_state == 6


@pytest.mark.parametrize("label", ["On Hold", "on hold", "ONHOLD", "  On   Hold  ", "On\u00a0Hold"])
def test_a_label_matches_regardless_of_case_and_spaces(label: str) -> None:
    mapped = map_one({"sys_id": TICKET, "state": label}, "states: {On Hold: 3}")

    assert isinstance(mapped, Update)
    assert mapped.iem_state == 3


@pytest.mark.parametrize(
    ("state", "iem_state"),
    [
        ({"value": "6", "display_value": "Closed"}, 60),
        ({"value": "9", "display_value": "Closed"}, 70),
        ({"value": "${current.state}", "display_value": "Closed"}, 70),
        ({"value": "Closed", "display_value": "6"}, 70),
    ],
    ids=repr,
)
def test_the_value_of_a_state_is_tried_before_its_label(state: Any, iem_state: int) -> None:
    mapped = map_one({"sys_id": TICKET, "state": state}, "states: {6: 60, Closed: 70}")

    assert isinstance(mapped, Update)
    assert mapped.iem_state == iem_state


def test_an_unlisted_state_is_ignored_with_its_reason() -> None:
    mapped = map_one({"sys_id": TICKET, "state": {"value": "3", "display_value": "On Hold"}, "sys_mod_count": "9"})

    assert mapped == Ignored(
        TicketFields(TICKET, "3", version="9"), "state 3 (On Hold) is not listed in the mapping's `states`"
    )


def test_an_unlisted_state_is_rejected_if_the_mapping_says_so() -> None:
    record = {"sys_id": TICKET, "state": "3"}

    mapped = map_one(record, "unlisted_states: reject")

    problem = "state 3 is not listed in the mapping's `states`"
    assert mapped == Rejected((FieldError("state", problem, "3"),), record)


@pytest.mark.parametrize(
    ("table", "state", "iem_state"),
    [
        ("incident", "6", 6),
        ("Incident", "6", 6),
        ("", "6", 6),
        (None, "6", 6),
        ("problem", "106", 60),
        ("Problem", "Resolved", 61),
        ({"value": "problem", "display_value": "Problem"}, "106", 60),
        ("change_request", "3", 3),
        ("Change Request", "3", 3),
        ("problem", "6", None),
        ("problem", "Closed", None),
        ("incident", "106", None),
        ("change_task", "3", None),
        ("change_task", "Resolved", None),
        ("u_incident", "6", None),
    ],
    ids=repr,
)
def test_each_table_has_its_own_states_and_an_unlisted_table_has_none(
    table: Any, state: str, iem_state: int | None
) -> None:
    lines = ("tables:", "  problem: {states: {106: 60, Resolved: 61}}", "  change_request: {states: {3: 3}}")

    mapped = map_one({"sys_id": TICKET, "sys_class_name": table, "state": state}, *lines)

    assert (mapped.iem_state if isinstance(mapped, Update) else None) == iem_state
    assert isinstance(mapped, Update | Ignored)


def test_the_reason_for_another_table_says_where_to_list_the_state() -> None:
    mapped = map_one({"sys_id": TICKET, "sys_class_name": "change_request", "state": "3"})

    assert isinstance(mapped, Ignored)
    assert mapped.reason == "state 3 of table change_request is not listed in the mapping's `tables`"


# Any JSON

TEXTS = st.text(st.characters(), max_size=6) | st.sampled_from(
    [TICKET, "6", "Resolved", "null", "${current.state}", "problem", "7.50", "2026-11-22 10:20:30", "-1e999"]
)
KEYS = TEXTS | st.sampled_from(
    [
        *FIELDS,
        "incident_state",
        "sys_class_name",
        "sys_mod_count",
        "sys_updated_on",
        "email",
        "value",
        "display_value",
        "result",
    ]
)
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
RECORDS = st.fixed_dictionaries(
    {"sys_id": st.just(TICKET) | PAYLOADS, "state": PAYLOADS}, optional={"sys_mod_count": PAYLOADS}
)


@pytest.mark.parametrize("text", [MINIMAL, EXAMPLE, ADVENTUROUS], ids=["minimal", "example", "adventurous"])
@settings(max_examples=examples(150), deadline=None)
@given(PAYLOADS | RECORDS | st.lists(RECORDS))
def test_any_json_value_is_relayed_ignored_or_rejected(text: str, payload: Any) -> None:
    integration = integration_of(text)

    mapped = map_payload(integration, payload)

    assert len(mapped) == max(1, len(find_records(integration, payload)))
    for result in mapped:
        check(result)


def check(mapped: Mapped) -> None:
    """Check that an update is complete and can be stored, and that a rejection names fields and shows only short values."""
    match mapped:
        case Update(ticket=ticket, iem_state=iem_state):
            assert 0 < len(ticket.sys_id) <= 255
            assert 0 < len(ticket.itsm_state) <= 255
            assert isinstance(iem_state, int)
        case Ignored(ticket=ticket, reason=reason):
            assert ticket.sys_id
            assert 0 < len(reason) < 400
        case Rejected(errors=errors, record=record):
            assert errors
            assert {error.field for error in errors} <= {*FIELDS, "records"}
            assert all(error.problem and len(error.value or "") <= 64 for error in errors)
            json.dumps(record)
