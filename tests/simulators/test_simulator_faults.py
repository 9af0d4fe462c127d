"""Faults of a simulator, added in Python and over HTTP, as a caller sees them."""

import http.client
import threading
import time

import pytest
import requests
from simulators.installation import CREDENTIALS, INSTALLATION, PUSH, TOKEN

from relay.simulators.faults import SimulatedFault, parse_fault
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem

#: Longer than any test (seconds).
FAR = 600


def push(server: SimulatorServer, timeout: float = 5) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            server.url + PUSH,
            json={"state": 6, "sysid": "x"},
            auth=CREDENTIALS,
            timeout=timeout,
            allow_redirects=False,
        )


def push_in_a_thread(server: SimulatorServer) -> tuple[threading.Thread, list[int | str]]:
    """Push in a thread, which appends the status or the name of the exception to the list."""
    outcome: list[int | str] = []

    def run() -> None:
        try:
            outcome.append(push(server, timeout=30).status_code)
        except requests.RequestException as error:
            outcome.append(type(error).__name__)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_fault_with_a_status_replaces_the_answer_of_the_service(server: SimulatorServer, iem: SimulatedIem) -> None:
    server.faults.add(SimulatedFault(status=503, headers={"Retry-After": "7"}, count=2))

    answers = [push(server) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json() == {"message": "Service Unavailable"}
    assert len(iem.pushes) == 1


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body"),
    [
        (
            SimulatedFault(status=200, body="<html>Log in</html>", content_type="text/html"),
            200,
            "text/html",
            b"<html>Log in</html>",
        ),
        (SimulatedFault(status=401, body={"message": "Invalid access token"}), 401, "application/json", None),
        (SimulatedFault(status=200, body=""), 200, "application/json", b""),
        (SimulatedFault(status=302, headers={"Location": "https://example.com/"}), 302, "application/json", None),
        (SimulatedFault(status=204), 204, None, b""),
        (SimulatedFault(status=299), 299, "application/json", b'{"message": "Status 299"}'),
    ],
)
def test_the_answer_of_a_fault_has_the_given_body(
    server: SimulatorServer, fault: SimulatedFault, status: int, content_type: str | None, body: bytes | None
) -> None:
    server.faults.add(fault)

    answer = push(server)

    assert (answer.status_code, answer.headers.get("Content-Type")) == (status, content_type)
    if body is not None:
        assert answer.content == body


@pytest.mark.parametrize(("drop", "applied"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_gives_no_answer(
    server: SimulatorServer, iem: SimulatedIem, drop: str, applied: int
) -> None:
    server.faults.add(parse_fault({"drop": drop, "count": 1}))

    with pytest.raises(requests.ConnectionError):
        push(server)

    assert len(iem.pushes) == applied
    assert [exchange.status for exchange in server.request_log.exchanges] == [None]
    assert push(server).status_code == 200


def test_a_delayed_request_times_out_at_its_caller(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=FAR))

    with pytest.raises(requests.ReadTimeout):
        push(server, timeout=0.05)

    assert (server.request_log.arrived, server.request_log.in_flight) == (1, 1)


def test_clearing_the_faults_releases_a_delayed_request(server: SimulatorServer, iem: SimulatedIem) -> None:
    server.faults.add(SimulatedFault(delay=FAR))
    thread, outcome = push_in_a_thread(server)
    assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)
    assert iem.pushes == []

    server.faults.clear()

    thread.join(5)
    assert outcome == [200]
    assert len(iem.pushes) == 1


def test_a_delay_has_the_given_length(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=0.1))

    before = time.monotonic()
    push(server)

    assert time.monotonic() - before >= 0.1


def test_stopping_drops_a_delayed_request_before_it_is_applied() -> None:
    iem = SimulatedIem(INSTALLATION)
    server = SimulatorServer(iem).start()
    server.faults.add(SimulatedFault(delay=FAR))
    thread, outcome = push_in_a_thread(server)
    assert server.request_log.wait_until(lambda: server.request_log.arrived == 1)

    server.stop()

    thread.join(5)
    assert outcome == ["ConnectionError"]
    assert iem.pushes == []


def test_a_dripping_answer_takes_longer_than_a_read_timeout(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(drip=0.01))

    before = time.monotonic()
    answer = push(server, timeout=1)

    assert answer.json() == {"message": "Success"}
    assert time.monotonic() - before >= 0.01 * len(answer.content)


def test_the_head_can_drip_too(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(drip=FAR, drip_head=True))
    thread, outcome = push_in_a_thread(server)
    assert server.request_log.wait_until(lambda: server.request_log.count() == 1)

    server.faults.clear()

    thread.join(5)
    assert outcome == [200]


def test_stopping_ends_a_dripping_answer() -> None:
    server = SimulatorServer(SimulatedIem(INSTALLATION)).start()
    server.faults.add(SimulatedFault(drip=FAR))
    thread, outcome = push_in_a_thread(server)
    assert server.request_log.wait_until(lambda: server.request_log.count() == 1)

    server.stop()

    thread.join(5)
    assert len(outcome) == 1
    assert outcome != [200]


def test_an_oversize_answer_is_the_same_json(server: SimulatorServer, iem: SimulatedIem) -> None:
    server.faults.add(SimulatedFault(oversize=2_000_000))

    answer = push(server)

    assert len(answer.content) == 2_000_000
    assert answer.json() == {"message": "Success"}
    assert len(iem.pushes) == 1


def test_a_fault_applies_only_to_its_path(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=500, path="/api/"))

    token = requests.post(server.url + TOKEN, auth=CREDENTIALS, timeout=5)

    assert (token.status_code, push(server).status_code) == (500, 200)


def test_an_exact_path_is_not_a_prefix() -> None:
    fault = SimulatedFault(status=500, path="/www_em/login/dologin", exact=True)

    assert fault.hits("/www_em/login/dologin")
    assert not fault.hits("/www_em/login/dologin-impersonate")


def test_several_faults_apply_in_order(server: SimulatorServer) -> None:
    for status in (500, 429, 503):
        server.faults.add(SimulatedFault(status=status, count=1))

    assert [push(server).status_code for _ in range(4)] == [500, 429, 503, 200]


def test_a_counted_fault_applies_to_that_number_of_requests(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(status=500, count=5))

    pushing = [push_in_a_thread(server) for _ in range(12)]
    for thread, _ in pushing:
        thread.join(5)

    statuses = sorted(str(outcome[0]) for _, outcome in pushing)
    assert statuses == ["200"] * 7 + ["500"] * 5


def test_faults_are_added_and_cleared_over_http(server: SimulatorServer) -> None:
    control = server.url + "/_simulator/faults"

    added = requests.post(control, data='{"status": 500, "count": 3}', timeout=5)
    hit = push(server).status_code
    listed = requests.get(control, timeout=5)
    cleared = requests.delete(control, timeout=5)

    assert (added.status_code, hit, cleared.status_code) == (201, 500, 200)
    assert [(fault["status"], fault["count"]) for fault in listed.json()["faults"]] == [(500, 2)]
    assert push(server).status_code == 200


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("{", "expected a JSON body"),
        ("[]", "expected a fault: a JSON object"),
        ('{"staus": 500}', "unknown staus; a fault has delay, drop, status"),
        ('{"status": 99}', "status: expected a status from 200 to 599"),
        ('{"status": "500"}', "status: expected"),
        ('{"status": true}', "status: expected"),
        ('{"delay": -1}', "delay: expected seconds >= 0"),
        ('{"delay": NaN}', "delay: expected seconds >= 0"),
        ('{"delay": "1s"}', "delay: expected seconds >= 0"),
        ('{"drip": 1e300}', "drip: expected seconds >= 0"),
        ('{"drop": "during"}', "drop: expected before or after"),
        ('{"count": 0}', "count: expected a number of requests >= 1"),
        ('{"oversize": -1}', "oversize: expected a number of bytes"),
        ('{"body": "x"}', "body: expected a status as well"),
        ('{"headers": {"Retry-After": 7}}', "headers: expected an object of strings"),
        ('{"headers": {"A": "b\\r\\nC: d"}}', "headers: expected an object of strings"),
        ('{"headers": []}', "headers: expected an object of strings"),
        ('{"content_type": null}', "content_type: expected a string"),
        ('{"path": 1}', "path: expected a string"),
        ('{"exact": 1}', "exact: expected true or false"),
        ('{"drip_head": 1}', "drip_head: expected true or false"),
    ],
)
def test_an_invalid_fault_is_refused(server: SimulatorServer, sent: str, problem: str) -> None:
    answer = requests.post(server.url + "/_simulator/faults", data=sent, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(problem)
    assert server.faults.listed() == []


def test_faults_do_not_apply_to_the_control_path(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(drop="before"))

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/_simulator/state")
    status = connection.getresponse().status
    connection.close()

    assert status == 200
    assert server.request_log.arrived == 0
