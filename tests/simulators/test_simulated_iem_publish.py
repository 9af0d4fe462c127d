"""The publish service of the simulated IEM over real sockets: every field of the tables in the guide."""

from typing import Any

import pytest
import requests
from simulators.installation import CREDENTIALS, RELAY, UI_USER

from relay.simulators.iem_bodies import PUBLICATIONS
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem

EVENT = {
    "parametercategory": "Availability",
    "parametertype": "Status",
    "parametername": "parked",
    "parameterid": "parked",
    "severity": "4",
    "description": "acme is parked",
    "messages": "IEM refused the credentials",
    "entity": "relay",
    "entityid": "relay-1",
    "mappedentityid": "",
    "agentlocation": "",
    "createdon": "2025-11-22T21:40:00.123Z",
    "toolmanager": "relay",
    "manageragent": "relay",
    "datasourcename": "relay",
    "toolcustomerid": "ACME",
    "createdby": "relay",
    "envcustomerid": "ACME",
    "toolcustomername": "ACME",
    "ieventid": "1",
    "firstoccurrence": "2025-11-22T21:40:00.123Z",
    "splitby": "ACME_relay_parked",
}
BODIES: dict[str, dict[str, Any]] = {
    "/publish/allevents/": EVENT,
    "/publish/metrics/": EVENT,
    "/publish/entity/": {
        "custcol": {"Category": "Application", "Location": "Berlin", "Owner": "Operations"},
        "entityid": "relay-1",
        "topology": {"parententity": ""},
        "envcustomer_id": "ACME",
        "createdon": "2025-11-22T21:40:00.123Z",
    },
    "/publish/service/": {
        "servicename": "webhook relay",
        "service_entity_mapping": [{"entityid": "relay-1"}, {"entityid": "relay-2"}],
        "service_topology": [{"parentservicename": "ITSM"}],
        "envcustomer_id": "ACME",
    },
    "/publish/healthcheck/": {
        "host": "relay-1",
        "envcustomer_id": "ACME",
        "kpi_name": "heartbeat",
        "kpi_type": "heartbeat",
        "status": "Green",
        "value": "1",
        "description": "",
        "remark": "",
        "timestamp": "2025-11-22 21:40:00.123",
        "updatetimestamp": "2025-11-22 21:40:00.123",
        "updateid": "1",
        "additional_info": "{}",
    },
}
CUSTOMER_FIELDS = {path: "envcustomerid" if body is EVENT else "envcustomer_id" for path, body in BODIES.items()}


@pytest.fixture
def url(iem: SimulatedIem, server: SimulatorServer, session: requests.Session) -> str:
    """The simulator's URL; the session sends a valid token."""
    session.headers["Cookie"] = f"access_token={iem.access.tokens.issue(RELAY.email)}"
    return server.url


def test_every_call_of_the_publish_service_is_tested() -> None:
    assert BODIES.keys() == PUBLICATIONS.keys()


@pytest.mark.parametrize("path", BODIES)
def test_a_complete_body_is_published(iem: SimulatedIem, url: str, session: requests.Session, path: str) -> None:
    answer = session.post(url + path, json=BODIES[path], timeout=5)

    assert (answer.status_code, answer.json()) == (200, {"message": "Data published successfully"})
    assert iem.published[PUBLICATIONS[path].kind] == [BODIES[path]]
    assert sum(len(bodies) for bodies in iem.published.values()) == 1


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, body in BODIES.items() for field in body])
def test_a_body_without_a_field_is_refused_with_its_name(
    iem: SimulatedIem, url: str, session: requests.Session, path: str, field: str
) -> None:
    body = {name: value for name, value in BODIES[path].items() if name != field}

    answer = session.post(url + path, json=body, timeout=5)

    assert (answer.status_code, answer.json()["message"]) == (400, f"Malformed request: missing {field}")
    assert not any(iem.published.values())


@pytest.mark.parametrize("path", BODIES)
def test_the_other_spelling_of_the_customer_field_is_refused(url: str, session: requests.Session, path: str) -> None:
    right = CUSTOMER_FIELDS[path]
    wrong = {"envcustomerid": "envcustomer_id", "envcustomer_id": "envcustomerid"}[right]
    body = {(wrong if name == right else name): value for name, value in BODIES[path].items()}

    answer = session.post(url + path, json=body, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["message"] == f"Malformed request: missing {right}, unknown {wrong}"


@pytest.mark.parametrize(
    ("path", "changed", "problem"),
    [
        ("/publish/allevents/", {"severity": 4}, "severity: expected a string"),
        ("/publish/allevents/", {"createdon": "2025-11-22T21:40:00Z"}, "createdon: expected a string like"),
        ("/publish/metrics/", {"firstoccurrence": "yesterday"}, "firstoccurrence: expected a string like"),
        ("/publish/metrics/", {"splitby": "ACME"}, "splitby: expected a string like"),
        ("/publish/metrics/", {"value": "1"}, "unknown value"),
        ("/publish/entity/", {"custcol": {"Category": "x"}}, "custcol: missing Location"),
        ("/publish/entity/", {"topology": {}}, "topology: missing parententity"),
        ("/publish/entity/", {"topology": "relay"}, "topology: expected an object"),
        ("/publish/service/", {"service_entity_mapping": {}}, "service_entity_mapping: expected a list"),
        (
            "/publish/service/",
            {"service_entity_mapping": [{"entityid": "x"}, {"id": "y"}]},
            "service_entity_mapping: [1]: missing entityid, unknown id",
        ),
        (
            "/publish/healthcheck/",
            {"additional_info": {}},
            "additional_info: expected a JSON object in a string",
        ),
        ("/publish/healthcheck/", {"additional_info": "["}, "additional_info: expected a JSON object in a"),
        ("/publish/healthcheck/", {"timestamp": "2025-11-22T21:40:00.123Z"}, "timestamp: expected a string"),
        ("/publish/healthcheck/", {"value": True}, "value: expected a string"),
    ],
)
def test_a_body_with_a_wrong_value_is_refused_with_its_name(
    url: str, session: requests.Session, path: str, changed: dict[str, object], problem: str
) -> None:
    answer = session.post(url + path, json=BODIES[path] | changed, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"Malformed request: {problem}")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("customer", "message"),
    [
        ("GONE", "Data has been sent for inactive customer"),
        ("UNKNOWN", "Data has been sent for inactive customer"),
        ("OTHER", "User is not associated with the customer"),
    ],
)
def test_a_body_for_the_wrong_customer_is_refused(
    iem: SimulatedIem, url: str, session: requests.Session, path: str, customer: str, message: str
) -> None:
    body = BODIES[path] | {CUSTOMER_FIELDS[path]: customer}

    answer = session.post(url + path, json=body, timeout=5)

    assert (answer.status_code, answer.json()) == (401, {"message": message})
    assert not any(iem.published.values())


@pytest.mark.parametrize("path", BODIES)
def test_a_publish_call_without_a_valid_token_is_refused(
    iem: SimulatedIem, server: SimulatorServer, session: requests.Session, path: str
) -> None:
    iem.set_token_lifetime(0)
    cookies = [
        None,
        "access_token=never-issued",
        f"access_token={iem.access.tokens.issue(RELAY.email)}",
        f"access_token={iem.access.tokens.issue(UI_USER.email)}",
    ]

    answers = [
        session.post(
            server.url + path,
            json=BODIES[path],
            headers={"Cookie": cookie} if cookie else {},
            auth=None if cookie else CREDENTIALS,
            timeout=5,
        )
        for cookie in cookies
    ]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [
        (401, "Missing access token"),
        (401, "Invalid access token"),
        (401, "Access token has expired"),
        (401, "Access token has expired"),
    ]


def test_a_user_of_the_web_ui_cannot_publish(
    iem: SimulatedIem, server: SimulatorServer, session: requests.Session
) -> None:
    cookie = {"Cookie": f"access_token={iem.access.tokens.issue(UI_USER.email)}"}

    answer = session.post(server.url + "/publish/allevents/", json=EVENT, headers=cookie, timeout=5)

    assert (answer.status_code, answer.json()) == (403, {"message": "Access denied"})


def test_the_health_check_needs_no_credentials(server: SimulatorServer, session: requests.Session) -> None:
    answer = session.get(server.url + "/publish/healthcheck/", timeout=5)

    assert (answer.status_code, answer.json()) == (200, {"message": "API is running"})
