"""`/api/v1/integrations/<name>/try`."""

from __future__ import annotations

from typing import Any

from harness import Relay, sys_id
from web.scenario import AUTHORIZATION, RESOLVED, TOO_MANY, Case, Scenario, check_case, each, post_api

from relay.core.dedupe import identify
from relay.core.model import TicketFields, Update
from relay.store.connection import Connection

PATH = "integrations/acme/try"
ANSWERS: list[Case] = [
    ("tryPayload", 200, lambda on: on.post(PATH, json=[RESOLVED, {**RESOLVED, "state": "2"}, {}])),
    ("tryPayload", 200, lambda on: on.post(PATH, json=[])),
    ("tryPayload", 400, lambda on: on.post(PATH, data="{")),
    ("tryPayload", 404, lambda on: on.post("integrations/broken/try", json={})),
    ("tryPayload", 413, lambda on: on.post(PATH, json=TOO_MANY)),
]


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_a_dry_run_shows_the_results_and_stores_nothing(web: Relay, redis: Connection) -> None:
    payload = [{"sys_id": sys_id(1), "state": "6"}, {"sys_id": sys_id(1), "state": "2"}, {}]

    results = post_api(web, PATH, json=payload).json()["results"]

    assert [result["result"] for result in results] == ["relayed", "ignored", "rejected"]
    assert results[0]["push"] == f'{{"state":6,"sysid":"{sys_id(1)}"}}'
    assert redis.call("KEYS", "relay:{acme}:*") == []


def test_a_dry_run_shows_how_a_record_is_read_and_the_request_to_iem(web: Relay) -> None:
    payload = {"sys_id": sys_id(1), "state": "Resolved"}

    answer = post_api(web, PATH, json=payload).json()

    [result] = answer["results"]
    assert answer["records"]["found"] == 1
    assert [field["name"] for field in result["fields"]][:2] == ["sys_id", "state"]
    assert result["matched"]["state"] == "resolved"
    assert result["dedupe"]["identity"] == "6:-"
    assert result["request"]["path"] == "/gbp/push/ACME?integrationid=42"
    assert result["request"]["body"] == result["push"]


def test_a_dry_run_uses_the_idempotency_key_like_a_webhook(web: Relay) -> None:
    payload = {"sys_id": sys_id(1), "state": "6"}

    def identity(**headers: Any) -> str:
        answer = post_api(web, PATH, json=payload, headers={**AUTHORIZATION, **headers}).json()
        text: str = answer["results"][0]["dedupe"]["identity"]
        return text

    first = identity(**{"Idempotency-Key": "one"})

    assert first.startswith("6:k")
    assert first == identity(**{"webhook-id": "one"}) != identity(**{"Idempotency-Key": "two"})
    assert identity() == "6:-"
    update, as_received = Update(TicketFields(sys_id(1), "6"), 6), "schlüssel".encode().decode("latin-1")
    assert identity(**{"Idempotency-Key": "schlüssel".encode()}) == identify(update, as_received).text
