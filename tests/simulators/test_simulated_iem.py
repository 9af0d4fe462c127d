"""The simulated IEM's token call and push, over real sockets: the contract's tables line by line."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
import requests

from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import Push, SimulatedIem

START = 1_700_000_000.0
RELAY = ApiUser("relay@example.com", "s3:cret", frozenset({"ACME", "GONE"}))
UI_USER = ApiUser("ui@example.com", "ui-pass", frozenset({"ACME"}), is_api_user=False)
INSTALLATION = Installation(
    users=(RELAY, UI_USER),
    customers={"ACME": True, "GONE": False, "OTHER": True, "A B": True},
    integrations=frozenset({"42"}),
    token_lifetime=60,
)
PUSH = "/gbp/push/ACME?integrationid=42"
TICKET = "9d385017c611228701d22104cc95c371"
RESOLVED = {"state": 6, "sysid": TICKET}


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def served(clock: Clock) -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedIem(INSTALLATION, clock=clock)) as server:
        yield server


@pytest.fixture
def server(served: SimulatorServer, clock: Clock) -> SimulatorServer:
    clock.time = START
    served.reset()
    return served


@pytest.fixture
def iem(server: SimulatorServer) -> SimulatedIem:
    assert isinstance(server.service, SimulatedIem)
    return server.service


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


Caller = Callable[..., requests.Response]


@pytest.fixture
def call(server: SimulatorServer, session: requests.Session) -> Caller:
    """Send a request without credentials: `call(method, target, **arguments of requests)`."""

    def send(method: str, target: str, **arguments: object) -> requests.Response:
        return session.request(method, server.url + target, timeout=5, **arguments)  # type: ignore[arg-type] # passed on

    return send


@pytest.fixture
def cookie(call: Caller) -> dict[str, str]:
    """Fetch a good token and return the header that shows it."""
    return {"Cookie": f"access_token={fetch_token(call)}"}


def fetch_token(call: Caller, user: ApiUser = RELAY) -> str:
    answer = call("POST", "/api/v1/user/token", auth=(user.email, user.password))
    assert answer.status_code == 200
    return str(answer.json()["data"]["access_token"])


def test_the_token_call_answers_in_the_shape_of_the_guide(call: Caller) -> None:
    answer = call("POST", "/api/v1/user/token", auth=(RELAY.email, RELAY.password))

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
    assert [each["customerid"] for each in data["associated_with_customers"]] == ["ACME", "GONE"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic " + base64.b64encode(b"relay@example.com:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody@example.com:s3:cret").decode(),
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic not*base64",
        "Bearer abc",
        ":",
    ],
)
def test_the_token_call_refuses_wrong_credentials(call: Caller, iem: SimulatedIem, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = call("POST", "/api/v1/user/token", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid username/password."})
    assert (iem.token_calls, iem.access.tokens.issued) == (1, 0)


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


def test_pushes_are_kept_in_order_and_the_last_state_counts(
    call: Caller, iem: SimulatedIem, cookie: dict[str, str], clock: Clock
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
        ("/gbp/push/NOBODY?integrationid=42", 401, "Data has been sent for inactive customer"),
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
def test_a_push_to_the_wrong_place_is_refused(
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
def test_a_push_without_good_authentication_is_refused(
    call: Caller, iem: SimulatedIem, headers: dict[str, str], status: int, message: str
) -> None:
    answer = call("POST", PUSH, json=RESOLVED, headers=headers)

    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert iem.pushes == []


def test_a_user_of_the_web_ui_may_not_push(call: Caller, iem: SimulatedIem) -> None:
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
def test_a_malformed_push_is_refused_with_everything_that_is_wrong(
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


def test_a_content_type_may_name_a_charset(call: Caller, cookie: dict[str, str]) -> None:
    headers = cookie | {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = call("POST", PUSH, data=json.dumps(RESOLVED), headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", PUSH, "POST"),
        ("PUT", PUSH, "POST"),
        ("HEAD", PUSH, "POST"),
        ("GET", "/api/v1/user/token", "POST"),
        ("DELETE", "/publish/allevents/", "POST"),
        ("PATCH", "/publish/healthcheck/", "GET, POST"),
    ],
)
def test_another_method_is_refused_with_those_that_are_allowed(
    call: Caller, method: str, target: str, allowed: str
) -> None:
    answer = call(method, target)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


def test_a_token_expires_after_its_lifetime(call: Caller, cookie: dict[str, str], clock: Clock) -> None:
    clock.time += 59.9
    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 200

    clock.time += 0.1
    answer = call("POST", PUSH, json=RESOLVED, headers=cookie)

    assert (answer.status_code, answer.json()) == (401, {"message": "Access token has expired"})


def test_a_new_lifetime_is_that_of_the_next_token(call: Caller, iem: SimulatedIem, clock: Clock) -> None:
    iem.set_token_lifetime(5)
    cookie = {"Cookie": f"access_token={fetch_token(call)}"}

    clock.time += 5

    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 401


def test_a_second_token_leaves_the_first_one_good(call: Caller, cookie: dict[str, str]) -> None:
    fetch_token(call)

    assert call("POST", PUSH, json=RESOLVED, headers=cookie).status_code == 200


def test_revoked_tokens_are_invalid_and_a_new_one_is_good(
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


def test_a_customer_can_be_switched_off_and_on(call: Caller, iem: SimulatedIem, cookie: dict[str, str]) -> None:
    iem.set_customer("ACME", active=False)
    off = call("POST", PUSH, json=RESOLVED, headers=cookie)
    iem.set_customer("ACME", active=True)
    on = call("POST", PUSH, json=RESOLVED, headers=cookie)

    assert [off.status_code, on.status_code] == [401, 200]


def test_a_jwt_tells_when_it_expires() -> None:
    installation = Installation((RELAY,), {"ACME": True}, frozenset({"42"}), token_lifetime=90, jwt=True)
    tokens = SimulatedIem(installation, clock=lambda: START).access.tokens

    token = tokens.issue(RELAY.email)

    head, claims, signature = token.split(".")
    assert signature
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (told["sub"], told["iat"], told["exp"]) == (RELAY.email, START, START + 90)
    assert tokens.owner(token) == RELAY.email
    assert token != tokens.issue(RELAY.email)


def test_a_ticket_that_iem_does_not_know_yet_is_not_found() -> None:
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
        iem.learn("later")
        statuses.append(push("later"))

    assert statuses == [200, 404, 200]
    assert [pushed.sysid for pushed in iem.pushes] == ["known", "later"]


def test_the_state_tells_everything_but_credentials(call: Caller, iem: SimulatedIem, cookie: dict[str, str]) -> None:
    call("POST", PUSH, json=RESOLVED, headers=cookie)

    told = json.dumps(iem.state())

    assert iem.state()["pushes"] == [
        {"customer": "ACME", "integration": "42", "state": 6, "sysid": TICKET, "at": START}
    ]
    assert iem.state()["token_calls"] == 1
    assert RELAY.password not in told
    assert UI_USER.password not in told
    assert cookie["Cookie"].partition("=")[2] not in told
