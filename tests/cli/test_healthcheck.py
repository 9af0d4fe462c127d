"""`relay healthcheck`, with a real Redis, web and worker."""

from __future__ import annotations

from pathlib import Path

from commands import Result, run_relay
from harness import Relay, base_environ, mapping, wait_until, write_mapping

from relay.simulators.faults import SimulatedFault
from relay.simulators.server import SimulatorServer


def healthcheck(relay: Relay, kind: str, **environ: str) -> Result:
    settings = {"RELAY_REDIS_URL": relay.redis_url, "RELAY_BIND": f"127.0.0.1:{relay.port}"}
    return run_relay("healthcheck", kind, environ={**base_environ(), **settings, **environ})


def test_the_health_check_fails_on_a_host_without_a_worker(tmp_path: Path, redis: object, redis_url: str) -> None:
    result = healthcheck(Relay(tmp_path, redis_url), "worker")

    assert result.returncode == 1
    assert "no worker of" in result.stderr


def test_the_health_check_reports_an_unavailable_redis(tmp_path: Path) -> None:
    result = healthcheck(Relay(tmp_path, "redis://127.0.0.1:9/0"), "worker")

    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)


def test_the_health_check_of_web_uses_its_unix_socket(tmp_path: Path) -> None:
    result = healthcheck(Relay(tmp_path, "redis://127.0.0.1:9/0"), "web", RELAY_BIND=f"unix:{tmp_path}/no.sock")

    assert result.returncode == 1
    assert "web does not answer at unix:" in result.stderr


def test_the_health_checks_of_running_processes_succeed(
    tmp_path: Path, iem: SimulatorServer, redis: object, redis_url: str
) -> None:
    write_mapping(tmp_path / "mappings", "acme", mapping(iem.url))
    relay = Relay(tmp_path, redis_url)
    relay.start_web(processes=1)
    relay.start_worker()
    try:
        iem.faults.add(SimulatedFault(status=401, path="/api/v1/user/token"))
        relay.post({"sys_id": "9d385017c611228701d22104cc95c371", "state": "6"})
        parked = "acme is parked: wrong_credentials"
        wait_until(lambda: parked in healthcheck(relay, "web").stdout, "the integration is parked")

        statuses = {kind: healthcheck(relay, kind).returncode for kind in ("web", "worker")}
    finally:
        relay.stop()

    assert statuses == {"web": 0, "worker": 0}
    wait_until(lambda: healthcheck(relay, "web").returncode == 1, "the health check of stopped web fails")
