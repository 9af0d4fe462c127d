"""The simulated IEM over real sockets: tokens, customers and its state."""

from __future__ import annotations

import base64
import json

import pytest
import requests
from simulators.installation import (
    PUSH,
    RELAY,
    RESOLVED,
    START,
    TICKET,
    TOKEN,
    UI_USER,
    Caller,
    ManualClock,
    fetch_token,
)

from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem


def test_the_token_call_answers_as_the_guide_describes(call: Caller) -> None:
    answer = call("POST", TOKEN, auth=(RELAY.email, RELAY.password))

    assert answer.status_code == 200
    assert answer.json().keys() == {"status_code", "data", "msg"}
    assert (answer.json()["status_code"], answer.json()["msg"]) == (200, "")
    data = answer.json()["data"]
    assert data.keys() == {
        "email",
        "name",
        "is_superadmin",
        "access_token",
        "refresh_token",
        "associated_with_customers",
    }
    assert (data["email"], data["is_superadmin"]) == (RELAY.email, False)
    assert [customer["customerid"] for customer in data["associated_with_customers"]] == ["ACME", "GONE"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic " + base64.b64encode(b"relay@example.com:wrong").decode(),
        "Basic " + base64.b64encode(b"unknown@example.com:s3:cret").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic not*base64",
        "Bearer abc",
        ":",
    ],
)
def test_the_token_call_refuses_wrong_credentials(call: Caller, iem: SimulatedIem, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = call("POST", TOKEN, headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid username/password."})
    assert (iem.token_calls, iem.access.tokens.issued) == (1, 0)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", PUSH, "POST"),
        ("PUT", PUSH, "POST"),
        ("HEAD", PUSH, "POST"),
        ("GET", TOKEN, "POST"),
        ("DELETE", "/publish/allevents/", "POST"),
        ("PATCH", "/publish/healthcheck/", "GET, POST"),
    ],
)
def test_another_method_is_refused_with_the_allowed_ones(call: Caller, method: str, target: str, allowed: str) -> None:
    answer = call(method, target)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_a_token_expires_after_its_lifetime(call: Caller, cookie: dict[str, str], clock: ManualClock) -> None:
    clock.time += 59.9
    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 200

    clock.time += 0.1
    answer = call("POST", PUSH, json=RESOLVED, headers=cookie)

    assert (answer.status_code, answer.json()) == (401, {"message": "Access token has expired"})


def test_a_new_lifetime_applies_to_the_next_token(call: Caller, iem: SimulatedIem, clock: ManualClock) -> None:
    iem.set_token_lifetime(5)
    cookie = {"Cookie": f"access_token={fetch_token(call)}"}

    clock.time += 5

    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 401


def test_a_second_token_leaves_the_first_one_valid(call: Caller, cookie: dict[str, str]) -> None:
    fetch_token(call)

    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 200


def test_revoked_tokens_are_invalid_and_a_new_one_is_valid(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str]
) -> None:
    assert iem.revoke() == 1

    answer = call("POST", PUSH, json=RESOLVED, headers=cookie)
    again = call("POST", PUSH, json=RESOLVED, headers={"Cookie": f"access_token={fetch_token(call)}"})

    assert (answer.status_code, answer.json()) == (401, {"message": "Invalid access token"})
    assert again.status_code == 200


def test_a_changed_password_refuses_the_old_one(call: Caller, iem: SimulatedIem) -> None:
    iem.set_user(ApiUser(RELAY.email, "changed", RELAY.customers))

    old = call("POST", PUSH, json=RESOLVED, auth=(RELAY.email, RELAY.password))
    new = call("POST", PUSH, json=RESOLVED, auth=(RELAY.email, "changed"))

    assert (old.status_code, old.json()) == (403, {"message": "Invalid credentials"})
    assert new.status_code == 200


def test_a_customer_can_be_made_inactive_and_active(call: Caller, iem: SimulatedIem, cookie: dict[str, str]) -> None:
    iem.set_customer("ACME", active=False)
    inactive = call("POST", PUSH, json=RESOLVED, headers=cookie)
    iem.set_customer("ACME", active=True)
    active = call("POST", PUSH, json=RESOLVED, headers=cookie)

    assert [inactive.status_code, active.status_code] == [401, 200]


def test_a_jwt_contains_its_expiry() -> None:
    installation = Installation((RELAY,), {"ACME": True}, frozenset({"42"}), token_lifetime=90, jwt=True)
    tokens = SimulatedIem(installation, clock=lambda: START).access.tokens

    token = tokens.issue(RELAY.email)

    head, claims, signature = token.split(".")
    assert signature
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (content["sub"], content["iat"], content["exp"]) == (RELAY.email, START, START + 90)
    assert tokens.owner(token) == RELAY.email
    assert token != tokens.issue(RELAY.email)


def test_a_ticket_without_an_actionable_is_not_found() -> None:
    installation = Installation((RELAY,), {"ACME": True}, frozenset({"42"}), sys_ids=frozenset({"known"}))
    iem = SimulatedIem(installation)

    with SimulatorServer(iem) as server:

        def push(sys_id: str) -> int:
            return requests.post(
                server.url + PUSH,
                json={"state": 6, "sysid": sys_id},
                auth=(RELAY.email, RELAY.password),
                timeout=5,
            ).status_code

        statuses = [push("known"), push("later")]
        iem.open_actionables("later")
        statuses.append(push("later"))

    assert statuses == [200, 404, 200]
    assert [pushed.sysid for pushed in iem.pushes] == ["known", "later"]


def test_the_state_contains_no_credentials(call: Caller, iem: SimulatedIem, cookie: dict[str, str]) -> None:
    call("POST", PUSH, json=RESOLVED, headers=cookie)

    state = json.dumps(iem.state())

    assert iem.state()["pushes"] == [
        {"customer": "ACME", "integration": "42", "state": 6, "sysid": TICKET, "at": START}
    ]
    assert iem.state()["token_calls"] == 1
    assert RELAY.password not in state
    assert UI_USER.password not in state
    assert cookie["Cookie"].partition("=")[2] not in state
