"""`relay doctor` as a whole, with real Redis and web, and simulated IEM and Virima."""

from __future__ import annotations

from pathlib import Path

from doctor.findings import Doctor, lines_of, virima_block
from harness import Relay, mapping, write_mapping

from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_virima import SimulatedVirima


def test_a_healthy_relay_passes_every_check_and_pushes_nothing(
    doctor: Doctor, folder: Path, iem: SimulatorServer, virima: SimulatorServer
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, virima=virima_block(virima)))

    result = doctor()

    assert result.returncode == 0, result.stdout
    states = {line[6:].split(":")[0]: line[:4].strip() for line in result.stdout.splitlines()[:-1]}
    assert states == {
        "settings": "ok",
        "journal": "ok",
        "redis": "ok",
        "workers": "ok",
        "web": "warn",  # web is not running
        "deliveries acme": "ok",
        "mapping acme": "ok",
        "iem acme": "ok",
        "clock acme": "ok",
        "virima acme": "ok",
    }
    assert result.stdout.splitlines()[-1] == "0 failed, 1 warning, 9 passed"
    assert (iem.request_log.arrived, iem.request_log.count("/api/v1/user/token")) == (1, 1)
    assert isinstance(virima.service, SimulatedVirima)
    assert virima.service.sessions == {}


def test_an_unavailable_redis_does_not_stop_other_checks(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))

    result = doctor(RELAY_REDIS_URL="redis://127.0.0.1:9/0")

    [line] = lines_of(result, "redis")
    assert result.returncode == 1
    assert "Connection refused" in line
    assert "→ check RELAY_REDIS_URL" in line
    assert lines_of(result, "iem acme")[0].startswith("ok")


def test_a_faulty_mapping_file_does_not_stop_other_checks(doctor: Doctor, folder: Path, iem: SimulatorServer) -> None:
    write_mapping(folder, "acme", mapping(iem.url))
    write_mapping(folder, "broken", mapping(iem.url, stats={6: 6}))
    write_mapping(folder, "unset", mapping(iem.url, iem={"password": {"env": "NOT_SET"}}))

    result = doctor()

    [broken], [unset], [iem_unset] = (
        lines_of(result, name) for name in ("mapping broken", "mapping unset", "iem unset")
    )
    assert result.returncode == 1
    assert "unknown key 'stats'; did you mean 'states'?" in broken
    assert "NOT_SET is not set" in unset
    assert "not checked: the environment variable NOT_SET is not set" in iem_unset
    assert lines_of(result, "iem acme")[0].startswith("ok")


def test_a_web_machine_needs_no_worker_secrets_and_calls_no_service(
    doctor: Doctor, folder: Path, iem: SimulatorServer, tmp_path: Path, redis_url: str
) -> None:
    write_mapping(folder, "acme", mapping(iem.url, iem={"password": {"env": "NOT_SET"}}))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    try:
        result = doctor("--for", "web", RELAY_BIND=f"127.0.0.1:{relay.port}")
    finally:
        relay.stop()

    assert result.returncode == 0, result.stdout
    assert lines_of(result, "iem acme") == []
    assert iem.request_log.arrived == 0


def test_wrong_settings_are_exit_status_78(doctor: Doctor) -> None:
    result = doctor(RELAY_MAX_BODY="big", RELAY_REDIS_URL="http://redis")

    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 2
