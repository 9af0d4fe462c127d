"""The push of the simulated IEM over real sockets: the tables of the contract, row by row."""

from __future__ import annotations

import json

import pytest
from simulators.installation import (
    PUSH,
    RELAY,
    RESOLVED,
    START,
    TICKET,
    UI_USER,
    Caller,
    ManualClock,
    fetch_token,
)

from relay.simulators.simulated_iem import Push, SimulatedIem


def test_a_push_with_a_token_is_applied(call: Caller, iem: SimulatedIem, cookie: dict[str, str]) -> None:
    answer = call("POST", PUSH, json=RESOLVED, headers=cookie)

    assert (answer.status_code, answer.json()) == (200, {"message": "Success"})
    assert answer.headers["Content-Type"] == "application/json"
    assert iem.pushes == [Push("ACME", "42", 6, TICKET, START)]
    assert iem.actionables == {TICKET: 6}


def test_a_push_with_basic_credentials_needs_no_token(call: Caller, iem: SimulatedIem) -> None:
    answer = call("POST", PUSH, json=RESOLVED, auth=(RELAY.email, RELAY.password))

    assert (answer.status_code, answer.json()) == (200, {"message": "Success"})
    assert (len(iem.pushes), iem.token_calls) == (1, 0)


def test_pushes_are_listed_in_order_and_the_last_state_applies(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str], clock: ManualClock
) -> None:
    for state in (6, 2, 7):
        call("POST", PUSH, json={"state": state, "sysid": TICKET}, headers=cookie)
        clock.time += 1

    assert [(push.state, push.at - START) for push in iem.pushes] == [(6, 0), (2, 1), (7, 2)]
    assert iem.actionables == {TICKET: 7}


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("/gbp/push/GONE?integrationid=42", 401, "Data has been sent for inactive customer"),
        ("/gbp/push/UNKNOWN?integrationid=42", 401, "Data has been sent for inactive customer"),
        ("/gbp/push/OTHER?integrationid=42", 401, "User is not associated with the customer"),
        ("/gbp/push/A%20B?integrationid=42", 401, "User is not associated with the customer"),
        ("/gbp/push/ACME?integrationid=43", 404, None),
        ("/gbp/push/ACME?integrationid=", 404, None),
        ("/gbp/push/ACME?integrationid=42&integrationid=42", 404, None),
        ("/gbp/push/ACME", 404, None),
        ("/gbp/push/ACME/?integrationid=42", 404, None),
        ("/gbp/push/?integrationid=42", 404, None),
        ("/gbp/push?integrationid=42", 404, None),
        ("/publish/allevents", 404, None),
        ("/", 404, None),
    ],
)
def test_a_push_to_a_wrong_target_is_refused(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str], target: str, status: int, message: str | None
) -> None:
    answer = call("POST", target, json=RESOLVED, headers=cookie)

    assert answer.status_code == status
    expected = message or "One or more objects specified in the request could not be found"
    assert answer.json()["message"] == expected
    assert iem.pushes == []


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 403, "Access denied"),
        ({"Cookie": "access_token="}, 403, "Access denied"),
        ({"Cookie": "other=x"}, 403, "Access denied"),
        ({"Cookie": "access_token=never-issued"}, 401, "Invalid access token"),
        ({"Cookie": "a=b; access_token=never-issued"}, 401, "Invalid access token"),
        ({"Authorization": "Basic bm90OnRoaXM="}, 403, "Invalid credentials"),
        ({"Authorization": "Basic ?"}, 403, "Invalid credentials"),
        ({"Authorization": "Bearer x"}, 401, "An authorization was expected and not found"),
    ],
)
def test_a_push_without_valid_authentication_is_refused(
    call: Caller, iem: SimulatedIem, headers: dict[str, str], status: int, message: str
) -> None:
    answer = call("POST", PUSH, json=RESOLVED, headers=headers)

    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert iem.pushes == []


def test_a_user_of_the_web_ui_cannot_push(call: Caller, iem: SimulatedIem) -> None:
    cookie = {"Cookie": f"access_token={fetch_token(call, UI_USER)}"}

    by_token = call("POST", PUSH, json=RESOLVED, headers=cookie)
    by_password = call("POST", PUSH, json=RESOLVED, auth=(UI_USER.email, UI_USER.password))

    assert [by_token.status_code, by_password.status_code] == [403, 403]
    assert [by_token.json(), by_password.json()] == [{"message": "Access denied"}] * 2
    assert iem.pushes == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"state": "6", "sysid": TICKET}, "state: expected an integer"),
        ({"state": True, "sysid": TICKET}, "state: expected an integer"),
        ({"state": 6.0, "sysid": TICKET}, "state: expected an integer"),
        ({"state": None, "sysid": TICKET}, "state: expected an integer"),
        ({"state": 6, "sysid": ""}, "sysid: expected a non-empty string"),
        ({"state": 6, "sysid": " "}, "sysid: expected a non-empty string"),
        ({"state": 6, "sysid": 7}, "sysid: expected a non-empty string"),
        ({"state": 6}, "missing sysid"),
        ({"sysid": TICKET}, "missing state"),
        ({"state": 6, "sys_id": TICKET}, "missing sysid, unknown sys_id"),
        ({}, "missing state, missing sysid"),
        ([RESOLVED], "expected an object"),
        ("6", "expected an object"),
    ],
)
def test_a_malformed_push_is_refused_with_every_problem(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str], body: object, problem: str
) -> None:
    answer = call("POST", PUSH, json=body, headers=cookie)

    assert (answer.status_code, answer.json()["message"]) == (400, f"Malformed request: {problem}")
    assert iem.pushes == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'{"state":6,"sysid":"\xff"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"state":' + b"9" * 5000 + b',"sysid":"x"}', "application/json"),
        (json.dumps(RESOLVED).encode(), "text/plain"),
        (json.dumps(RESOLVED).encode(), None),
        (b"state=6&sysid=x", "application/x-www-form-urlencoded"),
    ],
)
def test_a_push_that_is_not_json_is_refused(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str], body: bytes, content_type: str | None
) -> None:
    headers = cookie | ({"Content-Type": content_type} if content_type else {})

    answer = call("POST", PUSH, data=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Malformed request: expected ")
    assert iem.pushes == []


def test_a_content_type_can_name_a_charset(call: Caller, cookie: dict[str, str]) -> None:
    headers = cookie | {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = call("POST", PUSH, data=json.dumps(RESOLVED), headers=headers)

    assert answer.status_code == 200
