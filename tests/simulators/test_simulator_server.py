"""The server of both simulators: connections, the request log, the control path, starting and stopping."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from simulators.installation import CREDENTIALS, HEALTH, INSTALLATION, PUSH, RELAY, TOKEN

from relay.simulators.exchange import SimulatorRequest
from relay.simulators.faults import SimulatedFault
from relay.simulators.request_log import RequestLog
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem


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


def test_a_connection_is_kept_alive(connection: http.client.HTTPConnection) -> None:
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
    first = f"GET {HEALTH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    last = f"GET {HEALTH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()

    received = converse(server, first + first + last)

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
def test_an_invalid_request_is_refused_and_its_connection_closed(
    server: SimulatorServer, sent: bytes, status: int
) -> None:
    received = converse(server, sent)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in head
    assert json.loads(body)["message"]
    assert server.request_log.arrived == 0


def test_a_caller_that_disconnects_in_its_body_is_not_logged(
    server: SimulatorServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nfive")
        raw.shutdown(socket.SHUT_WR)
        received = raw.recv(100)

    assert received == b""
    assert server.request_log.arrived == 0
    assert capfd.readouterr().err == ""


def test_the_request_log_contains_no_secrets(server: SimulatorServer) -> None:
    fetched = requests.post(server.url + TOKEN, auth=CREDENTIALS, timeout=5)
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

    listed = requests.get(server.url + "/_simulator/requests", timeout=5)

    first, second = listed.json()["requests"]
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
    everything = listed.text + repr(server.request_log.exchanges)
    assert "hidden" not in everything
    assert token not in everything
    assert RELAY.password not in everything


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b"", None),
        (b'"text"', "text"),
        (b"password=secret", "15 bytes, not JSON"),
        (b"\xff", "1 bytes, not JSON"),
        (b'"' + b"x" * 70_000 + b'"', "70002 bytes"),
    ],
)
def test_the_request_log_contains_only_bodies_in_json(sent: bytes, logged: object) -> None:
    request_log = RequestLog()

    request_log.settle(request_log.arrive(1), SimulatorRequest("POST", "/", {}, sent), 200, settled_at=2)

    assert [exchange.body for exchange in request_log.exchanges] == [logged]


def test_the_request_log_is_limited_and_its_counters_are_not() -> None:
    request_log = RequestLog(limit=3)

    for number in range(10):
        request = SimulatorRequest("GET", f"/a?{number}")
        request_log.settle(request_log.arrive(number), request, 200 if number else None, settled_at=number)

    assert [exchange.target for exchange in request_log.exchanges] == ["/a?7", "/a?8", "/a?9"]
    assert (request_log.arrived, request_log.in_flight) == (10, 0)
    assert (request_log.count(), request_log.count("/a", 200), request_log.count("/b")) == (10, 9, 0)
    assert request_log.counters() == {"GET /a dropped": 1, "GET /a 200": 9}


def test_a_wait_ends_after_its_timeout(server: SimulatorServer) -> None:
    assert not server.request_log.wait_until(lambda: server.request_log.arrived > 0, timeout=0.01)


def test_the_state_is_available_over_http(server: SimulatorServer) -> None:
    requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=CREDENTIALS, timeout=5)
    server.faults.add(SimulatedFault(status=500, path="/never"))

    state = requests.get(server.url + "/_simulator/state", timeout=5).json()

    assert (state["arrived"], state["in_flight"]) == (1, 0)
    assert state["counters"] == {"POST /gbp/push/ACME 200": 1}
    assert [fault["path"] for fault in state["faults"]] == ["/never"]
    assert state["service"]["actionables"] == {"x": 6}


def test_tokens_are_revoked_over_http(server: SimulatorServer) -> None:
    requests.post(server.url + TOKEN, auth=CREDENTIALS, timeout=5)

    answer = requests.post(server.url + "/_simulator/revoke", timeout=5)

    assert (answer.status_code, answer.json()) == (200, {"revoked": 1})


def test_a_reset_deletes_everything(server: SimulatorServer) -> None:
    requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=CREDENTIALS, timeout=5)
    server.faults.add(SimulatedFault(status=500))

    answer = requests.post(server.url + "/_simulator/reset", timeout=5)

    state = requests.get(server.url + "/_simulator/state", timeout=5).json()
    assert answer.status_code == 200
    assert (state["arrived"], state["counters"], state["faults"]) == (0, {}, [])
    assert (state["service"]["pushes"], state["service"]["actionables"]) == ([], {})


def test_a_reset_drops_delayed_requests(server: SimulatorServer) -> None:
    server.faults.add(SimulatedFault(delay=600))
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=CREDENTIALS, timeout=0.05)

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
def test_the_control_path_refuses_unknown_requests(
    server: SimulatorServer, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, f"{server.url}/_simulator/{path}", timeout=5)

    assert answer.status_code == status


def test_pushes_from_many_callers_are_all_applied(server: SimulatorServer, iem: SimulatedIem) -> None:
    def push_often(caller: int) -> None:
        with requests.Session() as session:
            session.auth = CREDENTIALS
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


def test_a_stopped_simulator_closes_idle_connections_and_refuses_new_ones() -> None:
    server = SimulatorServer(SimulatedIem(INSTALLATION)).start()
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    ask(idle, "GET", HEALTH)

    server.stop()

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(idle, "GET", HEALTH)
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_restarted_simulator_keeps_its_port_and_state() -> None:
    iem = SimulatedIem(INSTALLATION)
    server = SimulatorServer(iem)
    with server:
        before = server.url
        requests.post(server.url + PUSH, json={"state": 6, "sysid": "x"}, auth=CREDENTIALS, timeout=5)

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
    with pytest.raises(RuntimeError, match="is already started"):
        server.start()


def test_a_taken_port_is_an_error(server: SimulatorServer) -> None:
    with pytest.raises(OSError, match="in use"):
        SimulatorServer(SimulatedIem(INSTALLATION), port=server.port).start()


def test_a_simulator_listens_on_loopback_by_default(server: SimulatorServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"
