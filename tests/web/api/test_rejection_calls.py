"""`/api/v1/rejections`. A replay that succeeds is in `test_openapi_answers`: it needs a mapping file that is corrected."""

from __future__ import annotations

from harness import Relay
from web.scenario import UNKNOWN_ID, Case, Scenario, call_api, check_case, each, post_api, post_operations

ANSWERS: list[Case] = [
    ("listRejections", 200, lambda on: on.api("rejections")),
    ("listRejections", 422, lambda on: on.api("rejections", params={"cursor": "x"})),
    ("showRejection", 200, lambda on: on.api(f"rejections/{on.rejection}")),
    ("showRejection", 404, lambda on: on.api(f"rejections/{UNKNOWN_ID}")),
    ("replayRejection", 409, lambda on: on.post(f"rejections/{on.rejection}/replay")),
]


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_rejections_are_listed_and_a_replay_that_still_fails_is_409(web: Relay) -> None:
    rejection = web.post({"state": "6"}).json()["rejection_id"]

    listed = call_api(web, "rejections").json()["items"]

    assert [item["id"] for item in listed] == [rejection]
    assert listed[0]["record"] == {"state": "6"}
    assert call_api(web, f"rejections/{rejection}").json()["errors"][0]["field"] == "sys_id"
    assert post_api(web, f"rejections/{rejection}/replay").status_code == 409
    assert post_api(web, "rejections/nothing/replay").status_code == 404
    assert post_operations("rejections") == {"replayRejection"}
