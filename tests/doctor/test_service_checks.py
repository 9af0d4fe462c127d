"""`relay doctor`: the checks of IEM and Virima."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from doctor.findings import Doctor, lines_of, virima_block
from harness import mapping, private_certificate, simulated_iem, write_mapping

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer


def test_a_shared_account_is_tried_once(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    wrong = {"password": {"env": "WRONG_PASSWORD"}}
    for name in ("acme", "globex"):
        write_mapping(folder, name, mapping(iem.url, iem=wrong))

    result = doctor()

    assert result.returncode == 1
    [line] = lines_of(result, "iem acme, globex")
    assert line.startswith("fail")
    assert "wrong_credentials (HTTP 401) → check iem.username and iem.password" in line
    assert iem.request_log.count("/api/v1/user/token") == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://iem.invalid", "the name iem.invalid cannot be resolved"),
        ("http://127.0.0.1:9", "127.0.0.1:9 accepts no connection: Connection refused"),
        ("https://127.0.0.1:{port}", "127.0.0.1 does not speak TLS"),
    ],
)
def test_the_failing_connection_step_is_reported(
    doctor: Doctor, folder: Path, iem: SimulatorServer, url: str, sentence: str
) -> None:
    write_mapping(folder, "acme", mapping(url.format(port=iem.port)))

    result = doctor()

    [line] = lines_of(result, "iem acme")
    assert result.returncode == 1
    assert sentence in line
    assert "→ check the url" in line


@pytest.mark.parametrize(
    ("fault", "auth", "state", "sentence"),
    [
        (
            SimulatedFault(status=200, body="<html>login</html>"),
            "token",
            "fail",
            "unexpected_answer (HTTP 200) → the answer is not from IEM",
        ),
        (
            SimulatedFault(status=302, headers={"Location": "https://sso.example.com/"}),
            "token",
            "fail",
            "redirected (HTTP 302)",
        ),
        (SimulatedFault(status=500), "token", "fail", "server_error (HTTP 500) → IEM has a fault"),
        (
            SimulatedFault(status=403, body={"message": "Access denied"}),
            "token",
            "fail",
            "access_denied (HTTP 403) → ask the IEM administrators to make",
        ),
        (SimulatedFault(drop="before"), "token", "fail", "unreachable"),
        (SimulatedFault(status=404), "basic", "warn", "`auth: basic` needs no token"),
        (SimulatedFault(status=401), "basic", "fail", "wrong_credentials"),
    ],
)
def test_each_answer_of_the_token_call_is_explained(
    doctor: Doctor, folder: Path, iem: SimulatorServer, fault: SimulatedFault, auth: str, state: str, sentence: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, iem={"auth": auth}))
    iem.faults.add(fault)

    result = doctor()

    [line] = lines_of(result, "iem acme")
    assert line[:4] == state
    assert sentence in line
    assert result.returncode == (1 if state == "fail" else 0)


@pytest.mark.parametrize(
    ("ahead", "state", "says"),
    [(3, "ok", "agree"), (25, "warn", "s ahead of"), (-3600, "fail", "s behind")],
)
def test_a_clock_skew_is_reported(doctor: Doctor, folder: Path, ahead: int, state: str, says: str) -> None:
    with simulated_iem(clock=lambda: time.time() + ahead) as other:
        write_mapping(folder, "acme", mapping(other.url))

        result = doctor()

    [line] = lines_of(result, "clock acme")
    assert line[:4].strip() == state
    assert says in line


def test_a_private_ca_and_an_expiring_certificate_are_reported(
    doctor: Doctor, folder: Path, tmp_path: Path, iem: SimulatorServer
) -> None:
    context, certificate = tls_with_private_ca(tmp_path)
    assert iem._listener is not None
    iem._listener.socket = context.wrap_socket(iem._listener.socket, server_side=True)
    url = iem.url.replace("http:", "https:")
    write_mapping(folder, "acme", mapping(url, iem={"ca_file": str(certificate)}))
    write_mapping(folder, "globex", mapping(url))

    result = doctor()

    good, soon = lines_of(result, "iem acme")
    assert good.startswith("ok")
    assert "TLSv1.3, certificate valid for 2 days" in good
    assert soon.startswith("warn")
    assert "renew it" in soon
    [refused] = lines_of(result, "iem globex")
    assert "the certificate of 127.0.0.1 is not accepted: self-signed certificate" in refused
    assert "set ca_file" in refused


def tls_with_private_ca(folder: Path) -> tuple[ssl.SSLContext, Path]:
    key, certificate = private_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_a_refused_virima_account_is_reported_with_advice(
    doctor: Doctor, folder: Path, iem: SimulatorServer, virima: SimulatorServer
) -> None:
    block = virima_block(virima, password={"env": "WRONG_PASSWORD"})
    write_mapping(folder, "acme", mapping(iem.url, virima=block))

    result = doctor()

    [line] = lines_of(result, "virima acme")
    assert result.returncode == 1
    assert "wrong_credentials" in line
    assert "check virima.username and virima.password" in line
