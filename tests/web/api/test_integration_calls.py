"""`/api/v1/integrations` and `/api/v1/stats`."""

from __future__ import annotations

from harness import Relay, sys_id
from web.scenario import Case, Scenario, accept, call_api, check_case, each, post_api, post_operations

ANSWERS: list[Case] = [
    ("listIntegrations", 200, lambda on: on.api("integrations")),
    ("listIntegrations", 401, lambda on: on.api("integrations", headers={})),
    ("showIntegration", 200, lambda on: on.api("integrations/acme")),
    ("showIntegration", 200, lambda on: on.api("integrations/broken")),
    ("showIntegration", 404, lambda on: on.api("integrations/unknown")),
    ("parkIntegration", 200, lambda on: on.post("integrations/acme/park", json={"why": "tonight"})),
    ("parkIntegration", 400, lambda on: on.post("integrations/acme/park", data="{")),
    ("parkIntegration", 404, lambda on: on.post("integrations/unknown/park")),
    ("parkIntegration", 413, lambda on: on.post("integrations/acme/park", data="x" * 70_000)),
    ("parkIntegration", 422, lambda on: on.post("integrations/acme/park", json={"why": 7})),
    ("resumeIntegration", 200, lambda on: on.after(on.post("integrations/acme/park")).post("integrations/acme/resume")),
    ("resumeIntegration", 409, lambda on: on.post("integrations/acme/resume")),
    ("readStats", 200, lambda on: on.api("stats")),
]


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_integrations_are_listed_with_their_status(web: Relay) -> None:
    accept(web, 1)

    integrations = {integration["name"]: integration for integration in call_api(web, "integrations").json()["items"]}

    assert integrations["acme"]["status"] == "flowing"
    assert integrations["acme"]["pending"] == 1
    assert integrations["off"]["status"] == "disabled"
    assert integrations["broken"]["status"] == "broken"
    assert any("unknown key 'stats'" in fault for fault in integrations["broken"]["faults"])
    assert call_api(web, "integrations/unknown").status_code == 404


def test_an_integration_is_parked_and_resumed_by_hand(web: Relay) -> None:
    [delivery] = accept(web, 1)

    parked = post_api(web, "integrations/acme/park", json={"why": "maintenance"}).json()

    assert parked["status"] == "parked"
    assert (parked["reason"], parked["parked_why"]) == ("by_hand", "maintenance")
    assert web.delivery_status(delivery) == "parked"
    assert web.post({"sys_id": sys_id(2), "state": "6"}).status_code == 202
    assert post_api(web, "integrations/acme/resume").json()["status"] == "flowing"
    assert post_api(web, "integrations/acme/resume").status_code == 409


def test_parking_and_resuming_are_in_the_audit_trail(web: Relay) -> None:
    for action in ("park", "resume"):
        assert post_api(web, f"integrations/acme/{action}").status_code == 200

    records = call_api(web, "audit", params={"limit": "2"}).json()["items"]

    assert [(record["type"], record["actor"]) for record in records] == [("resumed", "api"), ("parked", "api")]
    # A dry run changes nothing.
    assert post_operations("integrations") == {"parkIntegration", "resumeIntegration", "tryPayload"}


def test_stats_show_the_backlogs(web: Relay) -> None:
    accept(web, 1, 2)

    integrations = call_api(web, "stats").json()["integrations"]

    assert {entry["integration"]: entry["pending"] for entry in integrations}["acme"] == 2
