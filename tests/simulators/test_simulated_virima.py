"""The simulated LoginService over real sockets: its seven operations, their sessions and their refusals."""

import json
from collections.abc import Iterator

import pytest
import requests
from virima.site import virima_of

from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima
from relay.simulators.virima_bodies import USER_DETAILS
from relay.simulators.virima_people import Person

SERVICE = Person("relay@example.com", "Relay Account", "service-pass", service=True)
JANE = Person("jane@example.com", "Jane Doe", "jane-pass", organization="ACME", details={"phone": "+1"})
MAX = Person("max@example.com", "Max Factor", mfa_pending=True)
LOGIN = {"email": SERVICE.email, "password": SERVICE.password}
OPERATIONS = [
    ("POST", "login/dologin"),
    ("POST", "login/dologin-impersonate"),
    ("GET", "login/dologout"),
    ("GET", "login/get-logged-in-user"),
    ("POST", "login/reset-password-send-mail"),
    ("POST", "login/reset-password"),
    ("POST", "login/initial-set-up-wizard"),
]


class Client:
    """One cookie jar at one simulator, with the service account's credentials on every call."""

    def __init__(self, base: str, session: requests.Session) -> None:
        self.base = base
        self.session = session
        session.trust_env = False
        session.auth = (SERVICE.email, SERVICE.password)

    def call(self, method: str, operation: str, body: object = None) -> requests.Response:
        return self.session.request(method, self.base + operation, json=body, timeout=5)

    def post(self, operation: str, body: object) -> requests.Response:
        return self.call("POST", "login/" + operation, body)

    def get(self, operation: str) -> requests.Response:
        return self.call("GET", "login/" + operation)


@pytest.fixture(scope="module")
def served_virima() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedVirima([SERVICE, JANE, MAX])) as server:
        yield server


@pytest.fixture
def virima(served_virima: SimulatorServer) -> SimulatedVirima:
    served_virima.reset()
    return virima_of(served_virima)


@pytest.fixture
def client(virima: SimulatedVirima, served_virima: SimulatorServer) -> Iterator[Client]:
    with requests.Session() as session:
        yield Client(served_virima.url + virima.base_path, session)


@pytest.fixture
def other(virima: SimulatedVirima, served_virima: SimulatorServer) -> Iterator[Client]:
    """A client with a cookie jar of its own."""
    with requests.Session() as session:
        yield Client(served_virima.url + virima.base_path, session)


def test_a_login_answers_user_details_and_sets_a_session_cookie(client: Client, virima: SimulatedVirima) -> None:
    answer = client.post("dologin", LOGIN)

    assert answer.status_code == 200
    details = answer.json()
    assert details.keys() == USER_DETAILS.keys()
    assert {name: type(value) for name, value in details.items()} == {
        name: type(value) for name, value in USER_DETAILS.items()
    }
    assert (details["email"], details["displayName"]) == (SERVICE.email, "Relay Account")
    assert details["sessionId"] == client.session.cookies["JSESSIONID"]
    assert "Path=/www_em/" in answer.headers["Set-Cookie"]
    assert [session.email for session in virima.sessions.values()] == [SERVICE.email]


def test_user_details_contain_the_three_secrets(client: Client, virima: SimulatedVirima) -> None:
    details = client.post("dologin", LOGIN).json()

    assert virima.secrets_sent() == {details["password"], details["sessionId"], details["twoFactorSecretKey"]}
    assert all(virima.secrets_sent())


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"email": SERVICE.email, "password": "wrong"}, 401, "Invalid email or password"),
        ({"email": "unknown@example.com", "password": "x"}, 401, "Invalid email or password"),
        ({"email": SERVICE.email}, 400, "Malformed request: missing password"),
        ({"password": "x"}, 400, "Malformed request: missing email"),
        ({"email": "", "password": "x"}, 400, "Malformed request: email: expected a non-empty string"),
        ({**LOGIN, "remember": True}, 400, "Malformed request: unknown remember"),
        ({**LOGIN, "enableMFA": "no"}, 400, "Malformed request: enableMFA: expected true or false"),
        (
            {**LOGIN, "client": {"proxy": "no", "location": {"street": "x"}}},
            400,
            "Malformed request: client: proxy: expected a boolean or a number, location: unknown street",
        ),
        ([], 400, "Malformed request: expected an object"),
    ],
)
def test_an_invalid_login_is_refused(
    client: Client, virima: SimulatedVirima, body: object, status: int, message: str
) -> None:
    answer = client.post("dologin", body)

    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert virima.sessions == {}


def test_a_login_with_every_field_of_a_credential_is_accepted(client: Client) -> None:
    flags_and_numbers = (
        "state addedOn currentStateTime archive customerId noOfAssetsDiscovered proxy agentScanEnabled "
        "agentAutoUpdateThroughAppEnabled autoUpdateApp lastStatusUpdate liveConnectionServerSSL"
    )
    texts = (
        "clientSessionId hostName name clientName ipAddress subnet currentStatus uniqueId userId "
        "operatingSystem serverIpAddress serverDNSName version latestVersionFoClient fqdn "
        "liveConnectionServerPort webservicesPort certificate serialNumber"
    )
    location = dict.fromkeys(["stringobj", "shortName", "s3Name", "uniqueId", "lineType"], "x")
    machine = dict.fromkeys(texts.split(), "x") | dict.fromkeys(flags_and_numbers.split(), 1)
    credential = LOGIN | dict.fromkeys(["demoUser", "customerId", "clientName", "oldSessionId"], "x")

    answer = client.post("dologin", {**credential, "enableMFA": False, "client": {**machine, "location": location}})

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "operation"), OPERATIONS)
@pytest.mark.parametrize("credentials", [None, (SERVICE.email, "wrong"), (JANE.email, JANE.password)])
def test_every_operation_needs_the_credentials_of_a_service_account(
    client: Client, method: str, operation: str, credentials: tuple[str, str] | None
) -> None:
    client.session.auth = credentials

    answer = client.call(method, operation, LOGIN)

    assert (answer.status_code, answer.json()) == (
        401,
        {"message": "Authorization of a service account expected"},
    )


@pytest.mark.parametrize(("method", "operation"), OPERATIONS)
def test_every_operation_has_one_method(client: Client, method: str, operation: str) -> None:
    answer = client.call({"GET": "POST", "POST": "GET"}[method], operation, LOGIN)

    assert (answer.status_code, answer.headers["Allow"]) == (405, method)


@pytest.mark.parametrize("path", ["/login/dologin", "/www_em/login/dologin/", "/www_em/", "/www_em/login/x"])
def test_another_path_is_not_found(client: Client, served_virima: SimulatorServer, path: str) -> None:
    answer = client.session.post(served_virima.url + path, json=LOGIN, timeout=5)

    assert answer.status_code == 404


def test_the_session_identifies_its_user(client: Client) -> None:
    client.post("dologin", LOGIN)

    details = client.get("get-logged-in-user").json()

    assert (details["email"], details["sessionId"]) == (SERVICE.email, client.session.cookies["JSESSIONID"])


def test_without_a_session_there_is_no_user(client: Client) -> None:
    answer = client.get("get-logged-in-user")

    assert (answer.status_code, answer.json()) == (401, {"message": "No session"})


def test_an_impersonation_leaves_the_service_session_open(
    client: Client, other: Client, virima: SimulatedVirima
) -> None:
    service_session = client.post("dologin", LOGIN).json()["sessionId"]

    answer = other.post("dologin-impersonate", {"email": JANE.email, "oldSessionId": service_session})

    details = answer.json()
    assert answer.status_code == 200
    assert (details["email"], details["displayName"]) == (JANE.email, "Jane Doe")
    assert (details["firstName"], details["lastName"], details["phone"]) == ("Jane", "Doe", "+1")
    assert (details["userName"], details["organizationName"]) == (JANE.email, "ACME")
    assert details["sessionId"] == other.session.cookies["JSESSIONID"] != service_session
    assert virima.sessions.keys() == {service_session, details["sessionId"]}
    assert virima.sessions[details["sessionId"]].impersonated_by == SERVICE.email
    assert client.get("get-logged-in-user").json()["email"] == SERVICE.email
    assert other.get("get-logged-in-user").json()["email"] == JANE.email


def test_a_cookie_can_identify_the_session_for_an_impersonation(client: Client) -> None:
    client.post("dologin", LOGIN)

    answer = client.post("dologin-impersonate", {"email": JANE.email})

    assert (answer.status_code, answer.json()["email"]) == (200, JANE.email)


def test_a_logout_ends_only_its_own_session(client: Client, other: Client, virima: SimulatedVirima) -> None:
    service_session = client.post("dologin", LOGIN).json()["sessionId"]
    other.post("dologin-impersonate", {"email": JANE.email, "oldSessionId": service_session})

    answer = other.get("dologout")

    assert answer.json().keys() == {"id", "recordId", "message", "status"}
    assert answer.json()["status"] is True
    assert virima.sessions.keys() == {service_session}
    assert "JSESSIONID" not in other.session.cookies
    assert other.get("get-logged-in-user").status_code == 401
    assert client.get("get-logged-in-user").status_code == 200


def test_a_logout_without_a_session_reports_it(client: Client) -> None:
    answer = client.get("dologout")

    assert (answer.status_code, answer.json()["status"]) == (200, False)


def test_an_unknown_user_is_not_found(client: Client, virima: SimulatedVirima) -> None:
    client.post("dologin", LOGIN)

    answer = client.post("dologin-impersonate", {"email": "unknown@example.com"})

    assert (answer.status_code, answer.json()) == (404, {"message": "No such user"})
    assert len(virima.sessions) == 1


def test_an_impersonation_needs_a_session_of_a_service_account(client: Client) -> None:
    without = client.post("dologin-impersonate", {"email": JANE.email})
    client.post("dologin", {"email": JANE.email, "password": JANE.password})
    as_jane = client.post("dologin-impersonate", {"email": MAX.email})

    assert (without.status_code, without.json()) == (401, {"message": "No session"})
    assert (as_jane.status_code, as_jane.json()) == (
        403,
        {"message": "Only a service account may impersonate"},
    )


def test_a_pending_second_factor_is_reported(client: Client) -> None:
    client.post("dologin", LOGIN)

    details = client.post("dologin-impersonate", {"email": MAX.email}).json()

    assert (details["enableMFA"], details["mfaChecked"]) == (True, False)


def test_ended_sessions_are_unknown(client: Client, virima: SimulatedVirima) -> None:
    client.post("dologin", LOGIN)

    assert virima.revoke() == 1

    assert client.get("get-logged-in-user").status_code == 401


def test_a_mail_to_reset_a_password_is_recorded(client: Client, virima: SimulatedVirima) -> None:
    answer = client.post("reset-password-send-mail", {"email": JANE.email})
    unknown = client.post("reset-password-send-mail", {"email": "unknown@example.com"})

    assert (answer.status_code, answer.json().keys()) == (200, {"id", "response"})
    assert unknown.status_code == 404
    assert virima.reset_mails == [JANE.email]


def test_a_reset_password_replaces_the_old_one(client: Client) -> None:
    reset = {"email": JANE.email, "instance": "x", "password": "new", "directPasswordChange": True}

    answer = client.post("reset-password", reset)
    old = client.post("dologin", {"email": JANE.email, "password": JANE.password})
    new = client.post("dologin", {"email": JANE.email, "password": "new"})
    unknown = client.post("reset-password", reset | {"email": "unknown@example.com"})

    assert (answer.status_code, answer.json().keys()) == (200, {"id", "response"})
    assert [old.status_code, new.status_code, unknown.status_code] == [401, 200, 404]


def test_the_wizard_of_a_new_installation_is_recorded(client: Client, virima: SimulatedVirima) -> None:
    answer = client.post("initial-set-up-wizard", {**LOGIN, "wizardJson": "{}"})
    wrong = client.post("initial-set-up-wizard", {**LOGIN, "password": "wrong", "wizardJson": "{}"})

    assert (answer.status_code, answer.json().keys()) == (200, USER_DETAILS.keys())
    assert wrong.status_code == 401
    assert virima.wizards == [(SERVICE.email, "{}")]


@pytest.mark.parametrize(
    ("operation", "body", "problem"),
    [
        ("dologin-impersonate", {}, "missing email"),
        ("reset-password-send-mail", {"email": 1}, "email: expected a non-empty string"),
        ("reset-password", {"email": JANE.email}, "missing password"),
        (
            "reset-password",
            {"email": JANE.email, "password": "x", "directPasswordChange": "yes"},
            "directPasswordChange: expected true or false",
        ),
        ("initial-set-up-wizard", {**LOGIN, "wizardJson": {}}, "wizardJson: expected a string"),
    ],
)
def test_a_malformed_body_is_refused_with_its_field(client: Client, operation: str, body: object, problem: str) -> None:
    answer = client.post(operation, body)

    assert (answer.status_code, answer.json()["message"]) == (400, f"Malformed request: {problem}")


@pytest.mark.parametrize(
    ("given", "base_path"), [("/www_em/", "/www_em/"), ("virima", "/virima/"), ("/a/b", "/a/b/"), ("", "/")]
)
def test_the_base_path_begins_and_ends_with_a_slash(given: str, base_path: str) -> None:
    assert SimulatedVirima([SERVICE], base_path=given).base_path == base_path


def test_a_person_added_later_is_found(client: Client, virima: SimulatedVirima) -> None:
    virima.set_person(Person("new@example.com", "New Person"))
    client.post("dologin", LOGIN)

    details = client.post("dologin-impersonate", {"email": "new@example.com"}).json()

    assert details["id"] not in {1001, 1002, 1003}
    assert details["displayName"] == "New Person"


def test_an_unknown_field_of_user_details_is_refused() -> None:
    with pytest.raises(ValueError, match="UserDetails has no shoeSize"):
        Person("a@example.com", "A", details={"shoeSize": 42})


def test_the_state_contains_no_secrets(client: Client, virima: SimulatedVirima) -> None:
    client.post("dologin", LOGIN)
    client.post("dologin-impersonate", {"email": JANE.email})

    state = json.dumps(virima.state())

    assert virima.calls == {"login/dologin": 1, "login/dologin-impersonate": 1}
    assert not [secret for secret in virima.secrets_sent() if secret in state]
