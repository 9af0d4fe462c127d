"""`/api/v1`: who may use it, what it tells, what it does."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from harness import Relay, sys_id
from web.openapi_answers import BY_ID

from relay.core.dedupe import identify
from relay.core.model import TicketFields, Update
from relay.core.outcomes import Dead
from relay.core.reasons import Reason
from relay.store.connection import Connection
from relay.store.delivery_queue import DeliveryQueue
from relay.store.settlements import Settlement

TOKEN = "operator-token-1"


def api(web: Relay, path: str, *, method: str = "GET", token: str | None = TOKEN, **options: Any) -> requests.Response:
    headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    return requests.request(method, f"{web.url}/api/v1/{path}", headers=headers, timeout=5, **options)


def accept(web: Relay, *tickets: int) -> list[str]:
    answers = [web.post({"sys_id": sys_id(ticket), "state": "6", "number": f"INC{ticket}"}) for ticket in tickets]
    return [answer.json()["delivery_id"] for answer in answers]


def kill_all(redis: Connection, now: int) -> None:
    """Settle everything that waits as dead, as a worker does whose IEM refuses it."""
    queue = DeliveryQueue(redis, "acme", retention=86400)
    taken = queue.take("a test", 100, lease=1000, config="c", now=now).assignments
    queue.settle([Settlement(one, Dead(Reason.REFUSED), at=now, status=400) for one in taken], now=now)


@pytest.fixture
def letters(web: Relay, redis: Connection) -> list[str]:
    ids = accept(web, 1, 2, 3)
    kill_all(redis, 2_000_000_000_000)
    return ids


@pytest.mark.parametrize("token", [None, "", "wrong", "operator-token-1 ", "öperator"])
def test_without_the_token_nothing_is_told(web: Relay, token: str | None) -> None:
    given = token.encode().decode("latin-1") if token else token
    answer = api(web, "integrations", token=given)

    assert answer.status_code == (200 if token == "operator-token-1 " else 401)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_integrations_tell_how_they_stand(web: Relay) -> None:
    accept(web, 1)

    found = {one["name"]: one for one in api(web, "integrations").json()["items"]}

    assert found["acme"]["status"] == "flowing"
    assert found["acme"]["pending"] == 1
    assert found["off"]["status"] == "disabled"
    assert found["broken"]["status"] == "broken"
    assert any("unknown key 'stats'" in fault for fault in found["broken"]["faults"])
    assert api(web, "integrations/nobody").status_code == 404


def test_an_integration_is_parked_and_resumed_by_hand(web: Relay) -> None:
    [delivery] = accept(web, 1)

    parked = api(web, "integrations/acme/park", method="POST", json={"why": "maintenance"})

    assert parked.json()["status"] == "parked"
    assert (parked.json()["reason"], parked.json()["parked_why"]) == ("by_hand", "maintenance")
    assert web.delivery_status(delivery) == "parked"
    assert web.post({"sys_id": sys_id(2), "state": "6"}).status_code == 202
    assert api(web, "integrations/acme/resume", method="POST").json()["status"] == "flowing"
    assert api(web, "integrations/acme/resume", method="POST").status_code == 409


def test_a_delivery_reads_as_the_contract_says(web: Relay, letters: list[str]) -> None:
    record = api(web, f"deliveries/{letters[0]}").json()

    wanted = ("id integration sys_id number itsm_state iem_state version status reason created_at finished_at "
              "next_attempt_at attempts duplicates resolved_by replay_of")  # fmt: skip
    assert set(wanted.split()) <= set(record)
    assert (record["status"], record["reason"], record["iem_state"]) == ("dead", "refused", 6)
    assert record["attempts"][0]["outcome"] == "dead"
    assert record["created_at"].endswith("Z")
    assert api(web, "deliveries/01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 404


def test_deliveries_are_filtered_and_paged(web: Relay, letters: list[str]) -> None:
    accept(web, 4)

    dead = api(web, "deliveries", params={"status": "dead", "limit": "2"}).json()
    rest = api(web, "deliveries", params={"status": "dead", "limit": "2", "cursor": dead["next_cursor"]}).json()
    by_number = api(web, "deliveries", params={"number": "INC2"}).json()
    by_sys_id = api(web, "deliveries", params={"sys_id": sys_id(2), "integration": "acme"}).json()

    assert [one["id"] for one in dead["items"] + rest["items"]] == letters[::-1]
    assert rest["next_cursor"] is None
    assert [one["id"] for one in by_number["items"]] == [one["id"] for one in by_sys_id["items"]] == [letters[1]]
    assert len(api(web, "deliveries").json()["items"]) == 4


@pytest.mark.parametrize(
    "params", [{"limit": "0"}, {"limit": "x"}, {"status": "lost"}, {"since": "yesterday"}, {"until": "1"}]
)
def test_a_wrong_filter_is_422(web: Relay, params: dict[str, str]) -> None:
    answer = api(web, "deliveries", params=params)

    assert answer.status_code == 422
    assert next(iter(params)) in answer.json()["detail"]


@pytest.mark.parametrize("path", ["deliveries", "rejections", "audit"])
def test_a_misspelt_parameter_is_told_and_does_not_mean_all_of_them(web: Relay, path: str) -> None:
    answer = api(web, path, params={"integraton": "acme"})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Unknown parameter integraton. Known parameters: integration,")


def test_one_dead_letter_is_replayed_once(web: Relay, letters: list[str]) -> None:
    replayed = api(web, f"deliveries/{letters[0]}/replay", method="POST")

    assert replayed.status_code == 202
    new = replayed.json()["delivery_id"]
    assert api(web, f"deliveries/{new}").json()["replay_of"] == letters[0]
    again = api(web, f"deliveries/{letters[0]}/replay", method="POST")
    assert again.status_code == 409
    assert "still pending" in again.json()["detail"]


def test_dead_letters_are_replayed_by_a_filter(web: Relay, letters: list[str]) -> None:
    answer = api(web, "deliveries/replay", method="POST", json={"integration": "acme", "reason": "refused"})

    assert answer.json() == {"replayed": 3, "hindered": 0, "left": 0}
    assert len(api(web, "deliveries", params={"status": "queued"}).json()["items"]) == 3
    assert letters


def test_a_dry_run_only_tells_how_many(web: Relay, letters: list[str]) -> None:
    answer = api(web, "deliveries/replay", method="POST", json={"integration": "acme", "dry_run": True})

    assert answer.json() == {"would_replay": len(letters)}
    assert api(web, "deliveries", params={"status": "queued"}).json()["items"] == []


def test_a_dead_letter_is_discarded_with_a_reason(web: Relay, letters: list[str]) -> None:
    closed = api(web, f"deliveries/{letters[0]}/discard", method="POST", json={"why": "closed by hand in IEM"})

    assert (closed.json()["status"], closed.json()["closed"]) == ("discarded", "closed by hand in IEM")
    assert api(web, f"deliveries/{letters[0]}/discard", method="POST").status_code == 409


def test_rejections_are_listed_and_a_replay_that_still_fails_is_409(web: Relay) -> None:
    rejection = web.post({"state": "6"}).json()["rejection_id"]

    listed = api(web, "rejections").json()["items"]

    assert [one["id"] for one in listed] == [rejection]
    assert listed[0]["record"] == {"state": "6"}
    assert api(web, f"rejections/{rejection}").json()["errors"][0]["field"] == "sys_id"
    assert api(web, f"rejections/{rejection}/replay", method="POST").status_code == 409
    assert api(web, "rejections/nothing/replay", method="POST").status_code == 404


def test_a_dry_run_tells_what_a_payload_comes_to_and_stores_nothing(web: Relay, redis: Connection) -> None:
    payload = [{"sys_id": sys_id(1), "state": "6"}, {"sys_id": sys_id(1), "state": "2"}, {}]

    answer = api(web, "integrations/acme/try", method="POST", json=payload)

    assert [one["result"] for one in answer.json()["results"]] == ["relayed", "ignored", "rejected"]
    assert answer.json()["results"][0]["push"] == f'{{"state":6,"sysid":"{sys_id(1)}"}}'
    assert redis.call("KEYS", "relay:{acme}:*") == []


def test_a_dry_run_tells_how_each_record_was_read_and_what_iem_would_be_sent(web: Relay) -> None:
    payload = {"sys_id": sys_id(1), "state": "Resolved"}

    told = api(web, "integrations/acme/try", method="POST", json=payload).json()

    [result] = told["results"]
    assert told["records"]["found"] == 1
    assert [one["name"] for one in result["fields"]][:2] == ["sys_id", "state"]
    assert result["matched"]["state"] == "resolved"
    assert result["dedupe"]["identity"] == "6:-"
    assert result["request"]["path"] == "/gbp/push/ACME?integrationid=42"
    assert result["request"]["body"] == result["push"]


def test_a_dry_run_goes_by_the_idempotency_key_of_a_webhook(web: Relay) -> None:
    payload = {"sys_id": sys_id(1), "state": "6"}

    def identity(**headers: str | bytes) -> str:
        told = api(web, "integrations/acme/try", method="POST", json=payload, headers=headers).json()
        found: str = told["results"][0]["dedupe"]["identity"]
        return found

    one = identity(**{"Idempotency-Key": "one"})

    assert one.startswith("6:k")
    assert one == identity(**{"webhook-id": "one"}) != identity(**{"Idempotency-Key": "two"})
    assert identity() == "6:-"
    update, arrived = Update(TicketFields(sys_id(1), "6"), 6), "schlüssel".encode().decode("latin-1")
    assert identity(**{"Idempotency-Key": "schlüssel".encode()}) == identify(update, arrived).text


def test_a_dry_run_of_too_many_records_or_of_a_broken_mapping_is_refused(web: Relay) -> None:
    assert api(web, "integrations/acme/try", method="POST", json=[{}] * 501).status_code == 413
    assert api(web, "integrations/broken/try", method="POST", json={}).status_code == 404


def test_stats_tell_the_backlogs(web: Relay) -> None:
    accept(web, 1, 2)

    [acme] = [one for one in api(web, "stats").json()["integrations"] if one["integration"] == "acme"]

    assert acme["pending"] == 2


def test_a_body_that_is_no_object_is_refused(web: Relay) -> None:
    assert api(web, "integrations/acme/park", method="POST", data="[1]").status_code == 422
    assert api(web, "integrations/acme/park", method="POST", data="{").status_code == 400
    assert api(web, "integrations/acme/park", method="POST", json={"why": 7}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("integrations/acme/park", {"reason": "tonight"}, "Unknown member reason. Known members: why"),
        ("deliveries/{}/replay", {"as_mapped": "false"}, "Invalid as_mapped: expected true or false"),
        ("deliveries/{}/discard", {"wy": "by hand"}, "Unknown member wy"),
        ("deliveries/replay", {"dryrun": True}, "Unknown member dryrun"),
        ("deliveries/replay", {"integration": ["acme"]}, "Invalid integration: expected text"),
        ("deliveries/replay", {"integration": ""}, "Invalid integration: expected text"),
        ("deliveries/replay", {"status": "discarded"}, "Invalid status: expected dead"),
    ],
)
def test_a_misspelt_member_is_told_and_nothing_is_done(
    web: Relay, letters: list[str], path: str, body: dict[str, Any], told: str
) -> None:
    answer = api(web, path.format(letters[0]), method="POST", json=body)

    assert (answer.status_code, answer.json()["detail"][: len(told)]) == (422, told)
    assert len(api(web, "deliveries", params={"status": "dead"}).json()["items"]) == 3


def test_the_call_to_replay_by_a_filter_is_no_delivery(web: Relay) -> None:
    asked, options = (api(web, "deliveries/replay", method=method) for method in ("GET", "OPTIONS"))

    assert asked.status_code == 405
    assert set(options.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_parameters_and_members_without_a_value_count_as_none(web: Relay, letters: list[str]) -> None:
    empty = {"integration": "", "status": "", "since": "", "cursor": ""}

    assert len(api(web, "deliveries", params=empty).json()["items"]) == len(letters)
    assert api(web, "deliveries", params={"cursor": "x"}).status_code == 422
    none = {"integration": None, "dry_run": None, "status": "dead"}
    assert api(web, "deliveries/replay", method="POST", json=none).json()["replayed"] == len(letters)


def test_the_audit_trail_is_told_newest_first_in_pages(web: Relay, letters: list[str]) -> None:
    web.post({"sys_id": sys_id(9), "state": "6"}, name="open")

    first = api(web, "audit", params={"limit": "3"}).json()
    rest = api(web, "audit", params={"limit": "500", "cursor": first["next_cursor"]}).json()

    assert len(first["items"]) == 3
    records = [*first["items"], *rest["items"]]
    assert rest["next_cursor"] is None
    assert [one["type"] for one in records] == ["accepted", *["dead"] * 3, *["accepted"] * 3]
    assert [one["integration"] for one in records] == ["open", *["acme"] * 6]
    assert set(records[1]) >= {"id", "at", "type", "integration", "delivery_id", "sys_id", "number", "actor", "reason"}


def test_every_act_is_in_the_trail_with_its_actor(web: Relay, letters: list[str]) -> None:
    def act(path: str) -> tuple[str, str | None]:
        answer = api(web, path, method="POST")
        assert answer.status_code in {200, 202}, answer.text
        newest = api(web, "audit", params={"limit": "2"}).json()["items"]
        # A replay is followed by what it brought about: an acceptance, in the name of who sent it first.
        told = next(one for one in newest if one["type"] != "accepted")
        return told["type"], told["actor"]

    rejection = web.post({"state": "6"}).json()["rejection_id"]
    changed = {path for path, method, _ in BY_ID.values() if method == "post" and path.startswith("/api/")}

    assert act("integrations/acme/park") == ("parked", "api")
    assert act("integrations/acme/resume") == ("resumed", "api")
    assert act(f"deliveries/{letters[0]}/replay") == ("replayed", "api")
    assert act(f"deliveries/{letters[1]}/discard") == ("dead", "api"), "closed for good"
    assert act("deliveries/replay") == ("replayed", "api")
    assert api(web, f"rejections/{rejection}/replay", method="POST").status_code == 409, "still of no use"
    # What else is there to post to: a dry run, and the replay that has a test of its own with a mended mapping.
    assert len(changed) == 7


def test_the_audit_trail_is_filtered(web: Relay, letters: list[str]) -> None:
    def ids(**params: str) -> list[tuple[str, str]]:
        found = api(web, "audit", params=params).json()["items"]
        return [(one["type"], one["delivery_id"]) for one in found]

    both = [("dead", letters[1]), ("accepted", letters[1])]
    assert ids(delivery_id=letters[1]) == ids(number="INC2") == ids(sys_id=sys_id(2)) == both
    assert ids(type="accepted", number="INC2") == both[1:]
    assert len(ids(user=api(web, "audit").json()["items"][-1]["actor"])) == 3
    assert ids(until="2001-01-01T00:00:00Z") == []


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
def test_a_wrong_question_to_the_trail_is_422_and_says_which(web: Relay, params: dict[str, str]) -> None:
    answer = api(web, "audit", params=params)

    assert answer.status_code == 422, answer.text
    assert next(iter(params)) in answer.json()["detail"]


def test_times_before_any_are_no_fault(web: Relay, letters: list[str]) -> None:
    assert len(api(web, "audit", params={"since": "1960-01-01T00:00:00Z"}).json()["items"]) == 6
    assert api(web, "audit", params={"until": "1960-01-01T00:00:00Z"}).json()["items"] == []
    assert api(web, "rejections", params={"cursor": "x"}).status_code == 422
