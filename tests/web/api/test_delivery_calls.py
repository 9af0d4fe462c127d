"""`/api/v1/deliveries`, to read."""

from __future__ import annotations

import pytest
from harness import Relay, sys_id
from web.scenario import UNKNOWN_ID, Case, Scenario, accept, call_api, check_case, each

ANSWERS: list[Case] = [
    ("listDeliveries", 200, lambda on: on.after(on.accept(2)).api("deliveries", params={"limit": "1"})),
    ("listDeliveries", 404, lambda on: on.api("deliveries", params={"integration": "unknown"})),
    ("listDeliveries", 422, lambda on: on.api("deliveries", params={"limit": "0"})),
    ("showDelivery", 200, lambda on: on.api(f"deliveries/{on.dead_letter}")),
    ("showDelivery", 404, lambda on: on.api(f"deliveries/{UNKNOWN_ID}")),
]


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_a_delivery_has_the_documented_members(web: Relay, dead_letters: list[str]) -> None:
    record = call_api(web, f"deliveries/{dead_letters[0]}").json()

    members = ("id integration sys_id number itsm_state iem_state version status reason created_at finished_at "
               "next_attempt_at attempts duplicates resolved_by replay_of")  # fmt: skip
    assert set(members.split()) <= set(record)
    assert (record["status"], record["reason"], record["iem_state"]) == ("dead", "refused", 6)
    assert record["attempts"][0]["outcome"] == "dead"
    assert record["created_at"].endswith("Z")
    assert call_api(web, f"deliveries/{UNKNOWN_ID}").status_code == 404


def test_deliveries_are_filtered_and_paged(web: Relay, dead_letters: list[str]) -> None:
    accept(web, 4)

    dead = call_api(web, "deliveries", params={"status": "dead", "limit": "2"}).json()
    next_page = {"status": "dead", "limit": "2", "cursor": dead["next_cursor"]}
    rest = call_api(web, "deliveries", params=next_page).json()
    by_number = call_api(web, "deliveries", params={"number": "INC2"}).json()
    by_sys_id = call_api(web, "deliveries", params={"sys_id": sys_id(2), "integration": "acme"}).json()

    assert _ids(dead) + _ids(rest) == dead_letters[::-1]
    assert rest["next_cursor"] is None
    assert _ids(by_number) == _ids(by_sys_id) == [dead_letters[1]]
    assert len(_ids(call_api(web, "deliveries").json())) == 4


def _ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [delivery["id"] for delivery in page["items"]]


@pytest.mark.parametrize(
    "params", [{"limit": "0"}, {"limit": "x"}, {"status": "lost"}, {"since": "yesterday"}, {"until": "1"}]
)
def test_an_invalid_filter_is_422_and_named(web: Relay, params: dict[str, str]) -> None:
    answer = call_api(web, "deliveries", params=params)

    assert answer.status_code == 422
    assert next(iter(params)) in answer.json()["detail"]


def test_an_empty_parameter_counts_as_not_given(web: Relay, dead_letters: list[str]) -> None:
    empty = {"integration": "", "status": "", "since": "", "cursor": ""}

    assert len(call_api(web, "deliveries", params=empty).json()["items"]) == len(dead_letters)
    assert call_api(web, "deliveries", params={"cursor": "x"}).status_code == 422


def test_the_path_of_a_replay_by_filter_is_not_a_delivery(web: Relay) -> None:
    get, options = (call_api(web, "deliveries/replay", method) for method in ("GET", "OPTIONS"))

    assert get.status_code == 405
    assert set(options.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
