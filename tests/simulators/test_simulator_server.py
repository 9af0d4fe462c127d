"""The server under both simulators: connections, the record, the control path, starting and stopping."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from harness import iem_of

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.faults import SimulatedFault
from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.request_log import RequestLog
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem

USER = ("relay@example.com", "s3cret-password")
INSTALLATION = Installation((ApiUser(*USER, customers=frozenset({"ACME"})),), {"ACME": True}, frozenset({"42"}))
PUSH = "/gbp/push/ACME?integrationid=42"
HEALTH = "/publish/healthcheck/"
TOKEN = "/api/v1/user/token"


@pytest.fixture(scope="module")
def served() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedIem(INSTALLATION)) as server:
        yield server


@pytest.fixture
def server(served: SimulatorServer) -> SimulatorServer:
    served.reset()
    return served


@pytest.fixture
def connection(server: SimulatorServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, method: str, target: str) -> tuple[int, bytes]:
    connection.request(method, target)
    answer = connection.getresponse()
    return answer.status, answer.read()


def converse(server: SimulatorServer, sent: bytes) -> bytes:
    """Send raw bytes on a connection and return all that comes back until the server closes it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(sent)
        received = b""
        while chunk := raw.recv(65536):
            received += chunk
    return received


def test_a_connection_is_kept_for_the_next_request(connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", HEALTH)
    first = connection.sock

    answers = [
        ask(connection, "GET", HEALTH)[0],
        ask(connection, "HEAD", PUSH)[0],
        ask(connection, "GET", "/")[0],
    ]

    assert answers == [200, 405, 404]
    assert connection.sock is first


def test_requests_in_one_packet_are_answered_one_by_one(server: SimulatorServer) -> None:
    one = f"GET {HEALTH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    last = f"GET {HEALTH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()

    received = converse(server, one + one + last)

    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.count(b"Connection: close") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    server: SimulatorServer, sent: bytes, status: int
) -> None:
    received = converse(server, sent)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in head
    assert json.loads(body)["message"]
    assert server.request_log.arrived == 0


def test_a_caller_that_goes_away_in_its_body_leaves_no_trace(
    server: SimulatorServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nfive")
        raw.shutdown(socket.SHUT_WR)
        received = raw.recv(100)

    assert received == b""
    assert server.request_log.arrived == 0
    assert capfd.readouterr().err == ""


def test_the_record_tells_what_came_without_its_secrets(server: SimulatorServer) -> None:
    fetched = requests.post(server.url + TOKEN, auth=USER, timeout=5)
    token = fetched.json()["data"]["access_token"]
    requests.post(
        server.url + PUSH + "&token=hidden-one",
        json={
            "state": 6,
            "sysid": "x",
            "client": [{"Password": "hidden-two", "old_session_id": "hidden-three"}],
        },
        headers={"Cookie": f"a=hidden-four; access_token={token}", "X-API-Key": "hidden-five"},
        timeout=5,
    )

    told = requests.get(server.url + "/_simulator/requests", timeout=5)

    first, second = told.json()["requests"]
    assert (first["method"], first["target"], first["status"], first["body"]) == ("POST", TOKEN, 200, None)
    assert first["headers"]["authorization"] == "Basic ***"
    assert (second["target"], second["status"]) == (PUSH + "&token=***", 400)
    assert second["headers"]["cookie"] == "a=***; access_token=***"
    assert second["body"] == {
        "state": 6,
        "sysid": "x",
        "client": [{"Password": "***", "old_session_id": "***"}],
    }
    assert first["at"] <= first["settled_at"] <= second["at"]
    everything = told.text + repr(server.request_log.exchanges)
    assert "hidden" not in everything
    assert token not in everything
    assert USER[1] not in everything


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"", None),
        (b'"text"', "text"),
        (b"password=secret", "15 bytes, not JSON"),
        (b"\xff", "1 bytes, not JSON"),
        (b'"' + b"x" * 70_000 + b'"', "70002 bytes"),
    ],
)
def test_the_record_keeps_of_a_body_only_readable_json(sent: bytes, kept: object) -> None:
    record = RequestLog()

    record.settle(record.arrive(1), SimulatorRequest("POST", "/", {}, sent), 200, settled_at=2)

    assert [exchange.body for exchange in record.exchanges] == [kept]


def test_the_record_is_bounded_and_its_counters_are_not() -> None:
    record = RequestLog(limit=3)

    for number in range(10):
        request = SimulatorRequest("GET", f"/a?{number}")
        record.settle(record.arrive(number), request, 200 if number else None, settled_at=number)

    assert [exchange.target for exchange in record.exchanges] == ["/a?7", "/a?8", "/a?9"]
    assert (record.arrived, record.in_flight) == (10, 0)
    assert (record.count(), record.count("/a", 200), record.count("/b")) == (10, 9, 0)
    assert record.counters() == {"GET /a dropped": 1, "GET /a 200": 9}


def test_waiting_for_what_does_not_happen_ends(server: SimulatorServer) -> None:
    assert not server.request_log.wait_until(lambda: server.request_log.arrived > 0, timeout=0.01)


def test_the_state_is_told_over_http(server: SimulatorServer) -> None:
    requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=USER, timeout=5)
    server.faults.add(SimulatedFault(status=500, path="/never"))

    state = requests.get(server.url + "/_simulator/state", timeout=5).json()

    assert (state["arrived"], state["in_flight"]) == (1, 0)
    assert state["counters"] == {"POST /gbp/push/ACME 200": 1}
    assert [fault["path"] for fault in state["faults"]] == ["/never"]
    assert state["service"]["actionables"] == {"x": 6}


def test_tokens_are_revoked_over_http(server: SimulatorServer) -> None:
    requests.post(server.url + TOKEN, auth=USER, timeout=5)

    answer = requests.post(server.url + "/_simulator/revoke", timeout=5)

    assert (answer.status_code, answer.json()) == (200, {"revoked": 1})


def test_a_reset_forgets_everything(server: SimulatorServer) -> None:
    requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=USER, timeout=5)
    server.faults.add(SimulatedFault(status=500))

    answer = requests.post(server.url + "/_simulator/reset", timeout=5)

    state = requests.get(server.url + "/_simulator/state", timeout=5).json()
    assert answer.status_code == 200
    assert (state["arrived"], state["counters"], state["faults"]) == (0, {}, [])
    assert (state["service"]["pushes"], state["service"]["actionables"]) == ([], {})


def test_a_reset_drops_the_requests_that_wait(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=600))
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=USER, timeout=0.05)

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as waiting:
        waiting.sendall(f"GET {HEALTH} HTTP/1.1\r\n\r\n".encode())
        assert server.request_log.wait_until(lambda: server.request_log.arrived == 2)
        server.reset()
        received = waiting.recv(100)

    assert received == b""
    assert (server.request_log.arrived, server.request_log.in_flight, server.request_log.exchanges) == (0, 0, [])
    assert server.service.state()["pushes"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "nothing", 404), ("PUT", "faults", 405), ("POST", "state", 405)]
)
def test_the_control_path_refuses_what_it_does_not_know(
    server: SimulatorServer, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, f"{server.url}/_simulator/{path}", timeout=5)

    assert answer.status_code == status


def test_pushes_from_many_callers_are_all_applied(server: SimulatorServer) -> None:
    iem = iem_of(server)

    def push_often(caller: int) -> None:
        with requests.Session() as session:
            session.auth = USER
            for number in range(25):
                body = {"state": number, "sysid": f"ticket-{caller}"}
                assert session.post(server.url + PUSH, json=body, timeout=5).status_code == 200

    threads = [threading.Thread(target=push_often, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(iem.pushes) == 200
    assert iem.actionables == {f"ticket-{caller}": 24 for caller in range(8)}
    assert server.request_log.count("/gbp/push/ACME", 200) == 200


def test_a_stopped_simulator_cuts_idle_connections_and_refuses_new_ones() -> None:
    server = SimulatorServer(SimulatedIem(INSTALLATION)).start()
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    ask(idle, "GET", HEALTH)

    server.stop()

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(idle, "GET", HEALTH)
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_simulator_starts_again_on_its_port_with_what_it_knew() -> None:
    iem = SimulatedIem(INSTALLATION)
    server = SimulatorServer(iem)
    with server:
        before = server.url
        requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=USER, timeout=5)

    with server:
        again = requests.get(before + HEALTH, timeout=5)

    assert again.status_code == 200
    assert server.request_log.arrived == 2
    assert len(iem.pushes) == 1


def test_stopping_leaves_no_thread_behind() -> None:
    server = SimulatorServer(SimulatedIem(INSTALLATION)).start()
    requests.get(server.url + HEALTH, timeout=5)

    server.stop()
    server.stop()

    assert f"simulator-{server.port}" not in {thread.name for thread in threading.enumerate()}


def test_a_simulator_starts_once(server: SimulatorServer) -> None:
    with pytest.raises(RuntimeError, match="is started already"):
        server.start()


def test_a_taken_port_is_an_error(server: SimulatorServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SimulatorServer(SimulatedIem(INSTALLATION), port=server.port).start()


def test_only_loopback_is_listened_on_by_default(server: SimulatorServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"
