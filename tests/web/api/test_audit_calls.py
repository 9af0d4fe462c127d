"""`/api/v1/audit`."""

from __future__ import annotations

import pytest
from harness import Relay, sys_id
from web.scenario import Case, Scenario, call_api, check_case, each

ANSWERS: list[Case] = [
    ("listAudit", 200, lambda on: on.after(on.post("integrations/acme/park")).api("audit")),
    ("listAudit", 422, lambda on: on.api("audit", params={"type": "nonsense"})),
]


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_audit_records_are_listed_newest_first_in_pages(web: Relay, dead_letters: list[str]) -> None:
    web.post({"sys_id": sys_id(9), "state": "6"}, name="open")

    first = call_api(web, "audit", params={"limit": "3"}).json()
    rest = call_api(web, "audit", params={"limit": "500", "cursor": first["next_cursor"]}).json()

    assert len(first["items"]) == len(dead_letters)
    records = [*first["items"], *rest["items"]]
    assert rest["next_cursor"] is None
    assert [record["type"] for record in records] == ["accepted", *["dead"] * 3, *["accepted"] * 3]
    assert [record["integration"] for record in records] == ["open", *["acme"] * 6]
    assert set(records[1]) >= {"id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor", "reason"}


def test_audit_records_are_filtered(web: Relay, dead_letters: list[str]) -> None:
    def records(**params: str) -> list[tuple[str, str]]:
        items = call_api(web, "audit", params=params).json()["items"]
        return [(record["type"], record["delivery_id"]) for record in items]

    of_second = [("dead", dead_letters[1]), ("accepted", dead_letters[1])]
    assert records(delivery_id=dead_letters[1]) == records(number="INC2") == records(sys_id=sys_id(2)) == of_second
    assert records(type="accepted", number="INC2") == of_second[1:]
    assert len(records(user=call_api(web, "audit").json()["items"][-1]["actor"])) == 3
    assert records(until="2001-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "params",
    [
        {"type": "nonsense"},
        {"since": "yesterday"},
        {"until": "x"},
        {"limit": "0"},
        {"cursor": "garbage"},
        {"cursor": "1-1@../x"},
        {"cursor": "99999999999999999999999-1@acme"},
        {"cursor": "0-0@acme"},
        {"cursor": "\u0663-\u0663@acme"},
        {"limit": "\u00b2"},
    ],
)
def test_an_invalid_filter_is_422_and_named(web: Relay, params: dict[str, str]) -> None:
    answer = call_api(web, "audit", params=params)

    assert answer.status_code == 422, answer.text
    assert next(iter(params)) in answer.json()["detail"]


def test_dates_before_1970_are_valid(web: Relay, dead_letters: list[str]) -> None:
    since, until = ({name: "1960-01-01T00:00:00Z"} for name in ("since", "until"))

    assert len(call_api(web, "audit", params=since).json()["items"]) == 2 * len(dead_letters)
    assert call_api(web, "audit", params=until).json()["items"] == []
    assert call_api(web, "rejections", params={"cursor": "x"}).status_code == 422
