"""Replaying and discarding dead letters, below `/api/v1/deliveries`."""

from __future__ import annotations

from harness import Relay, sys_id
from web.scenario import RESOLVED, UNKNOWN_ID, Case, Scenario, call_api, check_case, each, post_api, post_operations

ANSWERS: list[Case] = [
    ("replayDelivery", 202, lambda on: on.post(f"deliveries/{on.dead_letter}/replay", json={"as_mapped": True})),
    ("replayDelivery", 200, lambda on: on.after(
        on.web.post({**RESOLVED, "sys_id": sys_id(1), "sys_mod_count": "9"})).post(f"deliveries/{on.dead_letter}/replay")),
    ("replayDelivery", 404, lambda on: on.post(f"deliveries/{UNKNOWN_ID}/replay")),
    ("replayDelivery", 409, lambda on: on.post(f"deliveries/{on.accept(2)}/replay")),
    ("replayDelivery", 422, lambda on: on.post(f"deliveries/{on.dead_letter}/replay", json=[])),
    ("discardDelivery", 200, lambda on: on.post(f"deliveries/{on.dead_letter}/discard", json={"why": "by hand"})),
    ("discardDelivery", 409, lambda on: on.post(f"deliveries/{on.accept(2)}/discard")),
    ("replayDeliveries", 200, lambda on: on.post("deliveries/replay", json={"integration": "acme"})),
    ("replayDeliveries", 200, lambda on: on.post("deliveries/replay", json={"dry_run": True})),
    ("replayDeliveries", 404, lambda on: on.post("deliveries/replay", json={"integration": "unknown"})),
    ("replayDeliveries", 422, lambda on: on.post("deliveries/replay", json={"since": "yesterday"})),
]  # fmt: skip


@each(ANSWERS)
def test_an_answer_matches_the_document(scenario: Scenario, case: Case) -> None:
    check_case(scenario, case)


def test_a_dead_letter_is_not_replayed_while_a_replay_is_pending(web: Relay, dead_letters: list[str]) -> None:
    replayed = post_api(web, f"deliveries/{dead_letters[0]}/replay")

    assert replayed.status_code == 202
    new = replayed.json()["delivery_id"]
    assert call_api(web, f"deliveries/{new}").json()["replay_of"] == dead_letters[0]
    again = post_api(web, f"deliveries/{dead_letters[0]}/replay")
    assert again.status_code == 409
    assert "still pending" in again.json()["detail"]


def test_dead_letters_are_replayed_by_a_filter(web: Relay, dead_letters: list[str]) -> None:
    answer = post_api(web, "deliveries/replay", json={"integration": "acme", "reason": "refused"})

    assert answer.json() == {"replayed": len(dead_letters), "hindered": 0, "left": 0}
    assert len(call_api(web, "deliveries", params={"status": "queued"}).json()["items"]) == 3


def test_a_dry_run_of_a_replay_only_counts(web: Relay, dead_letters: list[str]) -> None:
    answer = post_api(web, "deliveries/replay", json={"integration": "acme", "dry_run": True})

    assert answer.json() == {"would_replay": len(dead_letters)}
    assert call_api(web, "deliveries", params={"status": "queued"}).json()["items"] == []


def test_a_member_that_is_null_counts_as_not_given(web: Relay, dead_letters: list[str]) -> None:
    body = {"integration": None, "dry_run": None, "status": "dead"}

    assert post_api(web, "deliveries/replay", json=body).json()["replayed"] == len(dead_letters)


def test_a_dead_letter_is_discarded_with_a_reason(web: Relay, dead_letters: list[str]) -> None:
    closed = post_api(web, f"deliveries/{dead_letters[0]}/discard", json={"why": "closed by hand in IEM"})

    assert (closed.json()["status"], closed.json()["closed"]) == ("discarded", "closed by hand in IEM")
    assert post_api(web, f"deliveries/{dead_letters[0]}/discard").status_code == 409


def test_each_change_is_in_the_audit_trail_with_its_actor(web: Relay, dead_letters: list[str]) -> None:
    def record_of(path: str) -> tuple[str, str | None]:
        answer = post_api(web, path)
        assert answer.status_code in {200, 202}, answer.text
        newest = call_api(web, "audit", params={"limit": "2"}).json()["items"]
        # A replay is followed by the acceptance of its delivery, with the first sender as actor.
        record = next(record for record in newest if record["type"] != "accepted")
        return record["type"], record["actor"]

    assert record_of(f"deliveries/{dead_letters[0]}/replay") == ("replayed", "api")
    assert record_of(f"deliveries/{dead_letters[1]}/discard") == ("dead", "api"), "it is final now"
    assert record_of("deliveries/replay") == ("replayed", "api")
    assert post_operations("deliveries") == {"replayDelivery", "discardDelivery", "replayDeliveries"}
